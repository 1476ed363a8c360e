// Package chat is the core: rooms, messages, members, in nouns of chat and without
// a word of HTTP, SQL or Redis.
//
// Threat: a signed-in user who speaks the protocol by hand. They name rooms and
// messages that are not theirs, send as somebody else, repeat and reorder
// commands, and keep acting after they were muted, removed or banned (CWE-639,
// CWE-862, ASVS 8.2.2, 8.3.1).
//
// Rule: who acts is a parameter, made by the server from the session. Every method
// asks the authz table, and the statement that reads or writes requires the answer
// again, so nothing can happen between check and use. "No such room" and "not
// yours" are one error with one amount of work. What is stored is acknowledged,
// and only what is stored.
//
// The path of one message is post.go from top to bottom.
package chat

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"example.com/portcullis/internal/guard/authz"
)

// Service does what people want to do in rooms. It holds no state of its own.
type Service struct {
	store  Store
	bus    Bus
	limits Limiter
	now    func() time.Time
}

// New returns a Service over its four needs; all are required.
func New(store Store, bus Bus, limits Limiter, now func() time.Time) (*Service, error) {
	if store == nil || bus == nil || limits == nil || now == nil {
		return nil, errors.New("chat: store, bus, limiter and clock are all required")
	}
	return &Service{store, bus, limits, now}, nil
}

// Costs of actions against the budgets, in messages. A search makes PostgreSQL
// work about ten times as hard as a message does; a reaction or an edit about the same.
const (
	costMessage = 1
	costSearch  = 10
	costChange  = 2 // membership and rooms: rare by hand, so twice
	costRead    = 1

	// changesPerCost: a resume costs one message for every so many changes it is given,
	// or a few bytes of room.join could buy megabytes again and again.
	changesPerCost = 10
)

// Rooms lists what a may see.
func (s *Service) Rooms(ctx context.Context, a Actor) ([]Room, error) {
	if err := signedIn(a); err != nil {
		return nil, err
	}
	rooms, err := s.store.Rooms(ctx, a.User)
	return rooms, wrap("list rooms", err)
}

// Room reads one room that a may see.
func (s *Service) Room(ctx context.Context, a Actor, id RoomID) (Room, error) {
	if err := signedIn(a); err != nil {
		return Room{}, err
	}
	r, err := s.store.Room(ctx, a.User, id)
	return r, wrap("read room", err)
}

// CreateRoom makes an open or closed room with a as its owner.
func (s *Service) CreateRoom(ctx context.Context, a Actor, title string, v Visibility) (Room, error) {
	if err := signedIn(a); err != nil {
		return Room{}, err
	}
	title, err := cleanTitle(title)
	if err != nil {
		return Room{}, err
	}
	if v != Open && v != Closed {
		return Room{}, invalid("A room is open or closed.")
	}
	if !authz.CanLead(a.Role) {
		return Room{}, ErrDenied
	}
	if err := s.limits.Take(ctx, a, RoomID{}, costChange); err != nil {
		return Room{}, err
	}
	r, err := s.store.CreateRoom(ctx, a.User, title, v)
	return r, wrap("create room", err)
}

// Direct returns the room of a and one other user, a room like any other. To begin a talk
// is to invite: otherwise whoever may not try names there tries them here.
//
//control:name business-limits
func (s *Service) Direct(ctx context.Context, a Actor, username string) (Room, error) {
	if err := signedIn(a); err != nil {
		return Room{}, err
	}
	if !authz.CanLead(a.Role) {
		return Room{}, ErrDenied
	}
	if err := s.limits.Take(ctx, a, RoomID{}, costChange); err != nil {
		return Room{}, err
	}
	r, found, err := s.store.Talk(ctx, a.User, fold(username))
	if found || err != nil {
		return r, wrap("find direct room", err)
	}
	if err := s.limits.Invite(ctx, a); err != nil {
		return Room{}, err
	}
	r, made, err := s.store.DirectRoom(ctx, a.User, fold(username))
	if err == nil && made {
		s.bus.Signal(ctx, Signal{Kind: MemberChanged, Room: r.ID, User: a.person(), Role: authz.Member})
	}
	return r, wrap("open direct room", err)
}

// Entered is the answer to Enter.
type Entered struct {
	Membership
	Head   int64
	Joined bool // became a member by this call
}

// Enter makes a a member of an open room, or confirms a membership, so that a
// socket of a may receive the room's events.
func (s *Service) Enter(ctx context.Context, a Actor, room RoomID) (Entered, error) {
	if err := signedIn(a); err != nil {
		return Entered{}, err
	}
	if err := s.limits.Take(ctx, a, RoomID{}, costRead); err != nil {
		return Entered{}, err
	}
	m, head, joined, err := s.store.Enter(ctx, a.User, room)
	if err != nil {
		return Entered{}, wrap("enter room", err)
	}
	if !authz.Can(m.Role, authz.Read) {
		return Entered{}, ErrDenied
	}
	if joined {
		s.bus.Signal(ctx, Signal{Kind: MemberChanged, Room: room, User: a.person(), Role: m.Role})
	}
	return Entered{m, head, joined}, nil
}

