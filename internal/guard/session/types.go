package session

import (
	"context"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/google/uuid"
)

// Session is what the server knows of one session, as stored. SID is public and
// stable; the token in the cookie is secret, changes, and is only stored hashed.
type Session struct {
	SID             uuid.UUID
	User            uuid.UUID // zero: not signed in
	CreatedAt       time.Time
	AuthenticatedAt time.Time // when the password was last proven
	LastSeenAt      time.Time
	IdleEndsAt      time.Time
	EndsAt          time.Time // absolute end; nothing moves it later
	IP              string    // prefix seen at sign-in
	UserAgent       string    // capped at 200 characters
}

// EndsFirst is when the session ends if nothing more happens.
func (s Session) EndsFirst() time.Time {
	if s.IdleEndsAt.Before(s.EndsAt) {
		return s.IdleEndsAt
	}
	return s.EndsAt
}

// Store keeps sessions where a sign-out on one node is a sign-out on all.
//
// The three methods of scs.CtxStore have a stricter meaning here than scs asks for:
//   - FindCtx finds only tokens of live sessions: not revoked, not past either end.
//   - CommitCtx creates the session on the first commit of a new token with a new sid
//     and updates it afterwards, but never revives one that is revoked or past an end,
//     and never moves the absolute end (Record.EndsAt of the first commit). The expiry it
//     is given is the idle end. A session keeps its sid and user; only within a renewal
//     may it get another token. A signed-in session is created only if its user may sign
//     in and still has the Record's CredentialGen. A change of either comes wholly before
//     the commit or wholly after it, and then finds the session. What stores nothing is
//     ErrNone.
//   - DeleteCtx revokes the session that a token was given for and leaves a tombstone,
//     also if a renewal has retired that token since: the caller loaded the session with
//     it. Except within a renewal (see Renewing), where only the token dies and the
//     session lives on.
//
// What it means in each order of events is package sessiontest, which every
// implementation has to pass. Times are those of one clock, given as a parameter.
type Store interface {
	scs.CtxStore

	// Peek reads the live session of a token without extending it; ErrNone if there is none.
	Peek(ctx context.Context, token string) (Session, error)
	// Live reads a session by sid if it is live and its user may still sign in; ErrNone otherwise.
	Live(ctx context.Context, sid uuid.UUID) (Session, error)
	// Touch moves the idle end of a live session to idleEnd, never past its absolute end, and
	// returns the session; ErrNone if it is not live.
	Touch(ctx context.Context, sid uuid.UUID, idleEnd time.Time) (Session, error)
	// OfUser lists the live sessions of a user, newest first.
	OfUser(ctx context.Context, user uuid.UUID) ([]Session, error)
	// Revoke ends one live session of user in one transaction with its entry in the
	// revocation outbox; false if there was none.
	Revoke(ctx context.Context, user, sid uuid.UUID, reason string) (bool, error)
	// RevokeAll ends every live session of user except keep (zero: none) and returns their sids.
	RevokeAll(ctx context.Context, user, keep uuid.UUID, reason string) ([]uuid.UUID, error)
}
