package site_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/authz"
	"example.com/portcullis/internal/guard/session"
)

// reader is the client of a stream: what arrived, flush by flush.
type reader struct {
	mu       sync.Mutex
	header   http.Header
	status   int
	body     strings.Builder
	flushed  string
	writes   int
	limited  int  // writes that had a deadline of their own
	fresh    bool // a deadline was set since the last write
	broken   bool // the client does not take anything any more
	cancel   context.CancelFunc
	finished chan struct{}
}

func (r *reader) Header() http.Header { return r.header }
func (r *reader) WriteHeader(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = status
}
func (r *reader) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.writes++
	if r.fresh {
		r.limited++
	}
	r.fresh = false
	if r.broken {
		return 0, errors.New("i/o timeout")
	}
	return r.body.Write(b)
}
func (r *reader) Flush() { r.mu.Lock(); defer r.mu.Unlock(); r.flushed = r.body.String() }
func (r *reader) SetWriteDeadline(at time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fresh = time.Until(at) > 0 && time.Until(at) <= 10*time.Second
	return nil
}

// stream opens one in the bubble of a test.
func (b *browser) stream(change ...func(*http.Request)) *reader {
	b.w.t.Helper()
	ctx, cancel := context.WithCancel(b.w.t.Context())
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, own+"/api/admin/events", nil)
	r.Header.Set("Cookie", session.CookieName+"="+b.cookie)
	for _, f := range change {
		f(r)
	}
	s := &reader{header: http.Header{}, cancel: cancel, finished: make(chan struct{})}
	go func() { defer close(s.finished); b.w.handler.ServeHTTP(s, r) }()
	b.w.t.Cleanup(func() { cancel(); <-s.finished })
	synctest.Wait()
	return s
}

func (r *reader) ended() bool {
	select {
	case <-r.finished:
		return true
	default:
		return false
	}
}

// got are the events that arrived, as "id kind", without the numbers.
func (r *reader) got() (list []string) {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	for frame := range strings.SplitSeq(r.flushed, "\n\n") {
		id, kind, data := "", "message", ""
		for line := range strings.SplitSeq(frame, "\n") {
			switch name, value, _ := strings.Cut(line, ": "); name {
			case "id":
				id = value
			case "event":
				kind = value
			case "data":
				data = value
			}
		}
		if data != "" && kind != "overview" {
			list = append(list, strings.TrimSpace(id+" "+kind))
		}
	}
	return list
}

func bubble(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newWorld(t)) })
}

var refusedEvent = audit.Event{Name: audit.MaliciousCORS, Level: audit.Warn, Control: "origin", IP: "198.51.100.7/32"}

func wantList(t *testing.T, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, ", ") != strings.Join(want, ", ") {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestEvents_areSentAsTheyAreStoredAndGoOnWhereTheReaderWas(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		audrey := w.as("audrey", authz.Auditor)
		for range 5 {
			w.admin.store(refusedEvent)
		}
		fromNow, resumed, page := audrey.stream(), audrey.stream(header("Last-Event-ID", "2")), audrey.stream(func(r *http.Request) { r.URL.RawQuery = "after=4" })
		time.Sleep(600 * time.Millisecond)
		wantList(t, fromNow.got())
		wantList(t, resumed.got(), "3 message", "4 message", "5 message")
		wantList(t, page.got(), "5 message")
		w.admin.store(refusedEvent)
		time.Sleep(600 * time.Millisecond)
		wantList(t, fromNow.got(), "6 message")
		for name, want := range map[string]string{"Content-Type": "text/event-stream", "Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "no"} {
			if got := fromNow.header.Get(name); got != want {
				t.Errorf("%s: %q", name, got)
			}
		}
		if fromNow.status != http.StatusOK || !strings.Contains(fromNow.flushed, `"source_ip":"198.51.100.0/24"`) || !strings.Contains(fromNow.flushed, "event: overview\n") {
			t.Errorf("%d %s", fromNow.status, fromNow.flushed)
		}
	})
}

// What was missed is said, whether it was too much for the reader or is no longer stored.
func TestEvents_sayHowManyTheReaderMissed(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		audrey := w.as("audrey", authz.Auditor)
		for range 1200 {
			w.admin.store(refusedEvent)
		}
		s := audrey.stream(header("Last-Event-ID", "100"))
		time.Sleep(600 * time.Millisecond)
		list := s.got()
		if len(list) != 501 || list[0] != "700 gap" || list[1] != "701 message" || list[500] != "1200 message" || !strings.Contains(s.flushed, `data: {"missed":600}`) {
			t.Fatalf("%d events: %v …", len(list), list[:2])
		}
		w.admin.mu.Lock()
		w.admin.log = append(w.admin.log, audit.Stored{ID: 1204, Event: refusedEvent})
		w.admin.mu.Unlock()
		time.Sleep(600 * time.Millisecond)
		wantList(t, s.got()[501:], "1203 gap", "1204 message")
	})
}

