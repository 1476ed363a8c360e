package socket

import (
	"slices"
	"strings"
	"testing"

	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/testkit"
)

// What administers has routes of its own; a chat page can be talked into sending any
// command of this list.
//
//control:proves admin-separation
func TestCommands_noneAdministers(t *testing.T) {
	if len(commands) < 8 {
		t.Fatal("there is nothing to look at")
	}
	for kind := range commands {
		area, _, _ := strings.Cut(string(kind), ".")
		if !slices.Contains([]string{"room", "message", "reaction", "typing", "read"}, area) {
			t.Errorf("%s is a command of the socket: does it administer? If not, add %q to the areas here", kind, area)
		}
		for _, word := range []string{"admin", "user", "session", "block", "ban", "role", "close", "lift", "announce", "disable", "kick"} {
			if strings.Contains(string(kind), word) {
				t.Errorf("%s is a command of the socket: does it administer?", kind)
			}
		}
	}
}

func TestConnections_tellWhatASocketIsAndClosingOneLeavesTheOthers(t *testing.T) {
	w := newWorld(t)
	l := w.login()
	one, two := l.connect(), l.connect()
	room := w.chat.room()
	one.join(room)
	testkit.Eventually(t, testWait, func() bool { return len(w.server.Connections()) == 2 })
	list := w.server.Connections()
	slices.SortFunc(list, func(a, b Connection) int { return b.Rooms - a.Rooms })
	c := list[0]
	if c.Rooms != 1 || list[1].Rooms != 0 || c.User != l.user || c.Session != audit.Ref(l.sid.String()) || c.Route != "/ws" || c.Network == "" || c.Since.IsZero() || c.SessionEnds.IsZero() || c.Received == 0 || c.ID == list[1].ID {
		t.Fatalf("%+v", list)
	}
	if w.server.CloseConnection("nothing") {
		t.Error("closed what is not there")
	}
	if !w.server.CloseConnection(c.ID) {
		t.Fatal("not closed")
	}
	if code := one.closed(); code != int(closePolicy) {
		t.Errorf("closed with %d", code)
	}
	testkit.Eventually(t, testWait, func() bool { return len(w.server.Connections()) == 1 })
	if w.server.CloseConnection(c.ID) {
		t.Error("closed twice")
	}
	two.join(room)
	w.events.has(t, audit.RevokedClose, "admin")
}

// Who is turned away by the first checks is somebody, too: a log without their network
// has nobody to detect and nobody to block.
//
//control:proves audit
func TestRefuse_namesTheNetworkAlsoBeforeAnyBudgetIsAsked(t *testing.T) {
	w := newWorld(t)
	r := w.login().request("/ws")
	r.header.Set("Origin", "https://evil.example")
	if _, _, err := w.try(r); err == nil {
		t.Fatal("let in")
	}
	if e, found := w.events.find(audit.MaliciousCORS); !found || e.IP == "" {
		t.Errorf("found %v, event %+v", found, e)
	}
}
