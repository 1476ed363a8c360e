package site

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/session"
)

const (
	// streamLife is how long one stream goes on; the browser opens the next by itself,
	// where it stopped.
	streamLife = time.Hour
	// streamLook is how often the table is asked for news.
	streamLook = 500 * time.Millisecond
	// streamCheck is how long a stream that has nothing to say may outlive its session
	// or its reader's role. One that has asks first.
	streamCheck = 2 * time.Second
	// streamBeat is under every proxy's patience with a silent answer.
	streamBeat = 15 * time.Second
	// streamPulse is how often the numbers are sent.
	streamPulse = 5 * time.Second
	// streamWrite is how long a reader may take for one event.
	streamWrite = 5 * time.Second
	// streamBacklog is how much of what was missed is sent at once. What is beyond is a gap.
	streamBacklog = 500
	// streamsPerUser and streamsPerNode bound what dashboards cost the database.
	streamsPerUser = 4
	streamsPerNode = 32
)

var errStreams = &refusal{status: http.StatusTooManyRequests, code: "rate_limited", public: "You have too many dashboards open. Close one.", retry: streamCheck,
	event: audit.Event{Name: audit.RateLimitExceeded, Level: audit.Warn, Control: "admin-separation", Reason: "streams"}}

// stream is one reader of events.
type stream struct {
	s       *Site
	c       *call
	w       http.ResponseWriter
	to      *http.ResponseController
	last    int64 // the newest id that the reader has
	checked time.Time
}

// getEvents sends security events as they are stored, on any node, each with its id in
// the log, and goes on behind Last-Event-ID. The log's ids have no holes, so a reader
// that could not keep up is told how many it missed (event "gap"). "overview" are the
// numbers of the dashboard, "end" says that the session or the role is gone.
func (s *Site) getEvents(w http.ResponseWriter, c *call) error {
	after, err := c.lastEvent()
	if err != nil {
		return err
	}
	newest, err := s.o.Admin.Events.Before(c.Context(), math.MaxInt64, 1)
	if err != nil {
		return fmt.Errorf("read newest event: %w", err)
	}
	st := &stream{s: s, c: c, w: w, to: http.NewResponseController(w), checked: s.o.Now()}
	if len(newest) == 1 {
		st.last = newest[0].ID
	}
	if after >= 0 && after < st.last {
		st.last = after
	}
	done, ok := s.watching.take(c.actor.User.UUID, streamsPerUser, streamsPerNode)
	if !ok {
		return errStreams
	}
	defer done()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store, no-transform")
	w.Header().Set("X-Accel-Buffering", "no") // nginx would collect events otherwise
	w.WriteHeader(http.StatusOK)
	if c.Method == http.MethodHead {
		return nil
	}
	if err := st.run(); err != nil && c.Context().Err() == nil {
		s.o.Log.InfoContext(c.Context(), "a stream of events ended", "request_id", c.id, "error", err)
	}
	return nil // an answer that has begun has no second one
}

// lastEvent is the id after which the reader wants to go on, -1 for now. A page that was
// just made says it in the address, because a browser sends the header only when it
// comes back.
func (c *call) lastEvent() (int64, error) {
	if sent := c.Header.Get("Last-Event-ID"); sent != "" {
		id, err := strconv.ParseInt(sent, 10, 64)
		if err != nil || id < 0 {
			return 0, errBadSchema
		}
		return id, nil
	}
	return c.number("after", 0, -1)
}

func (st *stream) run() error {
	look, beat, pulse := time.NewTicker(streamLook), time.NewTicker(streamBeat), time.NewTicker(streamPulse)
	defer look.Stop()
	defer beat.Stop()
	defer pulse.Stop()
	err := st.write("retry: 2000\n\n")
	if err == nil {
		err = st.overview()
	}
	for err == nil {
		select {
		case <-st.c.Context().Done():
			return st.c.Context().Err()
		case <-st.s.drained:
			return nil
		case <-look.C:
			err = st.news()
		case <-pulse.C:
			err = st.overview()
		case <-beat.C:
			err = st.write(": beat\n\n")
		}
	}
	return err
}

// news sends what is new, or looks after a while whether there is still anybody to
// send it to.
func (st *stream) news() error {
	ctx, events := st.c.Context(), st.s.o.Admin.Events
	list, err := events.Since(ctx, st.last, streamBacklog)
	if err == nil && len(list) == streamBacklog { // more may wait: go on at the end
		list, err = events.Before(ctx, math.MaxInt64, streamBacklog)
		slices.Reverse(list)
	}
	if err != nil {
		return fmt.Errorf("read events: %w", err)
	}
	if len(list) > 0 || st.s.o.Now().Sub(st.checked) >= streamCheck {
		if err := st.check(); err != nil {
			return err
		}
	}
	for _, e := range list {
		if missed := e.ID - st.last - 1; missed > 0 && st.last > 0 {
			if err := st.send("gap", e.ID-1, struct {
				Missed int64 `json:"missed"`
			}{missed}); err != nil {
				return err
			}
		}
		if err := st.send("", e.ID, eventOf(e)); err != nil {
			return err
		}
		st.last = e.ID
	}
	return nil
}

// check asks for the session and the role again.
//
//control:name admin-separation
func (st *stream) check() error {
	ctx := st.c.Context()
	sess, err := st.s.o.Sessions.Live(ctx, st.c.session.SID)
	if err == nil {
		var actor chat.Actor
		if actor, err = st.s.o.Accounts.Actor(ctx, sess); err == nil && !st.c.rule.role(actor.Role) {
			err = chat.ErrDenied
		}
	}
	if errors.Is(err, session.ErrNone) || chat.KindOf(err) == chat.Denied && err != nil {
		_ = st.send("end", 0, struct{}{}) // it ends whether it is heard or not
	}
	if err != nil {
		return fmt.Errorf("check reader of events: %w", err)
	}
	st.checked = st.s.o.Now()
	return nil
}

// overview sends the numbers of the dashboard.
func (st *stream) overview() error {
	if err := st.check(); err != nil {
		return err
	}
	v, err := st.s.overview(st.c.Context())
	if err != nil {
		return err
	}
	return st.send("overview", 0, v)
}

// send writes one event. Its data is one line of JSON, so that nothing in it can begin
// a field of the stream.
func (st *stream) send(kind string, id int64, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode event: %w", err)
	}
	frame := ""
	if id > 0 {
		frame = "id: " + strconv.FormatInt(id, 10) + "\n"
	}
	if kind != "" {
		frame += "event: " + kind + "\n"
	}
	return st.write(frame + "data: " + string(body) + "\n\n")
}

func (st *stream) write(frame string) error {
	if err := st.to.SetWriteDeadline(time.Now().Add(streamWrite)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("set write deadline: %w", err)
	}
	if _, err := st.w.Write([]byte(frame)); err != nil {
		return fmt.Errorf("write event: %w", err)
	}
	if err := st.to.Flush(); err != nil {
		return fmt.Errorf("flush event: %w", err)
	}
	return nil
}
