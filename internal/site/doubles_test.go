package site_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"example.com/portcullis/internal/account"
	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/authz"
	"example.com/portcullis/internal/guard/ratelimit"
	"example.com/portcullis/internal/guard/session"
	"example.com/portcullis/internal/guard/session/sessiontest"
	"example.com/portcullis/internal/guard/ticket"
	"example.com/portcullis/internal/secret"
)

// The doubles that a world is made of. They remember what was done to them.

// suspects are the sessions that have to prove themselves again, by their reference.
type suspects struct{ since sync.Map }

func (s *suspects) ProofAfter(session string) time.Time {
	at, _ := s.since.Load(session)
	t, _ := at.(time.Time)
	return t
}

type events struct {
	mu   sync.Mutex
	list []audit.Event
}

func (e *events) Record(_ context.Context, ev audit.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, ev)
}
func (e *events) all() []audit.Event { e.mu.Lock(); defer e.mu.Unlock(); return slices.Clone(e.list) }
func (e *events) reset()             { e.mu.Lock(); defer e.mu.Unlock(); e.list = nil }
func (e *events) names() (names []audit.Name) {
	for _, ev := range e.all() {
		names = append(names, ev.Name)
	}
	return names
}

type revoked struct{ list []chat.Revocation }

func (r *revoked) Revoke(_ context.Context, v chat.Revocation) { r.list = append(r.list, v) }
func (r *revoked) Publish(context.Context, chat.Change)        {}
func (r *revoked) Signal(context.Context, chat.Signal)         {}

// budgets is the core's limiter, which remembers whom it was asked about.
type budgets struct{ last chat.Actor }

func (b *budgets) Take(_ context.Context, a chat.Actor, _ chat.RoomID, _ int) error {
	b.last = a
	return nil
}

func (*budgets) Invite(context.Context, chat.Actor) error { return nil }

// limits allows everything until it is told otherwise.
type limits struct {
	err    error
	refuse string // name of the bucket that is empty
	seen   []ratelimit.Bucket
}

func (l *limits) Take(_ context.Context, b []ratelimit.Bucket, _ int) (ratelimit.Result, error) {
	l.seen = append(l.seen, b...)
	for _, one := range b {
		if one.Name == l.refuse {
			return ratelimit.Result{By: one.Name, RetryAfter: 1500 * time.Millisecond}, l.err
		}
	}
	return ratelimit.Result{Allowed: true}, l.err
}

type tickets struct{ issued []ticket.Claims }

func (t *tickets) Issue(c ticket.Claims) (secret.Text, time.Time, string, error) {
	t.issued = append(t.issued, c)
	return secret.NewText("the.ticket.text"), time.Date(2026, 1, 2, 3, 4, 5, 60e6, time.UTC), "jti", nil
}

type sockets map[chat.SessionID]int

func (s sockets) SocketsOf(context.Context, chat.UserID) map[chat.SessionID]int { return s }

type presence struct {
	online []chat.UserID
	err    error
}

func (p *presence) Online(context.Context, chat.RoomID) ([]chat.UserID, error) {
	return p.online, p.err
}

// brittle is the session store, which can fail.
type brittle struct {
	*sessiontest.Memory
	find, commit, remove error
	removing             func() // happens before a token is removed
}

var errStore = errors.New("the store is on fire at 10.0.0.7")

func (b *brittle) FindCtx(ctx context.Context, token string) ([]byte, bool, error) {
	if b.find != nil {
		return nil, false, b.find
	}
	return b.Memory.FindCtx(ctx, token)
}

func (b *brittle) CommitCtx(ctx context.Context, token string, data []byte, end time.Time) error {
	if b.commit != nil {
		return b.commit
	}
	return b.Memory.CommitCtx(ctx, token, data, end)
}

func (b *brittle) DeleteCtx(ctx context.Context, token string) error {
	if b.remove != nil {
		return b.remove
	}
	if removing := b.removing; removing != nil {
		b.removing = nil
		removing()
	}
	return b.Memory.DeleteCtx(ctx, token)
}

// accounts is the account service over a map. Every password is the same.
type accounts struct {
	users    map[string]account.User
	disabled map[string]bool
	closed   bool
	writes   int
	callers  []account.Caller
	during   func() // happens while a password is being proven
}

func (a *accounts) add(name string) {
	if a.users == nil {
		a.users, a.disabled = map[string]account.User{}, map[string]bool{}
	}
	if _, there := a.users[name]; !there {
		a.users[name] = account.User{ID: chat.UserID{UUID: uuid.New()}, Username: name, DisplayName: strings.ToUpper(name), Role: authz.User}
	}
}

func (a *accounts) prove() {
	if during := a.during; during != nil {
		a.during = nil
		during()
	}
}

