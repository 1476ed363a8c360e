package postgres

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/portcullis/internal/account"
	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/authz"
	"example.com/portcullis/internal/guard/session"
)

func isChanged(err error) bool { return errors.Is(err, account.ErrChanged) }

func (w *world) service(name, keyID string) account.User {
	w.Helper()
	u := account.User{ID: chat.UserID{UUID: uuid.New()}, Username: name, DisplayName: name, Role: authz.Service, PasswordHash: "$none$", CreatedAt: time.Now()}
	if err := w.Services().CreateService(w.ctx, u, account.ServiceKey{ID: keyID, CreatedAt: time.Now()}); err != nil {
		w.Fatal(err)
	}
	return u
}

func (w *world) serviceSession(u account.User, keyID string) (session.Session, error) {
	now := time.Now()
	return w.Services().ServiceSession(w.ctx, keyID, session.Session{SID: uuid.New(), User: u.ID.UUID, CreatedAt: now, AuthenticatedAt: now, IdleEndsAt: now.Add(time.Hour), EndsAt: now.Add(8 * time.Hour), IP: "192.0.2.1/32", UserAgent: "service"})
}

const keyOne, keyTwo = "aaaaaaaaaaaa", "bbbbbbbbbbbb"

//control:proves service-identity
func TestServices_oneSessionPerKeyUntilItEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	bot := w.service("bot", keyOne)
	var mu sync.Mutex
	sids := map[uuid.UUID]bool{}
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			s, err := w.serviceSession(bot, keyOne)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			sids[s.SID] = true
		})
	}
	wg.Wait()
	if len(sids) != 1 {
		t.Fatalf("%d sessions", len(sids))
	}
	ended, err := w.Accounts().SetDisabled(w.ctx, bot.ID, true, "disabled")
	if err != nil || len(ended) != 1 {
		t.Errorf("disabling ended %v, %v", ended, err)
	}
	if _, err := w.serviceSession(bot, keyOne); !errors.Is(err, session.ErrNone) {
		t.Errorf("a disabled service: %v", err)
	}
}

//control:proves service-identity
func TestServices_rotationEndsTheOldKeyAndItsSocketsWhenToldTo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	bot := w.service("bot", keyOne)
	if _, err := w.serviceSession(bot, keyOne); err != nil {
		t.Fatal(err)
	}
	ended, err := w.Services().RotateServiceKey(w.ctx, bot.ID, account.ServiceKey{ID: keyTwo, CreatedAt: time.Now()}, time.Now().Add(time.Hour), "key_rotated")
	if err != nil || len(ended) != 1 { // it ends sooner
		t.Fatal(ended, err)
	}
	for _, id := range []string{keyOne, keyTwo} {
		if u, _, err := w.Services().ServiceByKey(w.ctx, id); err != nil || u.ID != bot.ID {
			t.Errorf("key %s in the overlap: %v", id, err)
		}
	}
	list, err := w.Services().Services(w.ctx, 10)
	if err != nil || len(list) != 1 || list[0].Keys != 2 {
		t.Errorf("%+v, %v", list, err)
	}
	ended, err = w.Services().RotateServiceKey(w.ctx, bot.ID, account.ServiceKey{ID: "cccccccccccc", CreatedAt: time.Now()}, time.Now(), "key_rotated")
	if err != nil || len(ended) != 1 {
		t.Errorf("at once: ended %v, %v", ended, err)
	}
	for _, id := range []string{keyOne, keyTwo} {
		if _, _, err := w.Services().ServiceByKey(w.ctx, id); !errors.Is(err, account.ErrNoUser) {
			t.Errorf("key %s lives on: %v", id, err)
		}
		if _, err := w.serviceSession(bot, id); !errors.Is(err, session.ErrNone) {
			t.Errorf("key %s makes sessions: %v", id, err)
		}
	}
	if _, err := w.Services().RotateServiceKey(w.ctx, w.user("ann").ID, account.ServiceKey{ID: "dddddddddddd", CreatedAt: time.Now()}, time.Now(), "key_rotated"); !errors.Is(err, account.ErrNoUser) {
		t.Errorf("a key for a person: %v", err)
	}
}

