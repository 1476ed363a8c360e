package postgres

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/portcullis/internal/account"
	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/authz"
	"example.com/portcullis/internal/guard/session"
)

// meet runs first in a transaction, starts second, waits until second waits for it,
// and commits: the one order in which two of them can meet.
func (w *world) meet(first func(ctx context.Context, c conn) error, second func()) {
	w.Helper()
	w.conn(func(c *pgx.Conn) {
		tx, err := c.Begin(w.ctx)
		if err != nil {
			w.Fatal(err)
		}
		if err := first(w.ctx, conn{tx}); err != nil {
			w.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(second)
		w.waiting(1)
		if err := tx.Commit(w.ctx); err != nil {
			w.Error(err)
		}
		wg.Wait()
	})
}

// run is the statement of a commit of l in somebody's transaction.
func (w *world) run(ctx context.Context, c conn, l login, renewing bool) error {
	r := l.record
	n, err := exec(ctx, c, commitSession, w.now(), r.SID, null(r.User), r.CreatedAt, nullTime(r.AuthenticatedAt),
		w.now().Add(time.Minute), r.EndsAt, r.IP, r.UserAgent, session.HashToken(l.token), l.data, renewing, r.CredentialGen)
	if err == nil && n != 1 {
		return errors.New("nothing stored")
	}
	return err
}

// next is l as a renewal stores it, with another token.
func (w *world) next(l login) login {
	n := w.proven(chat.Person{}, 0)
	n.record, n.data = l.record, l.data
	return n
}

type change struct {
	name string
	set  func(w *world, ann chat.Person) ([]chat.SessionID, error)
	held func(ann chat.Person) statement // its first statement
}

func changes(now time.Time) []change {
	return []change{
		{"password", func(w *world, ann chat.Person) ([]chat.SessionID, error) {
			return w.Accounts().SetPassword(w.ctx, ann.ID, "$argon2id$new", nil, chat.SessionID{}, "password_change", time.Time{})
		}, func(ann chat.Person) statement {
			return statement{setPassword, []any{ann.ID.UUID, "$argon2id$new", nil, nil}}
		}},
		{"role", func(w *world, ann chat.Person) ([]chat.SessionID, error) {
			return w.Accounts().SetRole(w.ctx, ann.ID, authz.Admin, "role_change")
		}, func(ann chat.Person) statement { return statement{setRole, []any{ann.ID.UUID, "admin"}} }},
		{"disable", func(w *world, ann chat.Person) ([]chat.SessionID, error) {
			return w.Accounts().SetDisabled(w.ctx, ann.ID, true, "disabled")
		}, func(ann chat.Person) statement { return statement{disable, []any{ann.ID.UUID, now}} }},
		{"enable", func(w *world, ann chat.Person) ([]chat.SessionID, error) {
			return w.Accounts().SetDisabled(w.ctx, ann.ID, false, "disabled")
		}, func(ann chat.Person) statement { return statement{enable, []any{ann.ID.UUID}} }},
	}
}

// The attack: sign in with the stolen password in the moment in which it is changed.
// Whatever the order, no session comes out of it.
//
//control:proves session
func TestSignIn_doesNotSurviveAChangeThatCommitsBetweenProofAndSession(t *testing.T) {
	t.Parallel()
	for _, c := range changes(time.Now()) {
		t.Run(c.name+" before the sign-in is stored", func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, Options{})
			ann := w.user("ann")
			thief := w.proven(ann, 0)
			if _, err := c.set(w, ann); err != nil {
				t.Fatal(err)
			}
			if w.commit(thief) || w.live(thief) {
				t.Error("a session of the old credential")
			}
		})
		t.Run(c.name+" while the sign-in waits", func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, Options{})
			ann := w.user("ann")
			thief := w.proven(ann, 0)
			w.meet(func(ctx context.Context, db conn) error {
				s := c.held(ann)
				_, err := exec(ctx, db, s.query, s.args...)
				return err
			}, func() {
				if w.commit(thief) {
					t.Error("the store says that it stored a session of the old credential")
				}
			})
			if w.live(thief) {
				t.Error("a session of the old credential")
			}
		})
		t.Run(c.name+" waits for the sign-in", func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, Options{})
			ann := w.user("ann")
			thief := w.proven(ann, 0)
			var ended []chat.SessionID
			w.meet(func(ctx context.Context, db conn) error { return w.run(ctx, db, thief, false) }, func() {
				var err error
				if ended, err = c.set(w, ann); err != nil {
					t.Error(err)
				}
			})
			if w.live(thief) || !slices.Contains(ended, chat.SessionID{UUID: thief.record.SID}) {
				t.Errorf("lives %v, ended %v: the change did not find the session", w.live(thief), ended)
			}
		})
	}
}

