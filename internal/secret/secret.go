// Package secret keeps secrets out of logs by type instead of by care.
//
// Threat: a signing key, a database password or a ticket is printed once, by a
// log line, an error or a debug dump, and everybody who can read logs can use it
// (CWE-532, ASVS 16.2.5). A value of type Text or Bytes prints as [redacted]
// through every door Go has: fmt with any verb, slog, JSON and text encoding.
// Reading it takes a call to Reveal, which a reviewer can search for.
//
// Not covered: copies made after Reveal, and memory dumps.
package secret

import (
	"fmt"
	"log/slog"
)

// Mask is what every printed secret looks like.
const Mask = "[redacted]"

// Text is a secret string, such as a database URL with a password.
//
//control:name secrets
type Text struct{ value string }

// NewText wraps s.
func NewText(s string) Text { return Text{s} }

// Reveal returns the secret itself. Search for its callers in a review.
func (t Text) Reveal() string { return t.value }

// Empty reports whether there is no secret.
func (t Text) Empty() bool { return t.value == "" }

// UnmarshalText lets configuration loaders fill a Text.
func (t *Text) UnmarshalText(b []byte) error { t.value = string(b); return nil }

func (t Text) String() string               { return Mask }
func (t Text) GoString() string             { return Mask }
func (t Text) LogValue() slog.Value         { return slog.StringValue(Mask) }
func (t Text) MarshalText() ([]byte, error) { return []byte(Mask), nil }

// Format is for every verb of fmt: %d would print what is inside and ask no String.
//
//control:name secrets
func (t Text) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(Mask)) }

// MarshalJSON is for what is answered, stored or logged as JSON.
//
//control:name secrets
func (t Text) MarshalJSON() ([]byte, error) { return []byte(`"` + Mask + `"`), nil }

// Bytes is a secret key.
//
//control:name secrets
type Bytes struct{ value []byte }

// NewBytes wraps b without copying it.
func NewBytes(b []byte) Bytes { return Bytes{b} }

// Reveal returns the key itself. Search for its callers in a review.
func (s Bytes) Reveal() []byte { return s.value }

// Len is the length of the key in bytes.
func (s Bytes) Len() int { return len(s.value) }

func (s Bytes) String() string               { return Mask }
func (s Bytes) GoString() string             { return Mask }
func (s Bytes) Format(f fmt.State, _ rune)   { _, _ = f.Write([]byte(Mask)) }
func (s Bytes) MarshalText() ([]byte, error) { return []byte(Mask), nil }
func (s Bytes) MarshalJSON() ([]byte, error) { return []byte(`"` + Mask + `"`), nil }

// LogValue is what slog asks for.
//
//control:name secrets
func (s Bytes) LogValue() slog.Value { return slog.StringValue(Mask) }
