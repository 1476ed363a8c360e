package chat

import (
	"slices"
	"time"

	"example.com/portcullis/internal/guard/authz"
)

// Actor is who acts: always derived by the server from the session, never read
// from a command, and always a parameter, never fished from a context.
type Actor struct {
	User        UserID
	Session     SessionID
	Username    string
	DisplayName string
	Role        authz.SiteRole

	// Client names the network that the actor comes from, for budgets. Opaque here.
	Client string
}

// Person is how a user appears to others.
type Person struct {
	ID          UserID
	Username    string
	DisplayName string
}

// Visibility tells who may find and enter a room.
type Visibility string

// The three kinds of room. A direct room is a closed room of two.
const (
	Open   Visibility = "open"   // every signed-in user may find and enter it
	Closed Visibility = "closed" // only members know that it exists
	Direct Visibility = "direct" // exactly two members, one such room per pair
)

// Limits of the core. Lengths are in characters (Unicode code points).
const (
	// MaxBody keeps a message within one screen; it is 4 bytes × 4,096 < the frame limit of 65,536.
	MaxBody = 4096
	// MaxTitle fits the room list at 360 px with an ellipsis.
	MaxTitle = 80
	// MaxPage bounds one answer of history or search.
	MaxPage = 100
	// MaxPageBytes bounds the same by size: an answer waits in memory for whoever asked, who
	// may read it a byte at a time and ask again meanwhile. It is a piece of a file.
	MaxPageBytes = 256 << 10
	// MaxReactions bounds those of one message, which are told to the whole room at every
	// change of one: 20 KiB, as much as the longest message, and not a megabyte from a room
	// in which a thousand people reacted.
	MaxReactions = 500
	// MaxMissed is the longest gap that a resume replays; a longer one is answered with a resync.
	MaxMissed = 200
	// MaxMissedBytes bounds the same by size: a resume is cheap to ask for and dear to give.
	MaxMissedBytes = 512 << 10
	// MaxQuery bounds the text of one search.
	MaxQuery = 200
)

// Quotas are numbers of things, for what is allowed once and must not be allowed ten
// thousand times (ASVS 2.1.3, 2.4.1). A store takes its defaults for those that are 0.
type Quotas struct {
	Rooms        int // that one account made, without direct ones
	Members      int // of one room
	DirectPerDay int // direct rooms that one account begins, in any 24 hours
	Emojis       int // different ones on one message
}

// DefaultQuotas are enough for people, and a bound for programs.
func DefaultQuotas() Quotas {
	return Quotas{
		Rooms: 50,
		// A message to a room is written to each of its members: a node does some
		// 100,000 deliveries a second.
		Members: 1000,
		// Who begins talks with more people than this in a day sells something.
		DirectPerDay: 30,
		// Half of the list, and one line at 360 px.
		Emojis: 12,
	}
}

// Room is a room as one of its members, or a visitor of an open room, sees it.
type Room struct {
	ID         RoomID
	Title      string // empty for a direct room: its title is the other person
	Visibility Visibility
	HeadSeq    int64      // seq of the newest change
	Role       authz.Role // the reader's own role; empty: not a member (open rooms only)
	ReadSeq    int64      // how far the reader has read
	Members    int
	Owners     int     // known only to a Decide
	Peer       *Person // the other member of a direct room
	CreatedAt  time.Time
}

// Membership is one user's standing in one room.
type Membership struct {
	Room       RoomID
	User       UserID
	Role       authz.Role
	MutedUntil time.Time // zero: not muted
	Epoch      int64     // the room's membership epoch when this was read; see Change.Epoch
}

// Joined is a membership with its room, as the user takes it with them.
type Joined struct {
	Room       RoomID
	Title      string // empty for a direct room, which is with Peer
	Visibility Visibility
	Peer       string // user name of the other person of a direct room
	Role       authz.Role
	MutedUntil time.Time // zero: not muted
	ReadSeq    int64
	At         time.Time // when the user came in
}

