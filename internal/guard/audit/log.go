package audit

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Store keeps events where they can be searched, each bound to the one before it.
type Store interface {
	// Insert stores all of them or none, in order, and returns the chain's new end.
	Insert(ctx context.Context, events []Event) (Head, error)
}

// Options of New. All but Store are required.
type Options struct {
	Log   *slog.Logger
	Store Store // nil: events go to Log alone
	Now   func() time.Time
}

const (
	// queueLen bounds each sink's memory: about 1 MiB of events.
	queueLen = 4096
	// batchLen and batchWait bound one insert: few round trips under load, and an
	// event is in the table within a quarter of a second when there is none.
	batchLen  = 256
	batchWait = 250 * time.Millisecond
	// insertTimeout gives a slow database up before the queue behind it fills.
	insertTimeout = 5 * time.Second
	// firstRetry and lastRetry are the waits after a failed insert, doubling in between.
	firstRetry = 100 * time.Millisecond
	lastRetry  = 5 * time.Second
	// behindAfter is how long the store may refuse before the log says that it is behind:
	// longer than a failover takes.
	behindAfter = 10 * time.Second
)

// Log is the Recorder of the running server. Two queues lead to two sinks, so that
// a slow database does not delay the log and a blocked log does not delay the database.
type Log struct {
	opts    Options
	toLog   chan Event
	toStore chan Event // unused when Store is nil
	dropped atomic.Int64
	counts  sync.Map // Name → *atomic.Int64, for metrics
	sampler sampler
	head    atomic.Pointer[Head] // what the Store holds
	behind  atomic.Bool          // the Store refuses, and has for a while
}

// New returns a Log; events recorded before Run wait in its queues.
//
//control:name audit
func New(o Options) (*Log, error) {
	if o.Log == nil || o.Now == nil {
		return nil, errors.New("audit: a logger and a clock are required")
	}
	return &Log{opts: o, toLog: make(chan Event, queueLen), toStore: make(chan Event, queueLen)}, nil
}

// Record takes one event. It never blocks: what finds no room in a queue is
// counted, and the count is said as soon as there is room again.
//
//control:name audit
func (l *Log) Record(_ context.Context, e Event) {
	if e.At.IsZero() {
		e.At = l.opts.Now()
	}
	e.Username, e.Origin, e.UserAgent, e.Detail = clean(e.Username), clean(e.Origin), clean(e.UserAgent), clean(e.Detail)
	n, ok := l.counts.Load(e.Name)
	if !ok {
		n, _ = l.counts.LoadOrStore(e.Name, new(atomic.Int64))
	}
	n.(*atomic.Int64).Add(1)
	keep, summaries := l.sampler.take(e)
	for _, s := range summaries {
		l.queue(s)
	}
	if keep {
		l.queue(e)
	}
}

// queue hands an event to both sinks.
//
//control:name audit
func (l *Log) queue(e Event) {
	select {
	case l.toLog <- e:
	default:
		l.dropped.Add(1)
	}
	if l.opts.Store == nil {
		return
	}
	select {
	case l.toStore <- e:
	default:
		l.dropped.Add(1)
	}
}

// Head is the newest end of the chain that this node has written; the zero Head
// before the first.
func (l *Log) Head() Head {
	if h := l.head.Load(); h != nil {
		return *h
	}
	return Head{}
}

// Behind reports whether the Store has refused events for a while.
func (l *Log) Behind() bool { return l.behind.Load() }

// Dropped is how many events found no room, so far.
func (l *Log) Dropped() int64 { return l.dropped.Load() }

// Counts returns how many events of each name were recorded.
func (l *Log) Counts() map[Name]int64 {
	m := map[Name]int64{}
	l.counts.Range(func(k, v any) bool { m[k.(Name)] = v.(*atomic.Int64).Load(); return true })
	return m
}

// Run writes events until ctx ends, then writes what is still queued and returns.
func (l *Log) Run(ctx context.Context) {
	var sinks sync.WaitGroup
	sinks.Go(func() { l.runLog(ctx) })
	if l.opts.Store != nil {
		sinks.Go(func() { l.runStore(ctx) })
	}
	sinks.Wait()
}

