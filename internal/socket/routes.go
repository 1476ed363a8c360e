package socket

import (
	"net/http"
	"time"
)

// route is what differs between the ways in. Everything else, and above all the
// order of the checks, is the same function for all of them.
type route struct {
	name   string // as in the ticket's audience
	means  means
	public bool  // announcements only: nothing of rooms, and no commands
	door   *Door // what has the connection instead of the chat; nil: the chat
}

// means is how a client proves who it is.
type means int

const (
	// byOffer: session cookie, and a ticket beside the subprotocol.
	byOffer means = iota + 1
	// byFirstMessage: session cookie, and a ticket in the first frame.
	byFirstMessage
	// byBearer: a ticket in the Authorization header and nothing else. No page can
	// use it, because pages always send an Origin; no cookie is read, so there is
	// nothing for a page to ride on.
	byBearer
)

// First-message authentication.
const (
	// authWindow is how long a socket may be open without being anybody's.
	authWindow = 5 * time.Second
	// authBytes fits an auth command with the longest ticket, 2 KiB, in its envelope.
	authBytes = 2<<10 + 256
)

// WS is the socket of the browser: GET /ws.
func (s *Server) WS() http.Handler { return s.handler(route{name: "/ws", means: byOffer}) }

// Auth is the same socket for clients that cannot offer a subprotocol: GET /ws/auth.
// The first frame must be auth, within 5 s, and there is one attempt.
//
//control:name first-message
func (s *Server) Auth() http.Handler {
	return s.handler(route{name: "/ws/auth", means: byFirstMessage})
}

// CLI is the socket of programs: GET /ws/cli with "Authorization: Bearer <ticket>".
func (s *Server) CLI() http.Handler { return s.handler(route{name: "/ws/cli", means: byBearer}) }

func (s *Server) handler(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.accept(w, r, rt) })
}
