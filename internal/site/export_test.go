package site_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
)

// archive has messages of whoever asks.
type archive struct {
	messages int
	asked    []chat.UserID
	err      error  // after the first page
	page     func() // happens before each page of messages
}

func (a *archive) MadeAt(_ context.Context, user chat.UserID) (time.Time, error) {
	a.asked = append(a.asked, user)
	return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), nil
}

func (a *archive) Joined(_ context.Context, user chat.UserID, after chat.RoomID, _ int) ([]chat.Joined, error) {
	a.asked = append(a.asked, user)
	if after != (chat.RoomID{}) {
		return nil, nil
	}
	return []chat.Joined{{Room: chat.RoomID{UUID: uuid.New()}, Visibility: chat.Direct, Peer: "grace", Role: "member"}}, nil
}

func (a *archive) Written(_ context.Context, user chat.UserID, after chat.ClientID, limit int) (list []chat.Message, err error) {
	a.asked = append(a.asked, user)
	if a.page != nil {
		a.page()
	}
	from := int(after.UUID[0])<<16 | int(after.UUID[1])<<8 | int(after.UUID[2])
	if from > 0 && a.err != nil {
		return nil, a.err
	}
	for n := from + 1; n <= a.messages && len(list) < limit; n++ {
		list = append(list, chat.Message{ID: chat.MessageID{UUID: uuid.New()}, Seq: int64(n), Body: fmt.Sprint("</script> ", n), ClientID: chat.ClientID{UUID: uuid.UUID{byte(n >> 16), byte(n >> 8), byte(n)}},
			Uploads: []chat.Upload{{Name: "a.txt", Mime: "text/plain"}}})
	}
	return list, nil
}

// exported is what a person finds in the file.
type exported struct {
	Profile     map[string]any
	Sessions    []map[string]any
	Passkeys    []map[string]any
	Memberships []map[string]any
	Messages    []map[string]any
	Complete    bool
}

func (b *browser) export() (exported, http.Header) {
	b.w.t.Helper()
	res := b.submit("/account/export", nil)
	if res.Code != http.StatusOK {
		b.w.t.Fatalf("%d %s", res.Code, res.Body)
	}
	var e exported
	if err := json.Unmarshal(res.Body.Bytes(), &e); err != nil {
		b.w.t.Fatalf("%v: %s", err, res.Body)
	}
	return e, res.Header()
}

//control:proves retention
func TestExport_isAFileOfEverythingOfWhoAsksAndOfNobodyElse(t *testing.T) {
	w := newWorld(t)
	w.archive.messages = 450 // three pages
	ada, grace := w.signedIn("ada"), w.signedIn("grace")
	w.events.reset()
	e, h := ada.export()
	if len(e.Messages) != 450 || e.Messages[449]["body"] != "</script> 450" || !e.Complete || len(e.Memberships) != 1 || e.Memberships[0]["with"] != "grace" {
		t.Errorf("%d messages, complete %v, memberships %v", len(e.Messages), e.Complete, e.Memberships)
	}
	if e.Profile["username"] != "ada" || e.Profile["created_at"] != "2026-01-02T03:04:05.000Z" || len(e.Sessions) != 1 || e.Sessions[0]["sid"] != ada.sid() {
		t.Errorf("profile %v, sessions %v", e.Profile, e.Sessions)
	}
	for _, user := range w.archive.asked {
		if user != w.accounts.users["ada"].ID {
			t.Errorf("the archive was asked about %v", user)
		}
	}
	if h.Get("Content-Disposition") != `attachment; filename="portcullis-ada.json"` || h.Get("Cache-Control") != "no-store" || !strings.HasPrefix(h.Get("Content-Type"), "application/json") || !strings.Contains(h.Get("Content-Security-Policy"), "sandbox") {
		t.Errorf("headers %v", h)
	}
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{ada.cookie, ada.token, grace.sid(), "hash", "password", "csrf", "token", "public_key"} {
		if strings.Contains(string(text), secret) {
			t.Errorf("%q is in it", secret)
		}
	}
	w.wantEvent(audit.SensitiveRead, "export")
}

