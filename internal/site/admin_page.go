package site

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/authz"
	"example.com/portcullis/internal/guard/catalogue"
)

const (
	// activityMinutes is what the chart and the list of offenders look back on.
	activityMinutes = 15
	// activityControls is how many controls the chart tells apart; the rest are one.
	activityControls = 5
	// recentEvents is how many of the newest events a page is made from, and shownEvents
	// how many of those it shows.
	recentEvents, shownEvents = 1000, 60
	// shownSockets and shownOffenders bound the lists; the filter finds the others.
	shownSockets, shownOffenders = 100, 10
)

// The Data of security.html, and of the stream's overview.
type (
	securityView struct {
		Acts        bool // an administrator: with buttons
		Levels      []audit.Level
		Controls    []string
		Control     string
		Level, Text string
		Last        int64 // the newest event that the page knows
		Overview    overviewBody
		Events      []eventBody
		Sockets     []socketView
		SocketText  string
		Found       int
		Offenders   []offenderView
		Responses   []responseView
		Knobs       []Knob
		Changed     int // of them
	}
	socketView struct {
		Connection
		Ends, Opened, Masked, Queue, In string
	}
	offenderView struct {
		Kind, Key, Shown string
		Refused          int64
		Controls         string
		Last             string
	}
	responseView struct {
		ID                                    int64
		Kind, Subject, Key, Until, By, Reason string
	}

	overviewBody struct {
		Tiles    []tileBody   `json:"tiles"`
		Controls []string     `json:"controls"` // of the columns below, most refusals first
		Minutes  []minuteBody `json:"minutes"`  // oldest first
	}
	tileBody struct {
		ID    string `json:"id"`
		Label string `json:"label"`
		Value string `json:"value"`
		Note  string `json:"note"`
	}
	minuteBody struct {
		At      string  `json:"at"` // 15:04
		Refused []int64 `json:"refused"`
	}
	eventBody struct {
		ID        int64  `json:"id"`
		At        stamp  `json:"at"`
		Name      string `json:"name"`
		Level     string `json:"level"`
		Control   string `json:"control"`
		Reason    string `json:"reason,omitzero"`
		User      string `json:"user,omitzero"`
		Username  string `json:"username,omitzero"`
		Session   string `json:"session,omitzero"`
		Conn      string `json:"conn,omitzero"`
		Request   string `json:"request_id,omitzero"`
		Room      string `json:"room,omitzero"`
		IP        string `json:"source_ip,omitzero"` // masked
		Origin    string `json:"origin,omitzero"`
		UserAgent string `json:"user_agent,omitzero"`
		CloseCode int    `json:"close_code,omitzero"`
		TookMS    int64  `json:"took_ms,omitzero"`
		Count     int64  `json:"count,omitzero"`
		Detail    string `json:"detail,omitzero"`
	}
)

// Clock is the time of an event on the page.
func (e eventBody) Clock() string { return e.At.UTC().Format("15:04:05") }

func eventOf(e audit.Stored) eventBody {
	return eventBody{ID: e.ID, At: stamp{e.At}, Name: string(e.Name), Level: string(e.Level), Control: e.Control, Reason: e.Reason, User: e.User, Username: e.Username,
		Session: e.Session, Conn: e.Conn, Request: e.Request, Room: e.Room, IP: mask(e.IP), Origin: e.Origin, UserAgent: e.UserAgent, CloseCode: e.CloseCode,
		TookMS: e.Took.Milliseconds(), Count: e.Count, Detail: e.Detail}
}

// mask hides which of its neighbours a client was: a dashboard is looked at over
// shoulders and in screenshots. Blocking names the whole address.
func mask(network string) string {
	p, err := netip.ParsePrefix(network)
	if err != nil {
		return network
	}
	bits := 24
	if p.Addr().Is6() {
		bits = 48
	}
	wider, err := p.Addr().Prefix(min(bits, p.Bits()))
	if err != nil {
		return network
	}
	return wider.String()
}

