package fanout

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"time"

	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/secret"
)

const (
	// minKey is the shortest Options.Key, in bytes: as much as SHA-256 gives.
	minKey = 32
	// sealSize is what a seal adds to an event.
	sealSize = sha256.Size
	// sealInfo separates the key of this line from whatever else its key is for.
	sealInfo = "portcullis fan-out v2"

	// toldAgain is how often a stream of forged events is an event of the log.
	toldAgain = time.Minute

	// forged is an event that no node of ours has sent.
	forged refusal = "forged"
)

// seal is the key that all nodes share, and Redis does not have. Without it whoever can
// write to Redis could say what they like on every screen, in somebody else's name, and
// close sockets (CWE-345, CWE-924). What nodes did say can be said again by who listened:
// an old change is behind its room's seq, an old revocation takes away what is gone.
type seal struct{ key []byte }

func newSeal(key secret.Bytes) (seal, error) {
	if key.Len() < minKey {
		return seal{}, fmt.Errorf("fanout: the key has %d bytes, and needs %d", key.Len(), minKey)
	}
	k, err := hkdf.Key(sha256.New, key.Reveal(), nil, sealInfo, sealSize)
	if err != nil {
		return seal{}, fmt.Errorf("fanout: derive the key: %w", err)
	}
	return seal{k}, nil
}

func (s seal) sum(b []byte) []byte {
	mac := hmac.New(sha256.New, s.key)
	mac.Write(b)
	return mac.Sum(nil)
}

// pack encodes an event and puts the seal behind it.
func (s seal) pack(e event) ([]byte, error) {
	b, err := encode(e)
	if err != nil {
		return nil, err
	}
	return append(b, s.sum(b)...), nil
}

// unpack looks at the seal before it reads a byte of the event.
//
//control:name fanout
func (s seal) unpack(b []byte) (event, error) {
	if len(b) > maxEvent+sealSize {
		return event{}, tooLarge
	}
	end := len(b) - sealSize
	if end < 0 || !hmac.Equal(b[end:], s.sum(b[:end])) {
		return event{}, forged
	}
	return decode(b[:end])
}

// refuse counts an event that is not taken. One that is forged has come from somebody who
// can write to Redis, or from a node with another key: both want a person.
//
//control:name fanout
func (n *Node) refuse(ctx context.Context, why refusal) {
	n.metrics.refused.WithLabelValues(string(why)).Inc()
	if why != forged {
		return
	}
	now := time.Now()
	last := n.toldForged.Load()
	if now.UnixNano()-last < int64(toldAgain) || !n.toldForged.CompareAndSwap(last, now.UnixNano()) {
		return
	}
	n.audit.Record(ctx, audit.Event{Name: audit.FanoutDegraded, Level: audit.Critical, Control: "fanout", Reason: string(forged)})
}
