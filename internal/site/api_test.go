package site_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/authz"
	"example.com/portcullis/internal/guard/ticket"
	"example.com/portcullis/internal/site"
)

//control:proves ticket
func TestTicket_isBoundToUserSessionOriginAndRoute(t *testing.T) {
	w := newWorld(t)
	b := w.signedIn("ada")
	sid := uuid.MustParse(b.sid())
	tests := []struct {
		name, route, origin, want string
	}{
		{"own page", "/ws", own, own},
		{"own page, first message", "/ws/auth", own, own},
		{"listed partner", "/ws", partner, partner},
		{"program without Origin gets ours", "/ws", "", own},
		{"command line", "/ws/cli", "", ""},
		{"command line ticket made on a page", "/ws/cli", own, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w.tickets.issued = nil
			res := b.send("POST", "/api/ws-ticket", `{"route":"`+tt.route+`"}`, func(r *http.Request) {
				r.Header.Del("Sec-Fetch-Site")
				r.Header.Del("Origin")
				if tt.origin != "" {
					r.Header.Set("Origin", tt.origin)
				}
			})
			if res.Code != http.StatusCreated || res.Body.String() != `{"ticket":"the.ticket.text","expires_at":"2026-01-02T03:04:05.060Z"}` {
				t.Fatalf("%d %s", res.Code, res.Body)
			}
			want := []ticket.Claims{{User: b.user.UUID, Session: sid, Origin: tt.want, Route: tt.route}}
			if diff := cmp.Diff(want, w.tickets.issued); diff != "" {
				t.Error(diff)
			}
		})
	}
	if e := w.wantEvent(audit.TokenCreated, "ws_ticket"); e.User != b.user.String() || strings.Contains(e.Detail, "ticket.text") || !strings.Contains(e.Detail, ticket.Ref("jti")) {
		t.Errorf("event %+v", e)
	}
}

func TestTicket_refusesOtherRoutes(t *testing.T) {
	w := newWorld(t)
	b := w.signedIn("ada")
	for _, body := range []string{`{}`, `{"route":""}`, `{"route":"/"}`, `{"route":"/ws/"}`, `{"route":"/WS"}`, `{"route":null}`, `{"route":["/ws"]}`, `{"route":"/ws","origin":"https://evil.example"}`} {
		wantError(t, b.send("POST", "/api/ws-ticket", body), http.StatusBadRequest, "bad_schema")
	}
	for _, body := range []string{`{"route":"/ws","route":"/ws/cli"}`, `{"route":"/ws"} {}`, `{"route":"/ws",}`, `{"route":"\ud800"}`, "{\"route\":\"\xff\"}", ` `} {
		wantError(t, b.send("POST", "/api/ws-ticket", body), http.StatusBadRequest, "bad_json")
	}
	if len(w.tickets.issued) != 0 {
		t.Error("a ticket was issued")
	}
}

// The csrf room has let these through: the page's own list of origins is stricter.
//
//control:proves origin
func TestTicket_refusesOriginsThatMayNotOpenSockets(t *testing.T) {
	w := newWorld(t)
	b := w.signedIn("ada")
	for name, change := range map[string]func(*http.Request){
		"same host, plain http": func(r *http.Request) {
			r.Header.Del("Sec-Fetch-Site")
			r.Header.Set("Origin", "http://chat.example.com")
		},
		"two origins": func(r *http.Request) { r.Header["Origin"] = []string{own, own} },
		"empty":       func(r *http.Request) { r.Header["Origin"] = []string{""} },
	} {
		w.events.reset()
		res := b.send("POST", "/api/ws-ticket", `{"route":"/ws"}`, change)
		wantError(t, res, http.StatusForbidden, "denied")
		if e := w.wantEvent(audit.MaliciousCORS, "ticket"); e.Control != "origin" {
			t.Errorf("%s: %+v", name, e)
		}
	}
	if len(w.tickets.issued) != 0 {
		t.Error("a ticket was issued")
	}
}

