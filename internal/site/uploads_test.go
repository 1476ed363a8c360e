package site_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/uuid"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/authz"
	"example.com/portcullis/internal/guard/malware"
	"example.com/portcullis/internal/guard/upload"
)

// fileStore is the store and the inspector of uploads. It gives pieces of four bytes.
type fileStore struct {
	chat.UploadStore
	writes int
	stored map[chat.UploadID]chat.StoredUpload
	sent   chat.File // of the last Inspect
	refuse error     // what Inspect returns
	doubt  bool      // nobody can tell whether a file is clean
	reads  func()    // happens before a piece is read
}

func newFileStore() *fileStore { return &fileStore{stored: map[chat.UploadID]chat.StoredUpload{}} }

func (f *fileStore) Inspect(_ context.Context, sent chat.File) (chat.Inspected, error) {
	f.sent = sent
	return chat.Inspected{Name: sent.Name, Mime: "text/plain", Bytes: sent.Bytes, Clean: !f.doubt}, f.refuse
}

func (f *fileStore) Scan(context.Context, chat.UserID, []byte) (bool, error) { return true, nil }

func (f *fileStore) May(context.Context, []authz.Role, chat.UserID, chat.RoomID, int64, int64) error {
	return nil
}

func (f *fileStore) Put(_ context.Context, _ []authz.Role, u chat.StoredUpload, _ int64) error {
	f.writes++
	f.stored[u.ID] = u
	return nil
}

func (f *fileStore) Status(_ context.Context, user chat.UserID, id chat.UploadID) (chat.Upload, bool, error) {
	u, ok := f.stored[id]
	if !ok || u.User != user {
		return chat.Upload{}, false, chat.ErrDenied
	}
	return u.Upload, u.Clean, nil
}

func (f *fileStore) Read(_ context.Context, _ []authz.Role, user chat.UserID, id chat.UploadID, from int64) (chat.Piece, error) {
	if f.reads != nil {
		f.reads()
	}
	u, ok := f.stored[id]
	if !ok || u.User != user || !u.Clean {
		return chat.Piece{}, chat.ErrDenied
	}
	return chat.Piece{Upload: u.Upload, Bytes: u.Bytes[from:min(from+4, u.Size)]}, nil
}

// ownFile gives b's user a file of eleven bytes.
func (w *world) ownFile(b *browser) string {
	id := chat.UploadID{UUID: uuid.New()}
	w.files.stored[id] = chat.StoredUpload{Upload: chat.Upload{ID: id, Name: `Köln "1".txt`, Mime: "text/plain", Size: 11}, User: b.user, Bytes: []byte("hello world"), Clean: true}
	return id.String()
}

const (
	boundary = "sea-of-bytes"
	formType = "multipart/form-data; boundary=" + boundary
)

// form is the body of an upload with one part.
func form(field, name, declared, content string) string {
	return "--" + boundary + "\r\nContent-Disposition: form-data; name=\"" + field + "\"; filename=\"" + name + "\"\r\nContent-Type: " + declared + "\r\n\r\n" + content + "\r\n--" + boundary + "--\r\n"
}

func (w *world) uploads() (*browser, string) {
	ada := w.signedIn("ada")
	target := "/api/rooms/" + w.ownRoom(ada) + "/uploads"
	w.events.reset()
	return ada, target
}

func TestUpload_handsOverWhatWasSentAndTellsWhatBecameOfIt(t *testing.T) {
	w := newWorld(t)
	ada, target := w.uploads()
	res := ada.send("POST", target, form("file", "../x y.txt", "text/plain; charset=utf-8", "hello"), header("Content-Type", formType))
	if res.Code != http.StatusCreated || field[string](t, res, "status") != "clean" || field[string](t, res, "upload_id") == "" {
		t.Fatalf("%d %s", res.Code, res.Body)
	}
	if s := w.files.sent; s.Name != "../x y.txt" || s.Declared != "text/plain; charset=utf-8" || string(s.Bytes) != "hello" {
		t.Errorf("the guard was given %q %q %q", s.Name, s.Declared, s.Bytes)
	}
	w.wantEvent(audit.UploadStored, "clean")
}