// Requests of a session that exists must not wait for its user's row: a change of the
// password would hold them all up, and they would write that row at every request.
//
//control:proves session
func TestCommitCtx_ofASessionThatExistsDoesNotLockItsUser(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann := w.user("ann")
	l := w.login(ann)
	w.conn(func(c *pgx.Conn) {
		tx, err := c.Begin(w.ctx)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := exec(w.ctx, conn{tx}, setRole, ann.ID.UUID, "admin"); err != nil {
			t.Fatal(err)
		}
		if !w.commit(l) {
			t.Error("nothing stored")
		}
		if err := tx.Rollback(w.ctx); err != nil {
			t.Error(err)
		}
	})
}

//control:proves session
func TestSetPassword_ofTwoThatVerifiedTheSamePasswordOneWins(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann := w.user("ann")
	thief := w.login(ann)
	var verified int64
	w.meet(func(ctx context.Context, c conn) error { // the owner's
		_, err := exec(ctx, c, setPassword, ann.ID.UUID, "$argon2id$owner", verified, nil)
		return err
	}, func() {
		_, err := w.Accounts().SetPassword(w.ctx, ann.ID, "$argon2id$thief", &verified, chat.SessionID{UUID: thief.record.SID}, "password_change", time.Time{})
		if !errors.Is(err, account.ErrChanged) {
			t.Errorf("error %v; want ErrChanged", err)
		}
	})
	u, err := w.Accounts().ByID(w.ctx, ann.ID)
	if err != nil || u.PasswordHash != "$argon2id$owner" || u.CredentialGen != 1 {
		t.Errorf("user %+v, error %v", u, err)
	}
	if _, err := w.Accounts().SetPassword(w.ctx, ann.ID, "$argon2id$again", &u.CredentialGen, chat.SessionID{}, "password_change", time.Time{}); err != nil {
		t.Errorf("with the generation of now: %v", err)
	}
	if w.live(thief) {
		t.Error("a change of the password left a session")
	}
}

// The attack: a thief who renews, with a change of the password, the session that its
// owner signs out of. The owner is told that it is over, so it has to be.
//
//control:proves session
func TestSignOut_endsTheSessionWhoeverRenewsItMeanwhile(t *testing.T) {
	t.Parallel()
	over := func(t *testing.T, w *world, logins ...login) {
		t.Helper()
		for _, l := range logins {
			if w.live(l) {
				t.Error("the session lives on")
			}
		}
		if n := ask[int](w, "SELECT count(*) FROM session_tokens WHERE sid = $1 AND retired_at IS NULL", logins[0].record.SID); n != 0 {
			t.Errorf("%d tokens in use", n)
		}
		if n := ask[int](w, "SELECT count(*) FROM revocations WHERE session_id = $1 AND reason = 'sign_out'", logins[0].record.SID); n != 1 {
			t.Errorf("%d entries in the outbox, want 1", n)
		}
	}
	t.Run("renewed before", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, Options{})
		l := w.login(w.user("ann"))
		next := w.next(l)
		if err := errors.Join(w.Sessions().DeleteCtx(session.Renewing(w.ctx), l.token),
			w.Sessions().CommitCtx(session.Renewing(w.ctx), next.token, next.data, w.now().Add(time.Minute)),
			w.Sessions().DeleteCtx(w.ctx, l.token)); err != nil {
			t.Fatal(err)
		}
		over(t, w, l, next)
	})
	t.Run("the sign-out waits for the renewal", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, Options{})
		l := w.login(w.user("ann"))
		next := w.next(l)
		if err := w.Sessions().DeleteCtx(session.Renewing(w.ctx), l.token); err != nil {
			t.Fatal(err)
		}
		w.meet(func(ctx context.Context, c conn) error { return w.run(ctx, c, next, true) }, func() {
			if err := w.Sessions().DeleteCtx(w.ctx, l.token); err != nil {
				t.Error(err)
			}
		})
		over(t, w, l, next)
	})
	t.Run("the renewal waits for the sign-out", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, Options{})
		l := w.login(w.user("ann"))
		next := w.next(l)
		if err := w.Sessions().DeleteCtx(session.Renewing(w.ctx), l.token); err != nil {
			t.Fatal(err)
		}
		w.meet(func(ctx context.Context, c conn) error {
			_, err := exec(ctx, c, signOut, w.now(), session.HashToken(l.token))
			return err
		}, func() {
			if err := w.Sessions().CommitCtx(session.Renewing(w.ctx), next.token, next.data, w.now().Add(time.Minute)); !errors.Is(err, session.ErrNone) {
				t.Errorf("error %v; want ErrNone", err)
			}
		})
		over(t, w, l, next)
	})
}
