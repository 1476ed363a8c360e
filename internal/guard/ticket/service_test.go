package ticket_test

import (
	"testing"

	"example.com/portcullis/internal/guard/ticket"
)

// A program's ticket is for the route of programs: no browser's route takes it, and a
// person's ticket does not say that it is a program's.
//
//control:proves service-identity
//control:proves ticket
func TestRedeem_keepsServicesAndPeopleApart(t *testing.T) {
	const cli = "/ws/cli"
	make := func(s *ticket.Service, c ticket.Claims) string {
		c.User, c.Session = user, session
		token, _, _, err := s.Issue(c)
		if err != nil {
			t.Fatal(err)
		}
		return token.Reveal()
	}
	s := service(t, at(start), &spent{})
	got, err := s.Redeem(t.Context(), make(s, ticket.Claims{Route: cli, Service: true}), cli, "")
	if err != nil || !got.Service {
		t.Errorf("a service's own: %+v, %v", got, err)
	}
	got, err = s.Redeem(t.Context(), make(s, ticket.Claims{Route: cli}), cli, "")
	if err != nil || got.Service {
		t.Errorf("a person's own: %+v, %v", got, err)
	}
	for name, c := range map[string]struct {
		claims        ticket.Claims
		route, origin string
	}{
		"a service's ticket for a page":          {ticket.Claims{Route: "/ws", Service: true}, "/ws", origin},
		"a service's ticket for another route":   {ticket.Claims{Route: cli, Service: true}, "/ws", ""},
		"a service's ticket with a page beside":  {ticket.Claims{Route: cli, Service: true}, cli, origin},
		"a person's ticket for a page, as a CLI": {ticket.Claims{Route: "/ws", Origin: origin}, cli, ""},
	} {
		got, err := s.Redeem(t.Context(), make(s, c.claims), c.route, c.origin)
		t.Run(name, func(t *testing.T) { refused(t, got, err, ticket.Audience) })
	}
	if _, _, _, err := s.Issue(ticket.Claims{User: user, Session: session, Route: cli, Origin: origin, Service: true}); err == nil {
		t.Error("a service got an origin")
	}
}

// A rotation in three steps, as docs/operations says, with two nodes that take them one
// after the other: at no moment does either refuse what the other has signed; and when
// it is over, the old key signs for nobody.
//
//control:proves secrets
func TestRotation_hasNoGapAndAnEnd(t *testing.T) {
	oldOnly, both, newFirst, newOnly := keys()[1:], []ticket.Key{keys()[1], keys()[0]}, keys(), keys()[:1]
	shared := &spent{}
	node := func(k []ticket.Key) *ticket.Service { return service(t, at(start), shared, k...) }
	for _, step := range []struct {
		name string
		a, b []ticket.Key
	}{
		{"one node knows the new key", both, oldOnly}, {"both know it", both, both}, {"one signs with it", newFirst, both}, {"both do", newFirst, newFirst}, {"the old one is gone from one", newOnly, newFirst}, {"and from both", newOnly, newOnly},
	} {
		a, b := node(step.a), node(step.b)
		for _, from := range []*ticket.Service{a, b} {
			for _, to := range []*ticket.Service{a, b} {
				if _, err := to.Redeem(t.Context(), issue(t, from), route, origin); err != nil {
					t.Errorf("%s: %v", step.name, err)
				}
			}
		}
	}
	got, err := node(newOnly).Redeem(t.Context(), issue(t, node(oldOnly)), route, origin)
	refused(t, got, err, ticket.Signature)
}