//control:proves malware
func TestUpload_saysThatAFileWaitsInQuarantine(t *testing.T) {
	w := newWorld(t)
	ada, target := w.uploads()
	w.files.doubt = true
	res := ada.send("POST", target, form("file", "a.txt", "text/plain", "hello"), header("Content-Type", formType))
	if res.Code != http.StatusCreated || field[string](t, res, "status") != "pending" {
		t.Fatalf("%d %s", res.Code, res.Body)
	}
	w.wantEvent(audit.UploadStored, "quarantined")
	id := field[string](t, res, "upload_id")
	wantError(t, ada.send("GET", "/uploads/"+id, ""), http.StatusNotFound, "denied")
	if res := ada.send("GET", "/api/uploads/"+id, ""); res.Code != http.StatusOK || field[string](t, res, "status") != "pending" {
		t.Errorf("%d %s", res.Code, res.Body)
	}
	wantError(t, w.signedIn("eve").send("GET", "/api/uploads/"+id, ""), http.StatusNotFound, "denied")
}

//control:proves upload
func TestUpload_refusesEveryOtherFormThanOneFile(t *testing.T) {
	one := form("file", "a.txt", "text/plain", "hello")
	head, _, _ := strings.Cut(one, "--"+boundary+"--")
	for _, tt := range []struct {
		name, body, kind string
		status           int
		code             string
	}{
		{"another field", form("avatar", "a.txt", "text/plain", "x"), formType, 422, "upload_rejected"},
		{"a field that is no file", "--" + boundary + "\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nx\r\n--" + boundary + "--\r\n", formType, 422, "upload_rejected"},
		{"two files", head + one, formType, 422, "upload_rejected"},
		{"no file", "--" + boundary + "--\r\n", formType, 422, "upload_rejected"},
		{"no boundary", one, "multipart/form-data", 422, "upload_rejected"},
		{"a body that ends in the middle", head[:len(head)-3], formType, 400, "bad_json"},
		{"JSON", `{"file":"x"}`, "application/json", 415, "unsupported_media_type"},
		{"a plain form", "file=x", "application/x-www-form-urlencoded", 415, "unsupported_media_type"},
		{"a body over the limit", form("file", "a.txt", "text/plain", strings.Repeat("a", 2<<20)), formType, 413, "too_large"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			ada, target := w.uploads()
			wantError(t, ada.send("POST", target, tt.body, header("Content-Type", tt.kind)), tt.status, tt.code)
			if w.files.writes != 0 || len(w.events.all()) == 0 {
				t.Errorf("%d files stored, events %v", w.files.writes, w.events.names())
			}
		})
	}
}

//control:proves upload
//control:proves malware
func TestUpload_namesTheReasonOfARefusal(t *testing.T) {
	for _, tt := range []struct {
		err    error
		code   string
		status int
		reason string
		event  audit.Name
	}{
		{&upload.Refused{Why: upload.Type}, "upload_rejected", 422, "type", audit.UploadValidation},
		{&upload.Refused{Why: upload.Pixels}, "upload_rejected", 422, "pixels", audit.UploadValidation},
		{&upload.Refused{Why: upload.TooLarge}, "too_large", 413, "body_size", audit.InputFail},
		{&malware.Infected{Signature: "Test.Eicar"}, "upload_infected", 422, "infected", audit.UploadValidation},
	} {
		w := newWorld(t)
		ada, target := w.uploads()
		w.files.refuse = tt.err
		wantError(t, ada.send("POST", target, form("file", "a.txt", "text/plain", "x"), header("Content-Type", formType)), tt.status, tt.code)
		e := w.wantEvent(tt.event, tt.reason)
		if e.Control == "malware" && e.Detail != "Test.Eicar" {
			t.Errorf("the event does not name the signature: %+v", e)
		}
	}
}

// unread is a body that fails the test when somebody reads it.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) { u.t.Error("the body was read"); return 0, io.EOF }

//control:proves upload
func TestUpload_doesNotReadABodyThatWillBeRefused(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*http.Request)
		who    func(*world) *browser
	}{
		{"too long by its own word", func(r *http.Request) { r.ContentLength = 20 << 20 }, func(w *world) *browser { return w.signedIn("ada") }},
		{"of a visitor", func(*http.Request) {}, func(w *world) *browser { b := w.browser(); b.refresh(); return b }},
		{"from another site", header("Sec-Fetch-Site", "cross-site"), func(w *world) *browser { return w.signedIn("ada") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			b := tt.who(w)
			res := b.send("POST", "/api/rooms/"+uuid.NewString()+"/uploads", "x", header("Content-Type", formType), func(r *http.Request) { r.Body = io.NopCloser(unread{t}) }, tt.change)
			if res.Code < 400 {
				t.Errorf("status %d", res.Code)
			}
		})
	}
}

