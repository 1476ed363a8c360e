package postgres

import (
	"context"
	"fmt"
	"time"

	"example.com/portcullis/internal/guard/detect"
	"example.com/portcullis/internal/guard/response"
)

// Responses is the response.Store.
type Responses struct{ db *DB }

var _ response.Store = (*Responses)(nil)

// Responses are what is done about attacks.
func (db *DB) Responses() *Responses { return &Responses{db} }

// maxResponses bounds what every node keeps in memory.
const maxResponses = 10_000

const (
	responseColumns = `id, kind, subject_kind, subject, at, until, by_whom, reason, lifted_at`

	addResponse query = `INSERT INTO responses (kind, subject_kind, subject, at, until, by_whom, reason) VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING ` + responseColumns

	activeResponses query = `SELECT ` + responseColumns + ` FROM responses WHERE until > $1 AND lifted_at IS NULL ORDER BY until DESC LIMIT $2`

	liftResponse query = `UPDATE responses SET lifted_at = $2, lifted_by = $3 WHERE id = $1 AND lifted_at IS NULL AND until > $2 RETURNING ` + responseColumns

	// claimFiring is answered to the first. Its clock is that of the events.
	//
	//control:name detection
	claimFiring query = `
INSERT INTO firings AS f (rule, subject_kind, subject, at, until) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (rule, subject_kind, subject) DO UPDATE SET at = excluded.at, until = excluded.until WHERE f.until <= excluded.at
RETURNING true`

	readHoney query = `SELECT kind, value FROM honey WHERE kind IN ('room', 'username') LIMIT 100`
)

func scanResponse(r row) (v response.Response, err error) {
	err = r(&v.ID, &v.Kind, &v.Subject.Kind, &v.Subject.Key, intoTime{&v.At}, intoTime{&v.Until}, &v.By, &v.Reason, intoTime{&v.LiftedAt})
	return v, err
}

// Add stores a response.
func (s *Responses) Add(ctx context.Context, v response.Response) (response.Response, error) {
	err := s.db.do(ctx, func(ctx context.Context, c conn) (err error) {
		v, _, err = one(ctx, c, scanResponse, addResponse, v.Kind, v.Subject.Kind, v.Subject.Key, v.At, v.Until, v.By, v.Reason)
		return err
	})
	if err != nil {
		return v, fmt.Errorf("store response: %w", err)
	}
	return v, nil
}

// Active reads those that have neither ended nor been lifted, the longest first.
func (s *Responses) Active(ctx context.Context) (list []response.Response, err error) {
	err = s.db.do(ctx, func(ctx context.Context, c conn) error {
		list, err = all(ctx, c, scanResponse, activeResponses, s.db.now(), maxResponses)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read responses: %w", err)
	}
	return list, nil
}

// Lift takes one back; false: there is none of that number in force.
func (s *Responses) Lift(ctx context.Context, id int64, by string) (v response.Response, found bool, err error) {
	err = s.db.do(ctx, func(ctx context.Context, c conn) error {
		v, found, err = one(ctx, c, scanResponse, liftResponse, id, s.db.now().Truncate(time.Microsecond), by)
		return err
	})
	if err != nil {
		return v, false, fmt.Errorf("lift response: %w", err)
	}
	return v, found, nil
}

// Claim is true for the first node that claims what a rule says about a subject, and
// then for none until that has been quiet until its time.
func (s *Responses) Claim(ctx context.Context, f detect.Firing, until time.Time) (ours bool, err error) {
	err = s.db.do(ctx, func(ctx context.Context, c conn) error {
		_, ours, err = one(ctx, c, value[bool], claimFiring, f.Rule, f.Subject.Kind, f.Subject.Key, f.Cause.At, until)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("claim firing: %w", err)
	}
	return ours, nil
}

// Honey reads what nobody is told of.
func (s *Responses) Honey(ctx context.Context) (h detect.Honey, err error) {
	err = s.db.do(ctx, func(ctx context.Context, c conn) error {
		_, err := all(ctx, c, func(r row) (_ struct{}, err error) {
			var kind, value string
			if err = r(&kind, &value); kind == "room" {
				h.Rooms = append(h.Rooms, value)
			} else {
				h.Usernames = append(h.Usernames, value)
			}
			return struct{}{}, err
		}, readHoney)
		return err
	})
	if err != nil {
		return detect.Honey{}, fmt.Errorf("read honey: %w", err)
	}
	return h, nil
}
