package account

import (
	"context"
	"fmt"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/ratelimit"
)

// The shape of the guessing budgets, relative to TriesPerMinute.
const (
	// pairShare: one client prefix has half of its tries for any one account.
	pairShare = 2
	// accountTimes: all strangers together have this many prefixes' tries for one account.
	accountTimes = 5
	// globalTimes bounds password hashing for all strangers of the whole service.
	globalTimes = 100
)

// throttle charges one try at a password to the budgets: this network, and this network
// for this account; and, for a network that the account has not been used from, the IPv6
// site around it, and all such networks together, for this account and for all accounts.
// It returns who works on the password. An attacker with many addresses can use up the
// last three and fill a queue, and lock out other strangers, but never an owner, who comes
// from a network that the account knows and shares none of them (OWASP: lockout as denial
// of service).
//
//control:name throttle
func (s *Service) throttle(ctx context.Context, c Caller, username string, u User) (Passwords, error) {
	pair := s.bucket("sign_in_pair", username+" "+c.Network.String(), float64(s.o.TriesPerMinute)/pairShare)
	// Also for a name that nobody has, which the time of the answer must not tell.
	known, err := s.o.Networks.Seen(ctx, u.ID, c.Network.String())
	if err != nil {
		return nil, fmt.Errorf("look up network: %w", err)
	}
	if known {
		return s.o.Owners, s.budget(ctx, c, username, s.network(c), pair)
	}
	// Not the bare name: blocks are found by keys, and a name may be typed like a network.
	account := s.bucket("sign_in_account", "@"+username, float64(s.o.TriesPerMinute)*accountTimes)
	return s.o.Passwords, s.budget(ctx, c, username, append(s.strangers(c), pair, account)...)
}

// budget takes one try from every bucket, or none and an error that says when.
//
//control:name throttle
func (s *Service) budget(ctx context.Context, c Caller, username string, buckets ...ratelimit.Bucket) error {
	got, err := s.o.Limits.Take(ctx, buckets, 1)
	if err != nil {
		return &chat.Error{Kind: chat.Busy, Public: "Signing in is not possible right now. Try again in a moment.", Err: err}
	}
	if got.Allowed {
		return nil
	}
	s.record(ctx, c, audit.Event{Name: audit.LoginFailMax, Level: audit.Warn, Control: "throttle", Reason: got.By, Username: username})
	return &chat.Error{Kind: chat.RateLimited, Public: "Too many tries. Wait a moment and try again.", RetryAfter: got.RetryAfter}
}

func (s *Service) network(c Caller) ratelimit.Bucket { return s.networks(c)[0] }

// networks has the site of an IPv6 network, too.
func (s *Service) networks(c Caller) []ratelimit.Bucket {
	return ratelimit.ForNetwork("sign_in_network", c.Network, limit(float64(s.o.TriesPerMinute)))
}

// strangers are the budgets of those who come from where nobody knows them: of their
// network, their site, and of all of them together.
func (s *Service) strangers(c Caller) []ratelimit.Bucket {
	return append(s.networks(c), s.bucket("sign_in_global", "", float64(s.o.TriesPerMinute)*globalTimes))
}

func (s *Service) bucket(name, key string, perMinute float64) ratelimit.Bucket {
	return ratelimit.Bucket{Name: name, Key: key, Limit: limit(perMinute)}
}

func limit(perMinute float64) ratelimit.Limit {
	return ratelimit.Limit{Rate: perMinute / 60, Burst: max(1, int(perMinute))}
}
