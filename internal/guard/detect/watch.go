package detect

import (
	"context"
	"errors"
	"time"

	"example.com/portcullis/internal/guard/audit"
)

const (
	// readEvery is how late an event is seen, beside the quarter of a second in which
	// the log gathers what it stores.
	readEvery = time.Second
	// readRows is a page of the log.
	readRows = 1000
	// readBack is what a node reads that begins: the longest window of a rule.
	readBack = 15 * time.Minute
	// blindAfter is how long the log may not answer before that is said: longer than a
	// failover takes.
	blindAfter = 10 * time.Second
)

// Stream is the security log of all nodes in the one order in which it is stored, and
// who of them speaks.
type Stream interface {
	// Position is the place in the log before the first event since a time.
	Position(ctx context.Context, since time.Time) (int64, error)
	// Since reads the events after a place, oldest first, at most limit.
	Since(ctx context.Context, place int64, limit int) ([]audit.Stored, error)
	// Claim is true for the first of all nodes that claims what a rule says about a
	// subject, and then for nobody until the time has come, which is that of the events.
	Claim(ctx context.Context, f Firing, until time.Time) (bool, error)
}

// Watch reads the log for a Detector. Every node reads all of it, so that each knows
// what an attacker does who is spread over them, and any of them may stop. What fires
// then fires on each, and the one that claims it first says it and responds.
type Watch struct {
	detector *Detector
	stream   Stream
	audit    audit.Recorder
	now      func() time.Time

	place  int64
	placed bool
	failed time.Time // since when the stream does not answer; zero: it does
	blind  bool      // that was said
}

// NewWatch returns a Watch; Run has it begin.
func NewWatch(d *Detector, s Stream, a audit.Recorder, now func() time.Time) (*Watch, error) {
	if d == nil || s == nil || a == nil || now == nil {
		return nil, errors.New("detect: a watch needs a detector, a stream, a log and a clock")
	}
	return &Watch{detector: d, stream: s, audit: a, now: now}, nil
}

// Run reads until ctx ends, records what fires and hands it to respond. While the
// stream does not answer nothing is seen, and nothing missed: it goes on from where it was.
func (w *Watch) Run(ctx context.Context, respond func(context.Context, Firing)) {
	tick := time.NewTicker(readEvery)
	defer tick.Stop()
	for {
		w.note(ctx, w.read(ctx, respond))
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// read takes what is new in the log.
//
//control:name detection
func (w *Watch) read(ctx context.Context, respond func(context.Context, Firing)) (err error) {
	if !w.placed {
		if w.place, err = w.stream.Position(ctx, w.now().Add(-readBack)); err != nil {
			return err
		}
		w.placed = true
	}
	for {
		page, err := w.stream.Since(ctx, w.place, readRows)
		if err != nil {
			return err
		}
		for _, e := range page {
			w.place = e.ID
			for _, f := range w.detector.Observe(e.Event) {
				w.fire(ctx, f, respond)
			}
		}
		if len(page) < readRows {
			return nil
		}
	}
}

// fire says what fired, unless another node has. When nobody can tell, it is said:
// better twice than never.
//
//control:name detection
func (w *Watch) fire(ctx context.Context, f Firing, respond func(context.Context, Firing)) {
	if ours, err := w.stream.Claim(ctx, f, f.Cause.At.Add(quietFor)); err == nil && !ours {
		return
	}
	w.audit.Record(ctx, f.Event())
	respond(ctx, f)
}

// note says when the log cannot be read, and when it can again.
func (w *Watch) note(ctx context.Context, err error) {
	switch {
	case ctx.Err() != nil:
	case err == nil:
		if w.blind {
			w.audit.Record(ctx, audit.Event{Name: audit.MonitorEnabled, Level: audit.Info, Control: "detection", Reason: "log_read"})
		}
		w.failed, w.blind = time.Time{}, false
	case w.failed.IsZero():
		w.failed = w.now()
	case !w.blind && w.now().Sub(w.failed) >= blindAfter:
		w.blind = true
		w.audit.Record(ctx, audit.Event{Name: audit.MonitorDisabled, Level: audit.Critical, Control: "detection", Reason: "log_unread"})
	}
}
