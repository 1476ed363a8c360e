package e2e

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/portcullis/internal/attack"
)

// harbour is a room with its owner and one member, both there with a socket.
type harbour struct {
	owner, member *attack.Client
	room          string
	os, ms        *attack.Socket
	members       string // path
}

func newHarbour(t *testing.T, s *Server, visibility string) harbour {
	t.Helper()
	owner, member := signUp(t, s, "owner"), signUp(t, s, "member")
	id := room(t, owner, visibility)
	h := harbour{owner: owner, member: member, room: id, members: "/api/rooms/" + id + "/members"}
	if visibility == "closed" {
		call(t, owner, http.MethodPost, h.members, data{"username": member.User.Username}, http.StatusCreated, nil)
	}
	h.os, h.ms = enter(t, owner, id), enter(t, member, id)
	return h
}

// silent fails the test unless the member's open socket gets nothing of what is said
// in the room now. A message in a second room, said afterwards, is the fence.
func (h harbour) silent(t *testing.T) {
	t.Helper()
	fence := room(t, h.owner, "open")
	ask(t, h.ms, "room.join", data{"room_id": fence})
	ask(t, h.os, "room.join", data{"room_id": fence})
	say(t, h.os, h.room, "said behind closed doors")
	say(t, h.os, fence, "the fence")
	f := until(t, h.ms, "message.new")
	if f.Room != fence {
		t.Errorf("the member still reads: %s", f.Raw)
	}
}

func memberAdded(t *testing.T, s *Server) {
	h := newHarbour(t, s, "closed")
	third := signUp(t, s, "third")
	socket := open(t, third, attack.Handshake{})
	refused(t, socket, "room.join", data{"room_id": h.room}, "denied")
	mark := s.Logs.Mark()
	call(t, h.owner, http.MethodPost, h.members, data{"username": third.User.Username}, http.StatusCreated, nil)
	s.wantEvent(t, mark, "privilege_permissions_changed", func(e Event) bool { return e.Reason == "member_added" && e.Detail == third.User.ID })
	until(t, h.ms, "member.changed")
	if got := ask(t, socket, "room.join", data{"room_id": h.room}); got.Role != "member" {
		t.Errorf("%+v", got)
	}
	call(t, third, http.MethodPost, h.members, data{"username": third.User.Username}, http.StatusNotFound, nil) // a member may not add
}

func memberRemoved(t *testing.T, s *Server) {
	h := newHarbour(t, s, "closed")
	mark := s.Logs.Mark()
	call(t, h.owner, http.MethodDelete, h.members+"/"+h.member.User.ID, nil, http.StatusNoContent, nil)
	s.wantEvent(t, mark, "privilege_permissions_changed", func(e Event) bool { return e.Reason == "member_removed" })
	if f := until(t, h.ms, "room.removed"); f.Room != h.room || !strings.Contains(string(f.Data), `"removed"`) {
		t.Errorf("%s", f.Raw)
	}
	h.silent(t)
	refused(t, h.ms, "message.send", data{"room_id": h.room, "body": "and yet"}, "denied")
	refused(t, h.ms, "room.join", data{"room_id": h.room}, "denied")
	call(t, h.member, http.MethodGet, "/api/rooms/"+h.room+"/messages", nil, http.StatusNotFound, nil)
}

func memberBanned(t *testing.T, s *Server) {
	h := newHarbour(t, s, "open")
	ban := "/api/rooms/" + h.room + "/bans/" + h.member.User.ID
	call(t, h.owner, http.MethodPut, ban, nil, http.StatusNoContent, nil)
	until(t, h.ms, "room.removed")
	h.silent(t)
	refused(t, h.ms, "room.join", data{"room_id": h.room}, "denied")
	call(t, h.owner, http.MethodDelete, ban, nil, http.StatusNoContent, nil)
	ask(t, h.ms, "room.join", data{"room_id": h.room})
}

