package postgres

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/session"
	"example.com/portcullis/internal/guard/session/sessiontest"
	"example.com/portcullis/internal/testkit"
)

//control:proves revalidation
//control:proves session
func TestSessions_keepTheContract(t *testing.T) {
	t.Parallel()
	url := testkit.DatabaseURL(t)
	sessiontest.Contract(t, func(t *testing.T, now func() time.Time) sessiontest.Fixture {
		w := &world{TB: t, DB: node(t, url, Options{Now: now}), url: url, ctx: t.Context()}
		return sessiontest.Fixture{
			Store: w.Sessions(),
			User: func(t *testing.T) uuid.UUID {
				return w.user("u" + strings.ReplaceAll(uuid.NewString()[:13], "-", "")).ID.UUID
			},
			Disable: func(t *testing.T, user uuid.UUID) {
				w.raw("UPDATE users SET disabled_at = now() WHERE id = $1", user)
			},
			Change: func(t *testing.T, user uuid.UUID) {
				w.raw("UPDATE users SET credential_gen = credential_gen + 1 WHERE id = $1", user)
			},
		}
	})
}

// login is a session as a signed-in request commits it.
type login struct {
	token  string
	record session.Record
	data   []byte
}

func (w *world) login(user chat.Person) login {
	w.Helper()
	l := w.proven(user, 0)
	if !w.commit(l) {
		w.Fatal("a sign-in stored nothing")
	}
	return l
}

// proven is a sign-in between the proof of the password, in generation gen, and its
// commit: where it is while the server works on argon2.
func (w *world) proven(user chat.Person, gen int64) login {
	w.Helper()
	b := make([]byte, 64)
	rand.Read(b)
	now := w.now().UTC().Truncate(time.Microsecond)
	l := login{token: base64.RawURLEncoding.EncodeToString(b[:32])}
	l.record = session.Record{
		SID: uuid.New(), User: user.ID.UUID, CreatedAt: now, AuthenticatedAt: now, EndsAt: now.Add(8 * time.Hour),
		CSRF: b[32:], IP: "192.0.2.7/32", UserAgent: "test", CredentialGen: gen,
	}
	var err error
	if l.data, err = session.Encode(l.record); err != nil {
		w.Fatal(err)
	}
	return l
}

// commit is false if the store says that it stored nothing.
func (w *world) commit(l login) bool {
	w.Helper()
	err := w.Sessions().CommitCtx(w.ctx, l.token, l.data, w.now().Add(30*time.Minute))
	if err != nil && !errors.Is(err, session.ErrNone) {
		w.Error(err)
	}
	return err == nil
}

func (w *world) live(l login) bool {
	w.Helper()
	_, found, err := w.Sessions().FindCtx(w.ctx, l.token)
	if err != nil {
		w.Fatal(err)
	}
	_, err = w.Sessions().Live(w.ctx, l.record.SID)
	if err != nil && !errors.Is(err, session.ErrNone) {
		w.Fatal(err)
	}
	if found != (err == nil) {
		w.Fatalf("find says %v, live says %v", found, err)
	}
	return found
}

//control:proves session
func TestSessions_storeNoToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	l := w.login(w.user("ann"))
	w.conn(func(c *pgx.Conn) {
		var dump string
		if err := c.QueryRow(w.ctx, "SELECT string_agg(t::text, ' ') || (SELECT string_agg(s::text, ' ') FROM sessions s) || (SELECT string_agg(encode(data, 'escape'), ' ') FROM session_tokens) FROM session_tokens t").Scan(&dump); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(dump, l.record.SID.String()) || strings.Contains(dump, l.token) {
			t.Error("the token is in the database, or the test looked in the wrong place")
		}
	})
}

// A commit that is already waiting for the row when the revocation commits must lose;
// and a revocation that waits for a commit must win afterwards.
//
//control:proves session
func TestSessions_aRevocationBeatsTheCommitThatWaitsForIt(t *testing.T) {
	t.Parallel()
	for _, first := range []string{"revocation", "commit"} {
		t.Run(first+" first", func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, Options{})
			ann := w.user("ann")
			l := w.login(ann)
			w.conn(func(c *pgx.Conn) {
				tx, err := c.Begin(w.ctx)
				if err != nil {
					t.Fatal(err)
				}
				hold := "UPDATE sessions SET revoked_at = now(), revoke_reason = 'admin' WHERE sid = $1"
				if first == "commit" {
					hold = "UPDATE sessions SET last_seen_at = now() WHERE sid = $1"
				}
				if _, err := tx.Exec(w.ctx, hold, l.record.SID); err != nil {
					t.Fatal(err)
				}
				var wg sync.WaitGroup
				wg.Go(func() {
					if first == "revocation" {
						w.commit(l)
						return
					}
					if ok, err := w.Sessions().Revoke(w.ctx, ann.ID.UUID, l.record.SID, "revoked_by_user"); err != nil || !ok {
						t.Errorf("revoke: %v, error %v", ok, err)
					}
				})
				w.waiting(1)
				if err := tx.Commit(w.ctx); err != nil {
					t.Fatal(err)
				}
				wg.Wait()
			})
			if w.live(l) {
				t.Error("the session lives")
			}
			w.commit(l)
			if w.live(l) {
				t.Error("a late commit revived the session")
			}
		})
	}
}

