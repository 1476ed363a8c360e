package site

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/csrf"
	"example.com/portcullis/internal/guard/malware"
	"example.com/portcullis/internal/guard/session"
	"example.com/portcullis/internal/guard/upload"
)

const (
	// uploadTimeout is for the largest file over a poor mobile link: 5 MiB at 0.7 Mbit/s.
	uploadTimeout = 60 * time.Second
	// fileTimeout is the same for the way back; the server's own deadline for writing is
	// no longer.
	fileTimeout = 30 * time.Second
	// formBytes is what multipart adds around one file.
	formBytes = 8 << 10
	// uploadsPerUser and uploadsPerNode bound the bodies that are in memory at once.
	// uploadsPerNetwork keeps somebody with many accounts from taking every place and
	// filling it a byte a second: it is three people's, and less than half of the node.
	uploadsPerUser    = 2
	uploadsPerNetwork = 6
	uploadsPerNode    = 16
)

var (
	errBusyUploads = &refusal{status: http.StatusServiceUnavailable, code: "busy", public: "There are too many uploads right now. Try again in a moment.", retry: 2 * time.Second,
		event: audit.Event{Name: audit.RateLimitExceeded, Level: audit.Warn, Control: "upload", Reason: "uploads_at_once"}}
	errBadForm = uploadRefusal("form", "Send one file, as multipart/form-data, in a field named file.", nil)
)

func uploadRefusal(reason, public string, err error) *refusal {
	return &refusal{status: http.StatusUnprocessableEntity, code: "upload_rejected", public: public, err: err,
		event: audit.Event{Name: audit.UploadValidation, Level: audit.Warn, Control: "upload", Reason: reason}}
}

// fileRefusal is the answer to a file that one of the guards objects to.
func fileRefusal(err error) (*refusal, bool) {
	if r, ok := errors.AsType[*upload.Refused](err); ok {
		if r.Why == upload.TooLarge {
			return errTooLarge, true
		}
		return uploadRefusal(string(r.Why), r.Public(), err), true
	}
	if i, ok := errors.AsType[*malware.Infected](err); ok {
		return &refusal{status: http.StatusUnprocessableEntity, code: "upload_infected", public: i.Public(), err: err,
			event: audit.Event{Name: audit.UploadValidation, Level: audit.Critical, Control: "malware", Reason: "infected", Detail: i.Signature}}, true
	}
	return nil, false
}

// takeUpload gives a turn to a user and to the network that they come from.
func (s *Site) takeUpload(user uuid.UUID, network netip.Prefix) (done func(), ok bool) {
	mine, ok := s.uploading.take(user, uploadsPerUser, uploadsPerNode)
	if !ok {
		return nil, false
	}
	ours, ok := s.uploadingFrom.take(network, uploadsPerNetwork, uploadsPerNode)
	if !ok {
		mine()
		return nil, false
	}
	return func() { ours(); mine() }, true
}

// admitUpload is admit for files. A body of megabytes is not read for strangers: the
// session is looked at first, without loading it, so that none is open while the body
// comes in. Who has none is refused by identify, with nothing read.
func (s *Site) admitUpload(raw http.ResponseWriter, c *call) error {
	if refused, ok := errors.AsType[*csrf.Refused](s.o.CSRF.Check(c.Request, nil)); ok && refused.Why == csrf.CrossOrigin {
		return forged(c, refused)
	}
	if kind, _, err := mime.ParseMediaType(c.Header.Get("Content-Type")); err != nil || kind != "multipart/form-data" {
		return errMediaType
	}
	if c.ContentLength > c.rule.maxBody {
		return errTooLarge
	}
	who, err := s.o.Sessions.Peek(c.Context(), c.Request)
	switch {
	case errors.Is(err, session.ErrNone):
		return nil
	case err != nil:
		return &chat.Error{Kind: chat.Busy, Public: publicBusy, Err: err}
	}
	done, ok := s.takeUpload(who.User, c.network)
	if !ok {
		return errBusyUploads
	}
	c.done = done
	// The server's own deadlines are for calls of 64 KiB.
	_ = http.NewResponseController(raw).SetWriteDeadline(time.Now().Add(2 * uploadTimeout))
	return c.read(raw)
}

