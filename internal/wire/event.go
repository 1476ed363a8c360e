package wire

import (
	"slices"
	"time"

	"github.com/google/uuid"

	"example.com/portcullis/internal/chat"
)

// Change encodes one step of a room's history: the envelope's seq is the step's,
// the message is as it is after it.
func Change(dst []byte, c chat.Change) []byte {
	dst = open(slices.Grow(dst, 256+messageSize(c.Message)), string(c.Kind), c.Room)
	dst = append(dst, `,"seq":`...)
	dst = number(dst, c.Seq)
	dst = append(dst, `,"data":{"message":`...)
	dst = Message(dst, c.Message)
	if c.Kind != chat.MessageNew { // where the author is the one who did it
		dst = append(dst, `,"by":`...)
		dst = id(dst, c.By.UUID)
	}
	return append(dst, `}}`...)
}

// Message encodes a message as it appears in events and in pages of history. Of a
// deleted one neither body nor reactions nor files leave the server, whatever m holds.
func Message(dst []byte, m chat.Message) []byte {
	deleted := !m.DeletedAt.IsZero()
	if deleted {
		m.Body, m.Reactions, m.Uploads = "", nil, nil
	}
	dst = append(slices.Grow(dst, messageSize(m)), `{"id":`...)
	dst = id(dst, m.ID.UUID)
	dst = append(dst, `,"seq":`...)
	dst = number(dst, m.Seq)
	dst = append(dst, `,"author":`...)
	dst = person(dst, m.Author)
	dst = append(dst, `,"body":`...)
	dst = text(dst, m.Body)
	dst = append(dst, `,"created_at":`...)
	dst = stamp(dst, m.CreatedAt)
	dst = append(dst, `,"client_id":`...)
	dst = id(dst, m.ClientID.UUID)
	if m.ReplyTo.UUID != uuid.Nil {
		dst = append(dst, `,"reply_to":`...)
		dst = id(dst, m.ReplyTo.UUID)
	}
	dst = optionalStamp(dst, `,"edited_at":`, m.EditedAt)
	dst = optionalStamp(dst, `,"deleted_at":`, m.DeletedAt)
	if len(m.Reactions) > 0 {
		dst = append(dst, `,"reactions":`...)
		dst = reactions(dst, m.Reactions)
	}
	if len(m.Uploads) > 0 {
		dst = append(dst, `,"uploads":`...)
		dst = uploads(dst, m.Uploads)
	}
	return append(dst, '}')
}

// messageSize is enough for one message unless much of it needs escapes.
func messageSize(m chat.Message) int {
	n := 512 + len(m.Body) + len(m.Author.Username) + len(m.Author.DisplayName)
	for _, r := range m.Reactions {
		n += 64 + 40*len(r.Users)
	}
	return n + 320*len(m.Uploads)
}

// uploads appends what a client shows of files; their bytes are fetched by id.
func uploads(dst []byte, all []chat.Upload) []byte {
	dst = append(dst, '[')
	for i, u := range all {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"id":`...)
		dst = id(dst, u.ID.UUID)
		dst = append(dst, `,"name":`...)
		dst = text(dst, u.Name)
		dst = append(dst, `,"mime":`...)
		dst = text(dst, u.Mime)
		dst = append(dst, `,"size":`...)
		dst = number(dst, u.Size)
		if u.Width > 0 {
			dst = append(dst, `,"width":`...)
			dst = number(dst, int64(u.Width))
			dst = append(dst, `,"height":`...)
			dst = number(dst, int64(u.Height))
		}
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

func reactions(dst []byte, all []chat.Reaction) []byte {
	dst = append(dst, '[')
	for i, r := range all {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"emoji":`...)
		dst = text(dst, r.Emoji)
		dst = append(dst, `,"users":[`...)
		for j, u := range r.Users {
			if j > 0 {
				dst = append(dst, ',')
			}
			dst = id(dst, u.UUID)
		}
		dst = append(dst, `]}`...)
	}
	return append(dst, ']')
}

// Announcement encodes a word of the operator, for the public socket.
func Announcement(dst []byte, a chat.Announcement) []byte {
	dst = append(slices.Grow(dst, 160+len(a.Body)), `{"v":1,"type":"announcement","seq":`...)
	dst = number(dst, a.Seq)
	dst = append(dst, `,"data":{"body":`...)
	dst = text(dst, a.Body)
	dst = append(dst, `,"created_at":`...)
	dst = stamp(dst, a.At)
	return append(dst, `}}`...)
}

func optionalStamp(dst []byte, key string, t time.Time) []byte {
	if t.IsZero() {
		return dst
	}
	return stamp(append(dst, key...), t)
}

// Signal encodes something ephemeral. A kind that the protocol does not have
// appends nothing: there is nothing to send.
func Signal(dst []byte, s chat.Signal) []byte {
	start := len(dst)
	dst = open(slices.Grow(dst, 384+len(s.User.DisplayName)+len(s.Title)), string(s.Kind), s.Room)
	dst = append(dst, `,"data":{`...)
	switch s.Kind {
	case chat.Typing:
		dst = append(dst, `"user":`...)
		dst = person(dst, s.User)
	case chat.Presence:
		dst = append(dst, `"user":`...)
		dst = person(dst, s.User)
		if s.Online {
			dst = append(dst, `,"online":true`...)
		} else {
			dst = append(dst, `,"online":false`...)
		}
	case chat.MemberChanged:
		dst = append(dst, `"user":`...)
		dst = person(dst, s.User)
		if s.Role == "" {
			dst = append(dst, `,"role":null`...)
		} else {
			dst = append(dst, `,"role":`...)
			dst = text(dst, string(s.Role))
		}
		dst = optionalStamp(dst, `,"muted_until":`, s.Muted)
	case chat.RoomChanged:
		dst = append(dst, `"title":`...)
		dst = text(dst, s.Title)
	case chat.ReadMarked:
		dst = append(dst, `"seq":`...)
		dst = number(dst, s.Seq)
	default:
		return dst[:start]
	}
	return append(dst, `}}`...)
}
