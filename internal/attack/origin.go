package attack

import "context"

// foreignOrigins are origins that look right to a check that is not exact.
func foreignOrigins(t *Target) map[string]string {
	host, other := t.Base.Host, "https"
	if t.Base.Scheme == "https" {
		other = "http"
	}
	return map[string]string{
		"another site":               "https://evil.example",
		"the null origin":            "null",
		"the other scheme":           other + "://" + host,
		"a sibling on the same site": t.Base.Scheme + "://attacker." + parent(t.Base.Hostname()) + port(t),
		"a suffix":                   t.Base.Scheme + "://evil-" + host,
		"a prefix":                   t.Base.Scheme + "://" + t.Base.Hostname() + ".evil.example",
		"another port":               t.Base.Scheme + "://" + t.Base.Hostname() + ":1",
		"a user before the host":     t.Base.Scheme + "://" + host + "@evil.example",
		"a trailing dot":             t.Base.Scheme + "://" + t.Base.Hostname() + "." + port(t),
		"a trailing slash":           t.Base.String() + "/",
		"no port":                    t.Base.Scheme + "://" + t.Base.Hostname(),
	}
}

func originAttacks() []Attack {
	attacks := []Attack{{
		Control: "origin",
		Title:   "a program without a page, so without Origin, rides the victim's cookie into the browser's route",
		Run: func(ctx context.Context, t *Target) (Outcome, error) {
			return openFrom(ctx, t, "")
		},
	}}
	for _, name := range []string{"another site", "the null origin", "the other scheme", "a sibling on the same site", "a suffix", "a prefix", "another port",
		"a user before the host", "a trailing dot", "a trailing slash", "no port"} {
		attacks = append(attacks, Attack{
			Control: "origin",
			Title:   "cross-site WebSocket hijacking from " + name,
			Run: func(ctx context.Context, t *Target) (Outcome, error) {
				origin := foreignOrigins(t)[name]
				if origin == t.Base.String() {
					return lost("this server's own origin has no other form here")
				}
				return openFrom(ctx, t, origin)
			},
		})
	}
	return append(attacks, Attack{
		Control: "origin",
		Title:   "a page sends its browser to the command-line route, which has no Origin rule of its own",
		Run: withVictim(func(ctx context.Context, t *Target, victim *Client) (Outcome, error) {
			ticket, err := victim.Ticket(ctx, "/ws/cli")
			if err != nil {
				return Outcome{}, err
			}
			origin := t.Base.String()
			s, err := victim.Open(ctx, Handshake{Route: "/ws/cli", Origin: &origin, Bearer: ticket})
			return handshakeOutcome(s, err)
		}),
	})
}

// openFrom opens a socket as a foreign page would: the victim's browser adds the
// cookie, and the attacker even has a ticket of the victim's, so only the Origin
// rule is left.
func openFrom(ctx context.Context, t *Target, origin string) (Outcome, error) {
	victim, err := t.Person(ctx, "victim")
	if err != nil {
		return Outcome{}, err
	}
	s, err := victim.Open(ctx, Handshake{Origin: &origin})
	return handshakeOutcome(s, err)
}

// parent is a host name without its first label.
func parent(host string) string {
	for i := range len(host) {
		if host[i] == '.' {
			return host[i+1:]
		}
	}
	return host
}

func port(t *Target) string {
	if p := t.Base.Port(); p != "" {
		return ":" + p
	}
	return ""
}
