package drill

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/websocket"
)

// person is somebody with a browser: a cookie, a CSRF token, sockets.
type person struct {
	stage          *stage
	name, password string
	cookie, csrf   string
	userID, sid    string
	http           *http.Client
	node           *node
}

const cookieName = "__Host-portcullis"

// at is the same browser, talking to another node.
func (p *person) at(n *node) *person {
	other := *p
	other.node = n
	other.http = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DialContext: dialTo(n), DisableKeepAlives: true}}
	return &other
}

// dialTo reaches a node whatever the public name says, as a load balancer does.
func dialTo(n *node) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, network, n.addr)
	}
}

// newPerson signs somebody up at a node.
func (s *stage) newPerson(ctx context.Context, name string, n *node) (*person, error) {
	p := (&person{stage: s, name: name + "-" + strings.ToLower(rand.Text()[:8]), password: rand.Text()}).at(n)
	if err := p.refresh(ctx); err != nil {
		return nil, err
	}
	if err := p.call(ctx, http.MethodPost, "/api/sign-up", map[string]string{"username": p.name, "password": p.password}, http.StatusOK, nil); err != nil {
		return nil, err
	}
	return p, p.refresh(ctx)
}

// signIn starts a new session of the same user.
func (p *person) signIn(ctx context.Context) error {
	p.cookie = ""
	if err := p.refresh(ctx); err != nil {
		return err
	}
	if err := p.call(ctx, http.MethodPost, "/api/sign-in", map[string]string{"username": p.name, "password": p.password}, http.StatusOK, nil); err != nil {
		return err
	}
	return p.refresh(ctx)
}

// refresh reads who the server takes us for.
func (p *person) refresh(ctx context.Context) error {
	var who struct {
		CSRF string `json:"csrf_token"`
		User struct {
			ID string `json:"id"`
		} `json:"user"`
		Session struct {
			SID string `json:"sid"`
		} `json:"session"`
	}
	if err := p.call(ctx, http.MethodGet, "/api/session", nil, http.StatusOK, &who); err != nil {
		return err
	}
	p.csrf, p.userID, p.sid = who.CSRF, who.User.ID, who.Session.SID
	return nil
}

// call makes one HTTP call that must be answered with want.
func (p *person) call(ctx context.Context, method, path string, in any, want int, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, p.stage.base+path, body)
	if err != nil {
		return err
	}
	if p.cookie != "" {
		req.Header.Set("Cookie", cookieName+"="+p.cookie)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if method != http.MethodGet {
		req.Header.Set("X-CSRF-Token", p.csrf)
		req.Header.Set("Origin", p.stage.base)
	}
	res, err := p.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return err
	}
	for _, c := range res.Cookies() {
		if c.Name == cookieName {
			p.cookie = c.Value
		}
	}
	if res.StatusCode != want {
		return fmt.Errorf("%s %s answered %d, want %d", method, path, res.StatusCode, want)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(b, out)
}

// ticket asks for a ticket.
func (p *person) ticket(ctx context.Context, route string) (string, error) {
	var out struct {
		Ticket string `json:"ticket"`
	}
	err := p.call(ctx, http.MethodPost, "/api/ws-ticket", map[string]string{"route": route}, http.StatusCreated, &out)
	return out.Ticket, err
}

// room makes an open room.
func (p *person) room(ctx context.Context, title string) (string, error) {
	var out struct {
		ID string `json:"id"`
	}
	err := p.call(ctx, http.MethodPost, "/api/rooms", map[string]string{"title": title, "visibility": "open"}, http.StatusCreated, &out)
	return out.ID, err
}

// socket is an open socket that keeps reading.
type socket struct {
	conn   *websocket.Conn
	answer chan frame
	closed chan int // the close code, once
}

type frame struct {
	Type string `json:"type"`
	Re   string `json:"re"`
	Code string `json:"code"`
}

// refused is a handshake without a socket.
type refused struct{ status int }

func (r *refused) Error() string { return fmt.Sprintf("the handshake was answered with %d", r.status) }

// open opens a socket as a page would.
func (p *person) open(ctx context.Context) (*socket, error) {
	t, err := p.ticket(ctx, "/ws")
	if err != nil {
		return nil, err
	}
	return p.stage.dial(ctx, p.node, "/ws", http.Header{"Cookie": {cookieName + "=" + p.cookie}, "Origin": {p.stage.base}}, "portcullis.v1.json", "ticket."+t)
}

// dial makes one handshake.
func (s *stage) dial(ctx context.Context, n *node, route string, header http.Header, protocols ...string) (*socket, error) {
	d := websocket.Dialer{NetDialContext: dialTo(n), HandshakeTimeout: 10 * time.Second, Subprotocols: protocols}
	conn, res, err := d.DialContext(ctx, strings.Replace(s.base, "http", "ws", 1)+route, header)
	if err != nil {
		if res != nil {
			return nil, &refused{res.StatusCode}
		}
		return nil, err
	}
	so := &socket{conn: conn, answer: make(chan frame, 1024), closed: make(chan int, 1)}
	go so.read() // ends with the connection, which the node closes at the latest when it drains
	return so, nil
}

func (so *socket) read() {
	for {
		var f frame
		if err := so.conn.ReadJSON(&f); err != nil {
			code := 0
			if c, ok := errors.AsType[*websocket.CloseError](err); ok {
				code = c.Code
			}
			so.closed <- code
			_ = so.conn.Close()
			return
		}
		select {
		case so.answer <- f:
		default: // nobody waits for that many
		}
	}
}

// send sends a command and waits for its answer: "ack", or the code of the error.
func (so *socket) send(ctx context.Context, kind string, data any) (string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", err
	}
	if err := so.conn.WriteJSON(map[string]any{"v": 1, "id": id.String(), "type": kind, "data": data}); err != nil {
		return "", err
	}
	for {
		select {
		case f := <-so.answer:
			if f.Re != id.String() {
				continue
			}
			if f.Type == "error" {
				return f.Code, nil
			}
			return f.Type, nil
		case code := <-so.closed:
			so.closed <- code
			return "", fmt.Errorf("closed with %d", code)
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// want sends a command that must be answered with answer.
func (so *socket) want(ctx context.Context, answer, kind string, data any) error {
	got, err := so.send(ctx, kind, data)
	if err == nil && got != answer {
		err = fmt.Errorf("answered with %q, want %q", got, answer)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", kind, err)
	}
	return nil
}

// wantClosed waits for a close code.
func (so *socket) wantClosed(ctx context.Context, want ...int) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	select {
	case code := <-so.closed:
		so.closed <- code
		if slices.Contains(want, code) {
			return code, nil
		}
		return code, fmt.Errorf("closed with %d, want %v", code, want)
	case <-ctx.Done():
		return 0, errors.New("still open after 10 s")
	}
}
