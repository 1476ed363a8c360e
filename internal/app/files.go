package app

import (
	"context"
	"errors"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/config"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/malware"
	"example.com/portcullis/internal/guard/upload"
)

// files is the chat.Inspector: what a file is first, then whether it is malicious.
type files struct {
	upload  *upload.Guard
	malware *malware.Guard
	audit   audit.Recorder
}

// newFiles takes only pictures in production without a scanner: they are made anew of
// their pixels, and everything else is published as it was sent.
func newFiles(c config.Config, a audit.Recorder) (*files, error) {
	guard, err := upload.New(upload.Options{MaxBytes: int64(c.UploadBytes), OnlyImages: c.Production() && c.Clamd == ""})
	if err != nil {
		return nil, err
	}
	if c.Clamd == "" {
		return &files{guard, malware.New(nil), a}, nil
	}
	daemon, err := malware.NewClamd(c.Clamd)
	if err != nil {
		return nil, err
	}
	return &files{guard, malware.New(daemon), a}, nil
}

// Inspect scans what was sent, and makes what may be stored of it. Later scans, of a
// file in quarantine, see what is stored: that is what would be published.
func (f *files) Inspect(ctx context.Context, sent chat.File) (chat.Inspected, error) {
	made, err := f.upload.Check(ctx, upload.File{Name: sent.Name, Declared: sent.Declared, Bytes: sent.Bytes})
	if err != nil {
		return chat.Inspected{}, err
	}
	scanned := f.malware.Scan(ctx, sent.Bytes)
	if _, infected := errors.AsType[*malware.Infected](scanned); infected {
		return chat.Inspected{}, scanned
	}
	if scanned != nil {
		f.record(ctx, audit.Event{Name: audit.FailClosed, Level: audit.Warn, Reason: "quarantined", Detail: scanned.Error()})
	}
	return chat.Inspected{Name: made.Name, Mime: made.Mime, Bytes: made.Bytes, Width: made.Width, Height: made.Height, Clean: scanned == nil}, nil
}

// Scan asks again about a file in quarantine.
func (f *files) Scan(ctx context.Context, by chat.UserID, body []byte) (bool, error) {
	err := f.malware.Scan(ctx, body)
	if found, infected := errors.AsType[*malware.Infected](err); infected {
		f.record(ctx, audit.Event{Name: audit.UploadValidation, Level: audit.Critical, Reason: "infected", User: by.String(), Detail: found.Signature})
		return false, nil
	}
	if err != nil {
		return false, err
	}
	f.record(ctx, audit.Event{Name: audit.UploadStored, Level: audit.Info, Reason: "released", User: by.String(), Count: int64(len(body))})
	return true, nil
}

func (f *files) record(ctx context.Context, e audit.Event) {
	e.Control = "malware"
	f.audit.Record(ctx, e)
}
