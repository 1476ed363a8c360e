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
	"existence":          {{"authz_fail", "authz"}},
	"delivery":           {{"authz_change", "delivery"}},
	"slow-consumer":      {{"ws_slow_consumer", "slow-consumer"}},
	"errors":             {{"input_validation_fail", "schema"}},
	"room-names":         {{"input_validation_fail", "schema"}},
	"admin-separation":   {{"malicious_extraneous", "schema"}, {"authz_fail", "admin-separation"}, {"input_validation_discrete_fail", "schema"}},
	"output":             nil, // text is welcome
	"route-policy":       nil, // nobody is signed in, which is not an event of itself
	"handshake":          {{"malicious_cors", "origin"}},
	"handshake-protocol": {{"ws_handshake_reject", "handshake-protocol"}},
	"first-message":      {{"ws_handshake_reject", "first-message"}},
	"dispatch":           {{"sequence_fail", "dispatch"}, {"input_validation_discrete_fail", "schema"}},
	"close":              {{"ws_protocol_error", "frames"}},
	"heartbeat":          {{"ws_heartbeat_lost", "heartbeat"}},
	"tls":                {{"cleartext_refused", "tls"}},
	"mtls":               {{"tls_peer_refused", "mtls"}},
	"proxies":            {{"ws_handshake_reject", "handshake-protocol"}},
	"slow-upgrade":       nil, // net/http drops it before there is a request
	"tunnel":             nil, // none is configured there: the addresses do not exist; tunnel_test.go attacks a server with one
	"business-limits":    {{"excess_rate_limit_exceeded", "business-limits"}},
	"retention":          {{"user_deleted", "retention"}},
	"upload":             {{"upload_validation", "upload"}, {"authz_fail", "authz"}},
	"malware":            {{"upload_validation", "malware"}},
	"compression":        {{"ws_protocol_error", "frames"}},
	"inflated-size":      {{"ws_message_too_big", "inflated-size"}},
	"msgpack":            {{"input_validation_fail", "msgpack"}},
	"unicode":            {{"input_validation_fail", "unicode"}},
	"detection":          {{"malicious_direct_reference", "detection"}},
	"sql":                nil, // a search for such a text is a search
	"step-up":            {{"authz_fail", "step-up"}, {"authn_login_fail", "password"}},
	"passkey":            {{"authn_login_fail", "passkey"}, {"malicious_extraneous", "schema"}},
	"session-limit":      {{"excess_sessions_exceeded", "session-limit"}},
	"sign-out-cleanup":   {{"session_logout", "session"}},
	"lease-refresh":      {{"sequence_fail", "dispatch"}},
	"cors":               {{"malicious_cors", "cors"}, {"malicious_cors", "origin"}},
	"service-identity":   {{"authn_login_fail", "service-identity"}, {"malicious_cors", "service-identity"}},
	"headers":            nil, // they are looked at, and nothing is refused
}

// otherTraces are attacks on a control that another one stops first, by title.
var otherTraces = map[string][]trace{
	"somebody guesses a secret digit by digit in messages that come back to them, and reads the lengths": {{"ws_compression_oracle", "detection"}},
	"a page with a token and a reflected word is asked for in gzip":                                      nil,                           // it is answered, as it is
	"a file that is a picture and a script comes back from the chat's own origin with the script in it":  {{"upload_stored", "upload"}}, // the picture is welcome
	"a member of a room reads in a photograph where its author lives":                                    {{"upload_stored", "upload"}},
	"script in a chat page opens a tunnel with the session and the ticket of the chat":                   {{"input_validation_fail", "schema"}},
	"somebody on the way talks a client down to TLS 1.0, to CBC or to a suite without forward secrecy":   nil, // there is never a request
	"an account is made with a password that everybody tries first":                                      {{"input_validation_fail", "schema"}},
	"the ticket comes back in the answer, for everybody who logs answers":                                nil, // an honest handshake, whose answer is read
	"a forged ticket: 8 KiB of nothing":                                                                  {{"ws_handshake_reject", "handshake-protocol"}},
	"a cross-site form smuggles JSON as text/plain, which needs no preflight":                            {{"input_validation_fail", "schema"}},
	"a thief opens a socket with the cookie after its owner signed out, with a ticket from before":       {{"ws_handshake_reject", "session"}},
	"a foreign page makes its visitor's browser fetch, or end, everything that the visitor has":          {{"malicious_csrf", "csrf"}},
}

// impatient makes a server of its own wait less where waiting is all that an attack does.
var impatient = map[string][]string{
	"heartbeat": {"PORTCULLIS_PING_EVERY=1s"},
	"step-up":   {"PORTCULLIS_STEP_UP_WITHIN=10s"},
	"cors":      {"PORTCULLIS_CORS_ORIGINS=" + attack.ListedReader},
}

// doors are attacks on another listener than the public one, by title.
var doors = map[string]string{
	"a program speaks in clear and is quietly sent on to https, so that nobody ever notices":              "PORTCULLIS_PLAIN_LISTEN",
	"a stranger comes to the listener for services with no certificate, and with one of their own making": "PORTCULLIS_SERVICE_LISTEN",
}

//control:proves audit
//control:proves tls
//control:proves mtls
//control:proves slow-upgrade
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
						env := impatient[control]
						if control == "tls" || control == "mtls" {
							env = secured(t)
						}
						s = start(t, env...)
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
	target := s.Target(t)
	if door := variable(s.env, doors[a.Title]); door != "" {
		target = s.at(t, door)
	}
	outcome, err := a.Run(ctx, target)
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
