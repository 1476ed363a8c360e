package chat

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"example.com/portcullis/internal/guard/authz"
)

// UploadID names a file. It is random, so knowing one is having been told.
type UploadID struct{ uuid.UUID }

// ParseUploadID reads the canonical 36-character form.
func ParseUploadID(s string) (UploadID, error) { u, err := parse(s); return UploadID{u}, err }

// MaxUploads is how many files one message carries: a screen at 360 px shows four.
const MaxUploads = 4

// costUpload is what a file costs its user's budget, in messages: decoding a picture
// is some twenty times the work of storing a line of text.
const costUpload = 20

// Upload is a file of a message.
type Upload struct {
	ID            UploadID
	Name          string // for people; cleaned
	Mime          string // what it is, by our own judgement
	Size          int64  // bytes
	Width, Height int    // 0: not a picture
}

// File is what a client sent, before anybody has judged it.
type File struct {
	Name     string
	Declared string // the media type that the client claims
	Bytes    []byte
}

// Inspected is what became of a File.
type Inspected struct {
	Name, Mime    string
	Bytes         []byte
	Width, Height int
	Clean         bool // false: nobody could tell yet whether it is malicious
}

// Inspector judges files: the rooms guard/upload and guard/malware stand behind it.
type Inspector interface {
	// Inspect makes what may be stored of f, or refuses it.
	Inspect(ctx context.Context, f File) (Inspected, error)
	// Scan asks again about a file in quarantine: true for clean, false for infected, an
	// error when nobody can tell yet.
	Scan(ctx context.Context, by UserID, body []byte) (clean bool, err error)
}

// StoredUpload is a file as the store takes it.
type StoredUpload struct {
	Upload
	Room  RoomID
	User  UserID
	Bytes []byte
	Clean bool
	At    time.Time
}

// Piece is a part of a file's bytes, with the file.
type Piece struct {
	Upload
	Bytes []byte
}

// Quarantined is a file that waits for a verdict.
type Quarantined struct {
	ID    UploadID
	User  UserID
	Bytes []byte
}

// UploadStore keeps files. As in Store, who may is asked in the statement that does it.
type UploadStore interface {
	// May tells whether PutUpload of size bytes would be taken now: the cheap question
	// before the dear work.
	May(ctx context.Context, roles []authz.Role, user UserID, room RoomID, size, quota int64) error
	// Put stores a file, attached to nothing yet: ErrDenied for a user without one of the
	// roles or muted, Kind Quota when the user's files would be more than quota bytes.
	Put(ctx context.Context, roles []authz.Role, u StoredUpload, quota int64) error
	// Status is a file of user's own, and whether it is clean.
	Status(ctx context.Context, user UserID, id UploadID) (u Upload, clean bool, err error)
	// Read reads the bytes of a clean file from an offset, some at a time: for its
	// uploader until it is attached, then for those members who have one of the roles.
	Read(ctx context.Context, roles []authz.Role, user UserID, id UploadID, from int64) (Piece, error)
	// Claim takes one file whose turn to be asked about has come, and puts its next turn
	// off, so that no two nodes ask at once; false when there is none.
	Claim(ctx context.Context) (Quarantined, bool, error)
	// Settle publishes a file in quarantine, or removes it.
	Settle(ctx context.Context, id UploadID, clean bool) error
	// Sweep removes files that were never attached and are older than an hour.
	Sweep(ctx context.Context) error
}

// Uploads does what people want to do with files.
type Uploads struct {
	store     UploadStore
	inspector Inspector
	limits    Limiter
	quota     int64
	now       func() time.Time
}

// NewUploads returns Uploads; quota is how many bytes one user may have stored.
func NewUploads(store UploadStore, inspector Inspector, limits Limiter, quota int64, now func() time.Time) (*Uploads, error) {
	if store == nil || inspector == nil || limits == nil || now == nil || quota <= 0 {
		return nil, errors.New("chat: uploads need a store, an inspector, a limiter, a quota and a clock")
	}
	return &Uploads{store, inspector, limits, quota, now}, nil
}

