// Package socket is a connection's life: accept, read, dispatch, deliver, close.
//
// Threat: a WebSocket is a door that stays open. A page of somebody else opens it
// with the victim's cookies (CWE-1385); a ticket is used twice; a sign-out that
// comes while a socket is being made is missed by it (CWE-367); a session ends and
// its socket goes on (CWE-613); a member is removed and what was queued still goes
// out (CWE-862); a client sends and never reads, or reads and never answers, or
// sends ten thousand frames that are nothing, and memory, goroutines or slots run
// out (CWE-770); one panic takes all other connections with it (CWE-248).
//
// # The handshake
//
// accept.go is one function for all routes, in one order, and every failure
// gives back all that was taken before it:
//
//	host → protocol → origin → client IP → handshake rate → node cap → session →
//	subprotocol and ticket → ticket redeemed once, for this session → user →
//	lease of the user → upgrade → register → look again → hello
//
// What costs nothing comes first, what a failure would waste (the ticket) last, and
// the second look comes after the registration. A refused client gets a status and
// one generic body; the reason goes to the event stream.
//
// # The path of one message
//
//	read.go      wait until something is there; the frame guard judges frames, gorilla
//	             assembles the message; UTF-8
//	crew.go      on whose stack that and all that follows is done
//	dispatch.go  budget of messages and bytes, decode, state, command table
//	             (the core: chat.Service)
//	errors.go    what the core refused, as a word of the protocol
//	fanout_pass.go  a change of a room becomes one frame, and a pass writes what
//	             has gathered to all members
//	outbox.go    the last check of who may receive, one write(2) per member, a
//	             bounded queue and a temporary writer for a slow one
//
// # Goroutines and memory
//
// A connection has one goroutine (conn.serve), which owns it from the 101 to the end and
// gives everything back in finish. It waits until the socket is readable, on 2 KB of
// stack, and borrows another (crew.go) for as long as there is something to read: these
// two are the connection's reader, of which one is at work at a time. There is no writer,
// no channel and no ticker per connection: who sends writes, with a write that cannot
// block; one wheel pings everybody; one timer stands for the session. A slow peer has a
// further goroutine for as long as something is queued for it. Passes are goroutines of
// the hub, which Shutdown waits for. One goroutine, while there is something to tell,
// tells other nodes who came and went (presence.go). So an idle connection is a small
// stack, 300 bytes of buffer and its fields. With TLS inside of this process, and where
// the system cannot tell what is readable, the connection's goroutine reads itself and
// its stack grows.
//
// Locks: hub.mu, room.mu and crew.mu are taken alone. conn.mu may be held when outbox.mu
// or tidings.mu is taken, not the other way round; so may board.mu when outbox.mu is.
// outbox.mu is held across a write that cannot block, and never across one that can. No
// lock is held across a call to the core, to Redis or to PostgreSQL, except room.follow,
// for which only those wait who join or leave that room.
//
// # Doors
//
// door.go is a way in for bytes that are not the chat's: the same handshake and the
// same end, and in between the connection is another package's (internal/tunnel).
//
// public.go is the socket of announcements: the same handshake, no rooms and no
// commands, and the one route on which frames may be compressed.
//
// # What a member receives
//
// Every change of a room after the seq it joined with, once, in order (room_join.go
// says why), for as long as its standing allows: Refresh and Revoke re-read the
// standing and take the member out, with what was queued for it.
//
// # The end
//
// close.go has every close code. close purges the queue, sends the close frame as
// the last frame, and wakes the reader; finish waits a second for the peer's answer.
//
// Not covered: what a command may do (chat, authz), how frames are judged (frames),
// what a ticket is worth (ticket). A member who may read can copy what they read.
//
// Sources: RFC 6455, RFC 9110 section 15.5.22, ASVS 5.0 chapters 4.4, 7.4, 8.3, 13.1,
// 15.4, 16.5; CVE-2021-32640, CVE-2026-48779.
package socket
