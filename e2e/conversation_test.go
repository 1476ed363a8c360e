package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"example.com/portcullis/internal/attack"
)

// The protocol as docs/protocol.md tells it, spoken by a client that knows nothing else.

//control:proves authz
//control:proves delivery
//control:proves dispatch
//control:proves first-message
//control:proves origin
//control:proves revocation
func TestConversation(t *testing.T) {
	t.Parallel()
	s := startGenerous(t)
	for _, tt := range []struct {
		claim string
		test  func(*testing.T, *Server)
	}{
		{"a message is acknowledged and arrives once, in order", messageArrives},
		{"edits, deletions and reactions arrive with the next seq", changesArrive},
		{"typing and read markers reach whom they concern", signalsArrive},
		{"history is read page by page, newest last", historyPages},
		{"a search takes the text literally and stays in the room", searchIsLiteral},
		{"two people have one direct room", directRoom},
		{"who comes back gets what was missed, edits and deletions too", resume},
		{"a gap that is too large is answered with resync", resyncAfterHugeGap},
		{"the same command again gets the same ack and changes nothing", resendIsIdempotent},
		{"a reply names its message and cannot name another room's", replies},

		{"a ticket in the first frame opens the same socket", firstMessage},
		{"a program gets in with a bearer ticket and without a cookie", cliRoute},
		{"errors have one shape", errorShape},
		{"pages carry no inline script or style", noInlineCode},

		{"who is added hears of it and may enter", memberAdded},
		{"who is removed hears no more, on the socket that is open", memberRemoved},
		{"who is banned does not come back until unbanned", memberBanned},
		{"who is muted reads and does not write", memberMuted},
		{"a new role acts at once", memberRole},
		{"the list of members is for members", memberList},

		{"sign-out closes every socket of the session", signOutClosesSockets},
		{"one session of several can be ended", oneSessionOfSeveral},
		{"somebody else's session does not exist", othersSession},
		{"a new password ends the other sessions and keeps this one", newPassword},
	} {
		t.Run(tt.claim, func(t *testing.T) { t.Parallel(); tt.test(t, s) })
	}
}

func messageArrives(t *testing.T, s *Server) {
	alice, bob := signUp(t, s, "alice"), signUp(t, s, "bob")
	id := room(t, alice, "open")
	as, bs := enter(t, alice, id), enter(t, bob, id)
	if f := as.Hello; f.Type != "hello" {
		t.Errorf("the first frame is %s", f.Raw)
	}
	const count = 20
	for i := range count {
		body := fmt.Sprintf("line %d of the canary conversation", i)
		s.Logs.Canary(body)
		got := say(t, as, id, body)
		if got.Seq != int64(i+1) {
			t.Fatalf("seq %d of message %d", got.Seq, i)
		}
		f := until(t, bs, "message.new")
		m := messageOf(t, f)
		if m.ID != got.MessageID || f.Seq != got.Seq || m.Seq != got.Seq || m.Body != body || m.Author.ID != alice.User.ID || m.CreatedAt == "" {
			t.Fatalf("bob got %s, alice's ack was %+v", f.Raw, got)
		}
	}
	wantSeqs(t, bs, id, 1, count)
	wantSeqs(t, as, id, 1, count) // the author's own socket too, for the other tabs' sake
}

