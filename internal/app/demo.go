package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"

	"example.com/portcullis/internal/account"
	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/authz"
)

// Demo is what a development server shows on its card.
type Demo struct {
	Usernames []string
	Password  string
}

// demoPeople are the people of a first run. mallory is for attacks.
var demoPeople = []struct {
	username, display string
	role              authz.SiteRole
}{
	{"alice", "Alice", authz.User}, {"bob", "Bob", authz.User}, {"chidi", "Chidi", authz.User},
	{"mallory", "Mallory", authz.User}, {"admin", "Admin", authz.Admin},
}

// demoRooms have an owner, further members and some history. The first is open.
var demoRooms = []struct {
	title      string
	visibility chat.Visibility
	owner      string
	others     []string
	lines      []string // "author: text", author by user name
}{
	{"harbour", chat.Open, "alice", []string{"bob", "chidi", "mallory"}, []string{
		"bob: Morning. Who has the berth list?",
		"chidi: Alice has it. Yesterday's is on the board.",
		"alice: On it. High water is 11:42, so the two trawlers go first ⚓",
		"mallory: <img src=x onerror=alert(1)> does that do anything?",
		"alice: Nothing at all. It is text here, like everything that anybody types.",
		"mallory: '; DROP TABLE messages; --",
		"bob: Also text. Search for it if you like, it finds exactly this line.",
		"chidi: صباح الخير، السفينة في الموعد",
		"alice: שלום לכולם, right-to-left lines sit next to left-to-right ones",
		"bob: 👩‍👩‍👧‍👦 families and 🏳️‍🌈 flags stay whole",
		"chidi: " + strings.Repeat("A very long line without a single break has to wrap instead of pushing the page sideways. ", 6),
		"mallory: https://example.com/a/very/long/path/that/does/not/break/anywhere/because/it/has/no/spaces/at/all/in/it?and=a&query=too",
		"alice: Thanks all. Tide table is pinned at the desk.",
	}},
	{"ops", chat.Open, "bob", []string{"alice"}, []string{
		"bob: Crane 2 is back.",
		"alice: Then the container from Tuesday can move. Berth 4?",
		"bob: Berth 4.",
	}},
	{"night-watch", chat.Closed, "alice", []string{"bob"}, []string{
		"alice: The gate code changed at six. Bob, you have it from the desk, not from here.",
		"bob: Got it. Quiet so far.",
		"alice: Nobody outside this room can tell that it exists. Try it as Mallory.",
	}},
}

// DemoNames are the user names of the demo people.
func DemoNames() []string {
	names := make([]string, len(demoPeople))
	for i, p := range demoPeople {
		names[i] = p.username
	}
	return names
}

// SeedDemo makes the demo people and rooms on the first run of a development
// server, and reads the password of that run afterwards. The password is random
// and kept, readable by this account only, in the data directory.
func SeedDemo(ctx context.Context, dataDir string, accounts *account.Service, rooms chat.Store) (Demo, error) {
	demo := Demo{Usernames: DemoNames()}
	path := filepath.Join(dataDir, "demo-password")
	_, err := accounts.Find(ctx, demoPeople[0].username)
	if err == nil {
		b, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			return Demo{}, nil // an alice of somebody's own: no demo here
		}
		if err != nil {
			return Demo{}, fmt.Errorf("read demo password: %w", err)
		}
		demo.Password = strings.TrimSpace(string(b))
		return demo, nil
	}
	if !errors.Is(err, account.ErrNoUser) {
		return Demo{}, err
	}
	demo.Password = "demo-" + strings.ToLower(rand.Text()[:4]+"-"+rand.Text()[:4]+"-"+rand.Text()[:4])
	if err := os.MkdirAll(dataDir, 0o755); err != nil {
		return Demo{}, fmt.Errorf("make data directory: %w", err)
	}
	// Before the accounts: a stop in between costs a password file, not the demo.
	if err := os.WriteFile(path, []byte(demo.Password+"\n"), 0o600); err != nil {
		return Demo{}, fmt.Errorf("keep demo password: %w", err)
	}
	people := map[string]chat.Person{}
	for _, p := range demoPeople {
		u, err := accounts.Create(ctx, p.username, demo.Password, p.display, p.role)
		if err != nil {
			return Demo{}, fmt.Errorf("make demo user %s: %w", p.username, err)
		}
		people[p.username] = chat.Person{ID: u.ID, Username: u.Username, DisplayName: u.DisplayName}
	}
	for _, r := range demoRooms {
		if err := seedRoom(ctx, rooms, people, r.title, r.visibility, r.owner, r.others, r.lines); err != nil {
			return Demo{}, fmt.Errorf("make demo room %s: %w", r.title, err)
		}
	}
	return demo, nil
}

func seedRoom(ctx context.Context, rooms chat.Store, people map[string]chat.Person, title string, v chat.Visibility, owner string, others, lines []string) error {
	room, err := rooms.CreateRoom(ctx, people[owner].ID, title, v)
	if err != nil {
		return err
	}
	for _, o := range others {
		if _, _, err := rooms.AddMember(ctx, authz.Roles(authz.Invite), people[owner].ID, room.ID, o); err != nil {
			return err
		}
	}
	// Two minutes apart, ending a while ago, so that times and days look like a day's work.
	at := time.Now().Add(-time.Duration(len(lines)+10) * 2 * time.Minute)
	for _, line := range lines {
		author, body, _ := strings.Cut(line, ": ")
		client, err := uuid.NewV7()
		if err != nil {
			return err
		}
		id, err := uuid.NewRandom()
		if err != nil {
			return err
		}
		at = at.Add(2 * time.Minute)
		_, _, err = rooms.Append(ctx, authz.Roles(authz.Send), chat.Post{
			Room: room.ID, Author: people[author], ID: chat.MessageID{UUID: id}, ClientID: chat.ClientID{UUID: client}, Body: body, At: at,
		})
		if err != nil {
			return err
		}
	}
	return nil
}
