package socket

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
	"pgregory.net/rapid"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/wire"
)

// insides is text as the inside of a server makes it.
func insides() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		shape := rapid.SampledFrom([]string{
			"ERROR: relation %q does not exist (SQLSTATE 42P01)", "dial tcp 10.0.0.7:5432: %s", "panic: %s [recovered]", "pq: password authentication failed for user %s", "/srv/app/%s.go:42", "%s",
		}).Draw(t, "shape")
		return fmt.Sprintf(shape, "zq"+rapid.StringMatching(`[a-z0-9<>"'&\\ ]{6,40}`).Draw(t, "text")+"qz")
	})
}

// wrapped is an error of some kind, with that text in some place that is not for clients.
func wrapped(t *rapid.T, text string) error {
	base := rapid.SampledFrom([]error{errors.New(text), fmt.Errorf("%s: %w", text, context.DeadlineExceeded), fmt.Errorf("%s: %w", text, io.ErrUnexpectedEOF), &json.SyntaxError{}}).Draw(t, "cause")
	base = fmt.Errorf("%s: %w", text, base)
	kind := chat.Kind(rapid.IntRange(-1, int(chat.Busy)+2).Draw(t, "kind")) // two that do not exist
	if kind < 0 {
		return base
	}
	err := error(&chat.Error{Kind: kind, Public: "Public words.", Err: base})
	if rapid.Bool().Draw(t, "again") {
		err = fmt.Errorf("%s: %w", text, err)
	}
	return err
}

// Whatever went wrong inside, the client reads one word of a fixed list, in its error frame
// and in its close.
//
//control:proves errors
func TestErrors_noTextOfTheInsideReachesASocket(t *testing.T) {
	w := newWorld(t, overTCP, withNumbers(func(n *Numbers) { n.MessagesPerMinute, n.MessageBurst = 6000, 1000 }))
	room := w.chat.room()
	known := map[string]bool{}
	for _, code := range []wire.Code{wire.BadSchema, wire.Denied, wire.Duplicate, wire.RateLimited, wire.TooLarge, wire.Quota, wire.Busy, wire.Internal} {
		known[string(code)] = true
	}
	var fail error
	w.chat.before = func(string) error { return fail }
	var c *client
	rapid.Check(t, func(rt *rapid.T) {
		text := insides().Draw(rt, "inside")
		err := wrapped(rt, text)
		fail = nil
		if c == nil {
			var e error
			if c, _, e = w.try(w.login().request("/ws")); e != nil {
				rt.Fatal(e)
			}
			c.read()
		}
		fail = err // the answer to the command before was read: nobody else looks
		id := c.send(wire.MessageSend, map[string]any{"room_id": room.String(), "body": "hi"})
		_, raw, readErr := c.ws.ReadMessage()
		if readErr != nil { // closed for too many refusals: the reason is a word as well
			ce, ok := errors.AsType[*websocket.CloseError](readErr)
			if !ok || slugs[closeCode(ce.Code)] != ce.Text {
				rt.Fatalf("%v ended the socket with %v", err, readErr)
			}
			_ = c.ws.Close()
			c = nil
			return
		}
		var f frame
		if json.Unmarshal(raw, &f) != nil || f.Type != "error" || f.Re != id || !known[f.Code] {
			rt.Fatalf("%v was answered with %s", err, raw)
		}
		if bytes.Contains(raw, []byte("zq")) || strings.Contains(string(raw), text) {
			rt.Fatalf("%v reached the client: %s", err, raw)
		}
	})
}
