// Package attack holds the exploits: for each control, the program that an attacker
// would run, written from docs/protocol.md alone.
//
// It imports nothing of Portcullis, only the standard library and a WebSocket
// client, so it sees what an outsider sees. Every attack must lose against the real
// server, and a test in e2e runs them all against the real binary. An attack that
// cannot win anywhere proves nothing, so each also says what winning looks like:
// Outcome.Won is a fact that the attacker observed, such as a frame that arrived.
//
// Attacks go to loopback addresses only; Target refuses every other one.
package attack

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"
)

// Attack is one exploit against one control.
type Attack struct {
	Control string // the control's one name
	Title   string // a sentence: who does what to gain what
	Strict  bool   // wants a server of its own with the default limits, because it uses them up, and pings every second
	Run     func(ctx context.Context, t *Target) (Outcome, error)
}

// Outcome is what the attacker saw. An error from Run means that the attack could
// not be carried out, which is neither a win nor a loss.
type Outcome struct {
	Won      bool
	Evidence string
}

func won(format string, args ...any) (Outcome, error) {
	return Outcome{Won: true, Evidence: fmt.Sprintf(format, args...)}, nil
}

func lost(format string, args ...any) (Outcome, error) {
	return Outcome{Evidence: fmt.Sprintf(format, args...)}, nil
}

// All lists every attack, in the order of the handshake and then of a message's path.
func All() []Attack {
	var all []Attack
	for _, part := range [][]Attack{handshakeAttacks(), hostAttacks(), originAttacks(), csrfAttacks(), sessionAttacks(), ticketAttacks(), passwordAttacks(), clientIPAttacks(),
		admissionAttacks(), frameAttacks(), schemaAttacks(), dispatchAttacks(), authzAttacks(), sqlAttacks(), ratelimitAttacks(), replayAttacks(), revokeAttacks(), outboxAttacks(), headerAttacks(), uploadAttacks(), businessAttacks(), transportAttacks(), policyAttacks(), errorAttacks(), outputAttacks(), roomNameAttacks(), adminAttacks(), tunnelAttacks(), compressionAttacks(), msgpackAttacks(), unicodeAttacks(), identityAttacks(), corsAttacks(), serviceAttacks(), detectionAttacks()} {
		all = append(all, part...)
	}
	return all
}

// withVictim signs somebody up whom the attack is aimed at.
func withVictim(run func(ctx context.Context, t *Target, victim *Client) (Outcome, error)) func(context.Context, *Target) (Outcome, error) {
	return func(ctx context.Context, t *Target) (Outcome, error) {
		victim, err := t.Person(ctx, "victim")
		if err != nil {
			return Outcome{}, err
		}
		return run(ctx, t, victim)
	}
}

// withTicket also gets a ticket of the victim's for /ws.
func withTicket(run func(ctx context.Context, t *Target, victim *Client, ticket string) (Outcome, error)) func(context.Context, *Target) (Outcome, error) {
	return withVictim(func(ctx context.Context, t *Target, victim *Client) (Outcome, error) {
		ticket, err := victim.Ticket(ctx, "/ws")
		if err != nil {
			return Outcome{}, err
		}
		return run(ctx, t, victim, ticket)
	})
}

// Target is a server on this machine, and the people that attacks sign up there.
type Target struct {
	Base *url.URL // the public origin
	addr string   // where it really listens: always loopback
	tls  *tls.Config
	http *http.Client
}

// callTime bounds every single call of an attack.
const callTime = 10 * time.Second

// NewTarget prepares attacks on the server with the public origin base that listens
// on addr, which must be a loopback address with a port.
func NewTarget(base, addr string) (*Target, error) {
	u, err := url.Parse(base)
	if err != nil {
		return nil, fmt.Errorf("base: %w", err)
	}
	ap, err := netip.ParseAddrPort(addr)
	if err != nil || !ap.Addr().IsLoopback() {
		return nil, fmt.Errorf("%s is not a loopback address: attacks stay on this machine", addr)
	}
	t := &Target{Base: u, addr: addr, tls: &tls.Config{ServerName: u.Hostname(), NextProtos: []string{"http/1.1"}}}
	t.http = &http.Client{
		Timeout:       callTime,
		Transport:     &http.Transport{DialContext: t.dial, TLSClientConfig: t.tls, MaxIdleConnsPerHost: 16},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return t, nil
}

// dial connects to the target whatever name is asked for.
func (t *Target) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	d := net.Dialer{Timeout: callTime}
	return d.DialContext(ctx, "tcp", t.addr)
}

// Trust makes the clients of an https target believe this authority, as the browsers
// of its users do. Without it they believe those of the system.
func (t *Target) Trust(roots *x509.CertPool) { t.tls.RootCAs = roots }

// connect is dial, with TLS when the target's clients speak it.
func (t *Target) connect(ctx context.Context) (net.Conn, error) {
	conn, err := t.dial(ctx, "", "")
	if err != nil || t.Base.Scheme != "https" {
		return conn, err
	}
	secure := tls.Client(conn, t.tls)
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return secure, nil
}

// Close drops idle connections.
func (t *Target) Close() { t.http.CloseIdleConnections() }
