package socket

import (
	"context"
	"errors"
	"time"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/ratelimit"
	"example.com/portcullis/internal/wire"
)

const (
	// messageBytes is the largest message, wire.MaxFrame: clients and schemas rely on it.
	messageBytes = wire.MaxFrame
	// averageBytes is what the byte budget allows per message of the count budget: a
	// sender of large frames runs out of bytes long before messages.
	averageBytes = 8 << 10
	// commandTimeout bounds one command, whatever it waits for.
	commandTimeout = 10 * time.Second
	// errorEvery is how often rate_limited is answered at most: a flood must not buy
	// a flood of answers.
	errorEvery = time.Second
	// maxInvalid is how many frames that no client of ours would send end the
	// connection, within strikeWindow.
	maxInvalid = 10
	// maxRefused is how many refusals for rate do.
	maxRefused   = 50
	strikeWindow = time.Minute
)

// messageLimit and byteLimit are the two sides of the connection's own budget.
func messageLimit(n Numbers) ratelimit.Limit {
	return ratelimit.Limit{Rate: float64(n.MessagesPerMinute) / 60, Burst: n.MessageBurst}
}

func byteLimit(n Numbers) ratelimit.Limit {
	return ratelimit.Limit{
		Rate:  float64(n.MessagesPerMinute) / 60 * averageBytes,
		Burst: max(n.MessageBurst*averageBytes, messageBytes), // one full message must always fit
	}
}

// command is what to do for one type.
type command struct {
	do func(c *conn, ctx context.Context, cmd wire.Command) (wire.AckData, error)
	// user: somebody did this by hand, so it keeps the session alive. What a page
	// does by itself (join again, mark as read) must not (ASVS 7.3.1).
	user bool
	// silent: no ack.
	silent bool
}

// commands is every type that a ready connection may send. A type that is not here
// is refused, also one that the codec knows: auth, which has its own place and time.
//
//control:name dispatch
//control:name idle
var commands = map[wire.Type]command{
	wire.RoomJoin:       {do: (*conn).joinRoom},
	wire.RoomLeave:      {do: (*conn).leaveRoom},
	wire.MessageSend:    {do: (*conn).sendMessage, user: true},
	wire.MessageEdit:    {do: (*conn).editMessage, user: true},
	wire.MessageDelete:  {do: (*conn).deleteMessage, user: true},
	wire.ReactionAdd:    {do: (*conn).addReaction, user: true},
	wire.ReactionRemove: {do: (*conn).removeReaction, user: true},
	wire.TypingStart:    {do: (*conn).startTyping, user: true, silent: true},
	wire.ReadMark:       {do: (*conn).markRead},
}

// dispatch is the path of one frame: budget, decode, state, do, answer. It runs in
// the reader, so a connection's commands are done one after the other, and a
// client that sends faster than it is served is slowed by TCP, not queued.
//
//control:name dispatch
//control:name ratelimit
//control:name idle
func (c *conn) dispatch(frame []byte) {
	s := c.server
	if ok, retry := c.bucket.Take(1, len(frame)); !ok {
		c.limited(frame, retry)
		return
	}
	cmd, err := c.decode(frame)
	if err != nil {
		c.invalidFrame(err)
		return
	}
	c.proveAlive()
	todo, ok := commands[cmd.Type]
	if !ok {
		s.record(c, audit.SequenceFail, audit.Critical, "dispatch", string(cmd.Type))
		c.answerError(cmd.ID.String(), wire.BadState, 0)
		c.strike(&c.invalid, maxInvalid, closeInvalid)
		return
	}
	s.metrics.commands.WithLabelValues(string(cmd.Type)).Inc()
	ctx, cancel := c.whileOpen(context.WithTimeout(context.Background(), commandTimeout))
	defer cancel()
	if todo.user && !c.touch(ctx) {
		return
	}
	begun := time.Now()
	ack, err := todo.do(c, ctx, cmd)
	s.metrics.took.Observe(time.Since(begun).Seconds())
	switch {
	case err != nil:
		c.failed(cmd, err)
	case !todo.silent:
		c.send(wire.Ack(nil, cmd.ID, ack))
	}
}

// limited answers, once a second at most, a frame over the connection's budget.
func (c *conn) limited(frame []byte, retry time.Duration) {
	c.server.metrics.errors.WithLabelValues(string(wire.RateLimited)).Inc()
	if c.strike(&c.refused, maxRefused, closeRateLimited) {
		return
	}
	if now := time.Now(); now.Sub(c.told) >= errorEvery {
		c.told = now
		cmd, err := c.decode(frame) // only now, for the id
		re := cmd.ID.String()
		if e, ok := errors.AsType[*wire.Error](err); ok {
			re = e.Re
		}
		c.send(wire.ErrorFrame(nil, re, wire.RateLimited, retry))
		c.server.record(c, audit.RateLimitExceeded, audit.Warn, "ratelimit", "connection")
	}
}

