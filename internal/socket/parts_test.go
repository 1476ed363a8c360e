package socket

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/admission"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/authz"
	"example.com/portcullis/internal/guard/ratelimit"
	"example.com/portcullis/internal/guard/session"
	"example.com/portcullis/internal/guard/ticket"
	"example.com/portcullis/internal/testkit"
)

// recorder keeps events.
type recorder struct {
	mu     sync.Mutex
	deaf   bool // keeps nothing: a benchmark counts other memory
	events []audit.Event
}

func (r *recorder) Record(_ context.Context, e audit.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.deaf {
		r.events = append(r.events, e)
	}
}

// find returns the first event of a name.
func (r *recorder) find(name audit.Name) (audit.Event, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if e.Name == name {
			return e, true
		}
	}
	return audit.Event{}, false
}

// has waits for an event: it may come just after what the client sees of it.
func (r *recorder) has(t testing.TB, name audit.Name, reason string) {
	t.Helper()
	var seen []string
	defer func() {
		if t.Failed() {
			t.Logf("want event %s(%s), seen: %s", name, reason, strings.Join(seen, " "))
		}
	}()
	testkit.Eventually(t, testWait, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		seen = nil
		for _, e := range r.events {
			if e.Name == name && e.Reason == reason {
				return true
			}
			seen = append(seen, fmt.Sprintf("%s(%s)", e.Name, e.Reason))
		}
		return false
	})
}

type fakeHost struct{ err error }

func (h *fakeHost) Check(*http.Request) error { return h.err }

// fakeIP tells one address, or none that can be read.
type fakeIP struct{ unreadable bool }

func (f *fakeIP) IP(*http.Request) netip.Addr {
	if f.unreadable {
		return netip.Addr{}
	}
	return netip.MustParseAddr("192.0.2.7")
}

type fakeLimits struct {
	err     error
	refused bool
}

func (l *fakeLimits) Take(context.Context, []ratelimit.Bucket, int) (ratelimit.Result, error) {
	return ratelimit.Result{Allowed: !l.refused, RetryAfter: 1500 * time.Millisecond}, l.err
}

type countingGate struct {
	*admission.Gate
	mu   sync.Mutex
	n    int
	full bool
}

func (g *countingGate) Enter() (func(), bool) {
	leave, ok := g.Gate.Enter()
	if !ok || g.full {
		return func() {}, false
	}
	g.add(1)
	return func() { leave(); g.add(-1) }, true
}

func (g *countingGate) add(n int) { g.mu.Lock(); defer g.mu.Unlock(); g.n += n }

func (g *countingGate) inside() int { g.mu.Lock(); defer g.mu.Unlock(); return g.n }

type fakeLeases struct {
	mu   sync.Mutex
	err  error
	held map[string]uuid.UUID

	renewed []int // size of each call
}

func (l *fakeLeases) Acquire(_ context.Context, user uuid.UUID, conn string, limit int) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, u := range l.held {
		if u == user {
			n++
		}
	}
	if n >= limit {
		return false, nil
	}
	l.held[conn] = user // also when the answer is lost
	return true, l.err
}

func (l *fakeLeases) Renew(_ context.Context, held []admission.Lease) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.renewed = append(l.renewed, len(held))
	return nil
}

func (l *fakeLeases) Release(_ context.Context, _ uuid.UUID, conn string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.held, conn)
	return nil
}

func (l *fakeLeases) count() int { l.mu.Lock(); defer l.mu.Unlock(); return len(l.held) }

type fakeSessions struct {
	mu   sync.Mutex
	idle time.Duration
	err  error
	live map[uuid.UUID]session.Session
	ask  int // calls of Live
}

func (s *fakeSessions) put(x session.Session) { s.mu.Lock(); defer s.mu.Unlock(); s.live[x.SID] = x }

func (s *fakeSessions) revoke(sid uuid.UUID) { s.mu.Lock(); defer s.mu.Unlock(); delete(s.live, sid) }

func (s *fakeSessions) fail(err error) { s.mu.Lock(); defer s.mu.Unlock(); s.err = err }

func (s *fakeSessions) find(sid uuid.UUID) (session.Session, error) {
	if s.err != nil {
		return session.Session{}, s.err
	}
	x, ok := s.live[sid]
	if !ok || !x.EndsFirst().After(time.Now()) {
		return session.Session{}, session.ErrNone
	}
	return x, nil
}

func (s *fakeSessions) Peek(_ context.Context, r *http.Request) (session.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := r.Cookie(session.CookieName)
	if err != nil {
		return session.Session{}, session.ErrNone
	}
	sid, err := uuid.Parse(c.Value)
	if err != nil {
		return session.Session{}, session.ErrNone
	}
	return s.find(sid)
}

func (s *fakeSessions) Live(_ context.Context, sid uuid.UUID) (session.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ask++
	return s.find(sid)
}