func (a *accounts) SignUp(_ context.Context, c account.Caller, username, pw, _ string) (account.User, error) {
	a.callers = append(a.callers, c)
	if a.closed {
		return account.User{}, account.ErrSignUpClosed
	}
	if len(pw) < 10 {
		return account.User{}, &chat.Error{Kind: chat.Invalid, Public: "A password has 10 characters or more."}
	}
	if _, taken := a.users[username]; taken {
		return account.User{}, &chat.Error{Kind: chat.Conflict, Public: "That name is taken."}
	}
	a.add(username)
	a.writes++
	return a.users[username], nil
}

func (a *accounts) SignIn(_ context.Context, c account.Caller, username, pw string) (account.User, error) {
	a.callers = append(a.callers, c)
	a.prove()
	u, found := a.users[username]
	if !found || pw != password {
		return account.User{}, account.ErrInvalidCredentials
	}
	if !u.InitialUntil.IsZero() {
		return account.User{}, account.ErrNewPassword
	}
	return u, nil
}

func (a *accounts) SignInAnew(_ context.Context, c account.Caller, username, pw, next string) (account.User, error) {
	a.callers = append(a.callers, c)
	u, found := a.users[username]
	switch {
	case !found || pw != password:
		return account.User{}, account.ErrInvalidCredentials
	case len(next) < 10:
		return account.User{}, &chat.Error{Kind: chat.Invalid, Public: "Too short."}
	}
	u.InitialUntil = time.Time{}
	a.users[username] = u
	a.writes++
	return u, nil
}

func (a *accounts) ChangePassword(_ context.Context, c account.Caller, _ chat.Actor, current, _ string) error {
	a.callers = append(a.callers, c)
	a.prove()
	if current != password {
		return account.ErrInvalidCredentials
	}
	a.writes++
	return nil
}

func (a *accounts) ProvePassword(_ context.Context, c account.Caller, _ chat.Actor, pw string) error {
	a.callers = append(a.callers, c)
	a.prove()
	if pw != password {
		return account.ErrInvalidCredentials
	}
	return nil
}

// passkeys are proofs that say whose they are: the JSON text "ada" is ada's.
type passkeys struct {
	accounts *accounts
	list     []account.Passkey
	asked    []uuid.UUID // sessions
	writes   int
}

func (p *passkeys) Available() bool                                             { return true }
func (p *passkeys) List(context.Context, chat.Actor) ([]account.Passkey, error) { return p.list, nil }
func (p *passkeys) BeginRegister(context.Context, chat.Actor) ([]byte, error) {
	return []byte(`{"challenge":"r"}`), nil
}
func (p *passkeys) Register(_ context.Context, _ account.Caller, a chat.Actor, name string, answer []byte) (account.Passkey, error) {
	if string(answer) != strconv.Quote(a.Username) {
		return account.Passkey{}, account.ErrPasskeyRefused
	}
	p.writes++
	return account.Passkey{ID: uuid.New(), User: a.User, Name: name}, nil
}
func (p *passkeys) Remove(context.Context, account.Caller, chat.Actor, uuid.UUID) error {
	p.writes++
	return nil
}
func (p *passkeys) BeginSignIn(_ context.Context, sid uuid.UUID) ([]byte, error) {
	p.asked = append(p.asked, sid)
	return []byte(`{"challenge":"s"}`), nil
}
func (p *passkeys) SignIn(_ context.Context, c account.Caller, sid uuid.UUID, answer []byte) (account.User, error) {
	p.accounts.callers = append(p.accounts.callers, c)
	for name, u := range p.accounts.users {
		if sid != uuid.Nil && string(answer) == strconv.Quote(name) {
			return u, nil
		}
	}
	return account.User{}, account.ErrPasskeyRefused
}
func (p *passkeys) BeginStepUp(context.Context, chat.Actor) ([]byte, error) {
	return []byte(`{"challenge":"u"}`), nil
}
func (p *passkeys) StepUp(_ context.Context, _ account.Caller, a chat.Actor, answer []byte) error {
	if string(answer) != strconv.Quote(a.Username) {
		return account.ErrPasskeyRefused
	}
	return nil
}

// services know one key.
type services struct {
	user account.User
	sid  uuid.UUID
	keys []string // those that were tried
}

const serviceKey = "pcs_abcdefghijkl_KEY"

func (s *services) SignIn(_ context.Context, _ account.Caller, key string) (account.User, session.Session, error) {
	s.keys = append(s.keys, key)
	if key != serviceKey {
		return account.User{}, session.Session{}, account.ErrKeyRefused
	}
	return s.user, session.Session{SID: s.sid, User: s.user.ID.UUID}, nil
}

func (a *accounts) Erase(_ context.Context, id chat.UserID) error {
	for name, u := range a.users {
		if u.ID == id {
			a.disabled[name] = true
		}
	}
	a.writes++
	return nil
}

