package session

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"
)

// maxRecord bounds what ParseRecord reads, in bytes: more than the largest record that
// Encode writes, whatever script its texts are in.
const maxRecord = 4096

// Record is all that is stored of a session, beside what the Store keeps in columns
// of its own. It is small on purpose: two requests of one session that change it at
// once overwrite each other.
type Record struct {
	SID             uuid.UUID `json:"sid"`
	User            uuid.UUID `json:"user,omitzero"` // zero: not signed in
	CreatedAt       time.Time `json:"created_at"`
	AuthenticatedAt time.Time `json:"authenticated_at,omitzero"`
	EndsAt          time.Time `json:"ends_at"` // absolute end, counted at creation
	CSRF            []byte    `json:"csrf"`    // 32 bytes
	IP              string    `json:"ip,omitzero"`
	UserAgent       string    `json:"user_agent,omitzero"`

	// CredentialGen is the user's credential generation in which the password was proven.
	// The Store compares it when it creates the session, and never again.
	CredentialGen int64 `json:"credential_gen,omitzero"`

	// Notice is what the user has to be told on the next page; empty: nothing.
	Notice string `json:"notice,omitzero"`
}

// Encode writes r as one JSON object. JSON and not gob, scs's own: gob decodes
// whatever types the bytes name, and nobody can read it in a database.
func Encode(r Record) ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("encode session: %w", err)
	}
	b, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode session: %w", err)
	}
	return b, nil
}

// ParseRecord reads what Encode wrote. It refuses unknown and doubled members, names
// in another case, trailing data, and a record without a sid, an end or a secret.
func ParseRecord(data []byte) (Record, error) {
	if len(data) > maxRecord {
		return Record{}, fmt.Errorf("parse session: %d bytes", len(data))
	}
	var r Record
	if err := json.Unmarshal(data, &r, json.RejectUnknownMembers(true)); err != nil {
		return Record{}, fmt.Errorf("parse session: %w", err)
	}
	if err := r.check(); err != nil {
		return Record{}, fmt.Errorf("parse session: %w", err)
	}
	return r, nil
}

func (r Record) check() error {
	switch {
	case r.SID == uuid.Nil:
		return errors.New("no sid")
	case r.CreatedAt.IsZero() || !r.EndsAt.After(r.CreatedAt):
		return errors.New("no time between start and end")
	case r.User != uuid.Nil && r.AuthenticatedAt.IsZero():
		return errors.New("a user who never proved the password")
	case len(r.CSRF) != secretBytes:
		return errors.New("no CSRF secret")
	}
	return nil
}

// HashToken is what a Store keeps instead of the token: a database dump signs nobody
// in. Plain SHA-256 is enough, as the token itself is 256 random bits.
//
//control:name session
func HashToken(token string) []byte {
	h := sha256.Sum256([]byte(token))
	return h[:]
}

// codec is the codec as scs calls it.
type codec struct{}

// Encode leaves scs's deadline aside: the truth is Record.EndsAt, which RenewToken
// does not move.
func (codec) Encode(_ time.Time, values map[string]any) ([]byte, error) {
	r, ok := values[recordKey].(Record)
	if !ok || len(values) != 1 {
		return nil, errors.New("encode session: not one record")
	}
	return Encode(r)
}

func (codec) Decode(data []byte) (time.Time, map[string]any, error) {
	r, err := ParseRecord(data)
	if err != nil {
		return time.Time{}, nil, err
	}
	return r.EndsAt, map[string]any{recordKey: r}, nil
}
