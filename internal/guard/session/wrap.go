package session

import (
	"context"
	"encoding/base64"
	"errors"
	"maps"
	"net/http"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/google/uuid"
)

// tokenLength is the length of a token: 32 bytes in unpadded base64url.
const tokenLength = 43

// errNotSaved is what a handler gets that goes on writing after its session could
// not be saved.
var errNotSaved = errors.New("session not saved, answer withheld")

type wrappedKey struct{}

// Wrap gives the handlers of pages and API calls their session, and saves it before
// the first byte of their answer. If it cannot be read or saved, the answer is
// Options.Unavailable and nothing of the handler's.
//
// It takes the place of scs's LoadAndSave, with three differences: two cookies of the
// name count as none; a failed save withholds the handler's answer, where LoadAndSave
// appends it to the error page; and the response cannot be hijacked. The last is the
// point: a socket under LoadAndSave commits its stale session when it closes, and so
// revives a session that was signed out meanwhile. Keep Wrap off static files, health
// checks and CSP reports too: every request under it writes the Store.
//
//control:name session
func (m *Manager) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Cookie")
		ctx, err := m.scs.Load(context.WithValue(r.Context(), wrappedKey{}, true), m.Token(r))
		if err != nil {
			m.unavailable(w, r, err)
			return
		}
		r = r.WithContext(ctx)
		sw := &writer{inner: w, m: m, r: r, before: w.Header().Clone()}
		next.ServeHTTP(sw, r)
		sw.begin()
	})
}

// Token returns the token that the request's cookie holds; "" if there is no such
// cookie, more than one, or one that never came from here.
//
//control:name session
func (m *Manager) Token(r *http.Request) string {
	cookies := r.CookiesNamed(CookieName)
	if len(cookies) != 1 || len(cookies[0].Value) != tokenLength {
		return ""
	}
	if _, err := base64.RawURLEncoding.Strict().DecodeString(cookies[0].Value); err != nil {
		return ""
	}
	return cookies[0].Value
}

// save commits the session of r and sets or clears its cookie on w. A session that
// ended during the request leaves the handler's answer as it is, and the cookie too:
// the browser may have the next one already, from another answer.
//
//control:name session
func (m *Manager) save(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	switch m.scs.Status(ctx) {
	case scs.Modified: // also a session that was only read: its idle end moves
		token, expiry, err := m.scs.Commit(ctx)
		if errors.Is(err, ErrNone) {
			return nil
		}
		if err != nil {
			return err
		}
		m.scs.WriteSessionCookie(ctx, w, token, expiry)
	case scs.Destroyed:
		m.scs.WriteSessionCookie(ctx, w, "", time.Time{})
	}
	return nil
}

func unavailable(w http.ResponseWriter, _ *http.Request, _ error) {
	http.Error(w, "The service is not available right now. Please try again.", http.StatusServiceUnavailable)
}

// writer saves the session before the first byte. It has no Unwrap and no Hijack.
type writer struct {
	inner  http.ResponseWriter
	m      *Manager
	r      *http.Request
	before http.Header // as they were when the handler began
	begun  bool
	failed bool
}

// begin saves the session once. It reports whether the handler's answer may go out.
func (w *writer) begin() bool {
	if w.begun {
		return !w.failed
	}
	w.begun = true
	if err := w.m.save(w.inner, w.r); err != nil {
		w.failed = true
		h := w.inner.Header() // what the handler set belongs to the answer that is withheld
		clear(h)
		maps.Copy(h, w.before)
		w.m.unavailable(w.inner, w.r, err)
	}
	return !w.failed
}

func (w *writer) Header() http.Header { return w.inner.Header() }

func (w *writer) WriteHeader(status int) {
	if status >= 100 && status < 200 { // early hints; the answer itself is still to come
		w.inner.WriteHeader(status)
		return
	}
	if w.begin() {
		w.inner.WriteHeader(status)
	}
}

func (w *writer) Write(b []byte) (int, error) {
	if !w.begin() {
		return 0, errNotSaved
	}
	return w.inner.Write(b)
}

// Flush lets streamed answers, such as server-sent events, work under Wrap.
func (w *writer) Flush() { _ = w.FlushError() }

// FlushError is Flush as http.ResponseController calls it.
func (w *writer) FlushError() error {
	if !w.begin() {
		return errNotSaved
	}
	return http.NewResponseController(w.inner).Flush()
}

// SetReadDeadline serves http.ResponseController.
func (w *writer) SetReadDeadline(t time.Time) error {
	return http.NewResponseController(w.inner).SetReadDeadline(t)
}

// SetWriteDeadline serves http.ResponseController.
func (w *writer) SetWriteDeadline(t time.Time) error {
	return http.NewResponseController(w.inner).SetWriteDeadline(t)
}

// bridge is the Store as scs sees it, with the Manager's clock and limits.
type bridge struct {
	Store
	m *Manager
}

// FindCtx looks at the stored end too, as scs never compares it with the time. A
// record that this version cannot read is no session.
func (b bridge) FindCtx(ctx context.Context, token string) ([]byte, bool, error) {
	data, found, err := b.Store.FindCtx(ctx, token)
	if err != nil || !found {
		return nil, false, err
	}
	r, err := ParseRecord(data)
	if err != nil || !r.EndsAt.After(b.m.now()) {
		return nil, false, nil
	}
	return data, true, nil
}

// CommitCtx counts the idle end by the Manager's clock, and holds anonymous sessions
// to their shorter life.
func (b bridge) CommitCtx(ctx context.Context, token string, data []byte, _ time.Time) error {
	r, err := ParseRecord(data)
	if err != nil {
		return err
	}
	if r.User == uuid.Nil && r.EndsAt.Sub(r.CreatedAt) > AnonymousLifetime {
		return errors.New("anonymous session would live too long")
	}
	return b.Store.CommitCtx(ctx, token, data, b.m.session(r).IdleEndsAt)
}

// DeleteCtx spares the Store the requests that have no session.
func (b bridge) DeleteCtx(ctx context.Context, token string) error {
	if token == "" {
		return nil
	}
	return b.Store.DeleteCtx(ctx, token)
}
