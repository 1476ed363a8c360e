package audit

import (
	"context"
	"errors"
	"time"
)

const (
	// beatEvery is how soon a silent log is noticed: whoever collects the logs raises an
	// alarm when a node has not said anything for three of them.
	beatEvery = time.Minute
	// maxSkew is how far this node's clock may be from the database's. Beyond it events
	// of different nodes no longer tell what came first (ASVS 16.2.2), and sessions and
	// tickets end at the wrong time.
	maxSkew = 2 * time.Second
	// clockTimeout bounds one look at the database's clock. An answer that took longer
	// than it may be off says nothing about a clock.
	clockTimeout = time.Second
)

// Monitor watches the watchman.
//
// Threat: the attacker stops the log first: fills its disk, cuts its database off,
// sets a clock back. A log without lines looks like a quiet day.
//
// Rule: every minute each node says that it is alive, with the chain's newest end, so
// that silence is the alarm, and a log that was cut off is shorter than what it said.
// Events that were lost, a store that refuses and a clock that is wrong are events.
type Monitor struct {
	Log      *Log
	Now      func() time.Time
	StoreNow func(context.Context) (time.Time, error) // the database's clock
}

// Run beats until ctx ends.
//
//control:name monitor
func (m *Monitor) Run(ctx context.Context) error {
	if m.Log == nil || m.Now == nil || m.StoreNow == nil {
		return errors.New("audit: a monitor needs a log and both clocks")
	}
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	wrong := false
	for {
		wrong = m.clock(ctx, wrong)
		m.beat(ctx)
		select {
		case <-ctx.Done():
			m.beat(context.WithoutCancel(ctx))
			return nil
		case <-tick.C:
		}
	}
}

// beat records the heartbeat. Its detail is the checkpoint that `audit verify` takes.
//
//control:name monitor
func (m *Monitor) beat(ctx context.Context) {
	e := Event{Name: Heartbeat, Level: Info, Control: "monitor", Reason: "alive", Count: m.Log.Dropped()}
	if h := m.Log.Head(); h.ID > 0 {
		e.Detail = h.String()
	}
	if m.Log.Behind() {
		e.Level, e.Reason = Warn, "store_behind"
	}
	m.Log.Record(ctx, e)
}

// clock compares the clocks and says when they come apart, and when they meet again.
//
//control:name monitor
func (m *Monitor) clock(ctx context.Context, wrong bool) bool {
	ctx, cancel := context.WithTimeout(ctx, clockTimeout)
	defer cancel()
	before := m.Now()
	there, err := m.StoreNow(ctx)
	after := m.Now()
	if err != nil || after.Sub(before) > clockTimeout {
		return wrong // the store's absence is an event of its own
	}
	skew := there.Sub(before.Add(after.Sub(before) / 2))
	switch off := skew.Abs() > maxSkew; {
	case off && !wrong:
		m.Log.Record(ctx, Event{Name: MonitorDisabled, Level: Critical, Control: "monitor", Reason: "clock_skew", Took: skew})
		return true
	case !off && wrong:
		m.Log.Record(ctx, Event{Name: MonitorEnabled, Level: Info, Control: "monitor", Reason: "clock_right"})
		return false
	}
	return wrong
}
