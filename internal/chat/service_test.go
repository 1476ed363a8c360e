package chat_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/authz"
)

// world is what is around a Service. The embedded Store is nil: a call that a test
// does not expect stops it.
type world struct {
	chat.Store
	service *chat.Service

	roles      []authz.Role // what Append and Edit were asked to require
	posts      []chat.Post
	dup        bool
	standings  map[chat.UserID]chat.Standing
	visibility chat.Visibility
	owners     int
	changes    []chat.Change
	head       int64

	published []chat.Change
	order     []string // what the bus was told, in order
	charged   []chat.RoomID
	spent     bool
	invites   error
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{standings: map[chat.UserID]chat.Standing{}, visibility: chat.Closed}
	var err error
	if w.service, err = chat.New(w, w, w, func() time.Time { return noon }); err != nil {
		t.Fatal(err)
	}
	return w
}

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func (w *world) Append(_ context.Context, roles []authz.Role, p chat.Post) (chat.Change, bool, error) {
	w.roles, w.posts = roles, append(w.posts, p)
	return chat.Change{Room: p.Room, Seq: int64(len(w.posts)), Kind: chat.MessageNew}, w.dup, nil
}
func (w *world) Changes(_ context.Context, _ []authz.Role, _ chat.UserID, _ chat.RoomID, after int64, limit int) ([]chat.Change, int64, error) {
	return w.changes[:min(limit, len(w.changes))], w.head, nil
}
func (w *world) ChangeMember(_ context.Context, by chat.UserID, room chat.RoomID, target chat.UserID, decide chat.Decide) (chat.Outcome, error) {
	before := w.standings[target]
	after, reason, err := decide(chat.Room{ID: room, Visibility: w.visibility, Owners: w.owners}, w.standings[by], before)
	if err != nil {
		return chat.Outcome{}, err
	}
	w.standings[target] = after
	return chat.Outcome{Person: chat.Person{ID: target}, Before: before, After: after, Reason: reason, LostRights: before.Role != "" && after != before}, nil
}
func (w *world) Publish(_ context.Context, c chat.Change) {
	w.published = append(w.published, c)
	w.order = append(w.order, "publish")
}
func (w *world) Signal(_ context.Context, s chat.Signal) { w.order = append(w.order, "signal") }
func (w *world) Revoke(_ context.Context, r chat.Revocation) {
	w.order = append(w.order, "revoke "+r.Reason)
}
func (w *world) Invite(context.Context, chat.Actor) error { return w.invites }

func (w *world) Take(_ context.Context, _ chat.Actor, room chat.RoomID, _ int) error {
	w.charged = append(w.charged, room)
	if w.spent {
		return &chat.Error{Kind: chat.RateLimited, RetryAfter: time.Second}
	}
	return nil
}

func person() chat.Actor { return chat.Actor{User: chat.UserID{UUID: uuid.New()}, Username: "alice"} }

var room = chat.RoomID{UUID: uuid.New()}

//control:proves authz
func TestSend_theAuthorIsTheActorWhateverTheDraftSays(t *testing.T) {
	w, a := newWorld(t), person()
	if _, _, err := w.service.Send(t.Context(), a, chat.Draft{Room: room, Body: "hi"}); err != nil {
		t.Fatal(err)
	}
	if p := w.posts[0]; p.Author.ID != a.User || !p.At.Equal(noon) || p.ID == (chat.MessageID{}) {
		t.Errorf("%+v", p)
	}
	if fmt.Sprint(w.roles) != fmt.Sprint(authz.Roles(authz.Send)) {
		t.Errorf("the store was asked to require %v", w.roles)
	}
	if len(w.published) != 1 {
		t.Error("what is stored is published")
	}
}

//control:proves replay
func TestSend_aRepeatedCommandIsPublishedOnce(t *testing.T) {
	w := newWorld(t)
	w.dup = true
	_, dup, err := w.service.Send(t.Context(), person(), chat.Draft{Room: room, Body: "hi"})
	if err != nil || !dup || len(w.published) != 0 {
		t.Errorf("dup %v, err %v, published %d", dup, err, len(w.published))
	}
}

//control:proves ratelimit
func TestSend_aStrangerCannotSpendTheRoomsBudget(t *testing.T) {
	w := newWorld(t)
	for _, subscribed := range []bool{false, true} {
		if _, _, err := w.service.Send(t.Context(), person(), chat.Draft{Room: room, Body: "hi", Subscribed: subscribed}); err != nil {
			t.Fatal(err)
		}
	}
	if w.charged[0] != (chat.RoomID{}) || w.charged[1] != room {
		t.Errorf("charged %v, want the room only when the sender is known to be in it", w.charged)
	}
}