//control:proves revocation
func TestSessions_endWithTheirEntryInTheOutbox(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann := w.user("ann")
	s := w.Sessions()
	signedOut, revoked, kept, swept := w.login(ann), w.login(ann), w.login(ann), w.login(ann)
	renewed := w.login(ann)
	for _, err := range []error{
		s.DeleteCtx(w.ctx, signedOut.token),
		s.DeleteCtx(w.ctx, signedOut.token),
		s.DeleteCtx(session.Renewing(w.ctx), renewed.token),
		s.DeleteCtx(w.ctx, "unknown"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if ok, err := s.Revoke(w.ctx, ann.ID.UUID, revoked.record.SID, "revoked_by_user"); err != nil || !ok {
		t.Fatal(ok, err)
	}
	if _, err := s.Revoke(w.ctx, w.user("eve").ID.UUID, kept.record.SID, "revoked_by_user"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.RevokeAll(w.ctx, ann.ID.UUID, kept.record.SID, "password_change"); err != nil {
		t.Fatal(err)
	}
	got, err := w.Revocations().Since(w.ctx, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	want := map[uuid.UUID]string{signedOut.record.SID: "sign_out", revoked.record.SID: "revoked_by_user",
		swept.record.SID: "password_change", renewed.record.SID: "password_change"}
	if len(got) != len(want) {
		t.Errorf("%d entries, want %d: %+v", len(got), len(want), got)
	}
	for _, r := range got {
		if want[r.Session.UUID] != r.Reason || r.User != ann.ID || r.Room != (chat.RoomID{}) || time.Since(r.At).Abs() > time.Minute {
			t.Errorf("entry %+v, want reason %q", r, want[r.Session.UUID])
		}
	}
	if !w.live(kept) || w.live(swept) {
		t.Error("the wrong session ended")
	}
}

// To end everybody's sessions is to end those of whoever has one: of many accounts, and
// of none that is out already.
func TestUsers_areThoseWhoAreSignedIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann, bob, gone := w.user("ann"), w.user("bob"), w.user("gone")
	w.login(ann)
	w.login(ann)
	w.login(bob)
	left := w.login(gone)
	if _, err := w.Sessions().Revoke(w.ctx, gone.ID.UUID, left.record.SID, "revoked_by_user"); err != nil {
		t.Fatal(err)
	}
	got, err := w.Sessions().Users(w.ctx)
	want := []uuid.UUID{ann.ID.UUID, bob.ID.UUID}
	slices.SortFunc(want, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v %v, want %v", got, err, want)
	}
}

func TestSessions_aTokenIsInUseOnceHoweverManyRenewalsRace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{MaxConns: 8})
	l := w.login(w.user("ann"))
	ctx := session.Renewing(w.ctx)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			next := login{token: rand.Text(), record: l.record, data: l.data}
			if err := w.Sessions().DeleteCtx(ctx, l.token); err != nil {
				t.Error(err)
			}
			if err := w.Sessions().CommitCtx(ctx, next.token, next.data, w.now().Add(time.Minute)); err != nil && !errors.Is(err, session.ErrNone) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := ask[int](w, "SELECT count(*) FROM session_tokens WHERE sid = $1 AND retired_at IS NULL", l.record.SID); n != 1 {
		t.Errorf("%d tokens in use, want 1", n)
	}
}

func TestSessions_onlyARenewalFillsTheGapThatItMade(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	l := w.login(w.user("ann"))
	if err := w.Sessions().DeleteCtx(session.Renewing(w.ctx), l.token); err != nil {
		t.Fatal(err)
	}
	planted := login{token: rand.Text(), record: l.record, data: l.data}
	w.commit(planted)
	if _, found, err := w.Sessions().FindCtx(w.ctx, planted.token); err != nil || found {
		t.Errorf("a token was given outside the renewal; error %v", err)
	}
}

//control:proves throttle
func TestSeen_knowsNetworksOfTheUserOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann, bob := w.user("ann"), w.user("bob")
	l := w.login(ann)
	if err := w.Sessions().DeleteCtx(w.ctx, l.token); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		user    chat.Person
		network string
		want    bool
	}{
		{"a network of a session that ended", ann, "192.0.2.7/32", true},
		{"another network", ann, "192.0.2.8/32", false},
		{"another user", bob, "192.0.2.7/32", false},
	} {
		if got, err := w.Sessions().Seen(w.ctx, c.user.ID, c.network); err != nil || got != c.want {
			t.Errorf("%s: %v, error %v; want %v", c.name, got, err, c.want)
		}
	}
}