//control:proves retention
func TestExport_hasAnEndAndABudget(t *testing.T) {
	w := newWorld(t)
	w.archive.messages = 51_000
	ada := w.signedIn("ada")
	all := ada.submit("/account/export", nil).Body.String()
	if n := strings.Count(all, `"seq": `); n != 50_000 || !strings.HasSuffix(all, "\"complete\": false\n}\n") {
		t.Errorf("%d messages, and at the end %q; want 50,000 and a word that there are more", n, all[len(all)-40:])
	}
	w.limits.refuse = "export"
	w.archive.asked = nil
	res := ada.submit("/account/export", nil)
	if res.Code != http.StatusTooManyRequests || res.Header().Get("Retry-After") == "" || len(w.archive.asked) != 0 {
		t.Errorf("over the budget: %d, asked %v", res.Code, w.archive.asked)
	}
	w.wantEvent(audit.RateLimitExceeded, "export")
	for _, b := range w.limits.seen {
		if b.Name == "export" && b.Key != w.accounts.users["ada"].ID.String() {
			t.Errorf("charged to %q", b.Key)
		}
	}
}

// A thief's export ends with the thief's session, and a broken one looks broken.
//
//control:proves retention
func TestExport_thatCannotGoOnIsCutOff(t *testing.T) {
	for name, breaks := range map[string]func(*world, *browser){
		"its session is ended": func(w *world, b *browser) {
			sid := uuid.MustParse(b.sid())
			w.archive.page = func() {
				if _, err := w.sessions.Revoke(t.Context(), w.accounts.users["ada"].ID.UUID, sid, "revoked_by_user"); err != nil {
					t.Error(err)
				}
			}
		},
		"the store is lost": func(w *world, _ *browser) { w.archive.err = errors.New("gone") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.archive.messages = 1000
			ada := w.signedIn("ada")
			breaks(w, ada)
			defer func() {
				if v := recover(); v != http.ErrAbortHandler { //nolint:errorlint // net/http compares it the same way
					t.Errorf("panic %v, want http.ErrAbortHandler", v)
				}
			}()
			res := ada.submit("/account/export", nil)
			t.Errorf("it went through: %d, %d bytes", res.Code, res.Body.Len())
		})
	}
}

//control:proves retention
func TestDeleteAccount_wantsTheNameAndEndsEverything(t *testing.T) {
	w := newWorld(t)
	ada := w.signedIn("ada")
	for _, wrong := range []string{"", "Ada", "grace", "ada ada"} {
		res := ada.submit("/account/delete", url.Values{"username": {wrong}})
		if res.Code != http.StatusUnprocessableEntity || !strings.Contains(res.Body.String(), "Nothing was deleted.") || w.accounts.writes != 0 {
			t.Errorf("%q: %d, %d writes", wrong, res.Code, w.accounts.writes)
		}
	}
	res := ada.submit("/account/delete", url.Values{"username": {" ada "}})
	if res.Code != http.StatusSeeOther || res.Header().Get("Location") != "/sign-in?done=account-deleted" || w.accounts.writes != 1 {
		t.Errorf("%d to %q, %d writes", res.Code, res.Header().Get("Location"), w.accounts.writes)
	}
	if !strings.Contains(res.Header().Get("Clear-Site-Data"), `"storage"`) {
		t.Error("the browser keeps what it stored")
	}
	if page := ada.open("/sign-in?done=account-deleted"); !strings.Contains(page, "Your account is deleted.") {
		t.Errorf("no word of it: %s", page)
	}
}

// Both wait for a proof: a session that was left open neither ends the account nor takes
// everything along. See TestMatrix for all that holds for every route.
//
//control:proves retention
//control:proves step-up
func TestAccountForms_wantAFreshProof(t *testing.T) {
	for _, path := range []string{"/account/delete", "/account/export"} {
		w := newWorld(t)
		ada := w.signedIn("ada")
		w.clock.Advance(6 * time.Minute)
		res := ada.submit(path, url.Values{"username": {"ada"}, "next": {"/sessions"}})
		if res.Code != http.StatusSeeOther || res.Header().Get("Location") != "/step-up?next=%2Fsessions" || w.accounts.writes != 0 || len(w.archive.asked) != 0 {
			t.Errorf("%s: %d to %q, %d writes, asked %v", path, res.Code, res.Header().Get("Location"), w.accounts.writes, w.archive.asked)
		}
	}
}
