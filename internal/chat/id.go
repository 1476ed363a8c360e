package chat

import (
	"fmt"

	"github.com/google/uuid"
)

// Ids are types of their own, so that a room id cannot be passed for a user id,
// and they hold a parsed UUID, so that nothing built from an id (a Redis channel,
// a log line) can carry text of a client's choice.

// UserID names a user.
type UserID struct{ uuid.UUID }

// RoomID names a room.
type RoomID struct{ uuid.UUID }

// MessageID names a message.
type MessageID struct{ uuid.UUID }

// ClientID is the id that the author's client chose for a message: a UUIDv7,
// unique per author, which makes sending idempotent.
type ClientID struct{ uuid.UUID }

// SessionID is the stable public id (sid) of a session. It is not a credential.
type SessionID struct{ uuid.UUID }

// ParseUserID reads the canonical 36-character form.
func ParseUserID(s string) (UserID, error) { u, err := parse(s); return UserID{u}, err }

// ParseRoomID reads the canonical 36-character form.
func ParseRoomID(s string) (RoomID, error) { u, err := parse(s); return RoomID{u}, err }

// ParseMessageID reads the canonical 36-character form.
func ParseMessageID(s string) (MessageID, error) { u, err := parse(s); return MessageID{u}, err }

// ParseSessionID reads the canonical 36-character form.
func ParseSessionID(s string) (SessionID, error) { u, err := parse(s); return SessionID{u}, err }

// ParseClientID reads the canonical form of a UUIDv7 (RFC 9562 §5.7).
func ParseClientID(s string) (ClientID, error) {
	u, err := parse(s)
	if err == nil && u.Version() != 7 {
		return ClientID{}, fmt.Errorf("id is a UUIDv%d, not a UUIDv7", u.Version())
	}
	return ClientID{u}, err
}

// parse accepts exactly one spelling of an id: uuid.Parse alone also takes URNs,
// braces, missing dashes and upper case, and two spellings of one id are a way
// around every comparison of texts.
//
//control:name room-names
func parse(s string) (uuid.UUID, error) {
	u, err := uuid.Parse(s)
	if err != nil || u.String() != s || u == uuid.Nil {
		return uuid.UUID{}, fmt.Errorf("not a canonical UUID")
	}
	return u, nil
}