//control:proves upload
func TestUpload_oneUserReadsTwoAtOnceAtMost(t *testing.T) {
	w := newWorld(t)
	ada, target := w.uploads()
	begun, release := make(chan struct{}), make(chan struct{})
	var running []chan int
	for range 2 {
		done := make(chan int, 1)
		running = append(running, done)
		tab := *ada // its own cookie jar
		go func() {
			done <- tab.send("POST", target, "x", header("Content-Type", formType), func(r *http.Request) { r.Body = io.NopCloser(&slow{begun, release, false}) }).Code
		}()
		<-begun
	}
	res := ada.send("POST", target, form("file", "a.txt", "text/plain", "x"), header("Content-Type", formType))
	wantError(t, res, http.StatusServiceUnavailable, "busy")
	w.wantEvent(audit.RateLimitExceeded, "uploads_at_once")
	close(release)
	for _, done := range running {
		<-done
	}
	if res := ada.send("POST", target, form("file", "a.txt", "text/plain", "x"), header("Content-Type", formType)); res.Code != http.StatusCreated {
		t.Errorf("afterwards: %d %s", res.Code, res.Body)
	}
}

// Eight accounts of one attacker would take all sixteen places of the node.
//
//control:proves upload
func TestUpload_oneNetworkDoesNotTakeEveryPlace(t *testing.T) {
	w := newWorld(t)
	ada, target := w.uploads()
	begun, release := make(chan struct{}), make(chan struct{})
	var running []chan int
	for i := range 6 { // uploadsPerNetwork
		done := make(chan int, 1)
		running = append(running, done)
		account := w.signedIn(fmt.Sprint("account", i))
		go func() {
			done <- account.send("POST", target, "x", header("Content-Type", formType), func(r *http.Request) { r.Body = io.NopCloser(&slow{begun, release, false}) }).Code
		}()
		<-begun
	}
	w.events.reset()
	send := func(address string) *httptest.ResponseRecorder {
		return ada.send("POST", target, form("file", "a.txt", "text/plain", "x"), header("Content-Type", formType), func(r *http.Request) { r.RemoteAddr = address })
	}
	wantError(t, send("192.0.2.1:2"), http.StatusServiceUnavailable, "busy") // the network of all of them
	w.wantEvent(audit.RateLimitExceeded, "uploads_at_once")
	if res := send("198.51.100.7:2"); res.Code != http.StatusCreated {
		t.Errorf("from elsewhere: %d %s", res.Code, res.Body)
	}
	close(release)
	for _, done := range running {
		<-done
	}
	if res := send("192.0.2.1:2"); res.Code != http.StatusCreated {
		t.Errorf("afterwards: %d %s", res.Code, res.Body)
	}
}

// slow is a body that says when it is read and then waits.
type slow struct {
	begun, release chan struct{}
	told           bool
}

func (s *slow) Read([]byte) (int, error) {
	if !s.told {
		s.told = true
		s.begun <- struct{}{}
	}
	<-s.release
	return 0, io.EOF
}

//control:proves upload
func TestGetUpload_isServedSoThatNothingOfItRuns(t *testing.T) {
	w := newWorld(t)
	ada := w.signedIn("ada")
	id := w.ownFile(ada)
	res := ada.send("GET", "/uploads/"+id, "")
	if res.Code != http.StatusOK || res.Body.String() != "hello world" {
		t.Fatalf("%d %q", res.Code, res.Body)
	}
	for name, want := range map[string]string{
		"Content-Type": "text/plain", "X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-store",
		"Content-Security-Policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
		"Content-Disposition":     `attachment; filename="K_ln _1_.txt"; filename*=UTF-8''K%C3%B6ln%20%221%22.txt`,
	} {
		if got := res.Header().Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	stranger := w.signedIn("eve").send("GET", "/uploads/"+id, "")
	wantError(t, stranger, http.StatusNotFound, "denied")
	nothing := w.signedIn("eve").send("GET", "/uploads/"+uuid.NewString(), "")
	wantError(t, nothing, http.StatusNotFound, "denied")
	if field[string](t, stranger, "message") != field[string](t, nothing, "message") {
		t.Error("a stranger can tell which files exist")
	}
}

//control:proves upload
func TestGetUpload_stopsWhenItsReaderMayNotAnyMore(t *testing.T) {
	w := newWorld(t)
	ada := w.signedIn("ada")
	id := w.ownFile(ada)
	pieces := 0
	w.files.reads = func() {
		if pieces++; pieces == 3 { // removed from the room in the middle of the download
			clear(w.files.stored)
		}
	}
	defer func() {
		if v := recover(); v == nil || !errors.Is(v.(error), http.ErrAbortHandler) {
			t.Errorf("the download ended with %v, not by breaking off", v)
		}
	}()
	res := ada.send("GET", "/uploads/"+id, "")
	if bytes.Contains(res.Body.Bytes(), []byte("rld")) {
		t.Error("the rest was served")
	}
}