func TestRooms_shape(t *testing.T) {
	w := newWorld(t)
	b := w.signedIn("ada")
	if got := b.send("GET", "/api/rooms", "").Body.String(); got != `{"rooms":[]}` {
		t.Errorf("no rooms: %s", got)
	}
	id := w.ownRoom(b)
	want := `{"rooms":[{"id":"` + id + `","title":"General","visibility":"closed","head_seq":7,"read_seq":3,"role":"owner","members":2}]}`
	if got := b.send("GET", "/api/rooms", "").Body.String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	res := b.send("POST", "/api/rooms", `{"title":"Hall","visibility":"open"}`)
	if res.Code != http.StatusCreated || field[string](t, res, "title") != "Hall" || field[string](t, res, "role") != "owner" {
		t.Errorf("%d %s", res.Code, res.Body)
	}
	who := chat.Actor{User: b.user, Session: chat.SessionID{UUID: uuid.MustParse(b.sid())}, Client: "192.0.2.1/32", Username: "ada", DisplayName: "ADA", Role: authz.User}
	if w.budgets.last != who {
		t.Errorf("the core was told %+v, want %+v", w.budgets.last, who)
	}
	res = b.send("POST", "/api/direct", `{"username":"grace"}`)
	if peer := field[map[string]any](t, res, "peer"); res.Code != http.StatusOK || peer["username"] != "grace" || peer["display_name"] != "Peer" {
		t.Errorf("%d %s", res.Code, res.Body)
	}
	for _, body := range []string{`{"title":"","visibility":"open"}`, `{"title":"x","visibility":"direct"}`, `{"title":"x","visibility":"OPEN"}`, `{"title":"x"}`, `{"title":1,"visibility":"open"}`, `{"Title":"x","visibility":"open"}`} {
		wantError(t, b.send("POST", "/api/rooms", body), http.StatusBadRequest, "bad_schema")
	}
}

func TestMessages_shapeAndPaging(t *testing.T) {
	w := newWorld(t)
	b := w.signedIn("ada")
	id := w.ownRoom(b)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	w.rooms.messages = []chat.Message{
		{ID: chat.MessageID{UUID: uuid.New()}, Seq: 5, Author: chat.Person{ID: b.user, Username: "ada", DisplayName: "Ada"}, ClientID: chat.ClientID{UUID: uuid.New()}, Body: `<script>"`, CreatedAt: at},
		{ID: chat.MessageID{UUID: uuid.New()}, Seq: 6, Body: "taken back", CreatedAt: at, DeletedAt: at},
	}
	res := b.send("GET", "/api/rooms/"+id+"/messages?before_seq=9&limit=2", "")
	var got struct {
		Messages []struct {
			Seq       int64          `json:"seq"`
			Body      string         `json:"body"`
			CreatedAt string         `json:"created_at"`
			DeletedAt string         `json:"deleted_at"`
			Author    map[string]any `json:"author"`
		} `json:"messages"`
	}
	must(t, json.Unmarshal(res.Body.Bytes(), &got))
	if len(got.Messages) != 2 || got.Messages[0].Body != `<script>"` || got.Messages[0].CreatedAt != "2026-01-02T03:04:05.000Z" || got.Messages[0].Author["display_name"] != "Ada" {
		t.Errorf("%s", res.Body)
	}
	if strings.Contains(res.Body.String(), "taken back") || got.Messages[1].DeletedAt == "" {
		t.Errorf("a deleted message: %s", res.Body)
	}
	if w.rooms.before != 9 || w.rooms.limit != 2 {
		t.Errorf("before %d, limit %d", w.rooms.before, w.rooms.limit)
	}
	for query, limit := range map[string]int{"": 50, "?limit=100": 100, "?limit=101": 100, "?limit=9000000000": 100} {
		if res := b.send("GET", "/api/rooms/"+id+"/messages"+query, ""); res.Code != http.StatusOK || w.rooms.limit != limit {
			t.Errorf("%q: %d, limit %d", query, res.Code, w.rooms.limit)
		}
	}
	for _, query := range []string{"limit=0", "limit=-1", "limit=x", "limit=", "limit=1&limit=2", "before_seq=-1", "before_seq=1e3", "before_seq=99999999999999999999"} {
		wantError(t, b.send("GET", "/api/rooms/"+id+"/messages?"+query, ""), http.StatusBadRequest, "bad_schema")
	}
	if res := b.send("GET", "/api/rooms/"+id+"/search?q=two+words&limit=3", ""); res.Code != http.StatusOK || w.rooms.query != "two words" || w.rooms.limit != 3 {
		t.Errorf("search: %d %q %d", res.Code, w.rooms.query, w.rooms.limit)
	}
	wantError(t, b.send("GET", "/api/rooms/"+id+"/search", ""), http.StatusBadRequest, "bad_schema")
}