func (s *fakeSessions) Touch(_ context.Context, sid uuid.UUID) (session.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x, err := s.find(sid)
	if err != nil {
		return x, err
	}
	x.IdleEndsAt = time.Now().Add(s.idle)
	s.live[sid] = x
	return x, nil
}

type fakeAccounts struct {
	err  error
	role authz.SiteRole // of everybody; "": user
}

func (a *fakeAccounts) Actor(_ context.Context, s session.Session) (chat.Actor, error) {
	return chat.Actor{
		User: chat.UserID{UUID: s.User}, Session: chat.SessionID{UUID: s.SID}, Username: "ada", DisplayName: "Ada", Role: cmp.Or(a.role, authz.User),
	}, a.err
}

// fakeTickets: a ticket is "user_session_serial_route".
type fakeTickets struct {
	mu   sync.Mutex
	err  error
	n    int
	used map[string]bool
	svc  bool // they are services' tickets
}

func (f *fakeTickets) issue(l login, route string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
	return fmt.Sprintf("%s_%s_%d_%s", l.user, l.sid, f.n, strings.ReplaceAll(route, "/", "."))
}

func (f *fakeTickets) Redeem(_ context.Context, raw, route, _ string) (ticket.Claims, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return ticket.Claims{}, f.err
	}
	part := strings.Split(raw, "_")
	if len(part) != 4 {
		return ticket.Claims{}, &ticket.Refused{Why: ticket.Malformed}
	}
	if part[3] != strings.ReplaceAll(route, "/", ".") {
		return ticket.Claims{}, &ticket.Refused{Why: ticket.Audience}
	}
	if f.used[raw] {
		return ticket.Claims{}, &ticket.Refused{Why: ticket.Reused, TokenRef: "ref"}
	}
	f.used[raw] = true
	return ticket.Claims{User: uuid.MustParse(part[0]), Session: uuid.MustParse(part[1]), Service: f.svc}, nil
}

func (f *fakeTickets) spent() int { f.mu.Lock(); defer f.mu.Unlock(); return len(f.used) }

// fakeFeed is a fan-out of one node.
type fakeFeed struct {
	w         *world
	mu        sync.Mutex
	err       error
	following map[chat.RoomID]int
	presence  bool           // every connection is the first and the last
	hangs     bool           // Enter and Leave do not return before their context ends
	takes     time.Duration  // by Enter and Leave, in a bubble
	here      map[place]bool // what Note said
	told      []place        // Enter and Leave that began
	counted   map[place]bool // what they said
}

func (f *fakeFeed) Follow(_ context.Context, room chat.RoomID) (chat.Head, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return chat.Head{}, f.err
	}
	f.following[room]++
	return chat.Head{Room: room}, nil
}

func (f *fakeFeed) Unfollow(room chat.RoomID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.following[room]--; f.following[room] == 0 {
		delete(f.following, room)
	}
}

func (f *fakeFeed) count() int { f.mu.Lock(); defer f.mu.Unlock(); return len(f.following) }

func (f *fakeFeed) Note(room chat.RoomID, _ chat.UserID, conn string, there bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	at := place{room, conn}
	if f.here[at] == there {
		return false
	}
	set(f.here, at, there)
	return true
}

func (f *fakeFeed) Enter(ctx context.Context, room chat.RoomID, _ chat.UserID, conn string) (bool, error) {
	return f.tell(ctx, place{room, conn}, true)
}

func (f *fakeFeed) Leave(ctx context.Context, room chat.RoomID, _ chat.UserID, conn string) (bool, error) {
	return f.tell(ctx, place{room, conn}, false)
}

func (f *fakeFeed) tell(ctx context.Context, at place, there bool) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.told = append(f.told, at)
	hangs, takes := f.hangs, f.takes
	f.mu.Unlock()
	if hangs {
		<-ctx.Done()
	}
	time.Sleep(takes)
	f.mu.Lock()
	if err := ctx.Err(); err != nil {
		return false, err
	}
	set(f.counted, at, there)
	return f.presence, nil
}

func set(m map[place]bool, at place, there bool) {
	if there {
		m[at] = true
	} else {
		delete(m, at)
	}
}

// present counts the places that Note, and that Enter and Leave, know.
func (f *fakeFeed) present() (here, counted int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.here), len(f.counted)
}

func (f *fakeFeed) Signal(_ context.Context, s chat.Signal) { f.w.server.Signal(s) }

// fakeBoard is announcements in memory.
type fakeBoard struct {
	mu   sync.Mutex
	list []chat.Announcement
}

func (b *fakeBoard) Announced(_ context.Context, after int64) (list []chat.Announcement, _ error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range b.list {
		if a.Seq > after {
			list = append(list, a)
		}
	}
	return list[max(0, len(list)-chat.MaxAnnouncements):], nil
}

// announce posts and rings.
func (w *world) announce(body string) {
	w.board.mu.Lock()
	w.board.list = append(w.board.list, chat.Announcement{Seq: int64(len(w.board.list) + 1), Body: body, At: time.Now()})
	w.board.mu.Unlock()
	w.server.Announced()
}
