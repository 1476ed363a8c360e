package chat

import (
	"context"
	"time"

	"example.com/portcullis/internal/guard/authz"
)

// Store keeps rooms and their history. Every method that takes roles requires, in
// the same statement (or in the same transaction, under a lock on the room), that
// the actor is a member with one of them; otherwise it returns ErrDenied, which is
// also its answer for a room or message that does not exist. Methods return *Error
// for what a caller may be told and plain errors for everything else.
type Store interface {
	// Rooms lists the rooms that user is a member of and the open rooms from which the
	// user is not banned, newest activity first, at most 200.
	Rooms(ctx context.Context, user UserID) ([]Room, error)
	// Room reads one room as user sees it; ErrDenied if it is not in Rooms.
	Room(ctx context.Context, user UserID, room RoomID) (Room, error)
	// CreateRoom stores a room with its owner; Kind Quota when owner made Quotas.Rooms already.
	CreateRoom(ctx context.Context, owner UserID, title string, v Visibility) (Room, error)
	// Talk finds the direct room of two users; found is false if there is none, also when
	// there is no such username.
	Talk(ctx context.Context, user UserID, username string) (room Room, found bool, err error)
	// DirectRoom returns the one direct room of two users, made at the first call, and
	// whether it was made now. Kind Denied if there is no such username, or it is the user's
	// own; Kind Quota when user began Quotas.DirectPerDay in the last 24 hours.
	DirectRoom(ctx context.Context, user UserID, username string) (room Room, made bool, err error)
	// Enter makes user a member of an open room, unless banned, or confirms a membership.
	// Kind Quota when the room has Quotas.Members already.
	// It returns the membership, the head seq at that moment and whether it is new.
	Enter(ctx context.Context, user UserID, room RoomID) (m Membership, head int64, joined bool, err error)
	// Membership reads user's standing; ErrDenied if there is none.
	Membership(ctx context.Context, user UserID, room RoomID) (Membership, error)
	// Standings reads the memberships of several users in one room, and the room's epoch,
	// for nodes that must refresh whom they may deliver to. Users without one are absent.
	Standings(ctx context.Context, room RoomID, users []UserID) (epoch int64, _ []Membership, err error)
	// Heads reads the head seq and epoch of rooms, for nodes that look for gaps.
	Heads(ctx context.Context, rooms []RoomID) ([]Head, error)

	// Append stores one message: membership, mute, dedupe on (author, client id), the room's
	// next seq and the row in one transaction, batched with others of its room (group commit).
	// When the same author sent the same client id to the same room before, it returns that
	// message's change and dup true; to another room: Kind Conflict. Busy when the queue is full.
	Append(ctx context.Context, roles []authz.Role, p Post) (c Change, dup bool, err error)
	// Edit changes the author's own message and takes the next seq.
	Edit(ctx context.Context, roles []authz.Role, by UserID, room RoomID, id MessageID, body string) (Change, error)
	// Delete empties a message and takes the next seq: the author's own for roles in own,
	// anybody's for roles in others. Deleting twice returns the first deletion's change.
	Delete(ctx context.Context, own, others []authz.Role, by UserID, room RoomID, id MessageID) (Change, error)
	// React adds or removes one reaction of by. No change: changed false, and no seq is taken.
	// Kind Quota for one emoji more than Quotas.Emojis.
	React(ctx context.Context, roles []authz.Role, by UserID, room RoomID, id MessageID, emoji string, add bool) (c Change, changed bool, err error)

	// Changes reads the history after a seq, oldest first, at most limit, and the head.
	Changes(ctx context.Context, roles []authz.Role, by UserID, room RoomID, after int64, limit int) ([]Change, int64, error)
	// ChangesBetween reads from ≤ seq ≤ to without an actor: for a node that repairs a gap
	// and checks its members at delivery.
	ChangesBetween(ctx context.Context, room RoomID, from, to int64) ([]Change, error)
	// History reads messages with seq below before (0: from the newest), newest last, at most limit.
	History(ctx context.Context, roles []authz.Role, by UserID, room RoomID, before int64, limit int) ([]Message, error)
	// Search finds messages by full text search with query as literal words, newest last.
	Search(ctx context.Context, roles []authz.Role, by UserID, room RoomID, query string, limit int) ([]Message, error)

	// Members lists the members of a room by display name, at most 500.
	Members(ctx context.Context, roles []authz.Role, by UserID, room RoomID) ([]Member, error)
	// AddMember adds username as Member. Idempotent; Denied for unknown users, banned users
	// and direct rooms, Kind Quota when the room has Quotas.Members already.
	AddMember(ctx context.Context, roles []authz.Role, by UserID, room RoomID, username string) (Member, bool, error)
	// ChangeMember locks the room, the actor's and the target's standing, asks decide, and
	// stores what it returns: the new standing, gone with an empty Role, and banned if told.
	// Every loss of a right raises the room's epoch and writes to the revocation outbox with
	// reason, in the same transaction. The target need not be a member (ban in advance): its
	// standing then has an empty Role.
	ChangeMember(ctx context.Context, by UserID, room RoomID, target UserID, decide Decide) (Outcome, error)
	// Mark moves user's read marker forward, never back, never past the head, and returns it.
	Mark(ctx context.Context, roles []authz.Role, by UserID, room RoomID, seq int64) (int64, error)
}

// Head is how far a room's history goes.
type Head struct {
	Room  RoomID
	Seq   int64
	Epoch int64
}

// Post is a message to store.
type Post struct {
	Room     RoomID
	Author   Person
	ID       MessageID
	ClientID ClientID
	Body     string
	ReplyTo  MessageID  // zero: none; otherwise must be a message of the same room
	Uploads  []UploadID // files of the author's own in this room, clean and attached to nothing; all or none
	At       time.Time
}

// Standing is a membership and a ban, as ChangeMember reads and writes them.
type Standing struct {
	Role       authz.Role // empty: not a member
	MutedUntil time.Time
	Banned     bool
}

// Decide is the pure half of ChangeMember: from the standings of actor and target to
// the target's new one and the reason slug, or an error that stops everything.
type Decide func(room Room, actor, target Standing) (next Standing, reason string, err error)

// Outcome is what ChangeMember did.
type Outcome struct {
	Person     Person // the target
	Before     Standing
	After      Standing
	Reason     string
	LostRights bool // the epoch was raised
}

// Bus tells other nodes, and this one, what happened. It never blocks and never
// fails: what it cannot tell, receivers repair from the Store by seq.
type Bus interface {
	Publish(ctx context.Context, c Change)
	Signal(ctx context.Context, s Signal)
	Revoke(ctx context.Context, r Revocation)
}

// Limiter charges an action to the budgets of its user, of everybody together, and of
// room unless that is zero. Take returns an *Error of kind RateLimited with RetryAfter
// when one of them is spent, and then charges none.
type Limiter interface {
	Take(ctx context.Context, a Actor, room RoomID, cost int) error
	// Invite charges one invitation to a's hour: Kind Quota when it is over.
	Invite(ctx context.Context, a Actor) error
}