// file reads the one part that an upload has.
func (c *call) file() (chat.File, error) {
	_, params, err := mime.ParseMediaType(c.Header.Get("Content-Type"))
	if err != nil {
		return chat.File{}, errBadForm
	}
	parts := multipart.NewReader(bytes.NewReader(c.body), params["boundary"])
	part, err := parts.NextRawPart()
	if err != nil || part.FormName() != "file" {
		return chat.File{}, errBadForm
	}
	// Not part.FileName, which cuts the name in silence: what is cut is part of the lie.
	_, disposition, err := mime.ParseMediaType(part.Header.Get("Content-Disposition"))
	if err != nil || disposition["filename"] == "" {
		return chat.File{}, errBadForm
	}
	b, err := io.ReadAll(part)
	if err != nil {
		return chat.File{}, errBrokenBody
	}
	if _, err := parts.NextRawPart(); !errors.Is(err, io.EOF) {
		return chat.File{}, errBadForm
	}
	return chat.File{Name: disposition["filename"], Declared: part.Header.Get("Content-Type"), Bytes: b}, nil
}

type uploadBody struct {
	ID     string `json:"upload_id"`
	Name   string `json:"name"`
	Mime   string `json:"mime"`
	Size   int64  `json:"size"`
	Width  int    `json:"width,omitzero"`
	Height int    `json:"height,omitzero"`
	Status string `json:"status"` // clean: it may be posted; pending: the scanner has not answered yet
}

func uploaded(u chat.Upload, clean bool) uploadBody {
	b := uploadBody{u.ID.String(), u.Name, u.Mime, u.Size, u.Width, u.Height, "pending"}
	if clean {
		b.Status = "clean"
	}
	return b
}

func (s *Site) postUpload(w http.ResponseWriter, c *call) error {
	room, err := c.roomID()
	if err != nil {
		return err
	}
	f, err := c.file()
	if err != nil {
		return err
	}
	u, clean, err := s.o.Uploads.Put(c.Context(), c.actor, room, f)
	if err != nil {
		return err
	}
	reason, level := "clean", audit.Info
	if !clean {
		reason, level = "quarantined", audit.Warn
	}
	s.record(c, audit.Event{Name: audit.UploadStored, Level: level, Control: "upload", Reason: reason, Count: u.Size, Detail: u.ID.String()})
	s.writeJSON(w, http.StatusCreated, uploaded(u, clean))
	return nil
}

// uploadID reads the file of the address.
func (c *call) uploadID() (chat.UploadID, error) {
	id, err := chat.ParseUploadID(chi.URLParam(c.Request, "id"))
	if err != nil {
		return id, chat.ErrDenied
	}
	return id, nil
}

// getUploadStatus is for the uploader, who waits for the scanner.
func (s *Site) getUploadStatus(w http.ResponseWriter, c *call) error {
	id, err := c.uploadID()
	if err != nil {
		return err
	}
	u, clean, err := s.o.Uploads.Status(c.Context(), c.actor, id)
	if err != nil {
		return err
	}
	s.writeJSON(w, http.StatusOK, uploaded(u, clean))
	return nil
}

// getUpload serves a file, a piece at a time, and asks for each piece whether its
// reader may still have it. The browser is told what it is, not to guess, and, should
// it show it as a document all the same, to run nothing and to give it no origin.
//
//control:name upload
func (s *Site) getUpload(w http.ResponseWriter, c *call) error {
	id, err := c.uploadID()
	if err != nil {
		return err
	}
	p, err := s.o.Uploads.Read(c.Context(), c.actor, id, 0)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", p.Mime)
	h.Set("Content-Length", strconv.FormatInt(p.Size, 10))
	h.Set("Content-Disposition", disposition(p.Upload))
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'; frame-ancestors 'none'")
	w.WriteHeader(http.StatusOK)
	if c.Method == http.MethodHead {
		return nil
	}
	for sent := int64(0); ; {
		if _, err := w.Write(p.Bytes); err != nil {
			return nil // the client is gone
		}
		if sent += int64(len(p.Bytes)); sent >= p.Size {
			return nil
		}
		if p, err = s.o.Uploads.Read(c.Context(), c.actor, id, sent); err != nil || len(p.Bytes) == 0 {
			panic(http.ErrAbortHandler) // half a file must not look like a whole one
		}
	}
}

// disposition lets pictures be shown in a page and everything else only be saved. The
// name is in both forms of RFC 6266: ASCII for the old, RFC 8187 for all others.
func disposition(u chat.Upload) string {
	how := "attachment"
	if strings.HasPrefix(u.Mime, "image/") {
		how = "inline"
	}
	ascii := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || strings.ContainsRune(`"\%;`, r) {
			return '_'
		}
		return r
	}, u.Name)
	return fmt.Sprintf(`%s; filename="%s"; filename*=UTF-8''%s`, how, ascii, strings.ReplaceAll(url.QueryEscape(u.Name), "+", "%20"))
}
