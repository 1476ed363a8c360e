package app

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/go-chi/chi/v5"

	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/certs"
	"example.com/portcullis/internal/guard/clientip"
)

// Service serves the service listener, where TLS has verified a client certificate
// before the first byte of HTTP. It holds what programs of ours need, and no page.
func (a *App) Service() http.Handler {
	r := chi.NewRouter()
	r.Use(a.Headers.Wrap, a.recoverPanics, a.peersOnly, a.serviceHost)
	r.Handle("/ws/cli", a.Sockets.CLI())
	return r
}

// peersOnly puts the name in the client certificate into the request's context.
func (a *App) peersOnly(next http.Handler) http.Handler {
	return certs.RequirePeer(next, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.recordPeer(r.Context(), r.RemoteAddr, "no_name")
		refuse(w, http.StatusForbidden, "forbidden", "Your certificate names nobody, or several.", "")
	}))
}

// serviceHost takes the listener's own port out of Host: services connect to the
// public name on another port, and the port is what TLS has proved already.
func (a *App) serviceHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, _, err := net.SplitHostPort(r.Host)
		if err == nil && strings.EqualFold(name, a.Config.BaseURL.Hostname()) {
			r.Host = a.Config.BaseURL.Host
		}
		next.ServeHTTP(w, r) // the route checks Host
	})
}

// CleartextRefused records a request on the cleartext listener that was no person's.
func (a *App) CleartextRefused(r *http.Request, reason string) {
	a.Audit.Record(r.Context(), audit.Event{Name: audit.CleartextRefused, Level: audit.Warn, Control: "tls", Reason: reason,
		IP: clientip.Prefix(a.ClientIP.IP(r)).String(), Origin: r.Header.Get("Origin"), UserAgent: r.UserAgent()})
}

// CertificateChanged records news of a certificate.
func (a *App) CertificateChanged(c certs.Change) {
	e := audit.Event{Control: "certificates", Reason: c.Reason, Detail: "serial " + c.Serial}
	switch c.Kind {
	case certs.Reloaded:
		e.Name, e.Level = audit.CertReloaded, audit.Info
	case certs.ReloadFailed:
		e.Name, e.Level = audit.CertReloadFailed, audit.Critical
	case certs.Expiring:
		e.Name, e.Level = audit.CertExpiring, audit.Warn
	}
	if !c.NotAfter.IsZero() {
		e.Detail += " ends " + c.NotAfter.UTC().Format("2006-01-02 15:04")
	}
	if c.Err != nil {
		e.Detail += ": " + c.Err.Error()
	}
	a.Audit.Record(context.Background(), e)
}

// untrusted records, for each dependency, when its certificate stops to be believed.
// Asking goes on to fail, so that no new client comes here, and it is said once.
//
//control:name backend-tls
func untrusted(security audit.Recorder, name string, ask func(context.Context) error) func(context.Context) error {
	said := false // unready asks one at a time
	return func(ctx context.Context) error {
		err := ask(ctx)
		failed, ok := errors.AsType[*tls.CertificateVerificationError](err)
		if ok && !said {
			security.Record(ctx, audit.Event{Name: audit.BackendUntrusted, Level: audit.Critical, Control: "backend-tls", Reason: name, Detail: failed.Error()})
		}
		said = ok
		return err
	}
}

// PeerErrors is the log of the service listener's HTTP server. A handshake that TLS
// refused never becomes a request; this line is all that net/http says of it.
func (a *App) PeerErrors() *log.Logger { return log.New(peerErrors{a}, "", 0) }

type peerErrors struct{ a *App }

const handshakeError = "http: TLS handshake error from "

func (p peerErrors) Write(line []byte) (int, error) {
	if rest, ok := bytes.CutPrefix(line, []byte(handshakeError)); ok {
		addr, why, _ := strings.Cut(string(rest), ": ")
		reason := "handshake"
		switch {
		case strings.Contains(why, "didn't provide a certificate"):
			reason = "no_certificate"
		case strings.Contains(why, "expired"):
			reason = "expired"
		case strings.Contains(why, "failed to verify certificate"):
			reason = "not_trusted"
		}
		p.a.recordPeer(context.Background(), addr, reason)
	}
	p.a.Log.Debug("service listener", "line", string(line))
	return len(line), nil
}

// recordPeer records who was refused on the service listener.
func (a *App) recordPeer(ctx context.Context, remote, reason string) {
	e := audit.Event{Name: audit.PeerRefused, Level: audit.Warn, Control: "mtls", Reason: reason}
	if from, err := netip.ParseAddrPort(remote); err == nil {
		e.IP = clientip.Prefix(from.Addr()).String()
	}
	a.Audit.Record(ctx, e)
}
