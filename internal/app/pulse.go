package app

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"example.com/portcullis/internal/site"
)

const (
	// pulseEvery and pulseKept make the window of the dashboard's numbers: one minute.
	pulseEvery = 5 * time.Second
	pulseKept  = 12
)

// pulse turns the counters that a metrics server would read into the rates of the last
// minute, for a dashboard without one.
type pulse struct {
	from prometheus.Gatherer
	now  func() time.Time

	mu   sync.Mutex
	kept []reading // oldest first
}

// reading is the counters at one moment.
type reading struct {
	at                          time.Time
	sockets                     int
	accepted, refused, messages float64
	took                        []*dto.Bucket // cumulative
	commands                    uint64
}

// run takes readings until ctx ends.
func (p *pulse) run(ctx context.Context) {
	tick := time.NewTicker(pulseEvery)
	defer tick.Stop()
	for {
		p.take()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (p *pulse) take() {
	r := p.read()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kept = append(p.kept, r)
	if len(p.kept) > pulseKept {
		p.kept = p.kept[1:]
	}
}

// read gathers. A family that cannot be gathered is missing, which is what its number
// then shows.
func (p *pulse) read() reading {
	r := reading{at: p.now()}
	families, _ := p.from.Gather()
	for _, f := range families {
		for _, m := range f.GetMetric() {
			switch f.GetName() {
			case "portcullis_socket_connections":
				r.sockets += int(m.GetGauge().GetValue())
			case "portcullis_socket_handshakes_total":
				if label(m, "result") == "accepted" {
					r.accepted += m.GetCounter().GetValue()
				} else {
					r.refused += m.GetCounter().GetValue()
				}
			case "portcullis_socket_commands_total":
				if label(m, "type") == "message.send" {
					r.messages += m.GetCounter().GetValue()
				}
			case "portcullis_socket_command_seconds":
				r.took, r.commands = m.GetHistogram().GetBucket(), m.GetHistogram().GetSampleCount()
			}
		}
	}
	return r
}

func label(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

// Pulse is the node now, against the oldest reading of the last minute.
func (p *pulse) Pulse() site.Pulse {
	now := p.read()
	p.mu.Lock()
	defer p.mu.Unlock()
	v := site.Pulse{Sockets: now.sockets}
	if len(p.kept) == 0 {
		return v
	}
	old := p.kept[0]
	// At least one interval: the first moments of a server are no rate.
	seconds := max(now.at.Sub(old.at), pulseEvery).Seconds()
	v.Accepted, v.Refused = (now.accepted-old.accepted)/seconds*60, (now.refused-old.refused)/seconds*60
	v.Messages, v.P95 = (now.messages-old.messages)/seconds, p95(old, now)
	return v
}

// p95 is the upper bound of the histogram's bucket that holds it: never flattering.
func p95(old, now reading) time.Duration {
	n := now.commands - old.commands
	if n == 0 {
		return 0
	}
	rank := uint64(math.Ceil(0.95 * float64(n)))
	for i, b := range now.took {
		before := uint64(0)
		if i < len(old.took) {
			before = old.took[i].GetCumulativeCount()
		}
		if b.GetCumulativeCount()-before >= rank {
			return time.Duration(b.GetUpperBound() * float64(time.Second))
		}
	}
	return 10 * time.Second // beyond the last bucket, which is a command's own timeout
}
