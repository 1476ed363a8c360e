package attack

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"time"
)

// Client is one visitor with a cookie of their own: the HTTP half of a client
// written from docs/protocol.md.
type Client struct {
	t      *Target
	Cookie string // value of __Host-portcullis
	CSRF   string
	User   User
	SID    string
	Header http.Header // sent with every call, for attacks
}

// User is who is signed in.
type User struct {
	ID          string `json:"id"`
	Username    string `json:"username"`
	DisplayName string `json:"display_name"`
	Role        string `json:"role"`
}

const cookieName = "__Host-portcullis"

// Password is what every person of an attack uses.
const Password = "tidal-Basin-lantern-42"

// Answer is an HTTP answer, read whole.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Code is the error code of an answer's body, empty if it has none.
func (a Answer) Code() string {
	var e struct {
		Code string `json:"code"`
	}
	_ = json.Unmarshal(a.Body, &e)
	return e.Code
}

// Visit makes the first contact: a cookie and a CSRF token, nobody signed in.
func (t *Target) Visit(ctx context.Context) (*Client, error) {
	c := &Client{t: t, Header: http.Header{}}
	return c, c.refresh(ctx)
}

// Person signs up somebody new, with a random name that starts with prefix.
func (t *Target) Person(ctx context.Context, prefix string) (*Client, error) {
	c, err := t.Visit(ctx)
	if err != nil {
		return nil, err
	}
	name := prefix + "-" + strings.ToLower(rand.Text()[:10])
	if err := c.do(ctx, http.MethodPost, "/api/sign-up", map[string]string{"username": name, "password": Password, "display_name": prefix}, 200, nil); err != nil {
		return nil, err
	}
	return c, c.refresh(ctx)
}

// SignIn signs in a known person with a fresh cookie.
func (t *Target) SignIn(ctx context.Context, username, password string) (*Client, error) {
	c, err := t.Visit(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.do(ctx, http.MethodPost, "/api/sign-in", map[string]string{"username": username, "password": password}, 200, nil); err != nil {
		return nil, err
	}
	return c, c.refresh(ctx)
}

// At is the same visitor, with the same cookie, at another node of the same service.
func (c *Client) At(t *Target) *Client {
	other := *c
	other.t, other.Header = t, c.Header.Clone()
	return &other
}

// refresh reads who we are and the CSRF token.
func (c *Client) refresh(ctx context.Context) error {
	var s struct {
		CSRF    string `json:"csrf_token"`
		User    User   `json:"user"`
		Session struct {
			SID string `json:"sid"`
		} `json:"session"`
	}
	if err := c.do(ctx, http.MethodGet, "/api/session", nil, 200, &s); err != nil {
		return err
	}
	c.CSRF, c.User, c.SID = s.CSRF, s.User, s.Session.SID
	return nil
}

// do makes a call that must succeed with want.
func (c *Client) do(ctx context.Context, method, path string, in any, want int, out any) error {
	a, err := c.Call(ctx, method, path, in)
	if err != nil {
		return err
	}
	if a.Status != want {
		return fmt.Errorf("%s %s: %d %s, want %d", method, path, a.Status, a.Body, want)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(a.Body, out)
}

// Call makes one HTTP call as a page of the app would: with cookie, CSRF token and Origin.
func (c *Client) Call(ctx context.Context, method, path string, in any) (Answer, error) {
	var body io.Reader
	header := http.Header{}
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return Answer{}, err
		}
		body = bytes.NewReader(b)
		header.Set("Content-Type", "application/json")
	}
	if method != http.MethodGet && method != http.MethodHead {
		header.Set("X-CSRF-Token", c.CSRF)
		header.Set("Origin", c.t.Base.String())
	}
	maps.Copy(header, c.Header)
	return c.Raw(ctx, method, path, header, body)
}

// Raw makes one HTTP call with exactly these headers and the cookie.
func (c *Client) Raw(ctx context.Context, method, path string, header http.Header, body io.Reader) (Answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.t.Base.String()+path, body)
	if err != nil {
		return Answer{}, err
	}
	if header != nil {
		req.Header = header.Clone()
	}
	if h := header.Get("Host"); h != "" {
		req.Host = h
	}
	if c.Cookie != "" {
		req.Header.Set("Cookie", cookieName+"="+c.Cookie)
	}
	res, err := c.t.http.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 4<<20))
	if err != nil {
		return Answer{}, err
	}
	for _, ck := range res.Cookies() {
		if ck.Name == cookieName {
			c.Cookie = ck.Value
		}
	}
	return Answer{res.StatusCode, res.Header, b}, nil
}

// Ticket asks for a ticket for one handshake.
func (c *Client) Ticket(ctx context.Context, route string) (string, error) {
	var out struct {
		Ticket  string    `json:"ticket"`
		Expires time.Time `json:"expires_at"`
	}
	err := c.do(ctx, http.MethodPost, "/api/ws-ticket", map[string]string{"route": route}, 201, &out)
	return out.Ticket, err
}

// Room makes a room and returns its id.
func (c *Client) Room(ctx context.Context, visibility string) (string, error) {
	var out struct {
		ID   string `json:"id"`
		Room struct {
			ID string `json:"id"`
		} `json:"room"`
	}
	err := c.do(ctx, http.MethodPost, "/api/rooms", map[string]string{"title": "quay " + rand.Text()[:6], "visibility": visibility}, 201, &out)
	if out.ID == "" {
		out.ID = out.Room.ID
	}
	return out.ID, err
}
