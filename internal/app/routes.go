package app

import (
	"crypto/rand"
	"fmt"
	"net/http"

	"github.com/go-chi/chi/v5"

	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/clientip"
	"example.com/portcullis/internal/tunnel"
)

// publicRoutes is every route of the public listener. What stands around all of
// them comes first: headers on every answer, and no panic ends the process.
//
// The sockets are beside the site and not inside of it: no session middleware may
// be around them, because it would save its old copy of the session when the socket
// ends, after a sign-out (research: session revival), and no timeout, because it
// would end them.
func (a *App) publicRoutes() http.Handler {
	r := chi.NewRouter()
	r.Use(a.Headers.Wrap, a.recoverPanics)

	// For orchestrators, which ask by address: no Host rule, and nothing to learn.
	r.Get("/livez", a.livez)
	r.Get("/readyz", a.readyz)

	// Each of these checks Host itself, as the first step of the handshake.
	r.Handle("/ws", a.Sockets.WS())
	r.Handle("/ws/auth", a.Sockets.Auth())
	r.Handle("/ws/cli", a.Sockets.CLI())
	if !a.Tunnels.Off() { // otherwise the address is as unknown as any other
		r.Handle(tunnel.Prefix+"*", a.Tunnels.Handler(a.Sockets))
	}
	r.Handle("/ws/public", a.Sockets.Public())

	r.Group(func(r chi.Router) {
		r.Use(a.checkHost)
		a.Site.Routes(r) // its table names every page and call
	})
	return r
}

// checkHost refuses other names than ours, so that a name rebound to this address
// gets nothing (RFC 9110 §7.4: 421).
func (a *App) checkHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := a.Host.Check(r); err != nil {
			id := rand.Text()
			a.Audit.Record(r.Context(), audit.Event{Name: audit.InputDiscreteFail, Level: audit.Warn, Control: "host", Reason: "unknown_host", Request: id,
				IP: clientip.Prefix(a.ClientIP.IP(r)).String(), Detail: r.Host, UserAgent: r.UserAgent()})
			refuse(w, http.StatusMisdirectedRequest, "misdirected", "This server does not answer to that name.", id)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// recoverPanics keeps one bad request from ending the others. The panic's value goes
// to the log, never to the client. Sockets recover their own goroutines.
func (a *App) recoverPanics(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			if v == http.ErrAbortHandler { //nolint:errorlint // net/http compares it the same way
				panic(v)
			}
			a.Log.Error("panic in a request", "panic", fmt.Sprintf("%T", v), "path", r.URL.Path)
			id := rand.Text()
			a.Audit.Record(r.Context(), audit.Event{Name: audit.Crash, Level: audit.Critical, Control: "errors", Reason: "panic", Request: id})
			refuse(w, http.StatusInternalServerError, "internal", "Something went wrong here.", id)
		}()
		next.ServeHTTP(w, r)
	})
}

func refuse(w http.ResponseWriter, status int, code, message, request string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Request-Id", request)
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"code":%q,"message":%q,"request_id":%q}`, code, message, request)
}
