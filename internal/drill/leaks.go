package drill

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"example.com/portcullis/internal/guard/ticket"
	"example.com/portcullis/internal/secret"
)

// patience is far longer than a line takes to get into the log.
const patience = 10 * time.Second

// forger makes tickets with a key that is not theirs.
type forger struct{ keys string }

// nobodySpent lets the forger issue; the server keeps its own list.
type nobodySpent struct{}

func (nobodySpent) Spend(context.Context, string, time.Duration) (bool, error) { return true, nil }

// forge signs a ticket for a program, which needs no cookie, in the name of a victim.
func (f forger) forge(s *stage, victim *person) (string, error) {
	id, text, _ := strings.Cut(f.keys, ":")
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return "", err
	}
	tickets, err := ticket.New(ticket.Options{Keys: []ticket.Key{{ID: id, Secret: secret.NewBytes(key)}}, Issuer: s.base, Lifetime: 30 * time.Second, Now: time.Now}, nobodySpent{})
	if err != nil {
		return "", err
	}
	user, err := uuid.Parse(victim.userID)
	if err != nil {
		return "", err
	}
	sid, err := uuid.Parse(victim.sid)
	if err != nil {
		return "", err
	}
	token, _, _, err := tickets.Issue(ticket.Claims{User: user, Session: sid, Route: "/ws/cli"})
	return token.Reveal(), err
}

// use opens a socket with a forged ticket.
func (f forger) use(ctx context.Context, s *stage, victim *person, n *node) (*socket, error) {
	t, err := f.forge(s, victim)
	if err != nil {
		return nil, err
	}
	return s.dial(ctx, n, "/ws/cli", http.Header{"Authorization": {"Bearer " + t}}, "portcullis.v1.json")
}

// refusedEverywhere looks whether forged tickets are worth nothing, at every node.
func (f forger) refusedEverywhere(ctx context.Context, s *stage, victim *person) (string, error) {
	for _, n := range s.nodes {
		_, err := f.use(ctx, s, victim, n)
		r, ok := errors.AsType[*refused](err)
		if !ok || r.status != http.StatusUnauthorized {
			return "", fmt.Errorf("node %s: a forged ticket: %w", n.name, errors.Join(err, errors.New("want 401")))
		}
	}
	return fmt.Sprintf("401 at %d nodes", len(s.nodes)), nil
}

func leakedTicketKey(ctx context.Context, s *stage) error {
	sc, err := s.open(ctx)
	if err != nil {
		return err
	}
	f := forger{s.nodes[0].keys}
	var forged *socket
	return steps(
		func() error {
			return s.step("whoever has the key opens a socket as the victim", func() (string, error) {
				forged, err = f.use(ctx, s, sc.victim, s.nodes[1])
				return "101 without the victim's cookie: the leak matters", err
			})
		},
		func() error {
			return s.contain(
				func() error {
					// The leaked key is dropped, not kept as the second one: that is for planned rotations.
					return s.step("operator: a new key, nodes restarted one after the other", func() (string, error) {
						return "both nodes sign and accept with the new key only", s.restart(ctx, ticketKey("after"))
					})
				},
				func() error {
					return s.step("every socket was told to come back", func() (string, error) {
						return closed(ctx, []int{1012}, forged, sc.atA, sc.atB, sc.theirs)
					})
				},
				func() error {
					return s.step("operator: end every session", func() (string, error) { return s.endEverySession(ctx) })
				},
				func() error {
					return s.step("forged tickets are refused", func() (string, error) { return f.refusedEverywhere(ctx, s, sc.victim) })
				},
				func() error {
					return s.step("the victim's old cookie is refused", func() (string, error) { return s.locksOut(ctx, sc.victim) })
				},
			)
		},
		func() error {
			return s.step("people sign in again", func() (string, error) { return s.goesOn(ctx, sc.roomID, sc.victim, sc.other) })
		},
	)
}