func (a *accounts) Actor(_ context.Context, s session.Session) (chat.Actor, error) {
	for _, u := range a.users {
		if u.ID.UUID == s.User && !a.disabled[u.Username] {
			return chat.Actor{User: u.ID, Session: chat.SessionID{UUID: s.SID}, Username: u.Username, DisplayName: u.DisplayName, Role: u.Role}, nil
		}
	}
	return chat.Actor{}, chat.ErrDenied
}

// rooms is a chat.Store with one room, for the methods that the API uses. The
// embedded interface is nil: a call that is not expected panics.
type rooms struct {
	chat.Store
	clock   *sessiontest.Clock
	revoked *revoked
	writes  int

	room     chat.Room
	owner    chat.UserID // the only one who is let in
	put      bool        // out: nobody reads the history any more
	messages []chat.Message
	members  []chat.Member
	limit    int           // of the last History or Search
	before   int64         // of the last History
	query    string        // of the last Search
	after    chat.Standing // of the last ChangeMember
	fail     error
}

func (r *rooms) allow(user chat.UserID, id chat.RoomID) error {
	if r.fail != nil {
		return r.fail
	}
	if user != r.owner || id != r.room.ID {
		return chat.ErrDenied
	}
	return nil
}

func (r *rooms) Rooms(_ context.Context, user chat.UserID) ([]chat.Room, error) {
	if r.fail != nil {
		return nil, r.fail
	}
	if user != r.owner {
		return nil, nil
	}
	return []chat.Room{r.room}, nil
}

func (r *rooms) Room(_ context.Context, user chat.UserID, id chat.RoomID) (chat.Room, error) {
	return r.room, r.allow(user, id)
}

func (r *rooms) CreateRoom(_ context.Context, _ chat.UserID, title string, v chat.Visibility) (chat.Room, error) {
	r.writes++
	return chat.Room{ID: chat.RoomID{UUID: uuid.New()}, Title: title, Visibility: v, Role: authz.Owner, Members: 1}, r.fail
}

func (r *rooms) Talk(context.Context, chat.UserID, string) (chat.Room, bool, error) {
	return chat.Room{}, false, r.fail
}

func (r *rooms) DirectRoom(_ context.Context, _ chat.UserID, name string) (chat.Room, bool, error) {
	if name == "nobody" {
		return chat.Room{}, false, chat.ErrDenied
	}
	r.writes++
	return chat.Room{ID: chat.RoomID{UUID: uuid.New()}, Visibility: chat.Direct, Role: authz.Member, Members: 2, Peer: &chat.Person{Username: name, DisplayName: "Peer"}}, true, nil
}

func (r *rooms) History(_ context.Context, _ []authz.Role, by chat.UserID, id chat.RoomID, before int64, limit int) ([]chat.Message, error) {
	r.before, r.limit = before, limit
	if r.put {
		return nil, chat.ErrDenied
	}
	return r.messages, r.allow(by, id)
}

func (r *rooms) Search(_ context.Context, _ []authz.Role, by chat.UserID, id chat.RoomID, query string, limit int) ([]chat.Message, error) {
	r.query, r.limit = query, limit
	return r.messages, r.allow(by, id)
}

func (r *rooms) Members(_ context.Context, _ []authz.Role, by chat.UserID, id chat.RoomID) ([]chat.Member, error) {
	return r.members, r.allow(by, id)
}

func (r *rooms) AddMember(_ context.Context, _ []authz.Role, by chat.UserID, id chat.RoomID, name string) (chat.Member, bool, error) {
	if err := r.allow(by, id); err != nil {
		return chat.Member{}, false, err
	}
	r.writes++
	return chat.Member{Person: chat.Person{ID: chat.UserID{UUID: uuid.New()}, Username: name, DisplayName: "New"}, Role: authz.Member}, true, nil
}

func (r *rooms) ChangeMember(_ context.Context, by chat.UserID, id chat.RoomID, _ chat.UserID, decide chat.Decide) (chat.Outcome, error) {
	if err := r.allow(by, id); err != nil {
		return chat.Outcome{}, err
	}
	before := chat.Standing{Role: authz.Member, MutedUntil: r.clock.Now().Add(time.Minute)}
	after, reason, err := decide(r.room, chat.Standing{Role: authz.Owner}, before)
	if err != nil {
		return chat.Outcome{}, err
	}
	r.writes++
	r.after = after
	return chat.Outcome{Before: before, After: after, Reason: reason}, nil
}

// ownRoom gives b's user the one room.
func (w *world) ownRoom(b *browser) string {
	w.rooms.owner = b.user
	w.rooms.room = chat.Room{ID: chat.RoomID{UUID: uuid.New()}, Title: "General", Visibility: chat.Closed, HeadSeq: 7, ReadSeq: 3, Role: authz.Owner, Members: 2}
	return w.rooms.room.ID.String()
}

func readCloser(s string) io.ReadCloser { return io.NopCloser(strings.NewReader(s)) }