func (l *Log) runLog(ctx context.Context) {
	said := int64(0)
	defer func() {
		for _, e := range l.sampler.flush() {
			l.write(e)
		}
	}()
	for {
		select {
		case e := <-l.toLog:
			l.write(e)
			if d := l.dropped.Load(); d > said {
				l.write(Event{At: l.opts.Now(), Name: MonitorDisabled, Level: Warn, Control: "monitor", Reason: "events_dropped", Count: d - said})
				said = d
			}
		case <-ctx.Done():
			for {
				select {
				case e := <-l.toLog:
					l.write(e)
				default:
					return
				}
			}
		}
	}
}

func (l *Log) runStore(ctx context.Context) {
	for {
		select {
		case e := <-l.toStore:
			l.insert(ctx, l.gather(ctx, e))
		case <-ctx.Done():
			for len(l.toStore) > 0 {
				l.insert(ctx, l.gather(ctx, <-l.toStore))
			}
			return
		}
	}
}

// gather waits a little for more events, so that a burst is one insert.
func (l *Log) gather(ctx context.Context, first Event) []Event {
	events := []Event{first}
	wait := time.NewTimer(batchWait)
	defer wait.Stop()
	for len(events) < batchLen {
		select {
		case e := <-l.toStore:
			events = append(events, e)
			continue
		default:
		}
		select {
		case e := <-l.toStore:
			events = append(events, e)
		case <-wait.C:
			return events
		case <-ctx.Done():
			return events
		}
	}
	return events
}

// insert stores a batch, and tries again while there is room for what comes behind
// it: a database that restarts must not cost the evidence. It uses a context of its
// own for each try, because the last events of a stopping server matter; once ctx
// has ended there is one try.
func (l *Log) insert(ctx context.Context, events []Event) {
	var failing time.Duration
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		try, cancel := context.WithTimeout(context.Background(), insertTimeout)
		head, err := l.opts.Store.Insert(try, events)
		cancel()
		if err == nil {
			l.head.Store(&head)
			if l.behind.Swap(false) {
				l.Record(ctx, Event{Name: MonitorEnabled, Level: Info, Control: "monitor", Reason: "store_back"})
			}
			return
		}
		if failing += wait; failing >= behindAfter && !l.behind.Swap(true) {
			l.Record(ctx, Event{Name: MonitorDisabled, Level: Critical, Control: "monitor", Reason: "store_behind", Count: int64(len(l.toStore))})
		}
		if ctx.Err() != nil || len(l.toStore) > queueLen/2 {
			l.dropped.Add(int64(len(events)))
			l.opts.Log.Error("security events not stored", "count", len(events), "error", err)
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

func (l *Log) write(e Event) {
	attrs := []slog.Attr{slog.String("event", string(e.Name)), slog.String("severity", string(e.Level))}
	for _, f := range e.fields() {
		if f.value != "" {
			attrs = append(attrs, slog.String(f.key, f.value))
		}
	}
	if e.CloseCode != 0 {
		attrs = append(attrs, slog.Int("close_code", e.CloseCode))
	}
	if e.Took != 0 {
		attrs = append(attrs, slog.Duration("took", e.Took))
	}
	if e.Count != 0 {
		attrs = append(attrs, slog.Int64("count", e.Count))
	}
	l.opts.Log.LogAttrs(context.Background(), slogLevel(e.Level), "security", attrs...)
}

type field struct{ key, value string }

func (e Event) fields() []field {
	return []field{{"control", e.Control}, {"reason", e.Reason}, {"user", e.User}, {"username", e.Username}, {"session", e.Session},
		{"conn", e.Conn}, {"request_id", e.Request}, {"room", e.Room}, {"source_ip", e.IP}, {"origin", e.Origin}, {"user_agent", e.UserAgent}, {"detail", e.Detail}}
}

func slogLevel(l Level) slog.Level {
	switch l {
	case Info:
		return slog.LevelInfo
	case Critical:
		return slog.LevelError
	}
	return slog.LevelWarn
}
