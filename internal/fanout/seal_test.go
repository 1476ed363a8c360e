package fanout

import (
	"bytes"
	"errors"
	"testing"

	"github.com/redis/go-redis/v9"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/secret"
	"example.com/portcullis/internal/testkit"
)

//control:proves fanout
func TestSeal_opensOnlyWhatANodeOfOursHasClosed(t *testing.T) {
	c := change(roomA, 7)
	good, err := ours.pack(event{Node: "n", Change: &c})
	if err != nil {
		t.Fatal(err)
	}
	if e, err := ours.unpack(good); err != nil || e.Change == nil || e.Change.Seq != 7 {
		t.Fatalf("%+v, %v", e, err)
	}
	others, err := newSeal(secret.NewBytes(bytes.Repeat([]byte("x"), 32)))
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := others.pack(event{Node: "n", Change: &c})
	if err != nil {
		t.Fatal(err)
	}
	body := good[:len(good)-sealSize]
	hostile := map[string][]byte{
		"no seal":             body,
		"another key":         theirs,
		"a seal of nothing":   append(bytes.Clone(body), ours.sum(nil)...),
		"a seal that is zero": append(bytes.Clone(body), make([]byte, sealSize)...),
		"half a seal":         good[:len(good)-sealSize/2],
		"one byte more":       append(bytes.Clone(good), 0),
		"nothing":             nil,
	}
	for i := range good { // a change of any byte
		b := bytes.Clone(good)
		b[i] ^= 1
		hostile["byte"] = b
		for name, b := range hostile {
			if e, err := ours.unpack(b); !errors.Is(err, forged) {
				t.Fatalf("%s, byte %d: %+v, %v", name, i, e, err)
			}
		}
	}
	if _, err := ours.unpack(make([]byte, maxEvent+sealSize+1)); !errors.Is(err, tooLarge) {
		t.Errorf("too large: %v", err)
	}
}

func TestSeal_refusesAWeakKey(t *testing.T) {
	for _, key := range [][]byte{nil, {}, make([]byte, minKey-1)} {
		if _, err := newSeal(secret.NewBytes(key)); err == nil {
			t.Errorf("a key of %d bytes is taken", len(key))
		}
	}
}

// A neighbour who can write to Redis puts words into somebody's mouth and closes sockets.
//
//control:proves fanout
func TestReceive_whoOnlyHasRedisSaysNothingAndEndsNothing(t *testing.T) {
	p, h, url := prefix(t), newHistory(), testkit.RedisURL(t)
	a, n := startNode(t, url, p, h, lazy), startNode(t, url, p, h, lazy)
	n.hears(t, a)
	n.follow(t, roomA)
	n.Publish(t.Context(), h.write(roomA, 1))
	n.reaches(t, roomA, 1)

	invented, typing, end := change(roomA, 2), chat.Signal{Kind: chat.Typing, Room: roomA, User: alice}, sessionEnd()
	for _, e := range []event{{Change: &invented}, {Signal: &typing}} {
		e.Node = "elsewhere"
		b, err := encode(e)
		if err != nil {
			t.Fatal(err)
		}
		if err := n.redis.Publish(t.Context(), n.channel(roomA), b).Err(); err != nil {
			t.Fatal(err)
		}
	}
	b, err := encode(event{Node: "elsewhere", Revocation: &end})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.redis.XAdd(t.Context(), &redis.XAddArgs{Stream: n.stream(), Values: []any{"e", b}}).Err(); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, soon, func() bool { return count(t, n.metrics.refused.WithLabelValues("forged")) >= 3 })
	if !n.audit.have("forged") {
		t.Error("nobody is told")
	}
	if n.sink.has(end) {
		t.Error("a session was ended by who only has Redis")
	}
	n.sink.mu.Lock()
	defer n.sink.mu.Unlock()
	if len(n.sink.delivered[roomA]) != 1 || len(n.sink.signals) != 0 {
		t.Errorf("delivered %v, signals %v", n.sink.delivered, n.sink.signals)
	}
}
