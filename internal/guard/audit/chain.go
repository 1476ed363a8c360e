package audit

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"example.com/portcullis/internal/secret"
)

// Chain binds each stored event to the one before it.
//
// Threat: whoever gets into the database removes the line that tells of it, or
// changes its name, and the log looks whole (CWE-117 is about lines that are added;
// this is about lines that are gone). A plain hash chain does not help: its writer
// recomputes it.
//
// Rule: each row carries prev, the hash of the row before, and hash, an HMAC-SHA-256
// over its place, all of its fields and prev. The key is no row of the production
// database. A row's id is its place, so ids have no gaps: what is missing shows.
// What is cut off at the end leaves a chain that fits, so the newest hash goes to the
// log every minute (heartbeat), and a copy of the log elsewhere tells what is missing.
//
// Not stopped: whoever has the key, which is whoever has the running server; and
// events that were never stored.
type Chain struct{ key []byte }

// chainKeyBytes is what HMAC-SHA-256 uses of a key.
const chainKeyBytes = 32

// NewChain takes the key: 32 bytes or more.
func NewChain(key secret.Bytes) (*Chain, error) {
	if key.Len() < chainKeyBytes {
		return nil, fmt.Errorf("audit: a chain key has %d bytes or more", chainKeyBytes)
	}
	return &Chain{key.Reveal()}, nil
}

// Link is a stored event with its place in the chain.
type Link struct {
	Stored
	Prev, Hash []byte // empty: from before the chain, or the first of it
}

// Head is the end of the chain at some time: everything up to ID is fixed by Hash.
type Head struct {
	ID   int64
	Hash []byte
}

// headBytes is how much of a hash a printed Head shows: 128 bits, which nobody can meet.
const headBytes = 16

// String is "id:hash", safe to print anywhere: without the key it helps nobody.
func (h Head) String() string {
	return fmt.Sprintf("%d:%x", h.ID, h.Hash[:min(len(h.Hash), headBytes)])
}

// ParseHead reads what String wrote.
func ParseHead(s string) (Head, error) {
	id, text, ok := strings.Cut(strings.TrimSpace(s), ":")
	n, err := strconv.ParseInt(id, 10, 64)
	hash, errHash := hex.DecodeString(text)
	if !ok || err != nil || errHash != nil || n < 1 || len(hash) < headBytes {
		return Head{}, errors.New("audit: a checkpoint is number:32 hex digits, as the log has it")
	}
	return Head{n, hash}, nil
}

// Anchor stands for rows that retention has removed: the last of them, signed.
type Anchor struct {
	Head
	At  time.Time
	MAC []byte
}

// Next returns the link of an event that follows head.
//
//control:name audit-chain
func (c *Chain) Next(head Head, e Event) Link {
	e.At = e.At.UTC().Truncate(time.Microsecond) // as the database keeps it
	e.Took = e.Took.Truncate(time.Microsecond)
	l := Link{Stored: Stored{ID: head.ID + 1, Event: e}, Prev: head.Hash}
	l.Hash = c.sum(l)
	return l
}

// Anchor signs that everything up to head was removed by retention.
func (c *Chain) Anchor(head Head, at time.Time) Anchor {
	at = at.UTC().Truncate(time.Microsecond)
	m := hmac.New(sha256.New, c.key)
	m.Write([]byte("portcullis audit anchor\x00"))
	var b []byte
	b = binary.BigEndian.AppendUint64(b, uint64(head.ID))
	b = binary.BigEndian.AppendUint64(b, uint64(at.UnixMicro()))
	m.Write(appendField(b, head.Hash))
	return Anchor{Head: head, At: at, MAC: m.Sum(nil)}
}

// genuine reports whether retention, which has the key, made the anchor.
func (c *Chain) genuine(a Anchor) bool { return hmac.Equal(a.MAC, c.Anchor(a.Head, a.At).MAC) }

// sum is the hash of a link. The encoding is canonical: numbers have eight bytes, and
// every text is preceded by its length, so that no two events have the same bytes.
//
//control:name audit-chain
func (c *Chain) sum(l Link) []byte {
	b := make([]byte, 0, 512)
	for _, n := range []int64{l.ID, l.At.UnixMicro(), int64(l.CloseCode), l.Took.Microseconds(), l.Count} {
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	b = appendField(appendField(b, []byte(l.Name)), []byte(l.Level))
	for _, f := range l.fields() {
		b = appendField(b, []byte(f.value))
	}
	b = appendField(b, l.Prev)
	m := hmac.New(sha256.New, c.key)
	m.Write([]byte("portcullis audit link\x00"))
	m.Write(b)
	return m.Sum(nil)
}

func appendField(b, field []byte) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(field))), field...)
}

// ours reports whether the link has the hash that this key gives it.
//
//control:name audit-chain
func (c *Chain) ours(l Link) bool { return hmac.Equal(l.Hash, c.sum(l)) }

// matches compares with a head that may be shortened.
func (h Head) matches(full []byte) bool { return len(h.Hash) > 0 && bytes.HasPrefix(full, h.Hash) }
