package site_test

import (
	"encoding/json"
	"fmt"
	"html"
	"io/fs"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/site"
	"example.com/portcullis/web"
)

var givenAttribute = regexp.MustCompile(`data-given="([^"]*)"`)

// given is what the script of a page starts from.
func given(t *testing.T, page string) (g struct {
	Me      struct{ ID, Username string }
	Socket  string
	Room    string
	Rooms   json.RawMessage
	History json.RawMessage
}) {
	t.Helper()
	m := givenAttribute.FindStringSubmatch(page)
	if m == nil {
		t.Fatalf("nothing given in %s", page)
	}
	if err := json.Unmarshal([]byte(html.UnescapeString(m[1])), &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// said are n messages, one a minute, of ada's friend.
func said(n int, body string) (ms []chat.Message) {
	friend := chat.Person{ID: chat.UserID{UUID: uuid.New()}, Username: "grace", DisplayName: "grace H"}
	for i := range n {
		ms = append(ms, chat.Message{ID: chat.MessageID{UUID: uuid.New()}, Seq: int64(i + 1), Author: friend, Body: fmt.Sprintf("%s %d.", body, i+1), CreatedAt: time.Date(2026, 1, 2, 3, i, 0, 0, time.UTC)})
	}
	return ms
}

func realPages(o *site.Options) { o.Web = web.FS }

// The page is the first answer that holds messages, and must say no more than the API.
//
//control:proves output
func TestChatPage_bringsWhatTheAPIWouldAnswer(t *testing.T) {
	w := newWorld(t, realPages)
	b := w.signedIn("ada")
	id := w.ownRoom(b)
	w.rooms.messages = said(3, "</textarea><script>alert(1)</script>")
	res := b.send("GET", "/rooms/"+id, "")
	page := res.Body.String()
	if got := res.Header().Get("Cache-Control"); got != "no-store" {
		t.Errorf("the page is kept: %q", got)
	}
	if strings.Contains(page, "<script>alert") || strings.Count(page, `<div class="body">&lt;/textarea&gt;&lt;script&gt;alert(1)&lt;/script&gt; `) != 3 {
		t.Errorf("not three messages as text: %s", page)
	}
	g := given(t, page)
	if g.Me.ID != b.user.String() || g.Me.Username != "ada" || g.Socket != "wss://chat.example.com/ws" || g.Room != id {
		t.Errorf("given %+v", g)
	}
	if want := b.send("GET", "/api/rooms/"+id+"/messages", "").Body.String(); string(g.History) != want {
		t.Errorf("history\n%s\nwant\n%s", g.History, want)
	}
	if want := b.send("GET", "/api/rooms", "").Body.String(); `{"rooms":`+string(g.Rooms)+`}` != want {
		t.Errorf("rooms\n%s\nwant\n%s", g.Rooms, want)
	}
	if g := given(t, b.open("/")); g.History != nil || g.Room != "" || !strings.Contains(string(g.Rooms), id) {
		t.Errorf("the page that chooses was given %+v", g)
	}
}

//control:proves authz
func TestChatPage_holdsNothingOfARoomThatIsNotTheReaders(t *testing.T) {
	w := newWorld(t, realPages)
	ada, mallory := w.signedIn("ada"), w.signedIn("mallory")
	id := w.ownRoom(ada)
	w.rooms.messages = said(3, "the gate code is")
	for _, target := range []string{"/", "/rooms/" + id} {
		res := mallory.send("GET", target, "")
		if page := res.Body.String(); strings.Contains(page, "gate code") || strings.Contains(page, "General") || res.Code == http.StatusOK && strings.Contains(page, id) {
			t.Errorf("%s: %d %s", target, res.Code, page)
		}
	}
	other, unknown := mallory.send("GET", "/rooms/"+id, ""), mallory.send("GET", "/rooms/"+uuid.NewString(), "")
	if other.Code != http.StatusNotFound || unknown.Code != other.Code {
		t.Errorf("another's room is %d, none is %d", other.Code, unknown.Code)
	}
	// Who is not in an open room sees that it is there, and not what is said in it.
	w.rooms.room.Role, w.rooms.room.Visibility = "", chat.Open
	page := ada.open("/rooms/" + id)
	if strings.Contains(page, "gate code") || given(t, page).History != nil {
		t.Errorf("an outsider reads %s", page)
	}
	// Whoever was put out between the two questions gets no page.
	w.rooms.room.Role = "member"
	w.rooms.put = true
	if res := ada.send("GET", "/rooms/"+id, ""); res.Code != http.StatusNotFound || strings.Contains(res.Body.String(), "gate code") {
		t.Errorf("%d %s", res.Code, res.Body)
	}
}

func TestChatPage_showsTheNewestAsTheScriptWill(t *testing.T) {
	for file, rule := range map[string]string{"static/js/state/timeline.js": "const BLOCK_MS = 5 * 60_000;", "static/js/chat.js": "const PAGE = 50;"} {
		if script, err := fs.ReadFile(web.FS, file); err != nil || !strings.Contains(string(script), rule) {
			t.Errorf("%s has no %s: %v", file, rule, err)
		}
	}
	w := newWorld(t, realPages)
	b := w.signedIn("ada")
	id := w.ownRoom(b)
	w.rooms.messages = said(40, "line")
	last := w.rooms.messages[39:]
	last[0].Author = chat.Person{ID: b.user, Username: "ada", DisplayName: "Ada"}
	last[0].Body, last[0].DeletedAt = "a secret", last[0].CreatedAt
	page := b.open("/rooms/" + id)
	log := regexp.MustCompile(`(?s)id="log".*?id="empty"`).FindString(page)
	for text, want := range map[string]bool{
		`<div class="body">line 10.</div>`: false, `<div class="body">line 11.</div>`: true, `<div class="body">line 39.</div>`: true,
		`<article class="msg"><span class="av" aria-hidden="true">G</span><span class="who" dir="auto">grace H<span class="at"> @grace</span></span><div class="body">line 11.</div><div class="foot"></div></article>`: true,
		`<article class="msg more"><span class="av" aria-hidden="true">G</span>`:      true,
		`dir="auto">You</span><div class="body gone">This message was deleted.</div>`: true,
	} {
		if strings.Contains(log, text) != want {
			t.Errorf("%s: want %v in %s", text, want, log)
		}
	}
	if strings.Contains(page, "a secret") {
		t.Error("a deleted message still has its words")
	}
	// Five minutes later, or an answer to something, begins anew.
	w.rooms.messages = said(3, "line")
	w.rooms.messages[1].CreatedAt = w.rooms.messages[0].CreatedAt.Add(5 * time.Minute)
	w.rooms.messages[2].CreatedAt = w.rooms.messages[1].CreatedAt
	w.rooms.messages[2].ReplyTo = w.rooms.messages[0].ID
	if page := b.open("/rooms/" + id); strings.Contains(page, `class="msg more"`) {
		t.Error("taken for one block")
	}
	// Without the right to write there is no place for it.
	composer := regexp.MustCompile(`<form class="comp" id="composer"[^>]*>`)
	if tag := composer.FindString(page); strings.Contains(tag, "hidden") {
		t.Error(tag)
	}
	w.rooms.room.Role = "reader"
	if tag := composer.FindString(b.open("/rooms/" + id)); !strings.Contains(tag, "hidden") {
		t.Error(tag)
	}
}
