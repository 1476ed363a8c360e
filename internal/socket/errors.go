package socket

import (
	"context"
	"errors"
	"time"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/text"
	"example.com/portcullis/internal/wire"
)

// failed answers a command that the core refused. This is the one place where an
// error of the core becomes a word of the protocol.
//
//control:name errors
func (c *conn) failed(cmd wire.Command, err error) {
	s := c.server
	if c.is(closing) {
		return // the connection is ending, and the command with it
	}
	e, ok := errors.AsType[*chat.Error](err)
	if !ok {
		e = &chat.Error{Kind: chat.Internal}
		if errors.Is(err, context.DeadlineExceeded) {
			e.Kind = chat.Busy // nothing was promised; the same id may be sent again
		}
	}
	if rule, ok := errors.AsType[text.Rule](err); ok {
		s.record(c, audit.InputFail, audit.Warn, "unicode", string(rule))
	}
	switch e.Kind {
	case chat.Internal, chat.Busy:
		s.Log.Error("command failed", "type", string(cmd.Type), "conn_id", c.id, "request_id", c.request, "error", err)
	case chat.Denied:
		s.record(c, audit.AuthzFail, audit.Critical, "authz", string(cmd.Type), func(ev *audit.Event) { ev.Room = cmd.Room.String() })
	case chat.Quota:
		s.record(c, audit.RateLimitExceeded, audit.Warn, "business-limits", "quota")
	case chat.RateLimited:
		if c.strike(&c.refused, maxRefused, closeRateLimited) {
			return
		}
		s.record(c, audit.RateLimitExceeded, audit.Warn, "ratelimit", "shared")
	}
	c.answerError(cmd.ID.String(), codeOf(e.Kind), e.RetryAfter)
}

// codeOf maps the core's kinds to the protocol's codes.
func codeOf(k chat.Kind) wire.Code {
	switch k {
	case chat.Invalid:
		return wire.BadSchema
	case chat.Denied:
		return wire.Denied
	case chat.Conflict:
		return wire.Duplicate
	case chat.RateLimited:
		return wire.RateLimited
	case chat.TooLarge:
		return wire.TooLarge
	case chat.Quota:
		return wire.Quota
	case chat.Busy:
		return wire.Busy
	}
	return wire.Internal
}

func (c *conn) answerError(re string, code wire.Code, retry time.Duration) {
	c.server.metrics.errors.WithLabelValues(string(code)).Inc()
	c.send(wire.ErrorFrame(nil, re, code, retry))
}
