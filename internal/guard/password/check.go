package password

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

const (
	// MinCharacters is the shortest password. ASVS 6.2.1 asks for 8 and advises 15; with
	// throttled sign-in and Argon2id, 10 keeps guessing out of reach and is still typed.
	MinCharacters = 10

	// MaxBytes is the longest password: beyond any passphrase (ASVS 6.2.9 asks for 64 or
	// more), and small enough to hash without a thought.
	MaxBytes = 256

	// minBeside is how much there must be in a password beside the user's own name.
	minBeside = 6

	// maxCommon bounds what the embedded list may unpack to.
	maxCommon = 1 << 20
)

// Weak says why a new password is not accepted.
type Weak struct {
	Reason string // slug: too_short, too_long, encoding, common, username
	Public string // one sentence for the user
}

func (w *Weak) Error() string { return w.Public }

// Check returns a *Weak if pw is no good new password for username.
//
//control:name password
func (h *Hasher) Check(pw, username string) error {
	if !utf8.ValidString(pw) {
		return &Weak{"encoding", "That password holds characters that cannot be read."}
	}
	pw = normalize(pw)
	switch {
	case len(pw) > MaxBytes:
		return &Weak{"too_long", fmt.Sprintf("A password can be at most %d bytes long.", MaxBytes)}
	case utf8.RuneCountInString(pw) < MinCharacters:
		return &Weak{"too_short", fmt.Sprintf("A password needs at least %d characters.", MinCharacters)}
	}
	pw = strings.ToLower(pw)
	if _, found := slices.BinarySearch(h.common, pw); found {
		return &Weak{"common", "Many people use that password. Please choose another one."}
	}
	if username != "" && utf8.RuneCountInString(strings.ReplaceAll(pw, strings.ToLower(normalize(username)), "")) < minBeside {
		return &Weak{"username", "A password must not be made of your user name."}
	}
	return nil
}

// normalize gives the one form of texts that look and are typed the same.
func normalize(pw string) string { return norm.NFC.String(pw) }

//go:embed common.txt.gz
var commonGz []byte

// loadCommon unpacks the list of common passwords, which is sorted; see common.md.
func loadCommon() ([]string, error) {
	z, err := gzip.NewReader(bytes.NewReader(commonGz))
	if err != nil {
		return nil, fmt.Errorf("password: list of common ones: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(z, maxCommon))
	if err != nil {
		return nil, fmt.Errorf("password: list of common ones: %w", err)
	}
	list := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if len(list) < 3000 || !slices.IsSorted(list) { // an empty list would accept everything
		return nil, fmt.Errorf("password: list of common ones has %d lines or is not sorted", len(list))
	}
	return list, nil
}