func TestMembers_shapeAndPresence(t *testing.T) {
	w := newWorld(t)
	b := w.signedIn("ada")
	id := w.ownRoom(b)
	grace := chat.UserID{UUID: uuid.New()}
	w.rooms.members = []chat.Member{
		{Person: chat.Person{ID: b.user, Username: "ada", DisplayName: "Ada"}, Role: authz.Owner},
		{Person: chat.Person{ID: grace, Username: "grace", DisplayName: "Grace"}, Role: authz.Member, MutedUntil: time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC)},
	}
	w.presence.online = []chat.UserID{grace}
	want := `{"members":[{"user":{"id":"` + b.user.String() + `","username":"ada","display_name":"Ada"},"role":"owner","online":false},` +
		`{"user":{"id":"` + grace.String() + `","username":"grace","display_name":"Grace"},"role":"member","muted_until":"2026-01-02T03:04:05.006Z","online":true}]}`
	if got := b.send("GET", "/api/rooms/"+id+"/members", "").Body.String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	w.presence.err = errStore
	if got := b.send("GET", "/api/rooms/"+id+"/members", ""); got.Code != http.StatusOK || strings.Contains(got.Body.String(), "online") {
		t.Errorf("without presence: %d %s", got.Code, got.Body)
	}
}

func TestModeration_reachesTheCoreAndTheLog(t *testing.T) {
	target := uuid.NewString()
	tests := []struct {
		name, method, path, body, reason string
		after                            chat.Standing
	}{
		{"role", "PATCH", "members/" + target, `{"role":"moderator"}`, "member_changed", chat.Standing{Role: authz.Moderator}},
		{"unmute with null", "PATCH", "members/" + target, `{"muted_until":null}`, "member_changed", chat.Standing{Role: authz.Member}},
		{"remove", "DELETE", "members/" + target, "", "member_removed", chat.Standing{}},
		{"ban", "PUT", "bans/" + target, "", "banned", chat.Standing{Banned: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			b := w.signedIn("ada")
			id := w.ownRoom(b)
			if res := b.send(tt.method, "/api/rooms/"+id+"/"+tt.path, tt.body); res.Code != http.StatusNoContent {
				t.Fatalf("%d %s", res.Code, res.Body)
			}
			if e := w.wantEvent(audit.PermissionsChanged, tt.reason); e.Room != id || e.User != b.user.String() || e.Detail != target {
				t.Errorf("event %+v", e)
			}
			got := w.rooms.after
			if tt.name == "role" {
				got.MutedUntil = time.Time{}
			}
			if got != tt.after {
				t.Errorf("after %+v, want %+v", got, tt.after)
			}
		})
	}
	w := newWorld(t)
	b := w.signedIn("ada")
	id := w.ownRoom(b)
	for _, body := range []string{`{}`, `{"role":"king"}`, `{"muted_until":"tomorrow"}`, `{"muted_until":5}`, `{"banned":true}`, `{"muted_until":"2999-01-01T00:00:00Z"}`} {
		wantError(t, b.send("PATCH", "/api/rooms/"+id+"/members/"+target, body), http.StatusBadRequest, "bad_schema")
	}
	if w.rooms.writes != 0 {
		t.Error("something was written")
	}
}

// "No such room", "not yours" and "not an id" must be one answer, or ids can be probed.
//
//control:proves authz
//control:proves existence
func TestDenied_isTheSameForWhatIsNotThereAndWhatIsNotYours(t *testing.T) {
	w := newWorld(t)
	ada := w.signedIn("ada")
	id := w.ownRoom(ada)
	mallory := w.signedIn("mallory")
	var answers []string
	for _, room := range []string{id, uuid.NewString(), "x", strings.ToUpper(id), "{" + id + "}"} {
		for _, path := range []string{"messages", "members", "search?q=x"} {
			res := mallory.send("GET", "/api/rooms/"+room+"/"+path, "")
			wantError(t, res, http.StatusNotFound, "denied")
			answers = append(answers, strings.ReplaceAll(res.Body.String(), res.Header().Get("X-Request-Id"), ""))
		}
	}
	for _, a := range answers {
		if a != answers[0] {
			t.Errorf("%s\n%s", a, answers[0])
		}
	}
	if e := w.wantEvent(audit.AuthzFail, "denied"); e.User != mallory.user.String() || e.Room != id {
		t.Errorf("event %+v", e)
	}
	if res := mallory.send("GET", "/rooms/"+id, ""); res.Code != http.StatusNotFound || strings.Contains(res.Body.String(), "General") {
		t.Errorf("page: %d %s", res.Code, res.Body)
	}
}

