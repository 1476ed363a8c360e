// Package deflate decides what may be compressed (RFC 7692), and how much of what a
// client compressed is ever inflated.
//
// Threat, outward: compression makes a secret and a guess beside it shorter when the
// guess is right, and TLS does not hide lengths (CRIME, BREACH; CVE-2012-4929,
// CVE-2013-3587). Whoever can have text of theirs sent in one message with a secret,
// and can see the sizes on the wire, reads the secret one character at a time.
//
// Rule: what is compressed is decided by the message's type, from a table of types
// that were looked at: public, written by the operator, with no word of a client in
// them. Never by what a message looks like. Each message alone (no context takeover),
// whole, from MinBytes on, and at most PerMinute of a type. Many messages of nearly
// one length in a row are what probing looks like: they go out plain, and an alarm
// says so. Going out plain is always safe.
//
// Threat, inward: 60 KB of deflate become 60 MB, behind every limit that counts what
// was received (CVE-2018-1000518, CVE-2020-27813 and many more).
//
// Rule: [Read] inflates one byte more than the limit, and no more, and stops earlier
// when the ratio is nothing that an honest client sends.
//
// Not covered: sizes and times of what is not compressed, which say how long a
// message is and when it came. Padding and delays are no cure, they only make more
// samples necessary.
//
// Sources: RFC 7692 sections 7.1.1, 7.2 and 8; ASVS 5.0 chapter 4.4.
package deflate

import (
	"bytes"
	"compress/flate"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// MinBytes is the shortest message that is compressed: below, there is nothing to gain.
	MinBytes = 1 << 10
	// PerMinute is how many messages of one type are compressed in a minute. Reading one
	// hex digit of a secret takes 16 messages when nothing disturbs; announcements come by the day.
	PerMinute = 10
	// probes is how many messages of nearly one length in a minute are no coincidence.
	probes = 5
	// near is how far lengths differ that are nearly one: a guess adds a character or two.
	near = 16

	window = time.Minute
)

// Reason is why an alarm was raised.
type Reason string

const (
	// NearEqual: probes messages of a type with nearly one length.
	NearEqual Reason = "near_equal_lengths"
	// Budget: more than PerMinute messages of a type.
	Budget Reason = "budget"
)

// Compressor compresses messages of the types it was made for. It is safe for concurrent use.
type Compressor struct {
	now      func() time.Time
	observed func(kind string, plain, wire int)
	alarmed  func(kind string, why Reason)

	mu    sync.Mutex
	kinds map[string][]sample // the last minute, by type
}

type sample struct {
	at    time.Time
	bytes int
}

// Options are the parts of a Compressor. All are required.
type Options struct {
	Types    []string                           // the table: what may be compressed
	Observed func(kind string, plain, wire int) // every message that was, with its sizes
	Alarmed  func(kind string, why Reason)      // a message was left plain because of how many came before it
	Now      func() time.Time
}

// NewCompressor returns a Compressor for the types of the table.
func NewCompressor(o Options) (*Compressor, error) {
	if len(o.Types) == 0 || o.Observed == nil || o.Alarmed == nil || o.Now == nil {
		return nil, errors.New("deflate: types, observers or clock are missing")
	}
	c := &Compressor{now: o.Now, observed: o.Observed, alarmed: o.Alarmed, kinds: map[string][]sample{}}
	for _, t := range o.Types {
		c.kinds[t] = nil
	}
	return c, nil
}

// Types lists the table.
func (c *Compressor) Types() []string { return slices.Sorted(maps.Keys(c.kinds)) }

// Compress returns the payload of a frame with RSV1 for message, or false: send it as
// it is. A type that is not in the table never is compressed, whatever it holds.
//
//control:name compression
func (c *Compressor) Compress(kind string, message []byte) ([]byte, bool) {
	if _, listed := c.kinds[kind]; !listed || len(message) < MinBytes {
		return nil, false
	}
	if why := c.count(kind, len(message)); why != "" {
		c.alarmed(kind, why)
		return nil, false
	}
	deflated := Deflate(message)
	c.observed(kind, len(message), len(deflated))
	return deflated, len(deflated) < len(message)
}

// count takes one from the budget of a type, or tells why there is none.
//
//control:name compression
func (c *Compressor) count(kind string, bytes int) Reason {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	kept := slices.DeleteFunc(c.kinds[kind], func(s sample) bool { return now.Sub(s.at) >= window })
	alike := 0
	for _, s := range kept {
		if max(s.bytes, bytes)-min(s.bytes, bytes) <= near {
			alike++
		}
	}
	kept = append(kept, sample{now, bytes})
	if len(kept) > PerMinute {
		kept = kept[1:] // the oldest is no longer needed to know that it is too many
		c.kinds[kind] = kept
		return Budget
	}
	c.kinds[kind] = kept
	if alike >= probes {
		return NearEqual
	}
	return ""
}

// tail is what RFC 7692 section 7.2.1 takes off: the empty block that a flush ends with.
const tail = "\x00\x00\xff\xff"

// Deflate compresses one message by itself, as permessage-deflate wants it on the wire.
func Deflate(message []byte) []byte {
	var out bytes.Buffer
	w, _ := flate.NewWriter(&out, flate.DefaultCompression) // the level is a constant that exists
	_, _ = w.Write(message)                                 // a bytes.Buffer takes everything
	_ = w.Flush()
	return bytes.TrimSuffix(out.Bytes(), []byte(tail))
}

// Offered reports whether one of the extension offers of a handshake is a
// permessage-deflate that we can keep our side of: any window of the client's, no
// limit on ours, since compress/flate has one window of 32 KiB. The answer to it is
// always that neither side keeps a context.
func Offered(headers []string) bool {
	for _, h := range headers {
		for offer := range strings.SplitSeq(h, ",") {
			if acceptable(offer) {
				return true
			}
		}
	}
	return false
}

func acceptable(offer string) bool {
	name, params, _ := strings.Cut(offer, ";")
	if strings.TrimSpace(name) != "permessage-deflate" {
		return false
	}
	if strings.TrimSpace(params) == "" {
		return !strings.Contains(offer, ";")
	}
	seen := map[string]bool{}
	for p := range strings.SplitSeq(params, ";") {
		key, value, given := strings.Cut(strings.TrimSpace(p), "=")
		if seen[key] {
			return false // RFC 7692 section 7: a parameter twice makes the offer invalid
		}
		seen[key] = true
		switch key {
		case "server_no_context_takeover", "client_no_context_takeover":
			if given {
				return false
			}
		case "client_max_window_bits":
			if given && !windowBits(value) {
				return false
			}
		case "server_max_window_bits":
			if value != "15" {
				return false
			}
		default:
			return false
		}
	}
	return true
}

func windowBits(v string) bool {
	return slices.Contains([]string{"8", "9", "10", "11", "12", "13", "14", "15"}, v)
}