// invalidFrame answers a frame that the codec refused.
//
//control:name dispatch
func (c *conn) invalidFrame(err error) {
	e, ok := errors.AsType[*wire.Error](err)
	if !ok {
		e = &wire.Error{Code: wire.BadJSON}
	}
	name, level, control := audit.InputFail, audit.Warn, "schema"
	switch {
	case c.encoding == inPack && (e.Code == wire.BadJSON || e.Code == wire.BadEncoding):
		control = "msgpack"
	case e.Detail == wire.Extraneous:
		name, level = audit.MaliciousExtra, audit.Critical
	case e.Code == wire.UnknownType:
		name = audit.InputDiscreteFail
	}
	c.server.record(c, name, level, control, string(e.Code), func(ev *audit.Event) { ev.Detail = e.Detail })
	c.answerError(e.Re, e.Code, 0)
	c.strike(&c.invalid, maxInvalid, closeInvalid)
}

// strikes counts offences within strikeWindow.
type strikes struct {
	n     int
	since time.Time
}

// strike counts one offence; true: it was the last, and the connection is closed.
//
//control:name dispatch
func (c *conn) strike(s *strikes, limit int, code closeCode) bool {
	if now := time.Now(); now.Sub(s.since) > strikeWindow {
		s.n, s.since = 0, now
	}
	s.n++
	if s.n < limit {
		return false
	}
	c.close(code)
	return true
}

func (c *conn) sendMessage(ctx context.Context, cmd wire.Command) (wire.AckData, error) {
	ch, dup, err := c.server.Chat.Send(ctx, c.actor, chat.Draft{
		Room: cmd.Room, ClientID: cmd.ID, Body: cmd.Body, ReplyTo: cmd.ReplyTo, Uploads: cmd.Files(), Subscribed: c.member(cmd.Room) != nil,
	})
	if dup {
		c.server.record(c, audit.ReplayRejected, audit.Info, "replay", "client_id")
	} else if err == nil {
		c.probe(cmd)
	}
	return wire.AckData{MessageID: ch.Message.ID, Seq: ch.Seq}, err
}

// probe says when a user's words, which come back in frames and pages beside others', are
// the guesses of a compression oracle.
//
//control:name detection
func (c *conn) probe(cmd wire.Command) {
	if c.server.probes.Run(c.actor.User.String(), cmd.Body, time.Now()) {
		c.server.record(c, audit.CompressionOracle, audit.Warn, "compression", "near_equal_messages", func(e *audit.Event) { e.Room = cmd.Room.String() })
	}
}

func (c *conn) editMessage(ctx context.Context, cmd wire.Command) (wire.AckData, error) {
	ch, err := c.server.Chat.Edit(ctx, c.actor, cmd.Room, cmd.Message, cmd.Body)
	if err == nil {
		c.probe(cmd)
	}
	return wire.AckData{Seq: ch.Seq}, err
}

func (c *conn) deleteMessage(ctx context.Context, cmd wire.Command) (wire.AckData, error) {
	ch, err := c.server.Chat.Delete(ctx, c.actor, cmd.Room, cmd.Message)
	return wire.AckData{Seq: ch.Seq}, err
}

func (c *conn) addReaction(ctx context.Context, cmd wire.Command) (wire.AckData, error) {
	return c.react(ctx, cmd, true)
}

func (c *conn) removeReaction(ctx context.Context, cmd wire.Command) (wire.AckData, error) {
	return c.react(ctx, cmd, false)
}

func (c *conn) react(ctx context.Context, cmd wire.Command, add bool) (wire.AckData, error) {
	seq, err := c.server.Chat.React(ctx, c.actor, cmd.Room, cmd.Message, cmd.Emoji, add)
	return wire.AckData{Seq: seq}, err
}

func (c *conn) startTyping(ctx context.Context, cmd wire.Command) (wire.AckData, error) {
	if c.member(cmd.Room) == nil { // nobody types in a room that they do not look at
		return wire.AckData{}, chat.ErrDenied
	}
	return wire.AckData{}, c.server.Chat.Typing(ctx, c.actor, cmd.Room)
}

func (c *conn) markRead(ctx context.Context, cmd wire.Command) (wire.AckData, error) {
	_, err := c.server.Chat.Mark(ctx, c.actor, cmd.Room, cmd.Seq)
	return wire.AckData{}, err
}
