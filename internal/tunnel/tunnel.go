// Package tunnel relays the bytes of a WebSocket to a server inside, and back.
//
// Threat and rules are those of internal/guard/tunnel, which decides; this package
// dials, copies and counts. It is no way in of its own: the handshake, the heartbeat,
// the ends of session and node are those of internal/socket, whose Door it is.
//
//	grant → dial → the server greets → the client greets → copy until an end
//
// The grant is read after the connection is registered: one that is taken before the
// reading is seen by it, one taken later finds the connection. Until both sides have
// begun as the target's protocol does, the client gets the greeting and nothing else,
// and the server gets nothing. A client is not told why a tunnel did not open: a
// target that is down, silent or something else is the same close code.
//
// # Goroutines and memory
//
// A tunnel has the reader of its connection, which copies to the target, and one
// goroutine that copies back; talk waits for it. Each way reads only when the other
// side has taken what was read before, so what is held is one message of the client,
// one piece of the target and the bounded queue of the connection. Every read of the
// target ends with the tunnel, every write has a deadline.
//
// Addresses are looked up once, at the start, and only those are dialled: a name that
// later leads elsewhere (DNS rebinding) changes nothing until a restart.
//
// Not covered: what is said inside of the tunnel; it is not read, kept or logged.
package tunnel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/google/uuid"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/frames"
	"example.com/portcullis/internal/guard/tunnel"
	"example.com/portcullis/internal/socket"
)

// Prefix is the path of all tunnels; the name of the target follows.
const Prefix = "/ws/tunnel/"

// perUser is how many tunnels a user may have, over all nodes.
//
//control:name tunnel
const perUser = 1

// grantTime bounds one reading of a grant.
const grantTime = 5 * time.Second

// Grants reads who may; the store is the real one. Kind Denied: the user may not.
type Grants interface {
	Grant(ctx context.Context, user uuid.UUID, target string, now time.Time) (tunnel.Grant, error)
}

// Resolver looks up names; *net.Resolver is the real one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// line is what a tunnel asks of its connection; *socket.Line has it.
type line interface {
	Name() string
	Actor() chat.Actor
	Opened() time.Time
	SessionEnds() time.Time
	Receive(ctx context.Context, handle func([]byte)) error
	Send(ctx context.Context, b []byte) error
	Bye(ctx context.Context)
	Refuse() bool
	Unavailable(part string, err error)
	Cause() string
	Recovered(where string)
	Record(name audit.Name, level audit.Level, control, reason string, more ...func(*audit.Event))
}

// Options of New. All are required.
type Options struct {
	Targets  tunnel.Targets
	Limits   tunnel.Limits
	Grants   Grants
	Leases   socket.Leases // apart from those of the chat
	Resolver Resolver
	Now      func() time.Time
}

// Relay opens tunnels to the configured targets.
type Relay struct {
	o         Options
	addresses map[string][]netip.AddrPort // by target; empty before Resolve, so that nothing is dialled
}

// New checks the options. Call Resolve before the first tunnel.
func New(o Options) (*Relay, error) {
	if o.Grants == nil || o.Leases == nil || o.Resolver == nil || o.Now == nil {
		return nil, errors.New("tunnel: grants, leases, resolver and clock are required")
	}
	if err := o.Limits.Check(); err != nil {
		return nil, err
	}
	return &Relay{o: o}, nil
}

// Off reports that no target is configured: there must be no route then.
func (r *Relay) Off() bool { return r.o.Targets.Empty() }

// Resolve looks up the addresses of all targets, once and for all. A name that has
// none, or one that is not that of a single machine, is an error.
func (r *Relay) Resolve(ctx context.Context) error {
	all := make(map[string][]netip.AddrPort)
	for _, name := range r.o.Targets.Names() {
		t, _ := r.o.Targets.Find(name)
		ips := []netip.Addr{}
		if ip, err := netip.ParseAddr(t.Host); err == nil {
			ips = append(ips, ip)
		} else if ips, err = r.o.Resolver.LookupNetIP(ctx, "ip", t.Host); err != nil {
			return fmt.Errorf("look up tunnel %s: %w", name, err)
		}
		for _, ip := range ips {
			if !tunnel.Dialable(ip) {
				return fmt.Errorf("tunnel %s: %s is not the address of one machine", name, ip)
			}
			all[name] = append(all[name], netip.AddrPortFrom(ip.Unmap(), t.Port))
		}
		if len(ips) == 0 {
			return fmt.Errorf("tunnel %s: %s has no address", name, t.Host)
		}
	}
	r.addresses = all
	return nil
}

// Handler is the route of all tunnels, on s.
func (r *Relay) Handler(s *socket.Server) http.Handler {
	return s.Door(&socket.Door{
		Prefix: Prefix, Frames: frameLimits(), Leases: r.o.Leases, PerUser: perUser,
		Known: func(name string) bool { _, known := r.o.Targets.Find(name); return known },
		Talk:  func(ctx context.Context, l *socket.Line) { r.talk(ctx, l) },
		Still: func(ctx context.Context, l *socket.Line) error { return r.still(ctx, l) },
	})
}

// frameLimits are those of bytes: a client that sends faster than the target takes is
// held back by not being read, so that rates only stop what is no transfer any more.
func frameLimits() frames.Limits {
	l := frames.Defaults()
	l.BytesPerSecond, l.ByteBurst = 128<<20, 128<<20 // more than a gigabit line carries
	l.FramesPerSecond, l.FrameBurst = 10_000, 10_000 // typing, and a transfer in small pieces
	return l
}

// still reports whether the tunnel of l may go on: its user has a grant, and it is the
// one with which the tunnel was opened.
func (r *Relay) still(ctx context.Context, l line) error {
	g, err := r.o.Grants.Grant(ctx, l.Actor().User.UUID, l.Name(), r.o.Now())
	if err == nil && g.At.After(l.Opened()) {
		return chat.ErrDenied // replaced; the new one may be for less
	}
	return err
}

// dial connects to the target's own addresses, in their order, and to nothing else.
func (r *Relay) dial(ctx context.Context, name string) (net.Conn, error) {
	err := errors.New("tunnel: no address")
	for _, a := range r.addresses[name] {
		d := net.Dialer{Timeout: r.o.Limits.Dial}
		var c net.Conn
		if c, err = d.DialContext(ctx, "tcp", a.String()); err == nil {
			return c, nil
		}
	}
	return nil, err
}
