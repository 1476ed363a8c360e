package site

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/ratelimit"
)

const (
	// exportTimeout is for the largest export over a slow line.
	exportTimeout = 5 * time.Minute
	// exportWrite is how long a browser may take for one page of it.
	exportWrite = 30 * time.Second
	// exportPage is how many rows are in memory at once.
	exportPage = 200
	// exportMessages bounds an export: years of a busy writer.
	exportMessages = 50_000
	// exportsPerHour and exportBurst: an export reads everything that somebody wrote, and
	// nobody needs it twice.
	exportsPerHour = 4
	exportBurst    = 3
	// exportsPerNode bounds what exports cost the database.
	exportsPerNode = 4
)

// Archive reads what one user has here, and of nobody else.
type Archive interface {
	// MadeAt is when the account was made.
	MadeAt(ctx context.Context, user chat.UserID) (time.Time, error)
	// Joined lists the rooms that user is in, in the order of their ids, after one.
	Joined(ctx context.Context, user chat.UserID, after chat.RoomID, limit int) ([]chat.Joined, error)
	// Written lists the messages of user that are not deleted, in the order of their
	// client ids, after one.
	Written(ctx context.Context, user chat.UserID, after chat.ClientID, limit int) ([]chat.Message, error)
}

type (
	profileBody struct {
		userBody
		CreatedAt stamp `json:"created_at"`
	}
	joinedBody struct {
		RoomID     string `json:"room_id"`
		Title      string `json:"title,omitzero"`
		With       string `json:"with,omitzero"` // the other person of a direct room
		Visibility string `json:"visibility"`
		Role       string `json:"role"`
		ReadSeq    int64  `json:"read_seq"`
		MutedUntil *stamp `json:"muted_until,omitzero"`
		JoinedAt   stamp  `json:"joined_at"`
	}
	writtenBody struct {
		ID        string       `json:"id"`
		RoomID    string       `json:"room_id"`
		Seq       int64        `json:"seq"`
		Body      string       `json:"body"`
		ReplyTo   string       `json:"reply_to,omitzero"`
		CreatedAt stamp        `json:"created_at"`
		EditedAt  *stamp       `json:"edited_at,omitzero"`
		Files     []uploadBody `json:"files,omitempty"`
	}
)

// export writes one JSON object to whoever asked for their data, piece by piece.
type export struct {
	s   *Site
	c   *call
	to  *http.ResponseController
	enc *jsontext.Encoder
}

// exportForm gives a user everything that is theirs, as a file to keep. It is everything
// at once, so it wants what ending the account wants: a fresh proof and a form of ours.
//
//control:name retention
func (s *Site) exportForm(w http.ResponseWriter, c *call) error {
	if err := s.chargeExport(c); err != nil {
		return err
	}
	done, ok := s.exporting.take(c.actor.User.UUID, 1, exportsPerNode)
	if !ok {
		return errExports
	}
	defer done()
	e := &export{s: s, c: c, to: http.NewResponseController(w), enc: jsontext.NewEncoder(w, jsontext.WithIndent("  "))}
	head, err := e.head()
	if err != nil {
		return err
	}
	s.record(c, audit.Event{Name: audit.SensitiveRead, Level: audit.Info, Control: "retention", Reason: "export"})
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Disposition", `attachment; filename="portcullis-`+c.actor.Username+`.json"`)
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'; frame-ancestors 'none'")
	w.WriteHeader(http.StatusOK)
	if err := e.run(head); err != nil {
		s.o.Log.InfoContext(c.Context(), "an export ended early", "request_id", c.id, "error", err)
		panic(http.ErrAbortHandler) // half of it must not look like the whole
	}
	return nil
}

var errExports = &refusal{status: http.StatusTooManyRequests, code: "rate_limited", public: "Your data was taken several times just now. Try again later.", retry: time.Minute,
	event: audit.Event{Name: audit.RateLimitExceeded, Level: audit.Warn, Control: "retention", Reason: "export"}}

// chargeExport takes the export out of its user's budget, over all nodes.
//
//control:name retention
func (s *Site) chargeExport(c *call) error {
	got, err := s.o.Limits.Take(c.Context(), []ratelimit.Bucket{{Name: "export", Key: c.actor.User.String(), Limit: ratelimit.Limit{Rate: exportsPerHour / 3600.0, Burst: exportBurst}}}, 1)
	if err != nil {
		return &chat.Error{Kind: chat.Busy, Public: publicBusy, Err: fmt.Errorf("charge export: %w", err)}
	}
	if !got.Allowed {
		r := *errExports
		r.retry = got.RetryAfter
		return &r
	}
	return nil
}

