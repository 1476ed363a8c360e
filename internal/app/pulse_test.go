package app

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The numbers of the dashboard are those of the metrics, and a node without any says so.
func TestPulse_isTheRateOfTheLastMinute(t *testing.T) {
	registry := prometheus.NewRegistry()
	now := time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC)
	p := &pulse{from: registry, now: func() time.Time { return now }}
	if v := p.Pulse(); v.Sockets != 0 || v.Accepted != 0 || v.P95 != 0 {
		t.Errorf("of nothing: %+v", v)
	}
	name := func(n string) prometheus.Opts {
		return prometheus.Opts{Namespace: "portcullis", Subsystem: "socket", Name: n}
	}
	sockets := prometheus.NewGaugeVec(prometheus.GaugeOpts(name("connections")), []string{"route"})
	handshakes := prometheus.NewCounterVec(prometheus.CounterOpts(name("handshakes_total")), []string{"route", "result"})
	commands := prometheus.NewCounterVec(prometheus.CounterOpts(name("commands_total")), []string{"type"})
	took := prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "portcullis", Subsystem: "socket", Name: "command_seconds", Buckets: []float64{.01, .1, 1}})
	registry.MustRegister(sockets, handshakes, commands, took)
	handshakes.WithLabelValues("/ws", "accepted").Add(1000) // long ago
	for range 100 {
		took.Observe(5)
	}
	for range 20 {
		p.take()
		now = now.Add(pulseEvery)
	}
	sockets.WithLabelValues("/ws").Set(3)
	sockets.WithLabelValues("/ws/cli").Set(4)
	handshakes.WithLabelValues("/ws", "accepted").Add(30)
	handshakes.WithLabelValues("/ws", "origin").Add(6)
	handshakes.WithLabelValues("/ws/cli", "ticket").Add(4)
	commands.WithLabelValues("message.send").Add(120)
	commands.WithLabelValues("room.join").Add(999)
	for range 94 {
		took.Observe(.005)
	}
	for range 6 {
		took.Observe(.05)
	}
	v := p.Pulse()
	if v.Sockets != 7 || v.Accepted != 30 || v.Refused != 10 || v.Messages != 2 || v.P95 != 100*time.Millisecond {
		t.Errorf("%+v", v)
	}
	now = now.Add(pulseEvery)
	for range pulseKept {
		p.take()
		now = now.Add(pulseEvery)
	}
	if v := p.Pulse(); v.Accepted != 0 || v.Messages != 0 || v.P95 != 0 {
		t.Errorf("a minute later: %+v", v)
	}
}