func compromisedNode(ctx context.Context, s *stage) error {
	sc, err := s.open(ctx)
	if err != nil {
		return err
	}
	f := forger{s.nodes[1].keys}
	bad := s.nodes[1]
	return steps(
		func() error {
			return s.step("the node's keys open sockets elsewhere", func() (string, error) {
				_, err := f.use(ctx, s, sc.victim, s.nodes[0])
				return "101 at the healthy node", err
			})
		},
		func() error {
			return s.contain(
				func() error {
					// No drain: whatever runs there is not asked for anything any more.
					return s.step("operator: the node is cut off", func() (string, error) {
						s.nodes = s.nodes[:1]
						return "no listener, no connection to PostgreSQL or Redis", bad.gone(ctx)
					})
				},
				func() error {
					return s.step("operator: a new key on what is left", func() (string, error) { return "restarted", s.restart(ctx, ticketKey("after")) })
				},
				func() error {
					return s.step("operator: end every session", func() (string, error) { return s.endEverySession(ctx) })
				},
				func() error {
					return s.step("tickets of the old keys are refused", func() (string, error) { return f.refusedEverywhere(ctx, s, sc.victim) })
				},
				func() error {
					return s.step("cookies that the node has seen are refused", func() (string, error) { return s.locksOut(ctx, sc.victim) })
				},
			)
		},
		func() error {
			return s.step("a fresh node joins", func() (string, error) {
				_, err := s.startNode(ctx, "c", s.nodes[0].keys)
				return "node c", err
			})
		},
		func() error {
			return s.step("people sign in again, on the old and the fresh node", func() (string, error) { return s.goesOn(ctx, sc.roomID, sc.victim, sc.other) })
		},
	)
}

func leakedLog(ctx context.Context, s *stage) error {
	sc, err := s.open(ctx)
	if err != nil {
		return err
	}
	const said = "the-combination-is-4711"
	var ticketText string
	return steps(
		func() error {
			return s.step("people do what leaves traces", func() (string, error) {
				if ticketText, err = sc.victim.ticket(ctx, "/ws"); err != nil {
					return "", err
				}
				if err := sc.atA.want(ctx, "ack", "message.send", map[string]any{"room_id": sc.roomID, "body": said}); err != nil {
					return "", err
				}
				wrong := *sc.victim
				wrong.password = said
				if err := wrong.signIn(ctx); err == nil {
					return "", errors.New("a wrong password signed in")
				}
				_, err := s.dial(ctx, s.nodes[0], "/ws", http.Header{"Origin": {"https://evil.example"}, "Cookie": {cookieName + "=" + sc.victim.cookie}}, "portcullis.v1.json", "ticket."+ticketText)
				if err == nil {
					return "", errors.New("a foreign origin got a socket")
				}
				return "a message, a ticket, a wrong password, a refused handshake", nil
			})
		},
		func() error {
			return s.step("whoever has the log looks for secrets", func() (string, error) {
				_, key, _ := strings.Cut(s.nodes[0].keys, ":")
				log, err := s.written(ctx, "ws_handshake_reject")
				if err != nil {
					return "", err
				}
				secrets := map[string]string{"cookie": sc.victim.cookie, "csrf token": sc.victim.csrf, "ticket": ticketText, "ticket key": key, "password": sc.victim.password, "message": said,
					"session id": sc.victim.sid, "database URL": s.stack.Database.Reveal(), "redis URL": s.stack.RedisURL.Reveal()}
				for name, v := range secrets {
					if v == "" {
						return "", fmt.Errorf("the %s is empty: the look would prove nothing", name)
					}
					if strings.Contains(log, v) {
						return "", fmt.Errorf("the log has a %s in it", name)
					}
				}
				return fmt.Sprintf("none of %d secrets in %d bytes", len(secrets), len(log)), nil
			})
		},
		func() error {
			return s.contain(
				func() error {
					return s.step("operator: end every session anyway", func() (string, error) { return s.endEverySession(ctx) })
				},
				func() error {
					return s.step("every socket closes", func() (string, error) { return closed(ctx, []int{4403}, sc.atA, sc.atB, sc.theirs) })
				},
				func() error {
					return s.step("cookies are refused", func() (string, error) { return s.locksOut(ctx, sc.victim) })
				},
			)
		},
	)
}

// written returns the log once it tells of what: it is written beside what it tells of,
// so that nobody waits for it.
func (s *stage) written(ctx context.Context, what string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		if log := s.log.String(); strings.Contains(log, what) {
			return log, nil
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return "", fmt.Errorf("this is not the log of what happened: no %s within %s", what, patience)
		}
	}
}
