package account_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/portcullis/internal/account"
	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/authz"
	"example.com/portcullis/internal/guard/session"
)

// programs is a ServiceStore over the world's users.
type programs struct {
	*world
	keys map[string]account.ServiceKey
	of   map[string]string // key id → username
	made []session.Session
}

func (p *programs) CreateService(ctx context.Context, u account.User, k account.ServiceKey) error {
	p.keys[k.ID], p.of[k.ID] = k, u.Username
	return p.Create(ctx, u)
}
func (p *programs) RotateServiceKey(_ context.Context, user chat.UserID, k account.ServiceKey, until time.Time, _ string) ([]chat.SessionID, error) {
	var name string
	for id, old := range p.keys {
		if u := p.users[p.of[id]]; u.ID == user {
			name, old.EndsAt = u.Username, until
			p.keys[id] = old
		}
	}
	p.keys[k.ID], p.of[k.ID] = k, name
	return p.sessions, nil
}
func (p *programs) Services(context.Context, int) ([]account.ServiceInfo, error) { return nil, nil }
func (p *programs) ServiceByKey(_ context.Context, id string) (account.User, account.ServiceKey, error) {
	k, ok := p.keys[id]
	if !ok || !k.EndsAt.IsZero() && !k.EndsAt.After(p.now) {
		return account.User{}, account.ServiceKey{}, account.ErrNoUser
	}
	return p.users[p.of[id]], k, nil
}
func (p *programs) ServiceSession(_ context.Context, _ string, s session.Session) (session.Session, error) {
	p.made = append(p.made, s)
	return s, nil
}

func newPrograms(t *testing.T) (*programs, *account.Services) {
	t.Helper()
	p := &programs{world: newWorld(t, func(o *account.Options) { o.TriesPerMinute = 100 }), keys: map[string]account.ServiceKey{}, of: map[string]string{}}
	s, err := account.NewServices(p.service, p, time.Hour, 8*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return p, s
}

//control:proves service-identity
func TestServices_keyOpensUntilItIsRotatedOrDisabled(t *testing.T) {
	p, s := newPrograms(t)
	u, key, err := s.Add(t.Context(), "deploy-bot", "Deploy")
	if err != nil {
		t.Fatal(err)
	}
	if e := p.last(); e.Name != audit.AuthzAdmin || e.Control != "service-identity" || e.Reason != "service_add" {
		t.Errorf("event %+v", e)
	}
	signIn := func(k string) error {
		got, sess, err := s.SignIn(t.Context(), caller("192.0.2.1"), k)
		if err == nil && (got.ID != u.ID || sess.User != u.ID.UUID || sess.SID == uuid.Nil) {
			t.Errorf("user %v, session %+v", got, sess)
		}
		return err
	}
	if err := signIn(key.Reveal()); err != nil {
		t.Fatal(err)
	}
	p.sessions = []chat.SessionID{{UUID: uuid.New()}}
	second, err := s.Rotate(t.Context(), "deploy-bot", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if until := p.now.Add(time.Hour); len(p.revoked) != 1 || p.revoked[0].Session != p.sessions[0] || !p.revoked[0].Until.Equal(until) {
		t.Errorf("the nodes hear of %+v; want that it ends at %v", p.revoked, until)
	}
	p.revoked = nil
	for _, k := range []string{key.Reveal(), second.Reveal()} {
		if err := signIn(k); err != nil {
			t.Errorf("during the overlap: %v", err)
		}
	}
	p.now = p.now.Add(time.Hour)
	if err := signIn(key.Reveal()); !errors.Is(err, account.ErrKeyRefused) {
		t.Errorf("the old key after the overlap: %v", err)
	}
	if err := signIn(second.Reveal()); err != nil {
		t.Errorf("the new key: %v", err)
	}
	third, err := s.Rotate(t.Context(), "deploy-bot", 0)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.revoked) != 1 || !p.revoked[0].Until.IsZero() {
		t.Errorf("without an overlap: %+v; want one end at once", p.revoked)
	}
	if err := signIn(second.Reveal()); !errors.Is(err, account.ErrKeyRefused) {
		t.Errorf("the key before, without an overlap: %v", err)
	}
	p.revoked, second = nil, third
	if err := s.Disable(t.Context(), "deploy-bot"); err != nil {
		t.Fatal(err)
	}
	if len(p.revoked) != 1 {
		t.Errorf("revoked %+v", p.revoked)
	}
	if err := signIn(second.Reveal()); !errors.Is(err, account.ErrKeyRefused) {
		t.Errorf("a disabled service: %v", err)
	}
	if e := p.last(); e.Name != audit.LoginFail || e.Control != "service-identity" || e.Reason != "disabled" {
		t.Errorf("event %+v", e)
	}
}

//control:proves service-identity
func TestServices_refusesEveryOtherKey(t *testing.T) {
	p, s := newPrograms(t)
	_, key, err := s.Add(t.Context(), "deploy-bot", "")
	if err != nil {
		t.Fatal(err)
	}
	_, other, err := s.Add(t.Context(), "other-bot", "")
	if err != nil {
		t.Fatal(err)
	}
	k, parts, theirs := key.Reveal(), strings.Split(key.Reveal(), "_"), strings.Split(other.Reveal(), "_")
	for name, wrong := range map[string]string{
		"none": "", "the public part": "pcs_" + parts[1] + "_", "one character changed": k[:len(k)-1] + "a", "lower case": strings.ToLower(k), "with a space": k + " ",
		"another one's secret": "pcs_" + parts[1] + "_" + theirs[2], "another prefix": "pck" + k[3:], "endless": k + strings.Repeat("A", 4096), "an id with a quote": "pcs_abcdefghij'l_" + parts[2], "twice": k + "_" + k,
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := s.SignIn(t.Context(), caller("192.0.2.1"), wrong); !errors.Is(err, account.ErrKeyRefused) {
				t.Errorf("got %v", err)
			}
			if e := p.last(); e.Name != audit.LoginFail || e.Control != "service-identity" || strings.Contains(e.Detail+e.Username, parts[2]) {
				t.Errorf("event %+v", e)
			}
		})
	}
	for range 100 {
		_, _, err = s.SignIn(t.Context(), caller("192.0.2.1"), "pcs_x")
	}
	if chat.KindOf(err) != chat.RateLimited {
		t.Errorf("guessing has no end: %v", err)
	}
}

