package socket

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics have labels with few values only, all of ours: nothing that a client
// sends can make a new time series.
type metrics struct {
	connections *prometheus.GaugeVec   // route
	handshakes  *prometheus.CounterVec // route, result: "accepted" or the control that refused
	closes      *prometheus.CounterVec // reason: slug of our code, peer, gone
	commands    *prometheus.CounterVec // type
	errors      *prometheus.CounterVec // code
	changes     prometheus.Counter
	dropped     prometheus.Counter
	untold      prometheus.Counter
	took        prometheus.Histogram
	revocation  prometheus.Histogram
	compression *prometheus.HistogramVec // type
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	const ns, sub = "portcullis", "socket"
	counter := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: ns, Subsystem: sub, Name: name, Help: help}
	}
	m := &metrics{
		connections: prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: ns, Subsystem: sub, Name: "connections", Help: "Open sockets."}, []string{"route"}),
		handshakes:  prometheus.NewCounterVec(counter("handshakes_total", "Handshakes by result: accepted, or the control that refused."), []string{"route", "result"}),
		closes:      prometheus.NewCounterVec(counter("closes_total", "Closed sockets by reason."), []string{"reason"}),
		commands:    prometheus.NewCounterVec(counter("commands_total", "Valid commands by type."), []string{"type"}),
		errors:      prometheus.NewCounterVec(counter("errors_total", "Error frames by code."), []string{"code"}),
		changes:     prometheus.NewCounter(counter("changes_total", "Changes given to local rooms.")),
		dropped:     prometheus.NewCounter(counter("ephemeral_dropped_total", "Ephemeral events not sent for want of room.")),
		untold:      prometheus.NewCounter(counter("presence_dropped_total", "Comings and goings that other nodes were not told of.")),
		took: prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: ns, Subsystem: sub, Name: "command_seconds",
			Help: "From a command's frame to its answer.", Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5, 10}}),
		revocation: prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: ns, Subsystem: sub, Name: "revocation_seconds",
			Help: "From a revocation to the closed socket.", Buckets: []float64{.005, .01, .025, .05, .1, .25, 1, 5}}),
		compression: prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: ns, Subsystem: sub, Name: "compression_ratio",
			Help: "How many times smaller compressed frames are.", Buckets: []float64{1, 1.5, 2, 3, 5, 10, 30, 100}}, []string{"type"}),
	}
	for _, c := range []prometheus.Collector{m.connections, m.handshakes, m.closes, m.commands, m.errors, m.changes, m.dropped, m.untold, m.took, m.revocation, m.compression} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}
