package chat

import (
	"errors"
	"time"
)

// Kind is what went wrong, in terms that every edge can map: to an HTTP status,
// to an error frame. The zero Kind is Internal.
type Kind int

// The kinds of error.
const (
	Internal    Kind = iota // ours; the text stays inside
	Invalid                 // the command cannot be right, whoever sends it
	Denied                  // not allowed, or no such room or message: one answer for both (CWE-203)
	Conflict                // the id was used before for something else
	RateLimited             // allowed again after RetryAfter
	TooLarge                // over a limit of size
	Quota                   // over a limit of number: rooms, members
	Busy                    // a part that we need is not available; nothing was stored
)

// Error is an error with a kind and one public sentence. Err stays inside.
type Error struct {
	Kind       Kind
	Public     string        // for people; never holds text from Err
	RetryAfter time.Duration // for RateLimited and Busy
	Err        error
}

func (e *Error) Error() string {
	if e.Err != nil {
		return e.Public + ": " + e.Err.Error()
	}
	return e.Public
}

func (e *Error) Unwrap() error { return e.Err }

// ErrDenied is the one answer to everything that is not allowed or not there.
//
//control:name existence
var ErrDenied = &Error{Kind: Denied, Public: "You cannot do that here."}

// KindOf returns the kind of err, Internal for errors that are not ours.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Internal
}
