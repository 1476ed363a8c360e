package postgres

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/authz"
	"example.com/portcullis/internal/guard/tunnel"
)

// admin makes an account that may grant.
func (w *world) admin(name string) chat.Person {
	w.Helper()
	p := w.user(name)
	if _, err := w.Accounts().SetRole(w.ctx, p.ID, authz.Admin, "role_change"); err != nil {
		w.Fatal(err)
	}
	return p
}

// A grant comes from an administrator who is somebody else, and the database says so too.
//
//control:proves tunnel
func TestGrants_takeTwoPeople(t *testing.T) {
	w := newWorld(t, Options{})
	alice, root := w.user("alice"), w.admin("root")
	now := time.Now()
	grant := func(to, by chat.Person) tunnel.Grant {
		return tunnel.Grant{User: to.ID.UUID, Target: "bastion", GrantedBy: by.ID.UUID, Reason: "incident 4711", At: now, Until: now.Add(time.Hour)}
	}
	if err := w.Grants().Give(w.ctx, grant(root, root)); chat.KindOf(err) != chat.Invalid || !errors.Is(err, tunnel.ErrFourEyes) {
		t.Errorf("an administrator grants to themselves: %v", err)
	}
	bob := w.user("bob")
	if err := w.Grants().Give(w.ctx, grant(alice, bob)); chat.KindOf(err) != chat.Denied {
		t.Errorf("somebody without rights grants: %v", err)
	}
	nobody := chat.Person{ID: chat.UserID{UUID: uuid.New()}}
	if err := w.Grants().Give(w.ctx, grant(nobody, root)); chat.KindOf(err) != chat.Denied {
		t.Errorf("nobody gets a grant: %v", err)
	}
	err := w.do(w.ctx, func(ctx context.Context, c conn) error {
		_, err := exec(ctx, c, giveGrant, root.ID.UUID, "bastion", root.ID.UUID, "x", now, now.Add(time.Hour))
		return err
	})
	if err == nil {
		t.Error("the table takes a grant to oneself")
	}
	if err := w.Grants().Give(w.ctx, grant(alice, root)); err != nil {
		t.Fatal(err)
	}
	g, err := w.Grants().Grant(w.ctx, alice.ID.UUID, "bastion", now)
	if err != nil || g.GrantedBy != root.ID.UUID || g.Reason != "incident 4711" || g.Until.Sub(g.At) != time.Hour {
		t.Errorf("%+v, %v", g, err)
	}
	for _, tt := range []struct {
		name   string
		user   chat.UserID
		target string
		at     time.Time
	}{
		{"another user", root.ID, "bastion", now}, {"another target", alice.ID, "other", now}, {"no target", alice.ID, "-", now}, {"after its end", alice.ID, "bastion", now.Add(time.Hour)},
	} {
		if _, err := w.Grants().Grant(w.ctx, tt.user.UUID, tt.target, tt.at); chat.KindOf(err) != chat.Denied {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	for _, list := range []func() ([]tunnel.Grant, error){
		func() ([]tunnel.Grant, error) { return w.Grants().OfUser(w.ctx, alice.ID.UUID, now) },
		func() ([]tunnel.Grant, error) { return w.Grants().All(w.ctx, now) },
	} {
		if got, err := list(); err != nil || len(got) != 1 || got[0] != g {
			t.Errorf("%+v, %v", got, err)
		}
	}
	if _, err := w.Accounts().SetDisabled(w.ctx, alice.ID, true, "disabled"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Grants().Grant(w.ctx, alice.ID.UUID, "bastion", now); chat.KindOf(err) != chat.Denied {
		t.Errorf("a disabled user has a grant: %v", err)
	}
}

// What is taken, or replaced by something smaller, is in the outbox in the same
// transaction, so that every node ends the tunnel.
//
//control:proves tunnel
func TestGrants_takenAndReplacedOnesReachEveryNode(t *testing.T) {
	w := newWorld(t, Options{})
	alice, root := w.user("alice"), w.admin("root")
	now := time.Now()
	give := func(lasts time.Duration) {
		t.Helper()
		g := tunnel.Grant{User: alice.ID.UUID, Target: "bastion", GrantedBy: root.ID.UUID, Reason: "r", At: now, Until: now.Add(lasts)}
		if err := w.Grants().Give(w.ctx, g); err != nil {
			t.Fatal(err)
		}
	}
	outbox := func() (reasons []string) {
		t.Helper()
		all, err := w.Revocations().Since(w.ctx, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range all {
			if r.Tunnel != "" {
				if r.Tunnel != "bastion" || r.User != alice.ID || r.Session != (chat.SessionID{}) || r.Room != (chat.RoomID{}) {
					t.Errorf("%+v", r)
				}
				reasons = append(reasons, r.Reason)
			}
		}
		return reasons
	}
	give(2 * time.Hour)
	if got := outbox(); len(got) != 0 {
		t.Errorf("a first grant takes something away: %v", got)
	}
	give(time.Hour)
	taken, err := w.Grants().Take(w.ctx, alice.ID.UUID, "bastion", "tunnel_revoked")
	if err != nil || !taken {
		t.Fatalf("%v, %v", taken, err)
	}
	if got := outbox(); len(got) != 2 || got[0] != "tunnel_replaced" || got[1] != "tunnel_revoked" {
		t.Errorf("the outbox holds %v", got)
	}
	if _, err := w.Grants().Grant(w.ctx, alice.ID.UUID, "bastion", now); chat.KindOf(err) != chat.Denied {
		t.Errorf("a taken grant is there: %v", err)
	}
	if taken, err := w.Grants().Take(w.ctx, alice.ID.UUID, "bastion", "tunnel_revoked"); err != nil || taken {
		t.Errorf("taken twice: %v, %v", taken, err)
	}
}
