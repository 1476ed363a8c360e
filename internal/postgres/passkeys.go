package postgres

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"example.com/portcullis/internal/account"
	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/passkey"
)

// Passkeys is the account.PasskeyStore.
type Passkeys struct{ db *DB }

var _ account.PasskeyStore = (*Passkeys)(nil)

// Passkeys is the account.PasskeyStore.
func (db *DB) Passkeys() *Passkeys { return &Passkeys{db} }

const (
	askPasskey query = `INSERT INTO passkey_ceremonies (sid, purpose, data, expires_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (sid, purpose) DO UPDATE SET data = excluded.data, expires_at = excluded.expires_at`
	// answerPasskey takes a question away with its first answer, right or wrong.
	//
	//control:name passkey
	answerPasskey query = `DELETE FROM passkey_ceremonies WHERE sid = $1 AND purpose = $2 RETURNING data`

	passkeyColumns = `p.id, p.user_id, p.name, p.credential_id, p.public_key, p.sign_count, p.flags, p.aaguid, p.created_at, p.last_used_at`

	passkeysOfUser query = `SELECT ` + passkeyColumns + ` FROM passkeys p WHERE p.user_id = $1 ORDER BY p.created_at, p.id`

	addPasskey query = `INSERT INTO passkeys (id, user_id, name, credential_id, public_key, sign_count, flags, aaguid, created_at)
		SELECT $1, $2::uuid, $3, $4, $5, $6, $7, $8, $9 WHERE (SELECT count(*) FROM passkeys p WHERE p.user_id = $2) < $10
		ON CONFLICT DO NOTHING`

	// Decided on the row's newest version under its lock: of two uses with one counter,
	// the second changes nothing.
	//
	//control:name passkey
	usePasskey query = `UPDATE passkeys SET sign_count = $3, last_used_at = $4
		WHERE credential_id = $2 AND user_id = $1 AND (sign_count < $3 OR sign_count = 0 AND $3 = 0)`

	bumpGeneration query = `UPDATE users SET credential_gen = credential_gen + 1 WHERE id = $1`
	removePasskey  query = `DELETE FROM passkeys WHERE id = $2 AND user_id = $1`
)

// Ask keeps a ceremony for a session.
func (s *Passkeys) Ask(ctx context.Context, sid uuid.UUID, c passkey.Ceremony) error {
	data, err := json.Marshal(c)
	if err == nil {
		err = s.db.do(ctx, func(ctx context.Context, cn conn) error {
			_, err := exec(ctx, cn, askPasskey, sid, string(c.Purpose), string(data), c.Expires)
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("keep ceremony: %w", err)
	}
	return nil
}

// Answer gives a session's ceremony out once.
func (s *Passkeys) Answer(ctx context.Context, sid uuid.UUID, purpose passkey.Purpose) (c passkey.Ceremony, found bool, err error) {
	var data string
	err = s.db.do(ctx, func(ctx context.Context, cn conn) error {
		data, found, err = one(ctx, cn, value[string], answerPasskey, sid, string(purpose))
		return err
	})
	if err == nil && found {
		err = json.Unmarshal([]byte(data), &c)
	}
	if err != nil {
		return passkey.Ceremony{}, false, fmt.Errorf("take ceremony: %w", err)
	}
	return c, found, nil
}

func scanPasskey(r row) (p account.Passkey, err error) {
	var count int64
	var flags int16
	err = r(&p.ID, &p.User.UUID, &p.Name, &p.Credential.ID, &p.Credential.PublicKey, &count, &flags, &p.Credential.AAGUID, intoTime{&p.CreatedAt}, intoTime{&p.LastUsedAt})
	p.Credential.SignCount, p.Credential.Flags = uint32(count), byte(flags) // the table's constraints hold their ranges
	return p, err
}

// PasskeysOf lists the passkeys of a user, oldest first.
func (s *Passkeys) PasskeysOf(ctx context.Context, user chat.UserID) (list []account.Passkey, err error) {
	err = s.db.do(ctx, func(ctx context.Context, c conn) error {
		list, err = all(ctx, c, scanPasskey, passkeysOfUser, user.UUID)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list passkeys: %w", err)
	}
	return list, nil
}

// AddPasskey stores p; kind Conflict if its user has limit already, or somebody has it,
// kind Denied if the session sid is not one of its user's that runs.
//
//control:name passkey
func (s *Passkeys) AddPasskey(ctx context.Context, sid uuid.UUID, p account.Passkey, limit int) error {
	err := s.db.tx(ctx, func(ctx context.Context, c conn) error {
		// Two additions of one user come one after the other, so that each counts the other.
		// So do an addition and a change of the user, which ends sessions: a reset that
		// comes first is seen below, one that comes second removes this passkey.
		if _, _, err := one(ctx, c, value[bool], lockUser, p.User.UUID); err != nil {
			return err
		}
		if _, found, err := one(ctx, c, value[bool], stillRunning, s.db.now(), sid, p.User.UUID); err != nil || !found {
			return cmp.Or(err, error(chat.ErrDenied))
		}
		k := p.Credential
		n, err := exec(ctx, c, addPasskey, p.ID, p.User.UUID, p.Name, k.ID, k.PublicKey, int64(k.SignCount), int16(k.Flags), k.AAGUID, p.CreatedAt, limit)
		if err == nil && n == 0 {
			return &chat.Error{Kind: chat.Conflict, Public: "This passkey is known already, or you have as many as fit."}
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("add passkey: %w", err)
	}
	return nil
}

// UsePasskey stores the counter of a use, if it rose.
func (s *Passkeys) UsePasskey(ctx context.Context, user chat.UserID, credential []byte, count uint32, at time.Time) (used bool, err error) {
	err = s.db.do(ctx, func(ctx context.Context, c conn) error {
		n, err := exec(ctx, c, usePasskey, user.UUID, credential, int64(count), at)
		used = n == 1
		return err
	})
	if err != nil {
		return false, fmt.Errorf("use passkey: %w", err)
	}
	return used, nil
}

// RemovePasskey removes a passkey and raises its owner's credential generation.
func (s *Passkeys) RemovePasskey(ctx context.Context, user chat.UserID, id uuid.UUID) (removed bool, err error) {
	err = s.db.tx(ctx, func(ctx context.Context, c conn) error {
		// The user first, as everywhere: a sign-in that is being stored waits, or has
		// been stored.
		if _, err := exec(ctx, c, bumpGeneration, user.UUID); err != nil {
			return err
		}
		n, err := exec(ctx, c, removePasskey, user.UUID, id)
		removed = n == 1
		return err
	})
	if err != nil {
		return false, fmt.Errorf("remove passkey: %w", err)
	}
	return removed, nil
}
