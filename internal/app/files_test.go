package app

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/google/uuid"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/config"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/malware"
	"example.com/portcullis/internal/guard/upload"
)

type recorded struct{ events []audit.Event }

func (r *recorded) Record(_ context.Context, e audit.Event) { r.events = append(r.events, e) }

func (r *recorded) reasons() (all []string) {
	for _, e := range r.events {
		all = append(all, e.Control+" "+string(e.Name)+" "+e.Reason)
	}
	return all
}

type scanner struct{ err error }

func (s *scanner) Scan(context.Context, []byte) error { return s.err }

//control:proves malware
func TestFiles_withoutAVerdictAFileWaitsAndWithOneItIsPublishedOrGone(t *testing.T) {
	events, daemon := &recorded{}, &scanner{err: errors.New("connection refused")}
	guard, err := upload.New(upload.Options{MaxBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	f := &files{guard, malware.New(daemon), events}
	sent := chat.File{Name: "a.txt", Declared: "text/plain", Bytes: []byte("hello")}
	got, err := f.Inspect(t.Context(), sent)
	if err != nil || got.Clean {
		t.Fatalf("clean %v, error %v", got.Clean, err)
	}
	user := chat.UserID{UUID: uuid.New()}
	if _, err := f.Scan(t.Context(), user, got.Bytes); err == nil {
		t.Error("still without the daemon, and no error")
	}
	daemon.err = nil
	if clean, err := f.Scan(t.Context(), user, got.Bytes); err != nil || !clean {
		t.Errorf("clean %v, error %v", clean, err)
	}
	daemon.err = &malware.Infected{Signature: "Test.Own"}
	if clean, err := f.Scan(t.Context(), user, got.Bytes); err != nil || clean {
		t.Errorf("clean %v, error %v", clean, err)
	}
	if _, err := f.Inspect(t.Context(), sent); err == nil {
		t.Error("an infected file was taken")
	}
	want := []string{"malware ws_fail_closed quarantined", "malware upload_stored released", "malware upload_validation infected"}
	if !slices.Equal(events.reasons(), want) {
		t.Errorf("events %v, want %v", events.reasons(), want)
	}
}

//control:proves malware
func TestFiles_productionWithoutAScannerTakesOnlyPictures(t *testing.T) {
	f, err := newFiles(config.Config{Env: "production", UploadBytes: 1 << 20}, &recorded{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Inspect(t.Context(), chat.File{Name: "a.txt", Declared: "text/plain", Bytes: []byte("hello")})
	if r, ok := errors.AsType[*upload.Refused](err); !ok || r.Why != upload.Unscanned {
		t.Errorf("error %v", err)
	}
}
