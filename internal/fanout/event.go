package fanout

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/authz"
)

const (
	// maxEvent bounds one event in Redis, either way. A message with very many
	// reactions is larger: it is not published, and receivers read it from the Source.
	maxEvent = 256 << 10
	// versionMark begins every event of this version. Nodes of another version are
	// not understood and not guessed at; the sweep brings what they wrote.
	versionMark = `{"V":2,`
)

// event is what nodes tell each other. Exactly one of the pointers is set.
type event struct {
	V          int
	Node       string           // sender: a node ignores its own
	Change     *chat.Change     `json:",omitzero"`
	Signal     *chat.Signal     `json:",omitzero"`
	Revocation *chat.Revocation `json:",omitzero"`
}

func encode(e event) ([]byte, error) {
	e.V = 2
	b, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode event: %w", err)
	}
	if len(b) > maxEvent {
		return nil, fmt.Errorf("event of %d bytes is too large", len(b))
	}
	return b, nil
}

// refusal is why an event from Redis is not taken; it is a metric label.
type refusal string

func (r refusal) Error() string { return "event refused: " + string(r) }

const (
	tooLarge     refusal = "too_large"
	otherVersion refusal = "version"
	malformed    refusal = "malformed"
)

// decode reads an event and checks all of it that can be checked without asking.
func decode(b []byte) (event, error) {
	if len(b) > maxEvent {
		return event{}, tooLarge
	}
	if !bytes.HasPrefix(b, []byte(versionMark)) {
		return event{}, otherVersion
	}
	var e event
	if err := json.Unmarshal(b, &e, json.RejectUnknownMembers(true)); err != nil {
		return event{}, malformed
	}
	var parts int
	var ok bool
	if e.Change != nil {
		parts, ok = parts+1, validChange(*e.Change)
	}
	if e.Signal != nil {
		parts, ok = parts+1, validSignal(*e.Signal)
	}
	if e.Revocation != nil {
		parts, ok = parts+1, validRevocation(*e.Revocation)
	}
	if parts != 1 || !ok || e.Node == "" {
		return event{}, malformed
	}
	return e, nil
}

func validChange(c chat.Change) bool {
	m := c.Message
	return c.Kind.Known() && c.Room != chat.RoomID{} && c.Seq >= 1 && c.Epoch >= 0 && c.By != chat.UserID{} &&
		m.Room == c.Room && m.ID != chat.MessageID{} && m.Seq >= 1 && m.Seq <= c.Seq &&
		m.Author.ID != chat.UserID{} && utf8.RuneCountInString(m.Body) <= chat.MaxBody && len(m.Uploads) <= chat.MaxUploads
}

func validSignal(s chat.Signal) bool {
	return s.Kind.Known() && s.Room != chat.RoomID{} && (s.Role == "" || authz.Known(s.Role)) && s.Seq >= 0 &&
		utf8.RuneCountInString(s.Title) <= chat.MaxTitle
}

const (
	// maxReason is longer than any slug of chat.Revocation.
	maxReason = 32
	// maxTunnel is the longest name of a tunnel's target.
	maxTunnel = 32
)

func validRevocation(r chat.Revocation) bool {
	if len(r.Reason) == 0 || len(r.Reason) > maxReason {
		return false
	}
	for _, b := range []byte(r.Reason) {
		if b != '_' && (b < 'a' || b > 'z') {
			return false
		}
	}
	if !r.Until.IsZero() && r.Session == (chat.SessionID{}) {
		return false
	}
	standing := r.Room != (chat.RoomID{})
	if r.Tunnel != "" {
		return !standing && len(r.Tunnel) <= maxTunnel && r.Session == chat.SessionID{} && r.User != chat.UserID{}
	}
	if !standing {
		return r.Session != chat.SessionID{}
	}
	return r.User != chat.UserID{}
}
