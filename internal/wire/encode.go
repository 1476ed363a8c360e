package wire

import (
	"encoding/hex"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/authz"
)

// Encoders append one frame to dst and return it, as append does; dst may be nil.
// They allocate at most once. Text is escaped by the JSON package, everything else
// is an id, a number or a word of ours.

// HelloData is what a client is told first.
type HelloData struct {
	ConnID        string
	ServerTime    time.Time
	SessionEndsAt time.Time // the earlier of the idle and the absolute end
	User          chat.Person
	Role          authz.SiteRole
	Protocol      string // the subprotocol that is spoken
	Limits        Limits
	PingEvery     time.Duration
}

// Limits are the numbers that a well-behaved client stays below.
type Limits struct {
	MessagesPerMinute  int
	Burst              int
	RoomsPerConnection int
}

// AckData is the answer to a command that is done. Set only what the command
// answers with: room.join HeadSeq and Role; message.send MessageID and Seq;
// message.edit, message.delete and reactions Seq; others nothing.
type AckData struct {
	MessageID chat.MessageID
	Seq       int64
	HeadSeq   int64
	Role      authz.Role
}

// Hello encodes the first frame of a connection.
func Hello(dst []byte, h HelloData) []byte {
	dst = append(slices.Grow(dst, 640), `{"v":1,"type":"hello","data":{"conn_id":`...)
	dst = text(dst, h.ConnID)
	dst = append(dst, `,"server_time":`...)
	dst = stamp(dst, h.ServerTime)
	dst = append(dst, `,"session_ends_at":`...)
	dst = stamp(dst, h.SessionEndsAt)
	dst = append(dst, `,"user":`...)
	dst = person(dst, h.User)
	dst = append(dst[:len(dst)-1], `,"role":`...) // reopen the person's object
	dst = text(dst, string(h.Role))
	dst = append(dst, `},"protocol":`...)
	dst = text(dst, h.Protocol)
	dst = append(dst, `,"limits":{"message_bytes":`...)
	dst = number(dst, MaxFrame)
	dst = append(dst, `,"message_characters":`...)
	dst = number(dst, chat.MaxBody)
	dst = append(dst, `,"messages_per_minute":`...)
	dst = number(dst, int64(h.Limits.MessagesPerMinute))
	dst = append(dst, `,"burst":`...)
	dst = number(dst, int64(h.Limits.Burst))
	dst = append(dst, `,"rooms_per_connection":`...)
	dst = number(dst, int64(h.Limits.RoomsPerConnection))
	dst = append(dst, `},"ping_every_ms":`...)
	dst = number(dst, h.PingEvery.Milliseconds())
	return append(dst, `}}`...)
}

// Ack encodes the answer to the command re.
func Ack(dst []byte, re chat.ClientID, a AckData) []byte {
	dst = append(slices.Grow(dst, 192), `{"v":1,"type":"ack","re":`...)
	dst = id(dst, re.UUID)
	dst = append(dst, `,"data":{`...)
	switch {
	case a.Role != "":
		dst = append(dst, `"head_seq":`...)
		dst = number(dst, a.HeadSeq)
		dst = append(dst, `,"role":`...)
		dst = text(dst, string(a.Role))
	case a.MessageID.UUID != uuid.Nil:
		dst = append(dst, `"message_id":`...)
		dst = id(dst, a.MessageID.UUID)
		dst = append(dst, `,"seq":`...)
		dst = number(dst, a.Seq)
	case a.Seq != 0:
		dst = append(dst, `"seq":`...)
		dst = number(dst, a.Seq)
	}
	return append(dst, `}}`...)
}

// ErrorFrame encodes a refusal. re is the Re of an *Error, or a command's id, or
// empty. retry is rounded up to milliseconds, so that a client never comes too early.
func ErrorFrame(dst []byte, re string, code Code, retry time.Duration) []byte {
	dst = append(slices.Grow(dst, 160), `{"v":1,"type":"error"`...)
	if re != "" {
		dst = append(dst, `,"re":`...)
		dst = text(dst, re)
	}
	dst = append(dst, `,"code":`...)
	dst = text(dst, string(code))
	dst = append(dst, `,"retry_ms":`...)
	dst = number(dst, int64((max(retry, 0)+time.Millisecond-1)/time.Millisecond))
	return append(dst, '}')
}

// Notice encodes a word about the server itself; slug is a fixed slug of ours.
func Notice(dst []byte, slug string) []byte {
	dst = append(slices.Grow(dst, 96), `{"v":1,"type":"notice","data":{"slug":`...)
	dst = text(dst, slug)
	return append(dst, `}}`...)
}

// Resync tells a client to read the room anew and go on from head.
func Resync(dst []byte, room chat.RoomID, head int64) []byte {
	dst = open(slices.Grow(dst, 128), "resync", room)
	dst = append(dst, `,"data":{"head_seq":`...)
	dst = number(dst, head)
	return append(dst, `}}`...)
}

// RoomRemoved tells a client that nothing more of room will come; reason is a fixed slug.
func RoomRemoved(dst []byte, room chat.RoomID, reason string) []byte {
	dst = open(slices.Grow(dst, 160), "room.removed", room)
	dst = append(dst, `,"data":{"reason":`...)
	dst = text(dst, reason)
	return append(dst, `}}`...)
}

// open begins the frame of an event of room.
func open(dst []byte, t string, room chat.RoomID) []byte {
	dst = append(dst, `{"v":1,"type":"`...)
	dst = append(dst, t...)
	dst = append(dst, `","room_id":`...)
	return id(dst, room.UUID)
}

func person(dst []byte, p chat.Person) []byte {
	dst = append(dst, `{"id":`...)
	dst = id(dst, p.ID.UUID)
	dst = append(dst, `,"username":`...)
	dst = text(dst, p.Username)
	dst = append(dst, `,"display_name":`...)
	dst = text(dst, p.DisplayName)
	return append(dst, '}')
}

// text appends s as a JSON string. Bytes that are not UTF-8, which the database
// cannot hold, would become U+FFFD; the frame stays valid, so the error says nothing new.
func text(dst []byte, s string) []byte {
	dst, _ = jsontext.AppendQuote(dst, s)
	return dst
}

func number(dst []byte, n int64) []byte { return strconv.AppendInt(dst, n, 10) }

// stamp appends t in UTC with milliseconds, always three digits, so that texts sort as times.
func stamp(dst []byte, t time.Time) []byte {
	return t.UTC().AppendFormat(dst, `"2006-01-02T15:04:05.000Z"`)
}

// id appends the canonical form; uuid's own ways to it allocate.
func id(dst []byte, u uuid.UUID) []byte {
	dst = append(dst, '"')
	dst = hex.AppendEncode(dst, u[:4])
	for _, part := range [...][]byte{u[4:6], u[6:8], u[8:10], u[10:]} {
		dst = append(dst, '-')
		dst = hex.AppendEncode(dst, part)
	}
	return append(dst, '"')
}
