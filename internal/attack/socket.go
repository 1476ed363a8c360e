package attack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/websocket"
)

// subprotocol is the one that clients offer first.
const subprotocol = "portcullis.v1.json"

// Handshake is what a client sends to open a socket. The zero value is what a page
// of the app sends to /ws.
type Handshake struct {
	Route        string            // default /ws
	Origin       *string           // default the target's own; a pointer to "" sends none
	Host         string            // default the target's own
	NoCookie     bool              // leave the cookie out
	Cookie       string            // another cookie instead
	NoTicket     bool              // offer no ticket
	Ticket       string            // this ticket instead of a fresh one
	Subprotocols []string          // exactly these instead of the usual two
	Bearer       string            // Authorization: Bearer …
	Header       map[string]string // further headers
}

// Refused is a handshake that was answered without 101.
type Refused struct {
	Status int
	Header http.Header
	Body   string
}

func (r *Refused) Error() string { return fmt.Sprintf("refused with %d %s", r.Status, r.Body) }

// Socket is an open socket.
type Socket struct {
	conn  *websocket.Conn
	Hello Frame
	Seen  []Frame // every frame so far, hello first
}

// Frame is one server frame.
type Frame struct {
	Type  string          `json:"type"`
	Re    string          `json:"re"`
	Code  string          `json:"code"`
	Room  string          `json:"room_id"`
	Seq   int64           `json:"seq"`
	Retry int64           `json:"retry_ms"`
	Data  json.RawMessage `json:"data"`
	Raw   string          `json:"-"`
}

// Open makes the handshake and reads hello.
func (c *Client) Open(ctx context.Context, h Handshake) (*Socket, error) {
	conn, err := c.dial(ctx, h)
	if err != nil {
		return nil, err
	}
	s := &Socket{conn: conn}
	if h.Route == "/ws/auth" {
		return s, nil // hello comes after auth
	}
	s.Hello, err = s.Next(callTime)
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("no hello: %w", err)
	}
	return s, nil
}

func (c *Client) dial(ctx context.Context, h Handshake) (*websocket.Conn, error) {
	header, offered, err := c.handshake(ctx, &h)
	if err != nil {
		return nil, err
	}
	d := websocket.Dialer{NetDialContext: c.t.dial, TLSClientConfig: c.t.tls, HandshakeTimeout: callTime, Subprotocols: offered}
	url := "ws" + strings.TrimPrefix(c.t.Base.String(), "http") + h.Route
	conn, res, err := d.DialContext(ctx, url, header)
	if errors.Is(err, websocket.ErrBadHandshake) {
		body, _ := io.ReadAll(io.LimitReader(res.Body, 1<<16))
		return nil, &Refused{res.StatusCode, res.Header, string(body)}
	}
	return conn, err
}

// handshake fills the defaults of h and returns headers and subprotocols.
func (c *Client) handshake(ctx context.Context, h *Handshake) (http.Header, []string, error) {
	if h.Route == "" {
		h.Route = "/ws"
	}
	header := http.Header{}
	switch {
	case h.Origin == nil && h.Route != "/ws/cli":
		header.Set("Origin", c.t.Base.String())
	case h.Origin != nil && *h.Origin != "":
		header.Set("Origin", *h.Origin)
	}
	cookie := c.Cookie
	if h.Cookie != "" {
		cookie = h.Cookie
	}
	if cookie != "" && !h.NoCookie {
		header.Set("Cookie", cookieName+"="+cookie)
	}
	if h.Host != "" {
		header.Set("Host", h.Host)
	}
	if h.Bearer != "" {
		header.Set("Authorization", "Bearer "+h.Bearer)
	}
	for k, v := range h.Header {
		header.Set(k, v)
	}
	if h.Subprotocols != nil {
		return header, h.Subprotocols, nil
	}
	offered := []string{subprotocol}
	if h.NoTicket || h.Route != "/ws" {
		return header, offered, nil
	}
	ticket := h.Ticket
	if ticket == "" {
		var err error
		if ticket, err = c.Ticket(ctx, h.Route); err != nil {
			return nil, nil, err
		}
	}
	return header, append(offered, "ticket."+ticket), nil
}

// Next reads one frame, waiting at most d.
func (s *Socket) Next(d time.Duration) (Frame, error) {
	if err := s.conn.SetReadDeadline(time.Now().Add(d)); err != nil {
		return Frame{}, err
	}
	_, b, err := s.conn.ReadMessage()
	if err != nil {
		return Frame{}, err
	}
	var f Frame
	if err := json.Unmarshal(b, &f); err != nil {
		return Frame{}, fmt.Errorf("server sent %q: %w", b, err)
	}
	f.Raw = string(b)
	s.Seen = append(s.Seen, f)
	return f, nil
}

// Until reads frames until one matches, waiting at most d in all.
func (s *Socket) Until(d time.Duration, match func(Frame) bool) (Frame, error) {
	end := time.Now().Add(d)
	for {
		f, err := s.Next(time.Until(end))
		if err != nil || match(f) {
			return f, err
		}
	}
}

// Send writes a command with a fresh id and returns the id.
func (s *Socket) Send(typ string, data map[string]any) (string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", err
	}
	return id.String(), s.SendAs(id.String(), typ, data)
}

// SendAs writes a command with an id of the caller's choice.
func (s *Socket) SendAs(id, typ string, data map[string]any) error {
	b, err := json.Marshal(map[string]any{"v": 1, "id": id, "type": typ, "data": data})
	if err != nil {
		return err
	}
	return s.Text(b)
}

// Text writes one text message as it is.
func (s *Socket) Text(b []byte) error {
	if err := s.conn.SetWriteDeadline(time.Now().Add(callTime)); err != nil {
		return err
	}
	return s.conn.WriteMessage(websocket.TextMessage, b)
}

// Ask sends a command and waits for its ack or error.
func (s *Socket) Ask(typ string, data map[string]any) (Frame, error) {
	id, err := s.Send(typ, data)
	if err != nil {
		return Frame{}, err
	}
	return s.Answer(id)
}

// Answer waits for the ack or error of a command.
func (s *Socket) Answer(id string) (Frame, error) {
	return s.Until(callTime, func(f Frame) bool { return f.Re == id })
}

// Closed reads until the server closes, at most d, and returns the close code; 0
// means that the connection just ended, and an error that it is still open.
func (s *Socket) Closed(d time.Duration) (int, error) {
	for end := time.Now().Add(d); ; {
		_, err := s.Next(time.Until(end))
		if err == nil {
			continue
		}
		if ce, ok := errors.AsType[*websocket.CloseError](err); ok && ce.Code != websocket.CloseAbnormalClosure {
			return ce.Code, nil
		}
		if time.Now().After(end) {
			return 0, errors.New("the socket is still open")
		}
		return 0, nil
	}
}

// Close ends the socket in good order.
func (s *Socket) Close() {
	_ = s.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), time.Now().Add(time.Second))
	_ = s.conn.Close()
}
