package app

import (
	"crypto/rand"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"strings"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/clientip"
)

// privateRoutes is every route of the private listener, which is loopback or a
// private address: numbers and profiles tell an attacker where it hurts.
func (a *App) privateRoutes() http.Handler {
	r := chi.NewRouter()
	r.Use(a.recoverPanics, a.operatorsOnly)
	r.Handle("/metrics", promhttp.HandlerFor(a.Registry, promhttp.HandlerOpts{Registry: a.Registry}))
	r.Get("/livez", a.livez)
	r.Get("/readyz", a.readyDetail)
	r.HandleFunc("/debug/pprof/*", pprof.Index)
	r.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	r.HandleFunc("/debug/pprof/profile", pprof.Profile)
	r.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	r.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return r
}

// operatorsOnly refuses what a page in the operator's browser can send.
//
// Threat: the operator's browser reaches this listener, and any page in the world
// may send its requests there. With a name of its own rebound to 127.0.0.1 a page
// even reads the answers: room sizes, heap contents, the command line (CVE-2025-24010
// is the same hole in a development server). Without rebinding it can still start a
// 30-second CPU profile, over and over.
//
// Rule: Host is an address or a name without a dot, which nobody can register;
// that is what scrapers and people at the machine use. And no request that a browser
// marks as sent by a page: a page has no business here.
//
//control:name private-listener
func (a *App) operatorsOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reason := ""
		switch {
		case !privateHost(r.Host):
			reason = "unknown_host"
		case r.Header.Get("Origin") != "" || fromPage(r.Header.Get("Sec-Fetch-Site")):
			reason = "from_a_page"
		default:
			next.ServeHTTP(w, r)
			return
		}
		id := rand.Text()
		a.Audit.Record(r.Context(), audit.Event{Name: audit.InputDiscreteFail, Level: audit.Critical, Control: "private-listener", Reason: reason, Request: id,
			IP: clientip.Prefix(a.ClientIP.IP(r)).String(), Origin: r.Header.Get("Origin"), Detail: r.Host, UserAgent: r.UserAgent()})
		refuse(w, http.StatusMisdirectedRequest, "misdirected", "This listener answers to its address, and to no page.", id)
	})
}

// privateHost reports whether a Host header is an address, or a name that only a
// local resolver knows.
func privateHost(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return host != "" && !strings.Contains(host, ".")
}

// fromPage reads Sec-Fetch-Site: "none" is a person's own navigation, and programs
// send nothing.
func fromPage(site string) bool { return site != "" && site != "none" }