func (s *Site) securityPage(w http.ResponseWriter, c *call) error {
	ctx, q := c.Context(), c.URL.Query()
	v := securityView{Acts: authz.CanAdminister(c.actor.Role), Levels: []audit.Level{audit.Info, audit.Warn, audit.Critical}, Knobs: s.o.Knobs,
		Control: limit(q.Get("control"), maxQuery), Level: limit(q.Get("level"), maxQuery), Text: limit(q.Get("text"), maxQuery), SocketText: limit(q.Get("socket"), maxQuery)}
	for _, control := range catalogue.All() {
		v.Controls = append(v.Controls, control.Name)
	}
	slices.Sort(v.Controls)
	for _, k := range v.Knobs {
		if k.Changed() {
			v.Changed++
		}
	}
	recent, err := s.o.Admin.Events.Before(ctx, math.MaxInt64, recentEvents)
	if err != nil {
		return fmt.Errorf("read events: %w", err)
	}
	if len(recent) > 0 {
		v.Last = recent[0].ID
	}
	for _, e := range recent {
		if body := eventOf(e); len(v.Events) < shownEvents && v.wants(body) {
			v.Events = append(v.Events, body)
		}
	}
	v.Offenders = offenders(recent, s.o.Now().Add(-activityMinutes*time.Minute))
	if v.Overview, err = s.overview(ctx); err != nil {
		return err
	}
	active, err := s.o.Admin.Responses.Active(ctx)
	if err != nil {
		return fmt.Errorf("read responses: %w", err)
	}
	for _, r := range active {
		shown := r.Subject.Key
		if r.Subject.Kind == "network" {
			shown = mask(shown)
		}
		v.Responses = append(v.Responses, responseView{r.ID, string(r.Kind), string(r.Subject.Kind), shown, r.Until.UTC().Format("15:04 UTC"), r.By, r.Reason})
	}
	v.Sockets, v.Found = s.sockets(v.SocketText)
	return s.render(w, c, http.StatusOK, "security", "Security", v)
}

// wants reports whether the page's filter lets an event through; the script has the same.
func (v securityView) wants(e eventBody) bool {
	if v.Control != "" && v.Control != e.Control || v.Level != "" && v.Level != e.Level {
		return false
	}
	all := strings.ToLower(strings.Join([]string{e.Name, e.Control, e.Reason, e.User, e.Username, e.Conn, e.IP, e.Origin, e.UserAgent, e.Detail, e.Request, e.Session}, " "))
	return strings.Contains(all, strings.ToLower(v.Text))
}

// sockets are those of this node that a text is found in, the newest first.
func (s *Site) sockets(text string) (views []socketView, found int) {
	list := s.o.Admin.Sockets.Connections()
	slices.SortFunc(list, func(a, b Connection) int { return b.Since.Compare(a.Since) })
	text = strings.ToLower(text)
	for _, v := range list {
		masked := mask(v.Network)
		if !strings.Contains(strings.ToLower(strings.Join([]string{v.ID, v.Username, v.User.String(), v.Route, masked, v.UserAgent}, " ")), text) {
			continue
		}
		if found++; found <= shownSockets {
			views = append(views, socketView{v, v.SessionEnds.UTC().Format(shown), v.Since.UTC().Format(shown), masked,
				bytesText(v.Queued) + " of " + bytesText(v.MaxQueued), bytesText(v.Received)})
		}
	}
	return views, found
}

