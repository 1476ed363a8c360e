package chat

import (
	"context"
	"errors"
	"time"
)

// Announcement is a word of the operator to everybody. Public: nothing of a user and
// no secret is in it, which is why it is the one thing that may be compressed.
type Announcement struct {
	Seq  int64 // order of announcing
	Body string
	At   time.Time
}

// MaxAnnouncements is how many of the newest a reader is given.
const MaxAnnouncements = 20

// Announcements keeps announcements.
type Announcements interface {
	// Announce stores one and gives it the next seq.
	Announce(ctx context.Context, body string, at time.Time) (Announcement, error)
	// Announced reads the newest MaxAnnouncements after a seq, oldest first.
	Announced(ctx context.Context, after int64) ([]Announcement, error)
}

// Bell tells every node to look for announcements. It may be lost: nodes look from time
// to time anyway.
type Bell interface {
	Ring(ctx context.Context)
}

// Board is where the operator announces.
type Board struct {
	store Announcements
	bell  Bell
	now   func() time.Time
}

// NewBoard returns a Board.
func NewBoard(store Announcements, bell Bell, now func() time.Time) (*Board, error) {
	if store == nil || bell == nil || now == nil {
		return nil, errors.New("chat: store, bell or clock of the board is missing")
	}
	return &Board{store, bell, now}, nil
}

// Announce tells everybody body, which follows the rules of a message.
func (b *Board) Announce(ctx context.Context, body string) (Announcement, error) {
	body, err := cleanBody(body)
	if err != nil {
		return Announcement{}, err
	}
	a, err := b.store.Announce(ctx, body, b.now())
	if err != nil {
		return Announcement{}, wrap("announce", err)
	}
	b.bell.Ring(ctx)
	return a, nil
}
