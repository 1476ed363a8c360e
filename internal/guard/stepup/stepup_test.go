package stepup_test

import (
	"errors"
	"testing"
	"time"

	"example.com/portcullis/internal/guard/stepup"
)

var now = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// The thief has a cookie whose owner signed in this morning.
//
//control:proves step-up
func TestCheck_refusesAnOldProof(t *testing.T) {
	p, err := stepup.New(5 * time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		at    time.Time
		fresh bool
	}{
		{"just now", now, true},
		{"at the limit", now.Add(-5 * time.Minute), true},
		{"a moment over the limit", now.Add(-5*time.Minute - time.Nanosecond), false},
		{"this morning", now.Add(-4 * time.Hour), false},
		{"never", time.Time{}, false},
		{"by a clock that is slightly ahead", now.Add(5 * time.Second), true},
		{"in the future", now.Add(time.Minute), false},
		{"in a future that overflows", time.Unix(1<<60, 0), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := p.Check(now, c.at); (err == nil) != c.fresh || err != nil && !errors.Is(err, stepup.ErrRequired) {
				t.Errorf("got %v, want fresh %v", err, c.fresh)
			}
		})
	}
}

func TestCheck_zeroPolicyAcceptsNothing(t *testing.T) {
	if err := (stepup.Policy{}).Check(now, now); !errors.Is(err, stepup.ErrRequired) {
		t.Errorf("got %v", err)
	}
}

func TestNew_hasNoOffSwitch(t *testing.T) {
	for _, d := range []time.Duration{0, -time.Minute, 9 * time.Second, 16 * time.Minute, 24 * time.Hour} {
		if _, err := stepup.New(d); err == nil {
			t.Errorf("%v was taken", d)
		}
	}
}