// part is one name of the object with its value.
type part struct {
	name  string
	value any
}

// head is what fits into memory, read before the answer begins, so that a failure is
// still an error page.
func (e *export) head() ([]part, error) {
	ctx, a := e.c.Context(), e.c.actor
	made, err := e.s.o.Archive.MadeAt(ctx, a.User)
	if err != nil {
		return nil, err
	}
	sessions, err := e.s.devices(e.c)
	if err != nil {
		return nil, err
	}
	keys, err := e.s.o.Passkeys.List(ctx, a)
	if err != nil {
		return nil, err
	}
	passkeys := make([]passkeyBody, 0, len(keys))
	for _, k := range keys {
		passkeys = append(passkeys, bodyOf(k))
	}
	return []part{
		{"made_at", stamp{e.s.o.Now()}},
		{"profile", profileBody{userBody{a.User.String(), a.Username, a.DisplayName, string(a.Role)}, stamp{made}}},
		{"sessions", sessions},
		{"passkeys", passkeys},
	}, nil
}

// run writes everything. "complete" comes last: true, or there are more messages than an
// export has.
func (e *export) run(head []part) error {
	if err := e.enc.WriteToken(jsontext.BeginObject); err != nil {
		return err
	}
	for _, m := range head {
		if err := errors.Join(e.enc.WriteToken(jsontext.String(m.name)), json.MarshalEncode(e.enc, m.value)); err != nil {
			return err
		}
	}
	if err := e.list("memberships", e.joined()); err != nil {
		return err
	}
	written, complete := e.written()
	if err := e.list("messages", written); err != nil {
		return err
	}
	return errors.Join(e.enc.WriteToken(jsontext.String("complete")), e.enc.WriteToken(jsontext.Bool(complete())), e.enc.WriteToken(jsontext.EndObject))
}

// list writes pages until there is none. Before each it asks whether the session still
// lives: whoever signs a thief out ends what the thief is taking, too.
//
//control:name retention
func (e *export) list(name string, next func() ([]any, error)) error {
	if err := errors.Join(e.enc.WriteToken(jsontext.String(name)), e.enc.WriteToken(jsontext.BeginArray)); err != nil {
		return err
	}
	for {
		if _, err := e.s.o.Sessions.Live(e.c.Context(), e.c.session.SID); err != nil {
			return fmt.Errorf("check session: %w", err)
		}
		page, err := next()
		if err != nil {
			return err
		}
		// Not every ResponseWriter has deadlines; that of the call remains.
		_ = e.to.SetWriteDeadline(time.Now().Add(exportWrite))
		for _, v := range page {
			if err := json.MarshalEncode(e.enc, v); err != nil {
				return err
			}
		}
		if len(page) == 0 {
			return e.enc.WriteToken(jsontext.EndArray)
		}
	}
}

func (e *export) joined() func() ([]any, error) {
	var after chat.RoomID
	return func() (page []any, err error) {
		list, err := e.s.o.Archive.Joined(e.c.Context(), e.c.actor.User, after, exportPage)
		for _, j := range list {
			after = j.Room
			b := joinedBody{RoomID: j.Room.String(), Title: j.Title, With: j.Peer, Visibility: string(j.Visibility), Role: string(j.Role), ReadSeq: j.ReadSeq, JoinedAt: stamp{j.At}}
			if !j.MutedUntil.IsZero() {
				b.MutedUntil = &stamp{j.MutedUntil}
			}
			page = append(page, b)
		}
		return page, err
	}
}

// written gives pages of messages, and whether these were all.
func (e *export) written() (next func() ([]any, error), complete func() bool) {
	var after chat.ClientID
	n := 0
	next = func() (page []any, err error) {
		if n >= exportMessages {
			return nil, nil
		}
		list, err := e.s.o.Archive.Written(e.c.Context(), e.c.actor.User, after, exportPage)
		n += len(list)
		for _, m := range list {
			after = m.ClientID
			b := writtenBody{ID: m.ID.String(), RoomID: m.Room.String(), Seq: m.Seq, Body: m.Body, CreatedAt: stamp{m.CreatedAt}}
			if m.ReplyTo != (chat.MessageID{}) {
				b.ReplyTo = m.ReplyTo.String()
			}
			if !m.EditedAt.IsZero() {
				b.EditedAt = &stamp{m.EditedAt}
			}
			for _, u := range m.Uploads {
				b.Files = append(b.Files, uploaded(u, true))
			}
			page = append(page, b)
		}
		return page, err
	}
	return next, func() bool { return n < exportMessages }
}
