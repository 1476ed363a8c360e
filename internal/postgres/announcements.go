package postgres

import (
	"context"
	"fmt"
	"slices"
	"time"

	"example.com/portcullis/internal/chat"
)

// Announcements keeps what the operator tells everybody.
type Announcements struct{ db *DB }

var _ chat.Announcements = (*Announcements)(nil)

// announceLock is the advisory lock under which announcements are written one after
// the other: else a seq could become visible before a smaller one, and who read it
// would never look for the other.
const announceLock = 7_270_012

const (
	lockAnnounce       query = `SELECT pg_advisory_xact_lock($1)`
	insertAnnouncement query = `INSERT INTO announcements (body, at) VALUES ($1, $2) RETURNING seq, body, at`
	readAnnouncements  query = `SELECT seq, body, at FROM announcements WHERE seq > $1 ORDER BY seq DESC LIMIT $2`
)

func scanAnnouncement(r row) (a chat.Announcement, err error) {
	err = r(&a.Seq, &a.Body, &a.At)
	return a, err
}

// Announce stores one.
func (s *Announcements) Announce(ctx context.Context, body string, at time.Time) (a chat.Announcement, err error) {
	err = s.db.tx(ctx, func(ctx context.Context, c conn) error {
		if _, err := exec(ctx, c, lockAnnounce, announceLock); err != nil {
			return err
		}
		a, _, err = one(ctx, c, scanAnnouncement, insertAnnouncement, body, at)
		return err
	})
	if err != nil {
		return chat.Announcement{}, fmt.Errorf("store announcement: %w", err)
	}
	return a, nil
}

// Announced reads the newest chat.MaxAnnouncements after a seq, oldest first.
func (s *Announcements) Announced(ctx context.Context, after int64) (list []chat.Announcement, err error) {
	err = s.db.do(ctx, func(ctx context.Context, c conn) error {
		list, err = all(ctx, c, scanAnnouncement, readAnnouncements, after, chat.MaxAnnouncements)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read announcements: %w", err)
	}
	slices.Reverse(list)
	return list, nil
}