func changesArrive(t *testing.T, s *Server) {
	alice, bob := signUp(t, s, "alice"), signUp(t, s, "bob")
	id := room(t, alice, "open")
	as, bs := enter(t, alice, id), enter(t, bob, id)
	first := say(t, as, id, "before")
	of := data{"room_id": id, "message_id": first.MessageID}
	with := func(k string, v any) data { return data{"room_id": id, "message_id": first.MessageID, k: v} }

	refused(t, bs, "message.edit", with("body", "not bob's"), "denied")
	refused(t, bs, "message.delete", of, "denied")

	if got := ask(t, as, "message.edit", with("body", "after")); got.Seq != 2 {
		t.Errorf("edit has seq %d", got.Seq)
	}
	if f := until(t, bs, "message.edited"); f.Seq != 2 || messageOf(t, f).Body != "after" || messageOf(t, f).EditedAt == "" {
		t.Errorf("bob got %s", f.Raw)
	}
	if got := ask(t, bs, "reaction.add", with("emoji", "👍")); got.Seq != 3 {
		t.Errorf("reaction has seq %d", got.Seq)
	}
	if f := until(t, as, "reaction.changed"); f.Seq != 3 || len(messageOf(t, f).Reactions) != 1 || !slices.Equal(messageOf(t, f).Reactions[0].Users, []string{bob.User.ID}) {
		t.Errorf("alice got %s", f.Raw)
	}
	refused(t, bs, "reaction.add", with("emoji", "not an emoji"), "bad_schema")
	ask(t, bs, "reaction.remove", with("emoji", "👍"))
	if f := until(t, as, "reaction.changed"); f.Seq != 4 || len(messageOf(t, f).Reactions) != 0 {
		t.Errorf("alice got %s", f.Raw)
	}
	ask(t, as, "message.delete", of)
	if f := until(t, bs, "message.deleted"); f.Seq != 5 || messageOf(t, f).Body != "" || messageOf(t, f).DeletedAt == "" {
		t.Errorf("bob got %s", f.Raw)
	}
	refused(t, as, "message.edit", with("body", "back from the dead"), "denied")
	wantSeqs(t, as, id, 1, 5)
	wantSeqs(t, bs, id, 1, 5)
	if ms := history(t, bob, id, ""); len(ms) != 1 || ms[0].Body != "" || ms[0].DeletedAt == "" {
		t.Errorf("a deleted message keeps its place and loses its body: %+v", ms)
	}
}

func signalsArrive(t *testing.T, s *Server) {
	alice, bob := signUp(t, s, "alice"), signUp(t, s, "bob")
	id := room(t, alice, "open")
	as, bs := enter(t, alice, id), enter(t, bob, id)
	other := enter(t, alice, id) // alice's second tab
	if _, err := bs.Send("typing.start", data{"room_id": id}); err != nil {
		t.Fatal(err)
	}
	until(t, as, "typing")
	say(t, bs, id, "read me")
	untilSeq(t, as, id, 1)
	ask(t, as, "read.mark", data{"room_id": id, "seq": 1})
	until(t, other, "read.marked")
	for _, f := range bs.Seen {
		if f.Type == "read.marked" {
			t.Errorf("how far alice has read is not bob's to know: %s", f.Raw)
		}
	}
	var list struct {
		Rooms []struct {
			ID      string `json:"id"`
			ReadSeq int64  `json:"read_seq"`
			HeadSeq int64  `json:"head_seq"`
		} `json:"rooms"`
	}
	call(t, alice, http.MethodGet, "/api/rooms", nil, http.StatusOK, &list)
	if i := slices.IndexFunc(list.Rooms, func(r struct {
		ID      string `json:"id"`
		ReadSeq int64  `json:"read_seq"`
		HeadSeq int64  `json:"head_seq"`
	}) bool {
		return r.ID == id
	}); i < 0 || list.Rooms[i].ReadSeq != 1 || list.Rooms[i].HeadSeq != 1 {
		t.Errorf("rooms: %+v", list)
	}
}

