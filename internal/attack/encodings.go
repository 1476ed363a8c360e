package attack

import (
	"bytes"
	"compress/flate"
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// offerDeflate is what every browser offers.
const offerDeflate = "permessage-deflate; client_max_window_bits"

func compressionAttacks() []Attack {
	return []Attack{{
		Control: "compression",
		Title:   "compression is offered on the socket with the secrets, to learn them from lengths",
		Run: func(ctx context.Context, t *Target) (Outcome, error) {
			for _, route := range []string{"/ws", "/ws/auth"} {
				r, err := openOn(ctx, t, route, subprotocol, offerDeflate)
				if err != nil {
					return Outcome{}, err
				}
				defer r.Close()
				f := frame(true, opText, deflated([]byte(`{"v":1}`)))
				f[0] |= 0x40
				if _, err := r.Write(f); err != nil {
					return Outcome{}, err
				}
				if code, open := r.CloseCode(5 * time.Second); open != nil || code != 1002 {
					return won("%s took a compressed frame: %d %v", route, code, open)
				}
			}
			return lost("the offer is not answered, and a compressed frame ends the connection with 1002")
		},
	}, {
		Control: "compression",
		Title:   "a page with a token and a reflected word is asked for in gzip",
		Run: func(ctx context.Context, t *Target) (Outcome, error) {
			c, err := t.Visit(ctx)
			if err != nil {
				return Outcome{}, err
			}
			for _, path := range []string{"/sign-in?next=/rooms/guess", "/api/session"} {
				a, err := c.Raw(ctx, http.MethodGet, path, http.Header{"Accept-Encoding": {"gzip, deflate, br"}}, nil)
				if err != nil {
					return Outcome{}, err
				}
				if e := a.Header.Get("Content-Encoding"); e != "" {
					return won("%s is compressed with %s", path, e)
				}
			}
			return lost("what has a secret in it is never compressed")
		},
	}, {
		Control: "inflated-size",
		Title:   "60 KB on the one socket that inflates become 60 MB",
		Run: func(ctx context.Context, t *Target) (Outcome, error) {
			r, err := openOn(ctx, t, "/ws/public", subprotocol, offerDeflate)
			if err != nil {
				return Outcome{}, err
			}
			defer r.Close()
			f := frame(true, opText, bomb())
			f[0] |= 0x40
			begin := time.Now()
			_, _ = r.Write(f) // it may be closed before all of it is sent
			code, open := r.CloseCode(5 * time.Second)
			if open != nil || code != 1009 {
				return won("closed with %d %v", code, open)
			}
			return lost("closed with 1009 after %s", time.Since(begin).Round(time.Millisecond))
		},
	}}
}

func msgpackAttacks() []Attack {
	return []Attack{
		packAttack("nine bytes claim an array of 4 G elements", []byte{0xdd, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}),
		packAttack("nine bytes claim a text of 4 GiB", []byte{0xdb, 0xff, 0xff, 0xff, 0xff, 'a', 'a', 'a', 'a'}),
		packAttack("60,000 levels of nesting", bytes.Repeat([]byte{0x91}, 60_000)),
		packAttack("an extension type, for a decoder that makes objects of them", []byte{0xc7, 4, 0xff, 1, 2, 3, 4}),
		packAttack("the same key twice, one for the check and one for the use", append([]byte{0x82, 0xa1, 'v', 1}, 0xa1, 'v', 2)),
		packAttack("a key that is no text", []byte{0x81, 1, 1}),
		packAttack("a float where a whole number belongs", []byte{0x81, 0xa1, 'v', 0xcb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0}),
		packAttack("a second value behind the first", []byte{0x80, 0x80}),
		packAttack("a length in a longer form than it needs", []byte{0xdf, 0, 0, 0, 0}),
	}
}

// packAttack sends one hostile frame and wins if it is answered with anything but
// bad_json, or not at all.
func packAttack(title string, payload []byte) Attack {
	return Attack{Control: "msgpack", Title: title, Run: func(ctx context.Context, t *Target) (Outcome, error) {
		r, err := openOn(ctx, t, "/ws", "portcullis.v1.msgpack", "")
		if err != nil {
			return Outcome{}, err
		}
		defer r.Close()
		if _, _, err := r.readFrame(); err != nil { // hello
			return Outcome{}, err
		}
		if _, err := r.Write(frame(true, opBinary, payload)); err != nil {
			return Outcome{}, err
		}
		if err := r.SetReadDeadline(time.Now().Add(callTime)); err != nil {
			return Outcome{}, err
		}
		for {
			op, answer, err := r.readFrame()
			switch {
			case err != nil:
				return won("no answer: %v", err)
			case op == opPing:
				continue
			case op != opBinary || !bytes.Contains(answer, []byte("bad_json")):
				return won("answered %q", answer)
			}
			return lost("answered bad_json")
		}
	}}
}

func unicodeAttacks() []Attack {
	saying := func(body string) func(room string) string {
		return func(room string) string {
			return fmt.Sprintf(`{"v":1,"id":%s,"type":"message.send","data":{"room_id":"%s","body":"%s"}}`, newID(), room, body)
		}
	}
	return []Attack{
		jsonAttack("unicode", "a word that a filter does not find, with joiners between its letters", saying("pass\u200Dword")),
		jsonAttack("unicode", "an order for language models, in tags that nobody sees", saying("hello\U000E0069\U000E0067\U000E006E\U000E006F\U000E0072\U000E0065")),
		jsonAttack("unicode", "bytes hidden in variation selectors behind an emoji", saying("😀\U000E0101\U000E0152\U000E0143")),
		jsonAttack("unicode", "a tower of marks that covers the lines above", saying("h"+strings.Repeat("\u0336\u0489", 20))),
		{
			Control: "unicode",
			Title:   "a second admin, whose a is Cyrillic",
			Run: func(ctx context.Context, t *Target) (Outcome, error) {
				c, err := t.Visit(ctx)
				if err != nil {
					return Outcome{}, err
				}
				for _, name := range []string{"\u0430dmin", "ａｄｍｉｎ", "Adm\u200Bin", "nimda\u202E", "аԁміп"} {
					a, err := c.Call(ctx, http.MethodPost, "/api/sign-up", map[string]any{"username": "eve-" + newID()[25:37], "password": Password, "display_name": name})
					if err != nil {
						return Outcome{}, err
					}
					if a.Status < 300 {
						return won("%q is taken for admin", name)
					}
				}
				return lost("a name that passes for another is refused")
			},
		},
	}
}

// openOn makes an honest handshake on a route as somebody new, by hand.
func openOn(ctx context.Context, t *Target, route, protocol, extensions string) (*Raw, error) {
	mallory, err := t.Person(ctx, "mallory")
	if err != nil {
		return nil, err
	}
	return mallory.openOn(ctx, route, protocol, extensions)
}

func (c *Client) openOn(ctx context.Context, route, protocol, extensions string) (*Raw, error) {
	header, _, err := c.handshake(ctx, &Handshake{Route: route, NoTicket: true})
	if err != nil {
		return nil, err
	}
	offered := protocol
	if route != "/ws/auth" {
		ticket, err := c.Ticket(ctx, route)
		if err != nil {
			return nil, err
		}
		offered += ", ticket." + ticket
	}
	header.Set("Sec-WebSocket-Protocol", offered)
	if extensions != "" {
		header.Set("Sec-WebSocket-Extensions", extensions)
	}
	r, err := c.t.upgrade(ctx, route, header)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", route, err)
	}
	return r, r.SetDeadline(time.Now().Add(30 * time.Second))
}

// bomb is 60 MiB of zeros on the wire. One of them is compressed and its blocks are
// repeated: the attacker must not need the time that the victim is meant to lose.
func bomb() []byte {
	end := []byte{0, 0, 0xff, 0xff} // of a flush: the next block begins at a byte
	return bytes.TrimSuffix(bytes.Repeat(append(deflated(make([]byte, 1<<20)), end...), 60), end)
}

// deflated is a message as permessage-deflate has it on the wire.
func deflated(message []byte) []byte {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.BestCompression) // the level is a constant that exists
	_, _ = w.Write(message)
	_ = w.Flush()
	return bytes.TrimSuffix(b.Bytes(), []byte{0, 0, 0xff, 0xff})
}