func memberMuted(t *testing.T, s *Server) {
	h := newHarbour(t, s, "closed")
	path := h.members + "/" + h.member.User.ID
	call(t, h.owner, http.MethodPatch, path, data{"muted_until": later(time.Hour)}, http.StatusNoContent, nil)
	if f := until(t, h.ms, "member.changed"); !strings.Contains(string(f.Data), "muted_until") {
		t.Errorf("%s", f.Raw)
	}
	mark := s.Logs.Mark()
	refused(t, h.ms, "message.send", data{"room_id": h.room, "body": "mmm"}, "denied")
	s.wantEvent(t, mark, "authz_fail", func(e Event) bool { return e.User == h.member.User.ID })
	say(t, h.os, h.room, "you may listen")
	until(t, h.ms, "message.new")
	call(t, h.owner, http.MethodPatch, path, data{"muted_until": nil}, http.StatusNoContent, nil)
	say(t, h.ms, h.room, "thank you")
}

func memberRole(t *testing.T, s *Server) {
	h := newHarbour(t, s, "closed")
	path := h.members + "/" + h.member.User.ID
	call(t, h.owner, http.MethodPatch, path, data{"role": "reader"}, http.StatusNoContent, nil)
	refused(t, h.ms, "message.send", data{"room_id": h.room, "body": "x"}, "denied")
	said := say(t, h.os, h.room, "delete me")
	of := data{"room_id": h.room, "message_id": said.MessageID}
	refused(t, h.ms, "message.delete", of, "denied")
	call(t, h.owner, http.MethodPatch, path, data{"role": "moderator"}, http.StatusNoContent, nil)
	ask(t, h.ms, "message.delete", of)
	call(t, h.member, http.MethodDelete, h.members+"/"+h.owner.User.ID, nil, http.StatusNotFound, nil) // nobody removes an owner
}

func memberList(t *testing.T, s *Server) {
	h := newHarbour(t, s, "closed")
	var list struct {
		Members []struct {
			User attack.User `json:"user"`
			Role string      `json:"role"`
		} `json:"members"`
	}
	call(t, h.member, http.MethodGet, h.members, nil, http.StatusOK, &list)
	var roles []string
	for _, m := range list.Members {
		roles = append(roles, m.Role)
	}
	if slices.Sort(roles); !slices.Equal(roles, []string{"member", "owner"}) {
		t.Errorf("%+v", list)
	}
	call(t, signUp(t, s, "outside"), http.MethodGet, h.members, nil, http.StatusNotFound, nil)
}

// Session is one row of GET /api/sessions.
type Session struct {
	SID     string `json:"sid"`
	Sockets int    `json:"sockets"`
	Current bool   `json:"current"`
}

// sessions lists c's, by sid.
func sessions(t *testing.T, c *attack.Client) map[string]Session {
	t.Helper()
	var out struct {
		Sessions []Session `json:"sessions"`
	}
	call(t, c, http.MethodGet, "/api/sessions", nil, http.StatusOK, &out)
	all := map[string]Session{}
	for _, each := range out.Sessions {
		all[each.SID] = each
	}
	return all
}

func signOutClosesSockets(t *testing.T, s *Server) {
	alice := signUp(t, s, "alice")
	phone := signIn(t, s, alice)
	kept := open(t, phone, attack.Handshake{})
	var sockets []*attack.Socket
	for range 3 {
		sockets = append(sockets, open(t, alice, attack.Handshake{}))
	}
	mark, cookie := s.Logs.Mark(), alice.Cookie
	signOut(t, alice)
	for _, socket := range sockets {
		wantClose(t, socket, 4403)
	}
	s.wantEvent(t, mark, "session_logout", func(e Event) bool { return e.User == alice.User.ID })
	s.wantEvent(t, mark, "ws_revoked_close", func(e Event) bool { return e.User == alice.User.ID && e.CloseCode == 4403 })
	alice.Cookie = cookie
	if signedIn(t, alice) {
		t.Error("the cookie still signs in")
	}
	ask(t, kept, "room.join", data{"room_id": room(t, phone, "closed")}) // the other device is untouched
}

