package postgres

import (
	"context"
	"crypto/rand"
	"fmt"

	"example.com/portcullis/internal/guard/ticket"
	"example.com/portcullis/internal/secret"
)

// Keys holds the ticket keys of a development set-up, so that nodes on one database
// share them without being told any. In production keys come from the configuration
// and never from here: whoever reads this table can make tickets.
type Keys struct{ db *DB }

const (
	// keyLock is the advisory lock under which the first key is made.
	keyLock = 7_270_011
	// keyBytes is the size of a key: as much as HS256 uses.
	keyBytes = 32
)

const (
	lockKeys  query = `SELECT pg_advisory_xact_lock($1)`
	readKeys  query = `SELECT id, secret FROM ticket_keys ORDER BY created_at DESC, id LIMIT 8`
	insertKey query = `INSERT INTO ticket_keys (id, secret) VALUES ($1, $2)`

	readAuditKey   query = `SELECT secret FROM audit_keys`
	insertAuditKey query = `INSERT INTO audit_keys (secret) VALUES ($1)`
)

func scanKey(r row) (ticket.Key, error) {
	var k ticket.Key
	var b []byte
	err := r(&k.ID, &b)
	k.Secret = secret.NewBytes(b)
	return k, err
}

// TicketKeys returns the keys, the newest first, and makes one if there is none.
func (k *Keys) TicketKeys(ctx context.Context) (keys []ticket.Key, err error) {
	err = k.db.tx(ctx, func(ctx context.Context, c conn) error {
		if _, err := exec(ctx, c, lockKeys, keyLock); err != nil {
			return err
		}
		if keys, err = all(ctx, c, scanKey, readKeys); err != nil || len(keys) > 0 {
			return err
		}
		b := make([]byte, keyBytes)
		rand.Read(b) // never fails; the program stops if the system has no randomness
		made := ticket.Key{ID: "dev-" + rand.Text()[:8], Secret: secret.NewBytes(b)}
		keys = []ticket.Key{made}
		_, err := exec(ctx, c, insertKey, made.ID, b)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read ticket keys: %w", err)
	}
	return keys, nil
}

// AuditKey returns the key of the security log's chain, and makes it if there is none.
// Whoever writes into this database can read it, so in production the key is a file.
func (k *Keys) AuditKey(ctx context.Context) (key secret.Bytes, err error) {
	err = k.db.tx(ctx, func(ctx context.Context, c conn) error {
		if _, err := exec(ctx, c, lockKeys, keyLock); err != nil {
			return err
		}
		b, found, err := one(ctx, c, value[[]byte], readAuditKey)
		if err == nil && !found {
			b = make([]byte, keyBytes)
			rand.Read(b)
			_, err = exec(ctx, c, insertAuditKey, b)
		}
		key = secret.NewBytes(b)
		return err
	})
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("read audit key: %w", err)
	}
	return key, nil
}
