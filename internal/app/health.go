package app

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

const (
	// readyTimeout bounds one look at every dependency; an orchestrator asks again soon.
	readyTimeout = 2 * time.Second
	// readyFor is how long one look is the answer: everybody may ask, so asking often
	// must not be a way to keep the dependencies busy.
	readyFor = 500 * time.Millisecond
)

// readiness is the latest look at the dependencies. One caller looks, the others
// wait for it.
type readiness struct {
	mu     sync.Mutex
	at     time.Time
	failed map[string]string
}

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
	a.ready.mu.Lock()
	defer a.ready.mu.Unlock()
	if time.Since(a.ready.at) < readyFor {
		return a.ready.failed
	}
	// The look outlives a caller who hangs up: its result is everybody's.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readyTimeout)
	defer cancel()
	failed := map[string]string{}
	for name, ask := range a.Ready {
		if err := ask(ctx); err != nil {
			failed[name] = err.Error()
		}
	}
	a.ready.at, a.ready.failed = time.Now(), failed
	return failed
}