func oneSessionOfSeveral(t *testing.T, s *Server) {
	alice := signUp(t, s, "alice")
	phone, tablet := signIn(t, s, alice), signIn(t, s, alice)
	ps, ts := open(t, phone, attack.Handshake{}), open(t, tablet, attack.Handshake{})
	open(t, phone, attack.Handshake{})
	all := sessions(t, alice)
	if len(all) != 3 || !all[alice.SID].Current || all[phone.SID].Sockets != 2 || all[tablet.SID].Sockets != 1 || all[alice.SID].Sockets != 0 {
		t.Fatalf("%+v", all)
	}
	call(t, alice, http.MethodDelete, "/api/sessions/"+phone.SID, nil, http.StatusNoContent, nil)
	wantClose(t, ps, 4403)
	call(t, tablet, http.MethodGet, "/api/rooms", nil, http.StatusOK, nil)
	call(t, phone, http.MethodGet, "/api/rooms", nil, http.StatusUnauthorized, nil)
	call(t, alice, http.MethodPost, "/api/sessions/revoke-others", nothing, http.StatusOK, nil)
	wantClose(t, ts, 4403)
	if all := sessions(t, alice); len(all) != 1 {
		t.Errorf("%+v", all)
	}
}

func othersSession(t *testing.T, s *Server) {
	alice, mallory := signUp(t, s, "alice"), signUp(t, s, "mallory")
	call(t, mallory, http.MethodDelete, "/api/sessions/"+alice.SID, nil, http.StatusNotFound, nil)
	if !signedIn(t, alice) {
		t.Error("mallory ended alice's session")
	}
}

func newPassword(t *testing.T, s *Server) {
	alice := signUp(t, s, "alice")
	phone := signIn(t, s, alice)
	mine, other := open(t, alice, attack.Handshake{}), open(t, phone, attack.Handshake{})
	const next = "a-New-password-for-the-quay-7"
	s.Logs.Canary(next)
	mark, stolen := s.Logs.Mark(), *alice
	call(t, alice, http.MethodPost, "/api/password", data{"current_password": "not this one", "new_password": next}, http.StatusUnauthorized, nil)
	s.wantEvent(t, mark, "authn_password_change_fail", func(e Event) bool { return e.User == alice.User.ID })
	call(t, alice, http.MethodPost, "/api/password", data{"current_password": attack.Password, "new_password": next}, http.StatusNoContent, nil)
	s.wantEvent(t, mark, "authn_password_change", func(e Event) bool { return e.User == alice.User.ID })
	wantClose(t, other, 4403)
	if signedIn(t, &stolen) || signedIn(t, phone) {
		t.Error("an old cookie still signs in")
	}
	var now struct {
		CSRF string `json:"csrf_token"`
	}
	call(t, alice, http.MethodGet, "/api/session", nil, http.StatusOK, &now)
	alice.CSRF = now.CSRF
	ask(t, mine, "room.join", data{"room_id": room(t, alice, "closed")}) // the socket and the session of the change live on
	visitor, err := s.Target(t).Visit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	a := call(t, visitor, http.MethodPost, "/api/sign-in", data{"username": alice.User.Username, "password": attack.Password}, http.StatusUnauthorized, nil)
	if a.Code() != "invalid_credentials" {
		t.Errorf("%s", a.Body)
	}
	call(t, visitor, http.MethodPost, "/api/sign-in", data{"username": alice.User.Username, "password": next}, http.StatusOK, nil)
}

// errorShape: every answer of the API that is not good has the same three keys.
func errorShape(t *testing.T, s *Server) {
	alice := signUp(t, s, "alice")
	for _, path := range []string{"/api/rooms/none/messages", "/api/none", "/api/rooms/" + commandID(t) + "/members"} {
		a, err := alice.Call(t.Context(), http.MethodGet, path, nil)
		if err != nil {
			t.Fatal(err)
		}
		var body map[string]any
		if err := json.Unmarshal(a.Body, &body); err != nil || a.Status != http.StatusNotFound || len(body) != 3 || body["code"] == "" || body["message"] == "" || body["request_id"] == "" {
			t.Errorf("%s: %d %s %v", path, a.Status, a.Body, err)
		}
	}
}