func TestSend_whatIsRefusedIsNotStored(t *testing.T) {
	tests := []struct {
		name, body string
		want       chat.Kind
	}{
		{"empty", "", chat.Invalid},
		{"only space", " \n\t ", chat.Invalid},
		{"nothing to see", "\u200b\ufeff", chat.Invalid},
		{"too long", strings.Repeat("ä", 4097), chat.TooLarge},
		{"control character", "a\x07b", chat.Invalid},
		{"terminal escape", "a\x1b[31mb", chat.Invalid},
		{"bidi override (CVE-2021-42574)", "a\u202Eb", chat.Invalid},
		{"bidi isolate", "a\u2066b", chat.Invalid},
		{"not UTF-8", "a\xff", chat.Invalid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			_, _, err := w.service.Send(t.Context(), person(), chat.Draft{Room: room, Body: tt.body})
			if chat.KindOf(err) != tt.want || err == nil {
				t.Errorf("err = %v, want kind %v", err, tt.want)
			}
			if len(w.posts) != 0 || len(w.charged) != 0 {
				t.Error("a body that cannot be right must cost nothing and store nothing")
			}
		})
	}
	w := newWorld(t)
	w.spent = true
	if _, _, err := w.service.Send(t.Context(), person(), chat.Draft{Room: room, Body: "hi"}); chat.KindOf(err) != chat.RateLimited || len(w.posts) != 0 {
		t.Errorf("over budget: %v, %d stored", err, len(w.posts))
	}
	if _, _, err := w.service.Send(t.Context(), chat.Actor{}, chat.Draft{Room: room, Body: "hi"}); !errors.Is(err, chat.ErrDenied) {
		t.Errorf("nobody: %v", err)
	}
}

func TestSend_ordinaryLanguagesAndEmojiPass(t *testing.T) {
	w := newWorld(t)
	for _, body := range []string{"صباح الخير", "שלום", "👩‍👩‍👧‍👦 🏳️‍🌈", "क्ष", "می\u200cخواهم", "two\nlines\tand a tab", strings.Repeat("ä", 4096)} {
		if _, _, err := w.service.Send(t.Context(), person(), chat.Draft{Room: room, Body: body}); err != nil {
			t.Errorf("%.20q: %v", body, err)
		}
	}
}

func TestMissed_alongGapOrAnImpossibleSeqIsAnsweredWithResync(t *testing.T) {
	w := newWorld(t)
	w.changes, w.head = make([]chat.Change, chat.MaxMissed+1), 1000
	for _, tt := range []struct {
		name   string
		after  int64
		n      int
		resync bool
	}{{"short gap", 998, 2, false}, {"longest gap", 800, chat.MaxMissed, false}, {"too long", 1, chat.MaxMissed + 1, true}, {"from the future", 5000, 0, true}} {
		w.changes = make([]chat.Change, tt.n)
		got, err := w.service.Missed(t.Context(), person(), room, tt.after)
		if err != nil || got.Resync != tt.resync || got.Head != 1000 {
			t.Errorf("%s: %d changes, resync %v, err %v", tt.name, len(got.Changes), got.Resync, err)
		}
	}
}

//control:proves authz
func TestModeration_everyPairOfRolesFollowsTheTable(t *testing.T) {
	roles := []authz.Role{"", authz.Reader, authz.Member, authz.Moderator, authz.Owner}
	later, owner := noon.Add(time.Hour), authz.Owner
	actions := []struct {
		name   string
		action authz.Action
		do     func(s *chat.Service, a chat.Actor, target chat.UserID) error
		absent bool // may be done to somebody who is not a member
	}{
		{"remove", authz.Remove, func(s *chat.Service, a chat.Actor, u chat.UserID) error {
			return s.RemoveMember(t.Context(), a, room, u)
		}, false},
		{"ban", authz.Ban, func(s *chat.Service, a chat.Actor, u chat.UserID) error { return s.Ban(t.Context(), a, room, u) }, true},
		{"mute", authz.Mute, func(s *chat.Service, a chat.Actor, u chat.UserID) error {
			return s.ChangeMember(t.Context(), a, room, u, chat.MemberChange{MutedUntil: &later})
		}, false},
		{"promote", authz.ChangeRole, func(s *chat.Service, a chat.Actor, u chat.UserID) error {
			return s.ChangeMember(t.Context(), a, room, u, chat.MemberChange{Role: &owner})
		}, false},
	}
	for _, act := range actions {
		for _, actor := range roles {
			for _, target := range roles {
				w, a, b := newWorld(t), person(), person()
				w.standings[a.User], w.standings[b.User] = chat.Standing{Role: actor}, chat.Standing{Role: target}
				want := authz.CanOn(actor, act.action, target) && (target != "" || act.absent)
				if act.action == authz.ChangeRole && target == owner {
					want = true // nothing to change, so nothing to refuse
				}
				err := act.do(w.service, a, b.User)
				if (err == nil) != want {
					t.Errorf("%q may %s %q: err = %v, want allowed %v", actor, act.name, target, err, want)
				}
				if err != nil && (w.standings[b.User].Role != target || len(w.order) != 0) {
					t.Errorf("%q %s %q: refused, yet something happened: %v", actor, act.name, target, w.order)
				}
			}
		}
	}
}