// An operator rotates with an overlap. What the old key opened, or opens now, ends with
// it; what the new one opens does not.
//
//control:proves service-identity
func TestServices_sessionsOfTheOldKeyEndWithItsOverlap(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	bot, other := w.service("bot", keyOne), w.service("other", "cccccccccccc")
	before, err := w.serviceSession(bot, keyOne)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := w.serviceSession(other, "cccccccccccc")
	if err != nil {
		t.Fatal(err)
	}
	until := time.Now().Add(20 * time.Minute).UTC().Truncate(time.Microsecond)
	told, err := w.Services().RotateServiceKey(w.ctx, bot.ID, account.ServiceKey{ID: keyTwo, CreatedAt: time.Now()}, until, "key_rotated")
	if err != nil || len(told) != 1 || told[0].UUID != before.SID {
		t.Fatal(told, err)
	}
	after, err := w.serviceSession(bot, keyTwo)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		sid  uuid.UUID
		want time.Time
	}{"the old key's": {before.SID, until}, "the new key's": {after.SID, after.EndsAt}, "another service's": {theirs.SID, theirs.EndsAt}} {
		got, err := w.Sessions().Live(w.ctx, tt.sid)
		if err != nil || !got.EndsAt.Equal(tt.want) || got.IdleEndsAt.After(tt.want) {
			t.Errorf("%s ends at %v, %v; want %v", name, got.EndsAt, err, tt.want)
		}
	}
	since, err := w.Revocations().Since(w.ctx, time.Hour)
	if err != nil || len(since) != 1 || since[0].Session.UUID != before.SID || !since[0].Until.Equal(until) || since[0].Reason != "key_rotated" {
		t.Errorf("outbox %+v, %v", since, err)
	}

	// The session ends, and the old key, proven before the rotation, opens another.
	if ok, err := w.Sessions().Revoke(w.ctx, bot.ID.UUID, before.SID, "admin"); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if late, err := w.serviceSession(bot, keyOne); err != nil || !late.EndsAt.Equal(until) {
		t.Errorf("opened in the overlap: %+v, %v; want it to end at %v", late, err, until)
	}

	// A second, longer overlap gives nothing back.
	if told, err := w.Services().RotateServiceKey(w.ctx, bot.ID, account.ServiceKey{ID: "eeeeeeeeeeee", CreatedAt: time.Now()}, until.Add(time.Hour), "key_rotated"); err != nil || len(told) != 1 || told[0].UUID != after.SID {
		t.Errorf("the second rotation: %v, %v", told, err)
	}
}

// A program talks where it was invited; it does not walk into open rooms.
//
//control:proves service-identity
func TestEnter_refusesAServiceThatNobodyInvited(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann := w.user("ann")
	bot := w.service("bot", keyOne)
	room := w.room(ann, chat.Open)
	if _, _, _, err := w.Rooms().Enter(w.ctx, bot.ID, room); chat.KindOf(err) != chat.Denied {
		t.Errorf("uninvited: %v", err)
	}
	w.join(room, ann, chat.Person{ID: bot.ID, Username: "bot"})
	if m, _, joined, err := w.Rooms().Enter(w.ctx, bot.ID, room); err != nil || joined || m.Role != authz.Member {
		t.Errorf("invited: %+v, %v", m, err)
	}
}

// The database itself keeps programs and people apart.
func TestUsers_aServiceHasNoPasswordAndAPersonHasOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	bot := w.service("bot", keyOne)
	if _, err := w.Accounts().SetRole(w.ctx, bot.ID, authz.Admin, "role_change"); err == nil {
		t.Error("a service became an administrator")
	}
	if _, err := w.Accounts().SetRole(w.ctx, w.user("ann").ID, authz.Service, "role_change"); err == nil {
		t.Error("a person became a service")
	}
	if _, err := w.Accounts().SetPassword(w.ctx, bot.ID, "$argon2id$x", nil, chat.SessionID{}, "password_change", time.Time{}); err == nil {
		t.Error("a service got a password")
	}
}