// Missed is what a client missed since a seq it knows.
type Missed struct {
	Changes []Change
	Head    int64
	Resync  bool // the gap is too large to replay: read the history again
}

// Missed reads the changes after a seq. A seq beyond the head, which only a client
// with another server's memory can hold, is answered with a resync as well.
func (s *Service) Missed(ctx context.Context, a Actor, room RoomID, after int64) (Missed, error) {
	changes, head, err := s.store.Changes(ctx, authz.Roles(authz.Read), a.User, room, after, MaxMissed+1)
	if err != nil {
		return Missed{}, wrap("read missed changes", err)
	}
	size := 0
	for _, c := range changes {
		size += len(c.Message.Body)
	}
	if len(changes) > MaxMissed || size > MaxMissedBytes || after > head {
		return Missed{Head: head, Resync: true}, nil
	}
	if cost := len(changes) / changesPerCost; cost > 0 {
		if err := s.limits.Take(ctx, a, RoomID{}, cost); err != nil {
			return Missed{}, err
		}
	}
	return Missed{Changes: changes, Head: head}, nil
}

// History reads a page of messages, newest last. It is cut where it would be larger than
// MaxPageBytes; more says that it was, so that the reader does not take it for the last.
func (s *Service) History(ctx context.Context, a Actor, room RoomID, before int64, limit int) (ms []Message, more bool, err error) {
	if err := signedIn(a); err != nil {
		return nil, false, err
	}
	if before < 0 {
		return nil, false, invalid("before_seq is a seq of the room, or 0 for the newest page.")
	}
	all, err := s.store.History(ctx, authz.Roles(authz.Read), a.User, room, before, page(limit))
	ms = cut(all)
	return ms, len(ms) < len(all), wrap("read history", err)
}

// Search finds messages that hold the words of query, newest last, cut like History.
func (s *Service) Search(ctx context.Context, a Actor, room RoomID, query string, limit int) ([]Message, error) {
	if err := signedIn(a); err != nil {
		return nil, err
	}
	query, err := cleanQuery(query)
	if err != nil {
		return nil, err
	}
	if err := s.limits.Take(ctx, a, RoomID{}, costSearch); err != nil {
		return nil, err
	}
	ms, err := s.store.Search(ctx, authz.Roles(authz.Read), a.User, room, query, page(limit))
	return cut(ms), wrap("search", err)
}

// cut keeps the newest of ms that fit MaxPageBytes, and always one.
//
//control:name slow-consumer
func cut(ms []Message) []Message {
	size := 0
	for i, m := range slices.Backward(ms) {
		size += len(m.Body)
		for _, r := range m.Reactions {
			size += len(r.Users) * 40 // an id, as it is written
		}
		if size > MaxPageBytes && i < len(ms)-1 {
			return slices.Clone(ms[i+1:]) // the others are not kept by the same array
		}
	}
	return ms
}

// Standings reads who may still receive, for delivery; see Change.Epoch.
func (s *Service) Standings(ctx context.Context, room RoomID, users []UserID) (int64, []Membership, error) {
	epoch, ms, err := s.store.Standings(ctx, room, users)
	return epoch, ms, wrap("read standings", err)
}

// Typing tells the room that a is writing.
func (s *Service) Typing(ctx context.Context, a Actor, room RoomID) error {
	m, err := s.store.Membership(ctx, a.User, room)
	if err != nil {
		return wrap("read membership", err)
	}
	if !authz.Can(m.Role, authz.Type) || m.MutedUntil.After(s.now()) {
		return ErrDenied
	}
	s.bus.Signal(ctx, Signal{Kind: Typing, Room: room, User: a.person()})
	return nil
}

// Mark moves a's read marker forward and tells a's other sockets.
func (s *Service) Mark(ctx context.Context, a Actor, room RoomID, seq int64) (int64, error) {
	if err := signedIn(a); err != nil {
		return 0, err
	}
	if seq < 0 {
		return 0, invalid("seq is a seq of the room.")
	}
	got, err := s.store.Mark(ctx, authz.Roles(authz.Mark), a.User, room, seq)
	if err != nil {
		return 0, wrap("move read marker", err)
	}
	s.bus.Signal(ctx, Signal{Kind: ReadMarked, Room: room, User: a.person(), Seq: got})
	return got, nil
}

// signedIn refuses the zero Actor.
func signedIn(a Actor) error {
	if a.User == (UserID{}) {
		return ErrDenied
	}
	return nil
}

func (a Actor) person() Person { return Person{a.User, a.Username, a.DisplayName} }

// fold is the one spelling of a user name that people type: names are lower case.
func fold(username string) string { return strings.ToLower(strings.TrimSpace(username)) }

func page(limit int) int {
	if limit <= 0 || limit > MaxPage {
		return MaxPage
	}
	return limit
}

func invalid(public string) error { return &Error{Kind: Invalid, Public: public} }

// wrap adds the operation to errors that stay inside, and leaves public ones alone.
func wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*Error](err); ok {
		return err
	}
	return fmt.Errorf("%s: %w", op, err)
}
