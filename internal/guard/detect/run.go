package detect

import (
	"context"
	"errors"

	"example.com/portcullis/internal/guard/audit"
)

// readBuffer is how far the detector may fall behind the log: seconds of a flood.
const readBuffer = 8192

// Log is the log that is read and written.
type Log interface {
	audit.Recorder
	Subscribe(buffer int) (<-chan audit.Live, func(), bool)
}

// Run reads log until ctx ends, records what fires and hands it to respond.
func (d *Detector) Run(ctx context.Context, log Log, respond func(context.Context, Firing)) error {
	events, stop, ok := log.Subscribe(readBuffer)
	if !ok {
		return errors.New("detect: the log has too many readers")
	}
	defer stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-events:
			if e.Missed > 0 {
				log.Record(ctx, audit.Event{Name: audit.MonitorDisabled, Level: audit.Warn, Control: "detection", Reason: "events_missed", Count: e.Missed})
			}
			for _, f := range d.Observe(e.Event) {
				log.Record(ctx, f.Event())
				respond(ctx, f)
			}
		}
	}
}