//control:proves delivery
func TestRemoveMember_socketsAreShutOutBeforeTheOthersReadAboutIt(t *testing.T) {
	w, a, b := newWorld(t), person(), person()
	w.standings[a.User], w.standings[b.User] = chat.Standing{Role: authz.Owner}, chat.Standing{Role: authz.Member}
	if err := w.service.RemoveMember(t.Context(), a, room, b.User); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(w.order); got != "[revoke removed signal]" {
		t.Errorf("order %s", got)
	}
}

func TestRemoveMember_leavingIsAllowedButNotForTheLastKey(t *testing.T) {
	w, a := newWorld(t), person()
	w.standings[a.User] = chat.Standing{Role: authz.Reader}
	if err := w.service.RemoveMember(t.Context(), a, room, a.User); err != nil {
		t.Errorf("a reader leaves: %v", err)
	}
	w.standings[a.User] = chat.Standing{Role: authz.Owner}
	if err := w.service.RemoveMember(t.Context(), a, room, a.User); chat.KindOf(err) != chat.Conflict {
		t.Errorf("an owner leaves: %v", err)
	}
	w.visibility = chat.Direct
	w.standings[a.User] = chat.Standing{Role: authz.Member}
	if err := w.service.RemoveMember(t.Context(), a, room, a.User); !errors.Is(err, chat.ErrDenied) {
		t.Errorf("a direct room: %v", err)
	}
}

func TestChangeMember_refusesWhatCannotBeMeant(t *testing.T) {
	w, a, b := newWorld(t), person(), person()
	unknown, far := authz.Role("root"), noon.Add(31*24*time.Hour)
	for name, c := range map[string]chat.MemberChange{"nothing": {}, "unknown role": {Role: &unknown}, "a mute for ever": {MutedUntil: &far}} {
		if err := w.service.ChangeMember(t.Context(), a, room, b.User, c); chat.KindOf(err) != chat.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParse_acceptsOneSpellingOfAnID(t *testing.T) {
	id := uuid.NewString()
	for _, s := range []string{strings.ToUpper("a" + id[1:]), "{" + id + "}", "urn:uuid:" + id, strings.ReplaceAll(id, "-", ""), "", id + " ", uuid.Nil.String(), "*", "a:b\nc"} {
		if _, err := chat.ParseRoomID(s); err == nil {
			t.Errorf("%q was accepted", s)
		}
	}
	if got, err := chat.ParseRoomID(id); err != nil || got.String() != id {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := chat.ParseClientID(id); err == nil {
		t.Error("a client id is a UUIDv7")
	}
}

func TestEmoji_isAListAndNotARule(t *testing.T) {
	if !chat.Emoji("👍") {
		t.Error("👍 must be allowed")
	}
	for _, s := range []string{"", "a", "👍👍", "👍 buy now", "\u202E"} {
		if chat.Emoji(s) {
			t.Errorf("%q was accepted", s)
		}
	}
}

func TestOwners_mayLeaveOrStepDownUnlessTheyAreTheLast(t *testing.T) {
	reader := authz.Reader
	for _, tt := range []struct {
		name   string
		owners int
		want   bool
	}{{"the last owner", 1, false}, {"one of two", 2, true}} {
		for what, do := range map[string]func(*world, chat.Actor) error{
			"leaves": func(w *world, a chat.Actor) error { return w.service.RemoveMember(t.Context(), a, room, a.User) },
			"steps down": func(w *world, a chat.Actor) error {
				return w.service.ChangeMember(t.Context(), a, room, a.User, chat.MemberChange{Role: &reader})
			},
		} {
			w, a := newWorld(t), person()
			w.owners = tt.owners
			w.standings[a.User] = chat.Standing{Role: authz.Owner}
			err := do(w, a)
			if (err == nil) != tt.want || err != nil && chat.KindOf(err) != chat.Conflict {
				t.Errorf("%s %s: err = %v, want allowed %v", tt.name, what, err, tt.want)
			}
		}
	}
}

func TestMissed_aResumeCostsWhatItGives(t *testing.T) {
	w := newWorld(t)
	w.changes, w.head = make([]chat.Change, 150), 150
	w.spent = true
	if _, err := w.service.Missed(t.Context(), person(), room, 0); chat.KindOf(err) != chat.RateLimited {
		t.Errorf("150 changes with a spent budget: %v, want rate limited", err)
	}
	w.changes = w.changes[:3]
	if _, err := w.service.Missed(t.Context(), person(), room, 147); err != nil {
		t.Errorf("a short gap after a broken line: %v", err)
	}
	w.spent = false
	big := chat.Change{Message: chat.Message{Body: strings.Repeat("x", 16<<10)}}
	w.changes = nil
	for range 40 {
		w.changes = append(w.changes, big)
	}
	if got, err := w.service.Missed(t.Context(), person(), room, 110); err != nil || !got.Resync || len(got.Changes) != 0 {
		t.Errorf("640 KiB in 40 changes: resync %v, %v", got.Resync, err)
	}
}
