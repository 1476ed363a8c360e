// Package admission says how many sockets may be open: on one node, and for one user on
// all nodes together.
//
// Threat: sockets are cheap to open and dear to keep. One user opens thousands and takes
// the memory and descriptors of a node, or a share of every limit that counts per
// connection; spread over nodes, a count that each node keeps for itself never fills
// (CWE-770, CWE-400, ASVS 13.1.2). And the count is attacked: two handshakes at once
// both see the last free place; a crashed node never gives its places back.
//
// Rule: a Gate caps a node, before anything about the client is known. Leases caps a user
// over all nodes, before the upgrade: one member of a sorted set per connection, scored
// with its end by Redis's time, counted and added in one script. The holder renews it; a
// node that crashed does not, and its places come back after the time to live. The newest
// is refused and nobody is evicted, so that an attacker with a stolen session cannot throw
// its owner out. When Redis cannot say, the answer is no.
//
// Not covered: clients without an account, whom the handshake rate per address bounds; and
// connections below HTTP, which the server's own timeouts and the operating system bound.
package admission

import (
	"sync"
	"sync/atomic"
)

// Gate caps how many are inside. The zero Gate lets nobody in.
type Gate struct {
	max    int64
	inside atomic.Int64
}

// NewGate returns a Gate for max at once; for 0 or less it lets nobody in.
func NewGate(max int) *Gate { return &Gate{max: int64(max)} }

// Enter takes a place and returns how to give it back. Calling leave again does nothing,
// so every path that fails may defer it. Without a place ok is false and leave does nothing.
//
//control:name admission
func (g *Gate) Enter() (leave func(), ok bool) {
	for {
		n := g.inside.Load()
		if n >= g.max {
			return func() {}, false
		}
		if g.inside.CompareAndSwap(n, n+1) {
			return sync.OnceFunc(func() { g.inside.Add(-1) }), true
		}
	}
}

// Inside is how many are inside now.
func (g *Gate) Inside() int { return int(g.inside.Load()) }
