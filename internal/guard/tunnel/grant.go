package tunnel

import (
	"errors"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
)

const (
	// MaxGrant is the longest that a grant may last: what is needed for longer is looked
	// at again each month.
	MaxGrant = 30 * 24 * time.Hour
	// maxReason bounds the sentence that says why, in characters.
	maxReason = 200
	// FreshFor is how old the proof of a password or passkey may be for a tunnel at most,
	// whatever is configured for other routes (ASVS 7.5.3).
	FreshFor = 5 * time.Minute
)

// Grant lets one user reach one target until an end.
type Grant struct {
	User      uuid.UUID
	Target    string
	GrantedBy uuid.UUID // somebody else: four eyes
	Reason    string    // for the log and for whoever looks at it next month
	At, Until time.Time
}

// The reasons why a grant is not one.
var (
	ErrFourEyes = errors.New("a grant is given by somebody else than who gets it")
	ErrReason   = errors.New("a grant needs a reason of 1 to 200 printable characters")
	ErrUntil    = errors.New("a grant ends in the future, and in 30 days at the latest")
	ErrTarget   = errors.New("a grant is for one user and one configured target")
)

// Check reports why g may not be stored.
//
//control:name tunnel
func (g Grant) Check() error {
	switch {
	case g.User == uuid.Nil || !nameForm.MatchString(g.Target):
		return ErrTarget
	case g.GrantedBy == uuid.Nil || g.GrantedBy == g.User:
		return ErrFourEyes
	case !printable(g.Reason):
		return ErrReason
	case !g.Until.After(g.At) || g.Until.Sub(g.At) > MaxGrant:
		return ErrUntil
	}
	return nil
}

func printable(s string) bool {
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	n := utf8.RuneCountInString(s)
	return n >= 1 && n <= maxReason && utf8.ValidString(s)
}
