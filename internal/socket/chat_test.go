package socket

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/authz"
)

// fakeChat is rooms in memory. What is stored is delivered by this node, in order.
type fakeChat struct {
	w      *world
	mu     sync.Mutex
	rooms  map[chat.RoomID]*fakeRoom
	before func(what string) error // called before each command, without the lock
	sends  []sent                  // every Send, with who and what
}

type sent struct {
	actor chat.Actor
	draft chat.Draft
}

type fakeRoom struct {
	id      chat.RoomID
	roles   map[chat.UserID]authz.Role
	changes []chat.Change
	dedupe  map[chat.ClientID]int
	deliver sync.Mutex // keeps deliveries in order
	sent    int
}

func newFakeChat(w *world) *fakeChat {
	return &fakeChat{w: w, rooms: map[chat.RoomID]*fakeRoom{}, before: func(string) error { return nil }}
}

// room makes an open room: whoever enters is a member.
func (f *fakeChat) room() chat.RoomID {
	f.mu.Lock()
	defer f.mu.Unlock()
	id := chat.RoomID{UUID: uuid.New()}
	f.rooms[id] = &fakeRoom{id: id, roles: map[chat.UserID]authz.Role{}, dedupe: map[chat.ClientID]int{}}
	return id
}

func (f *fakeChat) setRole(room chat.RoomID, user chat.UserID, role authz.Role) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rooms[room].roles[user] = role
}

func (f *fakeChat) member(room chat.RoomID, user chat.UserID, need authz.Action) (*fakeRoom, error) {
	r := f.rooms[room]
	if r == nil || !authz.Can(r.roles[user], need) {
		return nil, chat.ErrDenied
	}
	return r, nil
}

func (f *fakeChat) Enter(_ context.Context, a chat.Actor, room chat.RoomID) (chat.Entered, error) {
	if err := f.before("enter"); err != nil {
		return chat.Entered{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.rooms[room]
	if r == nil {
		return chat.Entered{}, chat.ErrDenied
	}
	role, known := r.roles[a.User]
	if !known {
		role = authz.Member
		r.roles[a.User] = role
	}
	if !authz.Can(role, authz.Read) { // known, without a role: banned
		return chat.Entered{}, chat.ErrDenied
	}
	return chat.Entered{Membership: chat.Membership{Room: room, User: a.User, Role: role}, Head: int64(len(r.changes)), Joined: !known}, nil
}

func (f *fakeChat) Missed(_ context.Context, a chat.Actor, room chat.RoomID, after int64) (chat.Missed, error) {
	if err := f.before("missed"); err != nil {
		return chat.Missed{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	r, err := f.member(room, a.User, authz.Read)
	if err != nil {
		return chat.Missed{}, err
	}
	head := int64(len(r.changes))
	if after > head || head-after > chat.MaxMissed {
		return chat.Missed{Head: head, Resync: true}, nil
	}
	return chat.Missed{Changes: append([]chat.Change(nil), r.changes[after:]...), Head: head}, nil
}

func (f *fakeChat) Send(_ context.Context, a chat.Actor, d chat.Draft) (chat.Change, bool, error) {
	if err := f.before("send"); err != nil {
		return chat.Change{}, false, err
	}
	f.mu.Lock()
	f.sends = append(f.sends, sent{a, d})
	r, err := f.member(d.Room, a.User, authz.Send)
	if err != nil {
		f.mu.Unlock()
		return chat.Change{}, false, err
	}
	if i, ok := r.dedupe[d.ClientID]; ok {
		defer f.mu.Unlock()
		return r.changes[i], true, nil
	}
	c := r.append(a, d)
	f.mu.Unlock()
	f.publish(r)
	return c, false, nil
}

func (r *fakeRoom) append(a chat.Actor, d chat.Draft) chat.Change {
	seq := int64(len(r.changes) + 1)
	c := chat.Change{Room: r.id, Seq: seq, Kind: chat.MessageNew, By: a.User, At: time.Now(), Message: chat.Message{
		ID: chat.MessageID{UUID: uuid.New()}, Room: r.id, Seq: seq, Body: d.Body, ClientID: d.ClientID, CreatedAt: time.Now(),
		Author: chat.Person{ID: a.User, Username: a.Username, DisplayName: a.DisplayName},
	}}
	r.dedupe[d.ClientID] = len(r.changes)
	r.changes = append(r.changes, c)
	return c
}

// publish delivers what is stored and not delivered, as the fan-out does: one
// goroutine for a room at a time, each seq once.
func (f *fakeChat) publish(r *fakeRoom) {
	r.deliver.Lock()
	defer r.deliver.Unlock()
	f.mu.Lock()
	run := append([]chat.Change(nil), r.changes[r.sent:]...)
	r.sent = len(r.changes)
	f.mu.Unlock()
	f.w.server.Deliver(run)
}

// post stores and delivers n messages of a stranger.
func (f *fakeChat) post(room chat.RoomID, n int, body string) {
	for range n {
		f.mu.Lock()
		r := f.rooms[room]
		r.append(chat.Actor{User: chat.UserID{UUID: uuid.New()}, Username: "bot", DisplayName: "Bot"}, chat.Draft{ClientID: chat.ClientID{UUID: uuid.New()}, Body: body})
		f.mu.Unlock()
		f.publish(r)
	}
}

func (f *fakeChat) Edit(_ context.Context, a chat.Actor, room chat.RoomID, _ chat.MessageID, _ string) (chat.Change, error) {
	return chat.Change{}, f.check("edit", room, a, authz.EditOwn)
}

func (f *fakeChat) Delete(_ context.Context, a chat.Actor, room chat.RoomID, _ chat.MessageID) (chat.Change, error) {
	return chat.Change{}, f.check("delete", room, a, authz.DeleteOwn)
}

func (f *fakeChat) React(_ context.Context, a chat.Actor, room chat.RoomID, _ chat.MessageID, _ string, _ bool) (int64, error) {
	return 1, f.check("react", room, a, authz.React)
}

func (f *fakeChat) Typing(_ context.Context, a chat.Actor, room chat.RoomID) error {
	if err := f.check("typing", room, a, authz.Type); err != nil {
		return err
	}
	f.w.server.Signal(chat.Signal{Kind: chat.Typing, Room: room, User: chat.Person{ID: a.User, Username: a.Username, DisplayName: a.DisplayName}})
	return nil
}

func (f *fakeChat) Mark(_ context.Context, a chat.Actor, room chat.RoomID, seq int64) (int64, error) {
	if err := f.check("mark", room, a, authz.Mark); err != nil {
		return 0, err
	}
	f.w.server.Signal(chat.Signal{Kind: chat.ReadMarked, Room: room, User: chat.Person{ID: a.User}, Seq: seq})
	return seq, nil
}

func (f *fakeChat) check(what string, room chat.RoomID, a chat.Actor, need authz.Action) error {
	if err := f.before(what); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	_, err := f.member(room, a.User, need)
	return err
}

func (f *fakeChat) Standings(_ context.Context, room chat.RoomID, users []chat.UserID) (int64, []chat.Membership, error) {
	if err := f.before("standings"); err != nil {
		return 0, nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var found []chat.Membership
	for _, u := range users {
		if role := f.rooms[room].roles[u]; role != "" {
			found = append(found, chat.Membership{Room: room, User: u, Role: role})
		}
	}
	return 1, found, nil
}