// Put takes a file for room: the budget, the right and the quota first, because they
// are cheap; then the file itself; then right and quota again, in the statement that
// stores it. Not clean means that it waits in quarantine.
func (u *Uploads) Put(ctx context.Context, a Actor, room RoomID, f File) (got Upload, clean bool, err error) {
	if err := signedIn(a); err != nil {
		return Upload{}, false, err
	}
	if err := u.limits.Take(ctx, a, RoomID{}, costUpload); err != nil {
		return Upload{}, false, err
	}
	roles := authz.Roles(authz.Send)
	if err := u.store.May(ctx, roles, a.User, room, int64(len(f.Bytes)), u.quota); err != nil {
		return Upload{}, false, wrap("ask for room", err)
	}
	made, err := u.inspector.Inspect(ctx, f)
	if err != nil {
		return Upload{}, false, fmt.Errorf("inspect file: %w", err)
	}
	id, err := uuid.NewRandom()
	if err != nil {
		return Upload{}, false, fmt.Errorf("make upload id: %w", err)
	}
	got = Upload{ID: UploadID{id}, Name: made.Name, Mime: made.Mime, Size: int64(len(made.Bytes)), Width: made.Width, Height: made.Height}
	err = u.store.Put(ctx, roles, StoredUpload{Upload: got, Room: room, User: a.User, Bytes: made.Bytes, Clean: made.Clean, At: u.now()}, u.quota)
	if err != nil {
		return Upload{}, false, wrap("store file", err)
	}
	return got, made.Clean, nil
}

// Status tells a about a file of their own.
func (u *Uploads) Status(ctx context.Context, a Actor, id UploadID) (got Upload, clean bool, err error) {
	if err := signedIn(a); err != nil {
		return Upload{}, false, err
	}
	got, clean, err = u.store.Status(ctx, a.User, id)
	return got, clean, wrap("read upload", err)
}

// Read reads a part of a file; each part asks again whether a may.
func (u *Uploads) Read(ctx context.Context, a Actor, id UploadID, from int64) (Piece, error) {
	if err := signedIn(a); err != nil {
		return Piece{}, err
	}
	p, err := u.store.Read(ctx, authz.Roles(authz.Read), a.User, id, from)
	return p, wrap("read file", err)
}

// The rhythm of Run.
const (
	// lookEvery is how often a node looks for files in quarantine; the store spaces the
	// questions about one file further and further.
	lookEvery = 2 * time.Second
	// sweepEvery is short against the hour that a file may wait.
	sweepEvery = 5 * time.Minute
)

// Run asks again about files in quarantine and removes abandoned ones, until ctx ends.
// failed is told what did not work; it is tried again.
func (u *Uploads) Run(ctx context.Context, failed func(error)) {
	look, sweep := time.NewTicker(lookEvery), time.NewTicker(sweepEvery)
	defer look.Stop()
	defer sweep.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-look.C:
			err = u.settle(ctx)
		case <-sweep.C:
			err = u.store.Sweep(ctx)
		}
		if err != nil && ctx.Err() == nil {
			failed(err)
		}
	}
}

// settle asks about every file whose turn has come. One without a verdict keeps its
// place in quarantine, and its next turn.
func (u *Uploads) settle(ctx context.Context) error {
	for {
		q, found, err := u.store.Claim(ctx)
		if err != nil || !found {
			return wrap("claim file", err)
		}
		clean, err := u.inspector.Scan(ctx, q.User, q.Bytes)
		if err != nil {
			return fmt.Errorf("scan again: %w", err)
		}
		if err := u.store.Settle(ctx, q.ID, clean); err != nil {
			return wrap("settle file", err)
		}
	}
}

// cleanUploads refuses what no client of ours sends: too many, or one twice.
func cleanUploads(ids []UploadID) error {
	if len(ids) > MaxUploads {
		return invalid("A message carries at most 4 files.")
	}
	for i, id := range ids {
		if slices.Contains(ids[:i], id) {
			return invalid("A message carries a file once.")
		}
	}
	return nil
}
