package site_test

import (
	"context"
	"slices"
	"sync"
	"time"

	"example.com/portcullis/internal/account"
	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/authz"
	responses "example.com/portcullis/internal/guard/response"
	"example.com/portcullis/internal/site"
)

// admin is everything that the dashboard reads and does, in memory.
type admin struct {
	mu        sync.Mutex
	now       func() time.Time
	log       []audit.Stored
	sockets   []site.Connection
	active    []responses.Response
	closed    []string
	disabled  []string
	announced []string
	lifted    []int64
	users     map[string]bool
}

func newAdmin(now func() time.Time) *admin { return &admin{now: now, users: map[string]bool{}} }

func (a *admin) parts() site.Admin {
	return site.Admin{Events: a, Sockets: a, Responses: a, Users: a, Board: a,
		Pulse: func() site.Pulse {
			return site.Pulse{Sockets: 7, Accepted: 38, Refused: 6, Messages: 1.5, P95: 10 * time.Millisecond}
		}}
}

func (a *admin) acts() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.closed) + len(a.disabled) + len(a.announced) + len(a.lifted) + len(a.active)
}

// store is the log after n more events.
func (a *admin) store(events ...audit.Event) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range events {
		if e.At.IsZero() {
			e.At = a.now()
		}
		id := int64(1)
		if len(a.log) > 0 {
			id = a.log[len(a.log)-1].ID + 1
		}
		a.log = append(a.log, audit.Stored{ID: id, Event: e})
	}
}

func (a *admin) Since(_ context.Context, id int64, limit int) (list []audit.Stored, _ error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range a.log {
		if e.ID > id && len(list) < limit {
			list = append(list, e)
		}
	}
	return list, nil
}

func (a *admin) Before(_ context.Context, id int64, limit int) (list []audit.Stored, _ error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range slices.Backward(a.log) {
		if e.ID < id && len(list) < limit {
			list = append(list, e)
		}
	}
	return list, nil
}

func (a *admin) Activity(_ context.Context, since time.Time) (list []audit.Activity, _ error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range a.log {
		if !e.At.Before(since) && e.Level != audit.Info {
			list = append(list, audit.Activity{Control: e.Control, Minute: e.At.Truncate(time.Minute), Events: 1, Refused: 1})
		}
	}
	return list, nil
}

func (a *admin) Connections() []site.Connection { return a.sockets }

func (a *admin) CloseConnection(id string) bool {
	if !slices.ContainsFunc(a.sockets, func(c site.Connection) bool { return c.ID == id }) {
		return false
	}
	a.closed = append(a.closed, id)
	return true
}

func (a *admin) Do(_ context.Context, r responses.Response) error {
	if err := r.Validate(); err != nil {
		return err
	}
	r.ID = int64(len(a.active) + 1)
	a.active = append(a.active, r)
	return nil
}

func (a *admin) Active(context.Context) ([]responses.Response, error) { return a.active, nil }

func (a *admin) Lift(_ context.Context, id int64, _ string) (bool, error) {
	if id != 1 {
		return false, nil
	}
	a.lifted = append(a.lifted, id)
	return true, nil
}

func (a *admin) SetDisabled(_ context.Context, name string, _ bool) error {
	if !a.users[name] {
		return account.ErrNoUser
	}
	a.disabled = append(a.disabled, name)
	return nil
}

func (a *admin) Announce(_ context.Context, body string) (chat.Announcement, error) {
	if body == "" {
		return chat.Announcement{}, &chat.Error{Kind: chat.Invalid, Public: "An announcement is not empty."}
	}
	a.announced = append(a.announced, body)
	return chat.Announcement{Seq: 3, Body: body}, nil
}

// as is a browser of somebody with a role.
func (w *world) as(name string, role authz.SiteRole) *browser {
	w.t.Helper()
	b := w.signedIn(name)
	w.role(name, role)
	return b
}

func (w *world) role(name string, role authz.SiteRole) {
	u := w.accounts.users[name]
	u.Role = role
	w.accounts.users[name] = u
}
