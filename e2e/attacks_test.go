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

// trace is an event and the control that must have recorded it.
type trace struct{ event, control string }

// traces is what the server must have recorded after an attack on a control: one of
// these. An attack that leaves no trace is repeated until it works.
var traces = map[string][]trace{
	"host":               {{"ws_handshake_reject", "host"}, {"input_validation_discrete_fail", "host"}},
	"origin":             {{"malicious_cors", "origin"}},
	"csrf":               {{"malicious_csrf", "csrf"}},
	"session":            {{"session_use_after_expire", "session"}, {"ws_handshake_reject", "session"}},
	"ticket":             {{"authn_token_reuse", "ticket"}, {"ws_handshake_reject", "ticket"}, {"ws_handshake_reject", "first-message"}},
	"password":           {{"authn_login_fail", "password"}},
	"throttle":           {{"authn_login_fail_max", "throttle"}},
	"clientip":           {{"authn_login_fail_max", "throttle"}},
	"admission":          {{"excess_rate_limit_exceeded", "ratelimit"}, {"excess_sessions_exceeded", "admission"}},
	"frames":             {{"ws_frame_abuse", "frames"}, {"ws_protocol_error", "frames"}, {"ws_message_too_big", "frames"}},
	"schema":             {{"input_validation_fail", "schema"}, {"input_validation_discrete_fail", "schema"}, {"malicious_extraneous", "schema"}},
	"authz":              {{"authz_fail", "authz"}},
	"ratelimit":          {{"excess_rate_limit_exceeded", "ratelimit"}},
	"replay":             {{"ws_replay_rejected", "replay"}},
	"revocation":         {{"ws_revoked_close", "revocation"}},
	"delivery":           {{"ws_slow_consumer", "outbox"}},
	"handshake":          {{"malicious_cors", "origin"}},
	"handshake-protocol": {{"ws_handshake_reject", "handshake-protocol"}},
	"first-message":      {{"ws_handshake_reject", "first-message"}},
	"dispatch":           {{"sequence_fail", "dispatch"}, {"input_validation_discrete_fail", "schema"}},
	"close":              {{"ws_protocol_error", "frames"}},
	"heartbeat":          {{"ws_heartbeat_lost", "heartbeat"}},
	"sql":                nil, // a search for such a text is a search
	"headers":            nil, // they are looked at, and nothing is refused
}

// otherTraces are attacks on a control that another one stops first, by title.
var otherTraces = map[string][]trace{
	"a slow-loris handshake holds a connection open, one header byte at a time":                    nil, // net/http drops it before there is a request
	"an account is made with a password that everybody tries first":                                {{"input_validation_fail", "validation"}},
	"the ticket comes back in the answer, for everybody who logs answers":                          nil, // an honest handshake, whose answer is read
	"a forged ticket: 8 KiB of nothing":                                                            {{"ws_handshake_reject", "handshake-protocol"}},
	"a cross-site form smuggles JSON as text/plain, which needs no preflight":                      {{"input_validation_fail", "validation"}},
	"a removed member goes on reading through the socket that is open":                             {{"authz_change", "delivery"}},
	"a thief opens a socket with the cookie after its owner signed out, with a ticket from before": {{"ws_handshake_reject", "session"}},
}

// impatient makes a server of its own wait less where waiting is all that an attack does.
var impatient = map[string][]string{"heartbeat": {"PORTCULLIS_PING_EVERY=1s"}}

func TestAttack(t *testing.T) {
	t.Parallel()
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
						s = start(t, impatient[control]...)
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
	want, other := otherTraces[a.Title]
	if !other {
		want = traces[a.Control]
	}
	if len(want) == 0 {
		return
	}
	left := func(e Event) bool { return slices.Contains(want, trace{e.Name, e.Control}) }
	if _, ok := s.Logs.Wait(mark, soon, left); !ok {
		t.Errorf("no event of %v was recorded; there were %v", want, s.Logs.summary(mark))
	}
}
