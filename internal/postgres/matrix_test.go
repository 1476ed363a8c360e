package postgres

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/authz"
	"example.com/portcullis/internal/testkit"
)

// silent is a bus that nobody listens to, a limiter that refuses nothing, and an
// inspector that finds every file clean: this is about the core and the store.
type silent struct{}

func (silent) Publish(context.Context, chat.Change)                            {}
func (silent) Signal(context.Context, chat.Signal)                             {}
func (silent) Revoke(context.Context, chat.Revocation)                         {}
func (silent) Take(context.Context, chat.Actor, chat.RoomID, int) error        { return nil }
func (silent) Invite(context.Context, chat.Actor) error                        { return nil }
func (silent) Scan(context.Context, chat.UserID, []byte) (clean bool, _ error) { return true, nil }
func (silent) Inspect(_ context.Context, f chat.File) (chat.Inspected, error) {
	return chat.Inspected{Name: f.Name, Mime: "text/plain", Bytes: f.Bytes, Clean: true}, nil
}

// core is the whole core over a real store.
type core struct {
	*world
	service *chat.Service
	files   *chat.Uploads
}

func newCore(t *testing.T) core {
	t.Helper()
	w := newWorld(t, Options{})
	service, err := chat.New(w.Rooms(), silent{}, silent{}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	files, err := chat.NewUploads(w.Uploads(), silent{}, silent{}, quota, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return core{w, service, files}
}

func actor(p chat.Person) chat.Actor {
	return chat.Actor{User: p.ID, Username: p.Username, DisplayName: p.DisplayName, Role: authz.User}
}

// authzFile declares the roles and actions: nobody adds one without a row here.
const authzFile = "../guard/authz/authz.go"

// cell is one square of the matrix, with a room of its own.
type cell struct {
	core
	room     chat.RoomID
	who      chat.Person // acts
	target   chat.Person // a reader of the room, whom everybody who may moderate outranks
	own      chat.Message
	others   chat.Message
	stranger chat.Person // member of nothing
}

// commands has, for each action of the table, what the action's command does in a cell.
var commands = map[authz.Action]func(c cell) error{
	authz.Read: func(c cell) error {
		_, _, a := c.service.History(c.ctx, actor(c.who), c.room, 0, 10)
		_, b := c.service.Search(c.ctx, actor(c.who), c.room, "words", 10)
		_, d := c.service.Missed(c.ctx, actor(c.who), c.room, 0)
		_, e := c.service.Members(c.ctx, actor(c.who), c.room)
		_, f := c.service.Room(c.ctx, actor(c.who), c.room)
		_, g := c.service.Enter(c.ctx, actor(c.who), c.room)
		return agree(a, b, d, e, f, g)
	},
	authz.Send: func(c cell) error {
		_, _, err := c.service.Send(c.ctx, actor(c.who), chat.Draft{Room: c.room, ClientID: chat.ClientID{UUID: uuid.Must(uuid.NewV7())}, Body: "hi"})
		_, _, put := c.files.Put(c.ctx, actor(c.who), c.room, chat.File{Name: "a.txt", Bytes: []byte("x")})
		return agree(err, put)
	},
	authz.EditOwn: func(c cell) error {
		_, err := c.service.Edit(c.ctx, actor(c.who), c.room, c.own.ID, "new words")
		return err
	},
	authz.DeleteOwn: func(c cell) error {
		_, err := c.service.Delete(c.ctx, actor(c.who), c.room, c.own.ID)
		return err
	},
	authz.DeleteAny: func(c cell) error {
		_, err := c.service.Delete(c.ctx, actor(c.who), c.room, c.others.ID)
		return err
	},
	authz.React: func(c cell) error {
		_, err := c.service.React(c.ctx, actor(c.who), c.room, c.others.ID, "👍", true)
		return err
	},
	authz.Type: func(c cell) error { return c.service.Typing(c.ctx, actor(c.who), c.room) },
	authz.Mark: func(c cell) error {
		_, err := c.service.Mark(c.ctx, actor(c.who), c.room, 1)
		return err
	},
	authz.Invite: func(c cell) error {
		_, err := c.service.AddMember(c.ctx, actor(c.who), c.room, c.stranger.Username)
		return err
	},
	authz.Mute: func(c cell) error {
		until := time.Now().Add(time.Hour)
		return c.service.ChangeMember(c.ctx, actor(c.who), c.room, c.target.ID, chat.MemberChange{MutedUntil: &until})
	},
	authz.Remove: func(c cell) error { return c.service.RemoveMember(c.ctx, actor(c.who), c.room, c.target.ID) },
	authz.Ban: func(c cell) error {
		unban := c.service.Unban(c.ctx, actor(c.who), c.room, c.stranger.ID)
		return agree(unban, c.service.Ban(c.ctx, actor(c.who), c.room, c.target.ID))
	},
	authz.ChangeRole: func(c cell) error {
		role := authz.Member
		return c.service.ChangeMember(c.ctx, actor(c.who), c.room, c.target.ID, chat.MemberChange{Role: &role})
	},
	authz.Manage: nil, // no command changes a room yet: whoever writes one gives it a line here
}

// agree is the one answer of commands that stand for one action.
func agree(errs ...error) error {
	for _, err := range errs[1:] {
		if (err == nil) != (errs[0] == nil) {
			return errors.Join(append([]error{errors.New("the commands of one action disagree")}, errs...)...)
		}
	}
	return errs[0]
}

// muteStops are the ways to speak.
var muteStops = []authz.Action{authz.Send, authz.EditOwn, authz.Type}

// Every role, every action and every state, through the core and a real store, against
// the table: what it allows is done, and nothing else is.
//
//control:proves authz
func TestMatrix_everyRoleActionAndStateIsAnsweredAsTheTableSays(t *testing.T) {
	t.Parallel()
	co := newCore(t)
	target, stranger, who := co.user("target"), co.user("stranger"), co.user("who")
	for _, action := range testkit.Constants[authz.Action](t, authzFile) {
		command, listed := commands[action]
		if !listed {
			t.Errorf("action %q has no line in commands of this file: say what does it", action)
		}
		if command == nil {
			continue
		}
		owner := co.user("owner-" + string(action)) // a new one: each makes only so many rooms
		for _, role := range append([]authz.Role{""}, testkit.Constants[authz.Role](t, authzFile)...) {
			for _, state := range []string{"", "muted", "removed", "banned"} {
				if role == "" && state == "muted" {
					continue // nobody is muted who is not there
				}
				room := co.room(owner, chat.Closed)
				co.join(room, owner, who, target)
				c := cell{core: co, room: room, who: who, target: target, stranger: stranger,
					own: co.post(who, room, "my words").Message, others: co.post(owner, room, "the owner's words").Message}
				co.raw("UPDATE members SET role = 'reader' WHERE room_id = $1 AND user_id = $2", room.UUID, target.ID.UUID)
				if role == "" || state == "removed" || state == "banned" {
					co.raw("DELETE FROM members WHERE room_id = $1 AND user_id = $2", room.UUID, who.ID.UUID)
				} else {
					co.raw("UPDATE members SET role = $3 WHERE room_id = $1 AND user_id = $2", room.UUID, who.ID.UUID, string(role))
				}
				want := authz.Can(role, action)
				switch state {
				case "muted":
					co.raw("UPDATE members SET muted_until = now() + interval '1 hour' WHERE room_id = $1 AND user_id = $2", room.UUID, who.ID.UUID)
					want = want && !slices.Contains(muteStops, action)
				case "removed":
					want = false
				case "banned":
					co.raw("INSERT INTO bans (room_id, user_id, banned_by, at) VALUES ($1, $2, $3, now())", room.UUID, who.ID.UUID, owner.ID.UUID)
					want = false
				}
				before := co.rows(room)
				err := command(c)
				where := "role " + strconv.Quote(string(role)) + ", state " + strconv.Quote(state) + ", action " + string(action)
				switch {
				case want && err != nil:
					t.Errorf("%s: the table allows it, the answer is %v", where, err)
				case !want && chat.KindOf(err) != chat.Denied:
					t.Errorf("%s: the table forbids it, the answer is %v", where, err)
				case !want:
					if diff := cmp.Diff(before, co.rows(room)); diff != "" {
						t.Errorf("%s: refused, and done\n%s", where, diff)
					}
				}
			}
		}
	}
}

// rows is all that is stored of a room, as text.
func (w *world) rows(room chat.RoomID) map[string]string {
	w.Helper()
	kept := map[string]string{}
	for table, of := range map[string]string{
		"rooms": "id", "members": "room_id", "bans": "room_id", "messages": "room_id", "changes": "room_id", "uploads": "room_id", "sanctions": "room_id",
	} {
		kept[table] = ask[string](w, "SELECT coalesce(string_agg(x::text, E'\n' ORDER BY x::text), '') FROM "+table+" x WHERE "+of+" = $1", room.UUID)
	}
	kept["reactions"] = ask[string](w, "SELECT coalesce(string_agg(x::text, E'\n' ORDER BY x::text), '') FROM reactions x JOIN messages m ON m.id = x.message_id WHERE m.room_id = $1", room.UUID)
	return kept
}

// Eve is the owner of a room of her own, so that she may everything there, and knows every
// id of ann's. She calls every method of the core with every kind of them, alone and mixed
// with her own: nothing of ann's is told and nothing of ann's changes.
//
//control:proves authz
//control:proves existence
func TestObjects_everyMethodRefusesEveryKindOfIDThatIsSomebodyElses(t *testing.T) {
	t.Parallel()
	co := newCore(t)
	ann, bob, carl, eve := co.user("ann"), co.user("bob"), co.user("carl"), co.user("eve")
	his, hers := co.room(ann, chat.Closed), co.room(eve, chat.Closed)
	co.join(his, ann, bob)
	co.change(his, ann, carl, chat.Standing{Banned: true}, "banned")
	words, own := co.post(ann, his, "hidden words").Message, co.post(eve, hers, "eve's words").Message
	attached, waiting := co.file(ann, his), co.file(ann, his)
	if _, err := co.sends(ann, his, attached.ID); err != nil {
		t.Fatal(err)
	}
	ctx, a, s := co.ctx, actor(eve), co.service
	post := func(room chat.RoomID, reply chat.MessageID, files ...chat.UploadID) error {
		_, _, err := s.Send(ctx, a, chat.Draft{Room: room, ClientID: chat.ClientID{UUID: uuid.Must(uuid.NewV7())}, Body: "hi", ReplyTo: reply, Uploads: files})
		return err
	}
	role, until := authz.Owner, time.Now().Add(time.Hour)
	only := func(_ any, err error) error { return err }
	_, _, history := s.History(ctx, a, his, 0, 10)
	calls := map[string]map[string]error{
		"Room":      {"room": only(s.Room(ctx, a, his))},
		"Enter":     {"room": only(s.Enter(ctx, a, his))},
		"Missed":    {"room": only(s.Missed(ctx, a, his, 0))},
		"History":   {"room": history},
		"Search":    {"room": only(s.Search(ctx, a, his, "hidden", 10))},
		"Typing":    {"room": s.Typing(ctx, a, his)},
		"Mark":      {"room": only(s.Mark(ctx, a, his, 1))},
		"Members":   {"room": only(s.Members(ctx, a, his))},
		"AddMember": {"room": only(s.AddMember(ctx, a, his, "eve"))},
		"Send": {
			"room": post(his, chat.MessageID{}), "message to reply to": post(hers, words.ID), "both": post(his, words.ID),
			"attached file": post(hers, chat.MessageID{}, attached.ID), "waiting file": post(hers, chat.MessageID{}, waiting.ID),
		},
		"Edit": {
			"room and message": only(s.Edit(ctx, a, his, words.ID, "x")), "message": only(s.Edit(ctx, a, hers, words.ID, "x")), "room": only(s.Edit(ctx, a, his, own.ID, "x")),
		},
		"Delete": {
			"room and message": only(s.Delete(ctx, a, his, words.ID)), "message": only(s.Delete(ctx, a, hers, words.ID)), "room": only(s.Delete(ctx, a, his, own.ID)),
		},
		"React": {
			"room and message": only(s.React(ctx, a, his, words.ID, "👍", true)), "message": only(s.React(ctx, a, hers, words.ID, "👍", true)), "room": only(s.React(ctx, a, his, own.ID, "👍", true)),
		},
		"RemoveMember": {
			"room and member": s.RemoveMember(ctx, a, his, bob.ID), "room and owner": s.RemoveMember(ctx, a, his, ann.ID), "member": s.RemoveMember(ctx, a, hers, bob.ID), "room": s.RemoveMember(ctx, a, his, eve.ID),
		},
		"ChangeMember": {
			"room and member": s.ChangeMember(ctx, a, his, bob.ID, chat.MemberChange{MutedUntil: &until}), "member": s.ChangeMember(ctx, a, hers, bob.ID, chat.MemberChange{MutedUntil: &until}),
			"room": s.ChangeMember(ctx, a, his, eve.ID, chat.MemberChange{Role: &role}),
		},
		"Ban":   {"room and member": s.Ban(ctx, a, his, bob.ID)},
		"Unban": {"room and ban": s.Unban(ctx, a, his, carl.ID)},

		"Put": {"room": func() error {
			_, _, err := co.files.Put(ctx, a, his, chat.File{Name: "a", Bytes: []byte("x")})
			return err
		}()},
		"Status": {"file": func() error { _, _, err := co.files.Status(ctx, a, waiting.ID); return err }()},
		"Read":   {"attached file": only(co.files.Read(ctx, a, attached.ID, 0)), "waiting file": only(co.files.Read(ctx, a, waiting.ID, 0))},

		"Rooms": nil, "CreateRoom": nil, "Direct": nil, // take no id
		"Standings": nil, // for delivery: has no actor, and sockets cannot call it
		"Run":       nil, // is no command
	}
	for method, refusals := range calls {
		for what, err := range refusals {
			denied(t, method+" with somebody else's "+what, err)
		}
	}
	methods := map[string]bool{}
	for _, of := range []reflect.Type{reflect.TypeFor[*chat.Service](), reflect.TypeFor[*chat.Uploads]()} {
		for method := range of.Methods() {
			methods[method.Name] = true
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(methods)), slices.Sorted(maps.Keys(calls))); diff != "" {
		t.Errorf("the methods of the core and the calls of this test differ: give a new one a line in calls, with every id that is somebody else's\n%s", diff)
	}
	if members, err := s.Members(ctx, actor(ann), his); err != nil || len(members) != 2 {
		t.Errorf("ann's room has %d members, error %v", len(members), err)
	}
	if list, _, err := s.History(ctx, actor(ann), his, 0, 10); err != nil || len(list) != 2 || list[0].Body != "hidden words" || list[0].Reactions != nil {
		t.Errorf("ann's room reads %+v, error %v", list, err)
	}
	if rooms, err := s.Rooms(ctx, a); err != nil || len(rooms) != 1 || rooms[0].ID != hers {
		t.Errorf("eve sees the rooms %+v, error %v", rooms, err)
	}
}
