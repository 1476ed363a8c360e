// Package audit writes the security log: who was refused what, by which control.
//
// Threat: an attack that leaves no trace is repeated until it works; a log that
// an attacker can write into (CRLF, terminal escapes, bidi marks) hides them; a
// log that blocks the server when its disk is slow is a new way to stop it; and a
// log with tickets or session ids in it is a treasure (CWE-778, CWE-117, CWE-532,
// ASVS 16.2–16.4).
//
// Rule: every control records a typed Event with a name of the OWASP logging
// vocabulary (ws_* names extend it in the same style). Values from outside are
// escaped and capped when they enter the event. Recording never blocks: events
// go through a bounded queue to slog and to a Store, and what does not fit is
// counted and said. Session ids and tickets appear only as a short hash,
// message bodies never.
package audit

import (
	"context"
	"time"
)

// Name is a security event's name.
type Name string

// The vocabulary. Names without ws_ are those of the OWASP logging vocabulary.
const (
	LoginSuccess       Name = "authn_login_success"
	LoginFail          Name = "authn_login_fail"
	LoginFailMax       Name = "authn_login_fail_max"
	PasswordChange     Name = "authn_password_change"
	PasswordChangeFail Name = "authn_password_change_fail"
	TokenCreated       Name = "authn_token_created"
	TokenRevoked       Name = "authn_token_revoked"
	TokenReuse         Name = "authn_token_reuse"
	AuthzFail          Name = "authz_fail"
	AuthzChange        Name = "authz_change"
	AuthzAdmin         Name = "authz_admin"
	SessionCreated     Name = "session_created"
	SessionRenewed     Name = "session_renewed"
	SessionExpired     Name = "session_expired"
	SessionLogout      Name = "session_logout"
	SessionUseAfterEnd Name = "session_use_after_expire"
	RateLimitExceeded  Name = "excess_rate_limit_exceeded"
	SessionsExceeded   Name = "excess_sessions_exceeded"
	InputFail          Name = "input_validation_fail"
	InputDiscreteFail  Name = "input_validation_discrete_fail"
	MaliciousCORS      Name = "malicious_cors"
	MaliciousCSRF      Name = "malicious_csrf"
	MaliciousExtra     Name = "malicious_extraneous"
	CSPViolation       Name = "malicious_csp_violation"
	MaliciousReference Name = "malicious_direct_reference"
	ImpossibleTravel   Name = "authn_impossible_travel"
	SequenceFail       Name = "sequence_fail"
	UserCreated        Name = "user_created"
	UserUpdated        Name = "user_updated"
	UserDisabled       Name = "user_disabled"
	UserDeleted        Name = "user_deleted"
	SensitiveRead      Name = "sensitive_read"
	PermissionsChanged Name = "privilege_permissions_changed"
	Startup            Name = "sys_startup"
	Shutdown           Name = "sys_shutdown"
	Crash              Name = "sys_crash"
	MonitorDisabled    Name = "sys_monitor_disabled"
	MonitorEnabled     Name = "sys_monitor_enabled"
	Heartbeat          Name = "sys_monitor_heartbeat"
	EventsSampled      Name = "sys_events_sampled"
	ConfigWeakRefused  Name = "config_weak_refused"
	CertReloaded       Name = "cert_reloaded"
	CertReloadFailed   Name = "cert_reload_failed"
	CertExpiring       Name = "cert_expiring"
	CleartextRefused   Name = "cleartext_refused"
	PeerRefused        Name = "tls_peer_refused"
	BackendUntrusted   Name = "backend_untrusted"

	HandshakeAccept   Name = "ws_handshake_accept"
	HandshakeReject   Name = "ws_handshake_reject"
	Connect           Name = "ws_connect"
	Disconnect        Name = "ws_disconnect"
	AbnormalClose     Name = "ws_abnormal_close"
	ProtocolError     Name = "ws_protocol_error"
	FrameAbuse        Name = "ws_frame_abuse"
	MessageTooBig     Name = "ws_message_too_big"
	SlowConsumer      Name = "ws_slow_consumer"
	HeartbeatLost     Name = "ws_heartbeat_lost"
	IdleTimeout       Name = "ws_idle_timeout"
	RevokedClose      Name = "ws_revoked_close"
	RevokeRaceStop    Name = "ws_revoke_race_prevented"
	ReplayRejected    Name = "ws_replay_rejected"
	LimiterDegraded   Name = "ws_limiter_degraded"
	FailClosed        Name = "ws_fail_closed"
	FanoutDegraded    Name = "ws_fanout_degraded"
	CompressionOracle Name = "ws_compression_oracle"
	LeaseUnavailable  Name = "ws_lease_unavailable"

	TunnelOpen   Name = "tunnel_open"
	TunnelClose  Name = "tunnel_close"
	TunnelDenied Name = "tunnel_denied"

	UploadStored     Name = "upload_stored"
	UploadValidation Name = "upload_validation"

	DetectRuleFired Name = "detect_rule_fired"
	ResponseAction  Name = "response_action"
)

// Level is how bad an event is.
type Level string

// The levels of the vocabulary.
const (
	Info     Level = "INFO"
	Warn     Level = "WARN"
	Critical Level = "CRITICAL"
)

// Event is one security event. The zero values of the optional fields are left out.
// Fields that hold text from outside (Origin, UserAgent, Username, Detail) are
// escaped and capped by the Recorder; set them raw.
type Event struct {
	At      time.Time // set by the Recorder when zero
	Name    Name
	Level   Level
	Control string // the control that decided, by its one name: "origin", "ticket" …
	Reason  string // a fixed slug, never text from outside

	User      string // user id
	Username  string // as given by the client when no user id is known
	Session   string // Ref of the session id
	Conn      string // connection id
	Request   string // request id
	Room      string // room id
	IP        string // client IP prefix: /32 or /64
	Origin    string
	UserAgent string
	CloseCode int           // close code of a closed socket
	Took      time.Duration // for example from a revocation to the closed socket
	Count     int64         // bytes, frames or attempts, as Reason tells
	Detail    string        // anything else that explains the decision, never a secret and never a message body
}

// ReasonForeignPage is the reason of a refusal that a page of another site led its victim
// into: evidence against that page, and none against the user whose browser it was.
const ReasonForeignPage = "foreign_page"

// Recorder takes events. Record never blocks and never fails: a Recorder that
// cannot keep up drops and counts.
type Recorder interface {
	Record(ctx context.Context, e Event)
}
