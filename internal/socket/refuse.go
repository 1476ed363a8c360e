package socket

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/ticket"
)

// retryLater is the Retry-After of a 503: long enough for a crowd to spread.
const retryLater = 5 * time.Second

// refusal is why there is no 101. The client learns the status; the rest is for
// the event stream.
type refusal struct {
	status  int
	control string
	reason  string // fixed slug
	retry   time.Duration
	err     error

	event audit.Name // a second, more telling event, beside ws_handshake_reject
	level audit.Level
}

// answers is all that a refused client may read, by status: no session, a wrong
// ticket and a used ticket are the same bytes (CWE-203).
var answers = map[int]struct{ code, message string }{
	http.StatusBadRequest:         {"bad_request", "This is not a WebSocket handshake that we understand."},
	http.StatusUnauthorized:       {"unauthenticated", "Sign in and ask for a new ticket."},
	http.StatusForbidden:          {"forbidden", "This page may not connect."},
	http.StatusMethodNotAllowed:   {"method_not_allowed", "A WebSocket handshake is a GET."},
	http.StatusMisdirectedRequest: {"misdirected", "This server does not have that name."},
	http.StatusUpgradeRequired:    {"upgrade_required", "This address speaks WebSocket, version 13."},
	http.StatusTooManyRequests:    {"rate_limited", "Too many connections. Wait a moment."},
	http.StatusServiceUnavailable: {"unavailable", "No connection can be accepted now. Wait a moment."},
}

// refuse answers with the one generic body, tells the event stream the reason, and
// ends the HTTP connection: after a failed upgrade a proxy and we could disagree
// about what the following bytes are (request smuggling).
//
//control:name proxies
func (s *Server) refuse(h *handshake, no *refusal) {
	s.recordRefusal(h, no)
	s.metrics.handshakes.WithLabelValues(h.route.name, no.control).Inc()
	if no.status == 0 { // the connection is gone, or no longer HTTP
		return
	}
	header := h.w.Header()
	header.Set("Connection", "close")
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Type", "application/json")
	header.Set("X-Content-Type-Options", "nosniff")
	switch no.status {
	case http.StatusMethodNotAllowed:
		header.Set("Allow", http.MethodGet)
	case http.StatusUpgradeRequired:
		// RFC 9110 section 15.5.22 wants both. On two lines: net/http reads only the first,
		// and leaves the connection open after "upgrade, close" in one.
		header["Connection"] = []string{"close", "upgrade"}
		header.Set("Upgrade", "websocket")
		header.Set("Sec-WebSocket-Version", "13")
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		retry := no.retry
		if retry <= 0 {
			retry = retryLater
		}
		header.Set("Retry-After", strconv.Itoa(int(math.Ceil(retry.Seconds()))))
	}
	answer := answers[no.status]
	body, err := json.Marshal(map[string]string{"code": answer.code, "message": answer.message, "request_id": h.request})
	if err != nil { // three strings: cannot be
		s.Log.Error("encode refusal", "error", err)
		return
	}
	h.w.WriteHeader(no.status)
	_, _ = h.w.Write(body) // the client has gone: nobody is left to tell
}

func (s *Server) recordRefusal(h *handshake, no *refusal) {
	e := audit.Event{
		Name: audit.HandshakeReject, Level: audit.Warn, Control: no.control, Reason: no.reason,
		Request: h.request, IP: h.prefix(), Origin: h.origin, UserAgent: h.r.UserAgent(),
		User: userText(h.session.User), Session: sessionRef(h.session.SID),
	}
	if sent := h.r.Header["Origin"]; e.Origin == "" && len(sent) > 0 {
		e.Origin = sent[0]
	}
	if no.err != nil {
		e.Detail = no.err.Error()
	}
	if t, ok := errors.AsType[*ticket.Refused](no.err); ok && t.TokenRef != "" {
		e.Detail = "ticket " + t.TokenRef
	}
	ctx := context.WithoutCancel(h.r.Context())
	if no.level == audit.Critical {
		e.Level = audit.Critical
	}
	s.Audit.Record(ctx, e)
	if no.event != "" {
		e.Name, e.Level = no.event, no.level
		s.Audit.Record(ctx, e)
	}
}

// requestID takes the id that the middleware gave the answer, or makes one.
func requestID(w http.ResponseWriter) string {
	if id := w.Header().Get("X-Request-Id"); id != "" {
		return id
	}
	return rand.Text()
}
