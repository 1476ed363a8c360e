package attack

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/gorilla/websocket"
)

// Tunnel is an open tunnel as a net.Conn, for a client of what is behind it.
type Tunnel struct {
	*websocket.Conn
	HostKey string // that the ticket told, for the client to check

	r    io.Reader
	code int
}

// Tunnel asks for a ticket and opens a tunnel to a target.
func (c *Client) Tunnel(ctx context.Context, name string) (*Tunnel, error) {
	var out struct {
		Ticket string `json:"ticket"`
		Path   string `json:"path"`
		Tunnel struct {
			HostKey string `json:"host_key"`
		} `json:"tunnel"`
	}
	if err := c.do(ctx, http.MethodPost, "/api/tunnels/"+name+"/ticket", nil, http.StatusCreated, &out); err != nil {
		return nil, err
	}
	conn, err := c.dial(ctx, Handshake{Route: out.Path, Subprotocols: []string{bytesProtocol, "ticket." + out.Ticket}})
	if err != nil {
		return nil, err
	}
	return &Tunnel{Conn: conn, HostKey: out.Tunnel.HostKey}, nil
}

// Read reads bytes of the target; after the end, Code is the close code.
func (t *Tunnel) Read(b []byte) (int, error) {
	for {
		if t.r == nil {
			_, r, err := t.NextReader()
			if e, ok := errors.AsType[*websocket.CloseError](err); ok {
				t.code = e.Code
			}
			if err != nil {
				return 0, io.EOF
			}
			t.r = r
		}
		n, err := t.r.Read(b)
		if errors.Is(err, io.EOF) {
			t.r, err = nil, nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// Write sends bytes as one message.
func (t *Tunnel) Write(b []byte) (int, error) {
	if err := t.WriteMessage(websocket.BinaryMessage, b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// SetDeadline sets both deadlines.
func (t *Tunnel) SetDeadline(at time.Time) error {
	return errors.Join(t.SetReadDeadline(at), t.SetWriteDeadline(at))
}

// Code is the close code with which the tunnel ended, 0 if it did not end with one.
// Call it when reading has ended.
func (t *Tunnel) Code() int { return t.code }
