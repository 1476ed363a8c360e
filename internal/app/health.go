package app

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// readyTimeout bounds one look at every dependency; an orchestrator asks again soon.
const readyTimeout = 2 * time.Second

// livez says that the process answers, and nothing else: restarting it would not
// mend a database.
func (a *App) livez(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write([]byte("ok\n"))
}

// readyz says whether new clients should be sent here.
func (a *App) readyz(w http.ResponseWriter, r *http.Request) {
	if len(a.unready(r.Context())) > 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte("not ready\n"))
		return
	}
	_, _ = w.Write([]byte("ready\n"))
}

// readyDetail is readyz with the reasons, for the private listener.
func (a *App) readyDetail(w http.ResponseWriter, r *http.Request) {
	failed := a.unready(r.Context())
	w.Header().Set("Content-Type", "application/json")
	if len(failed) > 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"ready": len(failed) == 0, "failed": failed})
}

// unready names what is not ready, with the reason.
func (a *App) unready(ctx context.Context) map[string]string {
	if a.draining.Load() {
		return map[string]string{"server": "draining"}
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	failed := map[string]string{}
	for name, ask := range a.Ready {
		if err := ask(ctx); err != nil {
			failed[name] = err.Error()
		}
	}
	return failed
}