func historyPages(t *testing.T, s *Server) {
	alice := signUp(t, s, "alice")
	id := room(t, alice, "closed")
	as := enter(t, alice, id)
	var want []string
	for i := range 25 {
		want = append(want, fmt.Sprint("page line ", i))
		say(t, as, id, want[i])
	}
	var got []string
	before := ""
	for range 3 {
		page := history(t, alice, id, "?limit=10"+before)
		got = append(bodies(page), got...)
		before = fmt.Sprintf("&before_seq=%d", page[0].Seq)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if rest := history(t, alice, id, "?limit=10"+before); len(rest) != 0 {
		t.Errorf("before the first message there is %v", bodies(rest))
	}
	for _, bad := range []string{"?limit=0", "?limit=-1", "?limit=x", "?before_seq=-1", "?before_seq=1e3"} {
		call(t, alice, http.MethodGet, "/api/rooms/"+id+"/messages"+bad, nil, http.StatusBadRequest, nil)
	}
}

func searchIsLiteral(t *testing.T, s *Server) {
	alice, bob := signUp(t, s, "alice"), signUp(t, s, "bob")
	id, other := room(t, alice, "closed"), room(t, alice, "closed")
	as := enter(t, alice, id)
	for _, body := range []string{"The crane lifts at noon", "50% of the berths", "nothing here"} {
		say(t, as, id, body)
	}
	ask(t, as, "room.join", data{"room_id": other})
	say(t, as, other, "a crane elsewhere")
	for query, want := range map[string][]string{
		"crane":                     {"The crane lifts at noon"},
		"CRANE":                     {"The crane lifts at noon"},
		"crane | nothing":           {}, // no operators
		"'; DROP TABLE messages;--": {},
		"absent":                    {},
	} {
		var page struct {
			Messages []Message `json:"messages"`
		}
		req := "/api/rooms/" + id + "/search?limit=10&q=" + url.QueryEscape(query)
		call(t, alice, http.MethodGet, req, nil, http.StatusOK, &page)
		if got := bodies(page.Messages); !slices.Equal(got, want) {
			t.Errorf("%q found %q, want %q", query, got, want)
		}
		call(t, bob, http.MethodGet, req, nil, http.StatusNotFound, nil)
	}
}

func directRoom(t *testing.T, s *Server) {
	alice, bob, carol := signUp(t, s, "alice"), signUp(t, s, "bob"), signUp(t, s, "carol")
	var a, b struct {
		ID         string `json:"id"`
		Visibility string `json:"visibility"`
		Peer       struct {
			Username string `json:"username"`
		} `json:"peer"`
	}
	call(t, alice, http.MethodPost, "/api/direct", data{"username": bob.User.Username}, http.StatusOK, &a)
	call(t, bob, http.MethodPost, "/api/direct", data{"username": alice.User.Username}, http.StatusOK, &b)
	if a.ID != b.ID || a.Visibility != "direct" || a.Peer.Username != bob.User.Username || b.Peer.Username != alice.User.Username {
		t.Fatalf("alice has %+v, bob %+v", a, b)
	}
	as, bs := enter(t, alice, a.ID), enter(t, bob, a.ID)
	say(t, as, a.ID, "between the two of us")
	if m := messageOf(t, until(t, bs, "message.new")); m.Body != "between the two of us" {
		t.Errorf("bob got %+v", m)
	}
	refused(t, open(t, carol, attack.Handshake{}), "room.join", data{"room_id": a.ID}, "denied")
	call(t, alice, http.MethodPost, "/api/rooms/"+a.ID+"/members", data{"username": carol.User.Username}, http.StatusNotFound, nil)
}

func resume(t *testing.T, s *Server) {
	alice, bob := signUp(t, s, "alice"), signUp(t, s, "bob")
	id := room(t, alice, "open")
	as, bs := enter(t, alice, id), enter(t, bob, id)
	first, second := say(t, as, id, "first"), say(t, as, id, "second")
	untilSeq(t, bs, id, 2)
	bs.Close()

	ask(t, as, "message.edit", data{"room_id": id, "message_id": first.MessageID, "body": "first, corrected"})
	ask(t, as, "message.delete", data{"room_id": id, "message_id": second.MessageID})
	say(t, as, id, "third")

	back := open(t, bob, attack.Handshake{})
	got := ask(t, back, "room.join", data{"room_id": id, "after_seq": 2})
	if got.HeadSeq != 5 {
		t.Errorf("head %d, want 5", got.HeadSeq)
	}
	missed := changes(back, id) // all of it comes before the ack
	if kinds := types(missed); !slices.Equal(kinds, []string{"message.edited", "message.deleted", "message.new"}) {
		t.Fatalf("missed: %v", kinds)
	}
	if m := messageOf(t, missed[0]); m.Body != "first, corrected" {
		t.Errorf("the edit is %+v", m)
	}
	if m := messageOf(t, missed[1]); m.ID != second.MessageID || m.Body != "" {
		t.Errorf("the deletion is %+v", m)
	}
	say(t, as, id, "fourth")
	wantSeqs(t, back, id, 3, 6)
}

func resyncAfterHugeGap(t *testing.T, s *Server) {
	alice := signUp(t, s, "alice")
	id := room(t, alice, "closed")
	as := enter(t, alice, id)
	const count = 250 // more than 200
	for n := range int64(count) {
		if _, err := as.Send("message.send", data{"room_id": id, "body": "many"}); err != nil {
			t.Fatal(err)
		}
		if n%100 == 99 {
			untilSeq(t, as, id, n+1)
		}
	}
	untilSeq(t, as, id, count)
	for _, tt := range []struct {
		name   string
		after  int64
		resync bool
	}{
		{"all of it", 0, true}, {"what can be replayed", 100, false}, {"a memory of another server", 10_000, true},
	} {
		back := open(t, alice, attack.Handshake{})
		got := ask(t, back, "room.join", data{"room_id": id, "after_seq": tt.after})
		if got.HeadSeq != count {
			t.Errorf("%s: head %d", tt.name, got.HeadSeq)
		}
		if has := slices.Contains(types(back.Seen), "resync"); has != tt.resync {
			t.Errorf("%s: resync %v, want %v", tt.name, has, tt.resync)
		}
		if tt.resync && len(changes(back, id)) > 0 {
			t.Errorf("%s: changes beside a resync", tt.name)
		}
		back.Close()
	}
}

func resendIsIdempotent(t *testing.T, s *Server) {
	alice := signUp(t, s, "alice")
	id := room(t, alice, "closed")
	as := enter(t, alice, id)
	command, d := commandID(t), data{"room_id": id, "body": "exactly once"}
	var answers []reply
	send := func(on *attack.Socket) {
		if err := on.SendAs(command, "message.send", d); err != nil {
			t.Fatal(err)
		}
		f, err := on.Answer(command)
		if err != nil {
			t.Fatal(err)
		}
		answers = append(answers, acked(t, f))
	}
	mark := s.Logs.Mark()
	send(as)
	send(as)
	as.Close()
	send(enter(t, alice, id)) // after the line broke before the ack was read
	if answers[0] != answers[1] || answers[0] != answers[2] {
		t.Errorf("acks differ: %+v", answers)
	}
	s.wantEvent(t, mark, "ws_replay_rejected", func(e Event) bool { return e.User == alice.User.ID })
	if ms := history(t, alice, id, ""); len(ms) != 1 || ms[0].ClientID != command {
		t.Errorf("the room holds %+v", ms)
	}
}

func replies(t *testing.T, s *Server) {
	alice := signUp(t, s, "alice")
	id, other := room(t, alice, "closed"), room(t, alice, "closed")
	as := enter(t, alice, id)
	first := say(t, as, id, "question")
	ask(t, as, "message.send", data{"room_id": id, "body": "answer", "reply_to": first.MessageID})
	ms := history(t, alice, id, "")
	if len(ms) != 2 || ms[1].ReplyTo != first.MessageID {
		t.Errorf("%+v", ms)
	}
	ask(t, as, "room.join", data{"room_id": other})
	f, err := as.Ask("message.send", data{"room_id": other, "body": "smuggled", "reply_to": first.MessageID})
	if err != nil || f.Type != "error" {
		t.Errorf("a reply across rooms: %s %v", f.Raw, err)
	}
}

// later is a time as the API takes it.
func later(d time.Duration) string { return time.Now().Add(d).UTC().Format(time.RFC3339Nano) }
