// Package clientip finds the address that a request really came from.
//
// Threat: every limit per address and every line of the security log is only as
// good as the address. X-Forwarded-For is a list that the client starts and each
// proxy appends to: its left end is the attacker's text. Who is believed there
// gets a fresh rate limit per request, or has somebody else's address blocked
// (CWE-348; chi's RealIP drew three advisories for it in 2026).
//
// Rule: the peer of the TCP connection is the only fact. Only if that peer is one
// of the operator's own proxies is X-Forwarded-For read, from the right: each
// trusted hop vouches for the entry to its left, and the first entry that is not
// a trusted proxy is the client. Forwarded, X-Real-IP, True-Client-IP and the
// like are never read.
//
// Limits: list the proxies, not the network that they stand in, because a trusted
// address is believed. A proxy must append to (or overwrite) X-Forwarded-For.
// Addresses are shared behind NAT and cheap in IPv6: an address is a brake, not
// an identity.
//
// Source: ASVS 5.0 4.1.3 and 15.3.4, GO-2026-5774 (chi).
package clientip

import (
	"net/http"
	"net/netip"
	"strings"
)

// prefixBits6 is what counts as one client in IPv6: a subscriber gets a /64 at
// least and may use 2^64 addresses of it.
const prefixBits6 = 64

// Resolver knows the trusted proxies. The zero Resolver trusts none and is ready
// to use. It does not change after New and is safe for concurrent use.
type Resolver struct {
	trusted []netip.Prefix
}

// New returns a Resolver that believes the proxies in the given prefixes. With
// none it uses the TCP peer alone.
func New(trusted []netip.Prefix) *Resolver {
	x := &Resolver{}
	for _, p := range trusted {
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		x.trusted = append(x.trusted, p.Masked())
	}
	return x
}

// IP returns the address of the client: IPv4 unmapped, IPv6 without zone. It
// returns the zero Addr if the peer has none (a Unix socket) or a proxy's entry
// cannot be read; all such requests must share one bucket. If every hop is a
// trusted proxy, the request began at one, and it is the TCP peer that counts.
//
//control:name clientip
func (x *Resolver) IP(r *http.Request) netip.Addr {
	peer := parse(r.RemoteAddr)
	lines := r.Header["X-Forwarded-For"]
	if len(lines) == 0 || !x.trusts(peer) {
		return peer
	}
	// Several header lines are one list, in order (RFC 9110 section 5.3).
	for rest := strings.Join(lines, ","); ; {
		comma := strings.LastIndexByte(rest, ',')
		hop := parse(strings.Trim(rest[comma+1:], " \t"))
		if !x.trusts(hop) {
			return hop
		}
		if comma < 0 {
			return peer
		}
		rest = rest[:comma]
	}
}

// Prefix returns the network that counts as one client: /32 for IPv4, /64 for
// IPv6. It is the key for limits and the address for logs. The zero Addr gives
// the zero Prefix.
//
//control:name clientip
func Prefix(ip netip.Addr) netip.Prefix {
	ip = ip.Unmap().WithZone("")
	p, err := ip.Prefix(min(ip.BitLen(), prefixBits6))
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

func (x *Resolver) trusts(ip netip.Addr) bool {
	for _, p := range x.trusted {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// parse reads "192.0.2.1", "192.0.2.1:1234", "2001:db8::1" or "[2001:db8::1]:1234";
// anything else is the zero Addr.
func parse(s string) netip.Addr {
	ip, err := netip.ParseAddr(s)
	if err != nil {
		hostPort, err := netip.ParseAddrPort(s)
		if err != nil {
			return netip.Addr{}
		}
		ip = hostPort.Addr()
	}
	return ip.Unmap().WithZone("")
}