// Member is a membership with the person, for member lists.
type Member struct {
	Person     Person
	Role       authz.Role
	MutedUntil time.Time
	JoinedAt   time.Time
}

// Message is one message of a room. A deleted message keeps its place and loses its body.
type Message struct {
	ID        MessageID
	Room      RoomID
	Seq       int64 // seq of its message.new
	Author    Person
	ClientID  ClientID
	Body      string
	ReplyTo   MessageID // zero: none
	CreatedAt time.Time
	EditedAt  time.Time // zero: never
	DeletedAt time.Time // zero: not deleted
	Reactions []Reaction
	Uploads   []Upload // in the author's order
}

// Reaction is who reacted with one emoji.
type Reaction struct {
	Emoji string
	Users []UserID
}

// ChangeKind tells what a Change did to a room's history.
type ChangeKind string

// The kinds of change. Each is also the type of the server event that tells it.
const (
	MessageNew      ChangeKind = "message.new"
	MessageEdited   ChangeKind = "message.edited"
	MessageDeleted  ChangeKind = "message.deleted"
	ReactionChanged ChangeKind = "reaction.changed"
)

// ChangeKinds lists them. Nodes refuse others from each other; the constraint
// changes_kind_known of the database has the same list.
func ChangeKinds() []ChangeKind {
	return []ChangeKind{MessageNew, MessageEdited, MessageDeleted, ReactionChanged}
}

// Known reports whether k is one of them.
func (k ChangeKind) Known() bool { return slices.Contains(ChangeKinds(), k) }

// Change is one step of a room's history. Seq numbers of a room have no gaps:
// a receiver that holds n and is given n+2 knows that it missed n+1.
type Change struct {
	Room    RoomID
	Seq     int64
	Kind    ChangeKind
	By      UserID
	At      time.Time
	Message Message // as it is after the change; empty body when deleted

	// Epoch is the room's membership epoch at the change. It grows whenever
	// somebody loses a right. A node that knows an older epoch re-reads who its
	// members are before it delivers, so a member removed before the change was
	// stored cannot receive it, whatever order events arrive in.
	Epoch int64
}

// SignalKind tells what a Signal is about.
type SignalKind string

// The kinds of signal: ephemeral, without seq, dropped first under pressure.
const (
	Typing        SignalKind = "typing"
	Presence      SignalKind = "presence.changed"
	MemberChanged SignalKind = "member.changed"
	RoomChanged   SignalKind = "room.changed"
	ReadMarked    SignalKind = "read.marked" // only to the user's own sockets
)

// SignalKinds lists them.
func SignalKinds() []SignalKind {
	return []SignalKind{Typing, Presence, MemberChanged, RoomChanged, ReadMarked}
}

// Known reports whether k is one of them.
func (k SignalKind) Known() bool { return slices.Contains(SignalKinds(), k) }

// Signal is something worth showing now and not worth storing.
type Signal struct {
	Kind   SignalKind
	Room   RoomID
	User   Person     // whom it is about
	Role   authz.Role // MemberChanged: the new role, empty when gone
	Muted  time.Time  // MemberChanged: muted until
	Online bool       // Presence
	Seq    int64      // ReadMarked
	Title  string     // RoomChanged
}

// ReasonSessionLimit is the Reason of a session that ended because its user signed in
// at one more place than the limit allows. It is the one reason of which the user's
// other sockets are told.
const ReasonSessionLimit = "session_limit"

// Revocation takes something away from live sockets, on every node.
// With Room zero it ends a session, at once or at Until: every socket of it is closed. With Room set
// it changes User's standing in that room, with Tunnel set what they may do with that
// target: each node re-reads it and acts.
type Revocation struct {
	Session SessionID
	User    UserID
	Room    RoomID
	Tunnel  string    `json:",omitzero"` // name of a tunnel's target
	Reason  string    // fixed slug: sign_out, password_change, role_change, disabled, revoked_by_user, session_limit, admin, suspected, removed, banned, muted, role
	At      time.Time // when it was decided, for the measure of how long it took
	Until   time.Time `json:",omitzero"` // when Session ends; zero: at once
}