// A program is no person: it cannot sign in, get a password or a role.
//
//control:proves service-identity
func TestServices_haveNoWayInAsAPerson(t *testing.T) {
	p, s := newPrograms(t)
	if _, _, err := s.Add(t.Context(), "deploy-bot", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := p.service.Create(t.Context(), "ada", good, "", authz.User); err != nil {
		t.Fatal(err)
	}
	for _, pw := range []string{"$none$", "", "none", good} {
		before := p.work
		if _, err := p.signIn("192.0.2.7", "deploy-bot", pw); !errors.Is(err, account.ErrInvalidCredentials) {
			t.Errorf("password %q: %v", pw, err)
		}
		if p.work != before+1 {
			t.Error("the answer comes without the work of one hash, so it tells what the name is")
		}
	}
	if _, err := p.service.ResetPassword(t.Context(), "deploy-bot"); chat.KindOf(err) != chat.Invalid {
		t.Errorf("a password: %v", err)
	}
	if err := p.service.SetRole(t.Context(), "deploy-bot", authz.Admin); chat.KindOf(err) != chat.Invalid {
		t.Errorf("a role: %v", err)
	}
	if err := p.service.SetRole(t.Context(), "ada", authz.Service); chat.KindOf(err) != chat.Invalid {
		t.Errorf("a person became a program: %v", err)
	}
	if _, err := p.service.Create(t.Context(), "fake-bot", good, "", authz.Service); chat.KindOf(err) != chat.Invalid {
		t.Errorf("a program with a password: %v", err)
	}
	if _, err := s.Rotate(t.Context(), "ada", 0); chat.KindOf(err) != chat.Invalid {
		t.Errorf("a key for a person: %v", err)
	}
	if err := s.Disable(t.Context(), "ada"); chat.KindOf(err) != chat.Invalid || p.users["ada"].Disabled {
		t.Errorf("a person disabled as a service: %v", err)
	}
}