func TestEvents_beatWhileThereIsNothingToSay(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		s := w.as("audrey", authz.Auditor).stream()
		time.Sleep(46 * time.Second)
		synctest.Wait()
		if n := strings.Count(s.flushed, ": beat\n\n"); n != 3 {
			t.Errorf("%d beats in 45 seconds", n)
		}
		if s.limited != s.writes || s.writes < 10 {
			t.Errorf("%d of %d writes had a deadline of their own", s.limited, s.writes)
		}
		s.mu.Lock()
		s.broken = true
		s.mu.Unlock()
		time.Sleep(6 * time.Second)
		synctest.Wait()
		if !s.ended() {
			t.Error("a reader that takes nothing is still being written to")
		}
	})
}

// Whoever loses the session or the role gets nothing from that moment on.
//
//control:proves admin-separation
//control:proves revocation
func TestEvents_endWithTheSessionAndTheRole(t *testing.T) {
	for name, take := range map[string]func(w *world, b *browser){
		"signed out":       func(w *world, b *browser) { b.send("POST", "/api/sign-out", "") },
		"role taken away":  func(w *world, b *browser) { w.role("audrey", authz.User) },
		"account disabled": func(w *world, b *browser) { w.accounts.disabled["audrey"] = true },
		"session expired":  func(w *world, b *browser) { w.clock.Advance(9 * time.Hour) },
	} {
		for _, busy := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/busy=%v", name, busy), func(t *testing.T) {
				bubble(t, func(t *testing.T, w *world) {
					audrey := w.as("audrey", authz.Auditor)
					s := audrey.stream()
					w.admin.store(refusedEvent)
					time.Sleep(600 * time.Millisecond)
					synctest.Wait()
					take(w, audrey)
					if busy {
						w.admin.store(refusedEvent)
						time.Sleep(600 * time.Millisecond)
					} else {
						w.clock.Advance(3 * time.Second)
						time.Sleep(3 * time.Second)
					}
					wantList(t, s.got(), "1 message", "end")
					if !s.ended() {
						t.Error("the stream goes on")
					}
				})
			})
		}
	}
}

// A stream is lines; what an attacker wrote must not begin one.
//
//control:proves admin-separation
func TestEvents_textOfAnAttackerCannotWriteEvents(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		s := w.as("audrey", authz.Auditor).stream()
		hostile := refusedEvent
		hostile.UserAgent, hostile.Detail = "curl\n\nid: 99\nevent: end\ndata: {}\n\n", "a\r\rb</script>\u2028"
		w.admin.store(hostile)
		time.Sleep(600 * time.Millisecond)
		wantList(t, s.got(), "1 message")
		for line := range strings.SplitSeq(s.flushed, "\n") {
			if text, ok := strings.CutPrefix(line, `data: {"id"`); ok {
				var e map[string]any
				if err := json.Unmarshal([]byte(`{"id"`+text), &e); err != nil || e["user_agent"] != hostile.UserAgent || e["detail"] != hostile.Detail {
					t.Errorf("%v in %q", err, line)
				}
			}
		}
	})
}

//control:proves admin-separation
func TestEvents_areBoundedPerUserAndEndWithTheServer(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		audrey, root := w.as("audrey", authz.Auditor), w.as("root", authz.Admin)
		first := audrey.stream()
		for range 3 {
			audrey.stream()
		}
		w.events.reset()
		if s := audrey.stream(); s.status != http.StatusTooManyRequests || !s.ended() {
			t.Errorf("a fifth stream: %d", s.status)
		}
		w.wantEvent(audit.RateLimitExceeded, "streams")
		first.cancel()
		<-first.finished
		again, other := audrey.stream(), root.stream()
		if again.status != http.StatusOK || other.status != http.StatusOK {
			t.Errorf("%d %d", again.status, other.status)
		}
		if res := root.send("HEAD", "/api/admin/events", ""); res.Code != http.StatusOK || res.Body.Len() != 0 {
			t.Errorf("HEAD: %d %s", res.Code, res.Body)
		}
		for _, bad := range []string{"-1", "x", "1.5", "99999999999999999999"} {
			wantError(t, root.send("GET", "/api/admin/events", "", header("Last-Event-ID", bad)), http.StatusBadRequest, "bad_schema")
		}
		w.site.Drain()
		synctest.Wait()
		if !again.ended() || !other.ended() {
			t.Error("streams outlast the server")
		}
	})
}

// A server's deadlines are for short answers; a stream has its own.
func TestEvents_outliveTheServersOwnTimeouts(t *testing.T) {
	w := newWorld(t)
	audrey := w.as("audrey", authz.Auditor)
	server := httptest.NewUnstartedServer(w.handler)
	server.Config.ReadTimeout, server.Config.WriteTimeout = 200*time.Millisecond, 200*time.Millisecond
	server.Start()
	defer server.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/api/admin/events", nil)
	must(t, err)
	r.Header.Set("Cookie", session.CookieName+"="+audrey.cookie)
	res, err := server.Client().Do(r)
	must(t, err)
	defer res.Body.Close()
	begin := time.Now()
	time.AfterFunc(time.Second, func() { w.admin.store(refusedEvent) })
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		if lines.Text() == "id: 1" {
			return
		}
	}
	t.Errorf("%s: ended after %s", res.Status, time.Since(begin))
}
