package ratelimit

import "net/netip"

const (
	// siteBits is what an IPv6 customer gets at most in practice: 65,536 networks, each of
	// them one client to whoever counts by network (RIPE-690 section 4.2).
	siteBits = 48
	// siteTimes is how many networks' budgets a whole site has: enough for a company that
	// works from many of its networks, little for one who has rented them all for a dollar.
	siteTimes = 16
)

// ForNetwork returns what a client is charged to by its address: the bucket of its
// network, a /32 of IPv4 or a /64 of IPv6, and in IPv6 also that of the /48 around it,
// which gives sixteen times as much. Without the second a fresh network for every try is
// a fresh budget for every try. The zero Prefix is one network: that of all clients
// without an address.
//
//control:name ratelimit
func ForNetwork(name string, network netip.Prefix, l Limit) []Bucket {
	buckets := []Bucket{{Name: name, Key: network.String(), Limit: l}}
	if site, err := network.Addr().Prefix(siteBits); err == nil && network.Addr().Is6() && network.Bits() > siteBits {
		buckets = append(buckets, Bucket{Name: name + "_site", Key: site.String(), Limit: Limit{Rate: l.Rate * siteTimes, Burst: l.Burst * siteTimes}})
	}
	return buckets
}