func TestSessions_listAndEnd(t *testing.T) {
	w := newWorld(t)
	here, there := w.signedIn("ada"), w.signedIn("ada")
	mallory := w.signedIn("mallory")
	hereSID, thereSID := here.sid(), there.sid()
	w.sockets[chat.SessionID{UUID: uuid.MustParse(thereSID)}] = 2

	var got struct {
		Sessions []struct {
			SID       string `json:"sid"`
			IP        string `json:"ip"`
			CreatedAt string `json:"created_at"`
			Sockets   int    `json:"sockets"`
			Current   bool   `json:"current"`
		} `json:"sessions"`
	}
	must(t, json.Unmarshal(here.send("GET", "/api/sessions", "").Body.Bytes(), &got))
	if len(got.Sessions) != 2 {
		t.Fatalf("%+v", got)
	}
	for _, s := range got.Sessions {
		if s.Current != (s.SID == hereSID) || s.Sockets != map[string]int{thereSID: 2}[s.SID] || s.IP != "192.0.2.1/32" || !strings.HasSuffix(s.CreatedAt, ".000Z") {
			t.Errorf("%+v", s)
		}
	}

	// Somebody else's session is not there.
	wantError(t, mallory.send("DELETE", "/api/sessions/"+thereSID, ""), http.StatusNotFound, "denied")
	wantError(t, here.send("DELETE", "/api/sessions/"+uuid.NewString(), ""), http.StatusNotFound, "denied")
	wantError(t, here.send("DELETE", "/api/sessions/x", ""), http.StatusNotFound, "denied")
	if len(w.revoked.list) != 0 {
		t.Fatalf("revoked %+v", w.revoked.list)
	}

	if res := here.send("DELETE", "/api/sessions/"+thereSID, ""); res.Code != http.StatusNoContent {
		t.Fatalf("%d %s", res.Code, res.Body)
	}
	if r := w.revoked.list; len(r) != 1 || r[0].Session.String() != thereSID || r[0].Reason != "revoked_by_user" {
		t.Errorf("revoked %+v", r)
	}
	wantError(t, there.send("GET", "/api/rooms", ""), http.StatusUnauthorized, "unauthenticated")

	third := w.signedIn("ada")
	if res := here.send("POST", "/api/sessions/revoke-others", ""); res.Code != http.StatusOK || res.Body.String() != `{"revoked":1}` {
		t.Errorf("%d %s", res.Code, res.Body)
	}
	wantError(t, third.send("GET", "/api/rooms", ""), http.StatusUnauthorized, "unauthenticated")
	if res := mallory.send("GET", "/api/rooms", ""); res.Code != http.StatusOK {
		t.Error("another user's session ended too")
	}

	// The own one goes like a sign-out, cookie and all.
	res := here.send("DELETE", "/api/sessions/"+hereSID, "")
	if c := res.Result().Cookies(); res.Code != http.StatusNoContent || len(c) != 1 || c[0].MaxAge >= 0 || res.Header().Get("Clear-Site-Data") == "" {
		t.Errorf("%d %v", res.Code, c)
	}
}

func TestNew_refusesMissingParts(t *testing.T) {
	var full site.Options
	newWorld(t, func(o *site.Options) { full = *o })
	for name, remove := range map[string]func(*site.Options){
		"chat": func(o *site.Options) { o.Chat = nil }, "csrf": func(o *site.Options) { o.CSRF = nil }, "limits": func(o *site.Options) { o.Limits = nil },
		"audit": func(o *site.Options) { o.Audit = nil }, "base": func(o *site.Options) { o.BaseURL = nil }, "budget": func(o *site.Options) { o.RequestsPerMinute = 0 },
		"origin": func(o *site.Options) { o.Origin = nil }, "revoker": func(o *site.Options) { o.Revoker = nil }, "clock": func(o *site.Options) { o.Now = nil },
	} {
		o := full
		remove(&o)
		if _, err := site.New(o); err == nil {
			t.Errorf("New without %s", name)
		}
	}
}
