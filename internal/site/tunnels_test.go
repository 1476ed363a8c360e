package site_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/ticket"
	"example.com/portcullis/internal/guard/tunnel"
	"example.com/portcullis/internal/site"
)

// grants are those of one user for "bastion"; it remembers what it was asked.
type grants struct {
	user  uuid.UUID
	until time.Time
	asked []string
}

func (g *grants) Grant(_ context.Context, user uuid.UUID, target string, now time.Time) (tunnel.Grant, error) {
	g.asked = append(g.asked, target)
	if user != g.user || target != "bastion" || !g.until.After(now) {
		return tunnel.Grant{}, chat.ErrDenied
	}
	return tunnel.Grant{User: user, Target: target, Until: g.until}, nil
}

func (g *grants) OfUser(_ context.Context, user uuid.UUID, _ time.Time) ([]tunnel.Grant, error) {
	if user != g.user {
		return nil, nil
	}
	return []tunnel.Grant{{User: user, Target: "bastion", Until: g.until}, {User: user, Target: "gone", Until: g.until}}, nil
}

func newTunnelWorld(t *testing.T) (*world, *grants) {
	t.Helper()
	g := &grants{}
	targets, err := tunnel.NewTargets([]tunnel.Target{
		{Name: "bastion", Protocol: tunnel.SSH, Host: "10.0.0.5", Port: 22, HostKey: "SHA256:key"}, {Name: "desk", Protocol: tunnel.RFB, Host: "10.0.0.6", Port: 5900}})
	must(t, err)
	w := newWorld(t, func(o *site.Options) { o.Targets, o.Grants = targets, g })
	return w, g
}

func TestTunnelTicket_isForOneTargetOfAGrantedUser(t *testing.T) {
	w, g := newTunnelWorld(t)
	b := w.signedIn("ada")
	g.user, g.until = b.user.UUID, w.clock.Now().Add(time.Hour)
	res := b.send("POST", "/api/tunnels/bastion/ticket", "")
	if res.Code != http.StatusCreated || field[string](t, res, "path") != "/ws/tunnel/bastion" || !strings.Contains(res.Body.String(), `"host_key":"SHA256:key"`) || strings.Contains(res.Body.String(), "10.0.0.5") {
		t.Fatalf("%d %s", res.Code, res.Body)
	}
	want := []ticket.Claims{{User: b.user.UUID, Session: uuid.MustParse(b.sid()), Origin: own, Route: "/ws/tunnel/bastion"}}
	if diff := cmp.Diff(want, w.tickets.issued); diff != "" {
		t.Error(diff)
	}
	w.wantEvent(audit.TokenCreated, "tunnel_ticket")
	res = b.send("GET", "/api/tunnels", "")
	if s := res.Body.String(); res.Code != http.StatusOK || !strings.Contains(s, `"name":"bastion"`) || strings.Contains(s, "desk") || strings.Contains(s, "gone") || strings.Contains(s, "10.0.0.") {
		t.Errorf("%d %s", res.Code, s)
	}
}

// Hosts, ports, other spellings, and targets of other people: one answer, and the store
// is asked once for each, for a text that is never the client's own.
//
//control:proves tunnel
func TestTunnelTicket_refusesEveryOtherNameWithTheSameBytesAndWork(t *testing.T) {
	w, g := newTunnelWorld(t)
	b := w.signedIn("ada")
	g.user, g.until = b.user.UUID, w.clock.Now().Add(time.Hour)
	answer := func(name string) string {
		t.Helper()
		w.events.reset()
		g.asked = nil
		res := b.send("POST", "/api/tunnels/"+name+"/ticket", "", func(r *http.Request) { r.RemoteAddr = "192.0.2.7:1" })
		if res.Code != http.StatusNotFound || len(g.asked) != 1 || g.asked[0] != "desk" && g.asked[0] != "-" {
			t.Errorf("%q: %d, the store was asked %q", name, res.Code, g.asked)
		}
		body := res.Body.String()
		return body[:strings.Index(body, `"request_id"`)]
	}
	want := answer("desk") // configured, without a grant
	w.wantEvent(audit.TunnelDenied, "no_grant")
	for _, name := range []string{
		"127.0.0.1:6379", "169.254.169.254", "2130706433", "0177.0.0.1", "0x7f000001", "127.1", "%5B::1%5D:22", "%5B::ffff:127.0.0.1%5D", "localhost", "127.0.0.1.nip.io", "bastion@127.0.0.1", "bastion%00", "bastion%20",
		"%62astion", "BASTION", "bastion.", "bastion:22", "bastion%2F..", "b%D0%B0stion", "%EF%BC%91%EF%BC%92%EF%BC%97", "bastion%E2%80%8B", strings.Repeat("a", 33), strings.Repeat("a", 3000),
	} {
		w.clock.Advance(time.Second) // no more than that: the proof stays fresh
		if got := answer(name); got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
		if e := w.wantEvent(audit.TunnelDenied, "no_target"); e.Level != audit.Critical || e.Control != "tunnel" {
			t.Errorf("%+v", e)
		}
	}
	if len(w.tickets.issued) != 0 {
		t.Error("a ticket was issued")
	}
}

