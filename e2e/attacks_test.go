package e2e

import (
	"context"
	"slices"
	"testing"
	"time"

	"example.com/portcullis/internal/attack"
)

// attackTimeout bounds one attack: the slowest waits for the server to lose patience.
const attackTimeout = 90 * time.Second

// traces is what the server must have recorded after an attack on a control: one event
// of these names. An attack that leaves no trace is repeated until it works.
var traces = map[string][]string{
	"host":      {"ws_handshake_reject", "input_validation_discrete_fail"},
	"origin":    {"malicious_cors"},
	"csrf":      {"malicious_csrf"},
	"session":   {"session_use_after_expire", "ws_handshake_reject"},
	"ticket":    {"authn_token_reuse", "ws_handshake_reject"},
	"password":  {"authn_login_fail"},
	"throttle":  {"authn_login_fail_max", "excess_rate_limit_exceeded"},
	"clientip":  {"authn_login_fail_max", "excess_rate_limit_exceeded"},
	"admission": {"excess_rate_limit_exceeded", "excess_sessions_exceeded"},
	"frames":    {"ws_frame_abuse", "ws_protocol_error", "ws_message_too_big"},
	"schema":    {"input_validation_fail", "input_validation_discrete_fail", "malicious_extraneous"},
	"authz":     {"authz_fail"},
	"ratelimit": {"excess_rate_limit_exceeded"},
	"replay":    {},
	"revoke":    {"ws_revoked_close"},
	"outbox":    {"ws_slow_consumer"},
	"headers":   {},
}

// otherTraces are attacks that another control of the same room stops, or none that
// could record anything.
var otherTraces = map[string][]string{}

func TestAttack(t *testing.T) {
	controls := map[string][]attack.Attack{}
	var order []string
	for _, a := range attack.All() {
		if _, ok := traces[a.Control]; !ok {
			t.Errorf("%s: nobody says which event an attack on it leaves", a.Control)
		}
		if controls[a.Control] == nil {
			order = append(order, a.Control)
		}
		controls[a.Control] = append(controls[a.Control], a)
	}
	shared := startGenerous(t)
	// Controls beside each other, the attacks on one control after each other: so an
	// event of a control that is new since the attack began is this attack's.
	for _, control := range order {
		t.Run(control, func(t *testing.T) {
			t.Parallel()
			for _, a := range controls[control] {
				t.Run(a.Title, func(t *testing.T) {
					s := shared
					if a.Strict {
						s = start(t)
					}
					lose(t, s, a)
				})
			}
		})
	}
}

// lose runs an attack and fails the test unless it loses and leaves its trace.
func lose(t *testing.T, s *Server, a attack.Attack) {
	ctx, cancel := context.WithTimeout(t.Context(), attackTimeout)
	defer cancel()
	mark, begin := s.Logs.Mark(), time.Now()
	outcome, err := a.Run(ctx, s.Target(t))
	if err != nil {
		t.Fatalf("the attack could not be carried out: %v", err)
	}
	if outcome.Won {
		t.Fatalf("WON: %s", outcome.Evidence)
	}
	t.Logf("lost after %s: %s", time.Since(begin).Round(time.Millisecond), outcome.Evidence)
	names, other := otherTraces[a.Title]
	if !other {
		names = traces[a.Control]
	}
	if len(names) == 0 {
		return
	}
	if _, ok := s.Logs.Wait(mark, soon, func(e Event) bool { return slices.Contains(names, e.Name) }); !ok {
		events, _ := s.Logs.Since(mark)
		t.Errorf("no event of %v was recorded; there were %+v", names, events)
	}
}
