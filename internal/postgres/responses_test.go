package postgres

import (
	"testing"
	"time"

	"example.com/portcullis/internal/guard/detect"
	"example.com/portcullis/internal/guard/response"
)

//control:proves response
func TestResponses_holdOnAllNodesUntilTheyEndOrAreLifted(t *testing.T) {
	t.Parallel()
	clock := newClock()
	w := newWorld(t, Options{Now: clock.now})
	other := node(t, w.url, Options{Now: clock.now})
	now := clock.now()
	var added []response.Response
	for _, until := range []time.Duration{time.Hour, 2 * time.Hour} {
		r, err := w.Responses().Add(w.ctx, response.Response{Kind: response.Block, Subject: detect.Subject{Kind: detect.Network, Key: "198.51.100.7/32"}, At: now, Until: now.Add(until), By: "command", Reason: "flood"})
		if err != nil {
			t.Fatal(err)
		}
		added = append(added, r)
	}
	list, err := other.Responses().Active(w.ctx)
	if err != nil || len(list) != 2 || list[1] != added[0] {
		t.Fatalf("another node reads %+v, error %v; want %+v as the second", list, err, added)
	}
	clock.advance(90 * time.Minute)
	if _, found, err := w.Responses().Lift(w.ctx, added[0].ID, "command"); err != nil || found {
		t.Errorf("what has ended was lifted: %v, %v", found, err)
	}
	if r, found, err := w.Responses().Lift(w.ctx, added[1].ID, "command"); err != nil || !found || r.LiftedAt.IsZero() {
		t.Errorf("lift: %+v, %v, %v", r, found, err)
	}
	if list, err := other.Responses().Active(w.ctx); err != nil || len(list) != 0 {
		t.Errorf("still in force: %+v, %v", list, err)
	}
}

// Whatever the program thinks, the table refuses it.
//
//control:proves response
func TestResponses_theTableRefusesABlockByARuleAndOneWithoutEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	now := time.Now()
	network := detect.Subject{Kind: detect.Network, Key: "198.51.100.7/32"}
	for name, r := range map[string]response.Response{
		"by a rule":   {Kind: response.Block, Subject: network, At: now, Until: now.Add(time.Hour), By: "rule", Reason: "x"},
		"for a week":  {Kind: response.Block, Subject: network, At: now, Until: now.Add(7 * 24 * time.Hour), By: "command", Reason: "x"},
		"of everyone": {Kind: response.Block, Subject: detect.Subject{Kind: detect.Network}, At: now, Until: now.Add(time.Hour), By: "command", Reason: "x"},
	} {
		if _, err := w.Responses().Add(w.ctx, r); err == nil {
			t.Errorf("a block %s was stored", name)
		}
	}
}

func TestHoney_isRandomAndInNoList(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	h, err := w.Responses().Honey(w.ctx)
	if err != nil || len(h.Rooms) != 1 || len(h.Usernames) != 1 || len(h.Rooms[0]) != 36 || len(h.Usernames[0]) < 15 {
		t.Fatalf("%+v, %v", h, err)
	}
	if n := ask[int](w, `SELECT count(*) FROM rooms WHERE id::text = $1`, h.Rooms[0]) + ask[int](w, `SELECT count(*) FROM users WHERE username = $1`, h.Usernames[0]); n != 0 {
		t.Error("there is something behind the honey")
	}
}