// Script in the chat, or a thief with the cookie, has the session and not the password.
//
//control:proves tunnel
func TestTunnelTicket_aChatSessionWithoutAFreshProofGetsNone(t *testing.T) {
	w, g := newTunnelWorld(t)
	b := w.signedIn("ada")
	g.user, g.until = b.user.UUID, w.clock.Now().Add(time.Hour)
	w.clock.Advance(tunnel.FreshFor + time.Second)
	wantError(t, b.send("POST", "/api/tunnels/bastion/ticket", ""), http.StatusForbidden, "step_up_required")
	wantError(t, b.send("POST", "/api/tunnels/bastion/ticket", "", header("X-CSRF-Token", "wrong")), http.StatusForbidden, "csrf")
	wantError(t, w.browser().send("POST", "/api/tunnels/bastion/ticket", ""), http.StatusUnauthorized, "unauthenticated")
	wantError(t, b.send("POST", "/api/ws-ticket", `{"route":"/ws/tunnel/bastion"}`), http.StatusBadRequest, "bad_schema")
	if len(w.tickets.issued) != 0 {
		t.Error("a ticket was issued")
	}
}

// Who is not fresh learns nothing about names and grants either.
//
//control:proves tunnel
func TestTunnelTicket_withoutAFreshProofNothingIsToldAboutGrants(t *testing.T) {
	w, g := newTunnelWorld(t)
	b := w.signedIn("ada")
	g.user = b.user.UUID // whose grant is over
	for _, name := range []string{"bastion", "nothing"} {
		wantError(t, b.send("POST", "/api/tunnels/"+name+"/ticket", ""), http.StatusNotFound, "denied")
	}
	w.clock.Advance(tunnel.FreshFor + time.Second)
	for _, name := range []string{"bastion", "nothing"} {
		wantError(t, b.send("POST", "/api/tunnels/"+name+"/ticket", ""), http.StatusForbidden, "step_up_required")
	}
}

//control:proves tunnel
func TestTunnels_withoutConfigurationAreLikeAnyUnknownAddress(t *testing.T) {
	w := newWorld(t)
	b := w.signedIn("ada")
	for _, tt := range []struct{ method, path, other string }{
		{"GET", "/api/tunnels", "/api/nothing"}, {"POST", "/api/tunnels/bastion/ticket", "/api/nothing/bastion/ticket"}, {"POST", "/api/tunnels/127.0.0.1:6379/ticket", "/api/nothing/127.0.0.1:6379/ticket"}, {"GET", "/ws/tunnel/bastion", "/ws/nothing/bastion"},
	} {
		got, want := b.send(tt.method, tt.path, ""), b.send(tt.method, tt.other, "")
		strip := func(s, id string) string { return strings.ReplaceAll(s, id, "") }
		gotBody, wantBody := strip(got.Body.String(), got.Header().Get("X-Request-Id")), strip(want.Body.String(), want.Header().Get("X-Request-Id"))
		if strings.HasPrefix(tt.path, "/api/") && gotBody != wantBody || got.Code != http.StatusNotFound || want.Code != http.StatusNotFound {
			t.Errorf("%s: %d %s\n%s: %d %s", tt.path, got.Code, gotBody, tt.other, want.Code, wantBody)
		}
	}
}