// offenders are the networks and users with the most refusals since a time.
func offenders(recent []audit.Stored, since time.Time) []offenderView {
	type key struct{ kind, key string }
	type tally struct {
		offenderView
		controls map[string]int64
	}
	all := map[key]*tally{}
	for _, e := range recent { // the newest first
		if e.Level == audit.Info || e.At.Before(since) || e.Name == audit.AuthzAdmin || e.Name == audit.ResponseAction {
			continue
		}
		for _, k := range []key{{"network", e.IP}, {"user", e.User}} {
			if k.key == "" {
				continue
			}
			t := all[k]
			if t == nil {
				t = &tally{offenderView{Kind: k.kind, Key: k.key, Shown: mask(k.key), Last: e.At.UTC().Format("15:04:05")}, map[string]int64{}}
				all[k] = t
			}
			t.Refused++
			t.controls[e.Control]++
		}
	}
	views := make([]offenderView, 0, len(all))
	for _, t := range all {
		var parts []string
		for _, name := range byCount(t.controls) {
			parts = append(parts, name+" "+strconv.FormatInt(t.controls[name], 10))
		}
		t.Controls = strings.Join(parts[:min(len(parts), 3)], ", ")
		views = append(views, t.offenderView)
	}
	slices.SortFunc(views, func(a, b offenderView) int {
		return cmp.Or(cmp.Compare(b.Refused, a.Refused), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Key, b.Key))
	})
	return views[:min(len(views), shownOffenders)]
}

// byCount lists the keys of m, the largest number first.
func byCount(m map[string]int64) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(m[b], m[a]), cmp.Compare(a, b)) })
	return names
}

// overview is what the tiles and the chart show.
func (s *Site) overview(ctx context.Context) (overviewBody, error) {
	now := s.o.Now().UTC().Truncate(time.Minute)
	first := now.Add(-(activityMinutes - 1) * time.Minute)
	list, err := s.o.Admin.Events.Activity(ctx, first)
	if err != nil {
		return overviewBody{}, fmt.Errorf("count events: %w", err)
	}
	byControl, total := map[string]int64{}, int64(0)
	for _, a := range list {
		if a.Refused > 0 {
			byControl[a.Control] += a.Refused
			total += a.Refused
		}
	}
	v := overviewBody{Controls: byCount(byControl)}
	column := map[string]int{}
	for i, name := range v.Controls {
		column[name] = min(i, activityControls)
	}
	if len(v.Controls) > activityControls {
		v.Controls = append(v.Controls[:activityControls:activityControls], "other")
	}
	for m := range activityMinutes {
		v.Minutes = append(v.Minutes, minuteBody{first.Add(time.Duration(m) * time.Minute).Format("15:04"), make([]int64, len(v.Controls))})
	}
	for _, a := range list {
		if m := int(a.Minute.Sub(first) / time.Minute); a.Refused > 0 && m >= 0 && m < activityMinutes {
			v.Minutes[m].Refused[column[a.Control]] += a.Refused
		}
	}
	v.Tiles = s.tiles(total)
	return v, nil
}

func (s *Site) tiles(warnings int64) []tileBody {
	p := s.o.Admin.Pulse()
	var queued int64
	for _, c := range s.o.Admin.Sockets.Connections() {
		queued = max(queued, c.Queued)
	}
	p95 := "none"
	if p.P95 > 0 {
		p95 = "≤ " + strconv.FormatFloat(float64(p.P95)/float64(time.Millisecond), 'f', -1, 64) + " ms"
	}
	return []tileBody{
		{"sockets", "Live sockets", strconv.Itoa(p.Sockets), "this node"},
		{"handshakes", "Handshakes per minute", fmt.Sprintf("%.0f : %.0f", p.Accepted, p.Refused), "accepted : refused, this node"},
		{"messages", "Messages per second", fmt.Sprintf("%.1f", p.Messages), "this node, last minute"},
		{"p95", "p95 of commands", p95, "this node, last minute"},
		{"queue", "Fullest queue", bytesText(queued), "of 1 MiB, this node, now"},
		{"blocked", "Warnings in 15 minutes", strconv.FormatInt(warnings, 10), "all nodes"},
	}
}

func bytesText(n int64) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return strconv.FormatInt(n, 10) + " B"
}
