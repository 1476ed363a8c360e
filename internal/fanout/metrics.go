package fanout

import "github.com/prometheus/client_golang/prometheus"

// metrics are counted per node. Every label has a fixed set of values.
type metrics struct {
	changes     *prometheus.CounterVec // way: local, redis, store
	dropped     *prometheus.CounterVec // reason
	refused     *prometheus.CounterVec // reason: events from Redis not taken
	repairs     *prometheus.CounterVec // result: ok, error
	refreshes   *prometheus.CounterVec // result: ok, error
	revocations *prometheus.CounterVec // way: local, stream, poll
	lost        *prometheus.CounterVec // reason: redis_lost, redis_silent
	blind       prometheus.Counter
	rooms       prometheus.Gauge
	up          prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	vec := func(name, label, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "portcullis", Subsystem: "fanout", Name: name, Help: help}, []string{label})
	}
	m := &metrics{
		changes:     vec("changes_total", "way", "Changes of followed rooms, by the way on which each came first."),
		dropped:     vec("dropped_total", "reason", "Events not sent or held, to be repaired from the store."),
		refused:     vec("refused_total", "reason", "Events from Redis that were not understood."),
		repairs:     vec("repairs_total", "result", "Reads of missing changes from the store."),
		refreshes:   vec("refreshes_total", "result", "Re-reads of a room's members because of a newer epoch."),
		revocations: vec("revocations_total", "way", "Revocations applied, by the way on which they came."),
		lost:        vec("link_lost_total", "reason", "Ends of the link to Redis."),
		blind:       prometheus.NewCounter(prometheus.CounterOpts{Namespace: "portcullis", Subsystem: "fanout", Name: "blind_total", Help: "Times that neither Redis nor PostgreSQL answered."}),
		rooms:       prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "portcullis", Subsystem: "fanout", Name: "rooms", Help: "Rooms followed."}),
		up:          prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "portcullis", Subsystem: "fanout", Name: "redis_up", Help: "Whether the heartbeat through Redis comes back."}),
	}
	for _, c := range []prometheus.Collector{m.changes, m.dropped, m.refused, m.repairs, m.refreshes, m.revocations, m.lost, m.blind, m.rooms, m.up} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}
