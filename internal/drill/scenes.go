package drill

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/uuid"

	"example.com/portcullis/internal/app"
	"example.com/portcullis/internal/chat"
)

// scene is what every scenario begins with: two people who talk, one on each node.
type scene struct {
	victim, other *person
	atA, atB      *socket // the victim's
	theirs        *socket
	roomID        string
}

// open sets the scene.
func (s *stage) open(ctx context.Context) (*scene, error) {
	sc := &scene{}
	err := s.step("two people talk, on two nodes", func() (string, error) {
		var err error
		if sc.victim, err = s.newPerson(ctx, "alice", s.nodes[0]); err != nil {
			return "", err
		}
		if sc.other, err = s.newPerson(ctx, "bob", s.nodes[1]); err != nil {
			return "", err
		}
		if sc.roomID, err = sc.victim.room(ctx, "drill"); err != nil {
			return "", err
		}
		for _, open := range []struct {
			by   *person
			into **socket
		}{{sc.victim, &sc.atA}, {sc.victim.at(s.nodes[1]), &sc.atB}, {sc.other, &sc.theirs}} {
			if *open.into, err = open.by.open(ctx); err != nil {
				return "", err
			}
			if err := talk(ctx, *open.into, sc.roomID); err != nil {
				return "", err
			}
		}
		return "three sockets, each has joined and sent", nil
	})
	return sc, err
}

// talk joins a room and sends a line.
func talk(ctx context.Context, so *socket, room string) error {
	if err := so.want(ctx, "ack", "room.join", map[string]any{"room_id": room}); err != nil {
		return err
	}
	return so.want(ctx, "ack", "message.send", map[string]any{"room_id": room, "body": "all quiet"})
}

// endSessions is `portcullis session revoke <name>`.
func (s *stage) endSessions(ctx context.Context, of chat.UserID) (done string, err error) {
	return s.ended(ctx, func(ctx context.Context, o *operator) (int, error) {
		return app.EndSessions(ctx, o.parts, o.backends, of, chat.SessionID{})
	})
}

// endEverySession is `portcullis session revoke -everybody`.
func (s *stage) endEverySession(ctx context.Context) (done string, err error) {
	return s.ended(ctx, func(ctx context.Context, o *operator) (int, error) {
		return app.EndEverySession(ctx, o.parts, o.backends)
	})
}

func (s *stage) ended(ctx context.Context, end func(context.Context, *operator) (int, error)) (done string, err error) {
	err = s.operator(ctx, func(ctx context.Context, o *operator) error {
		n, err := end(ctx, o)
		done = fmt.Sprintf("%d sessions ended", n)
		return err
	})
	return done, err
}

// closed waits until all of them are closed with one of the codes.
func closed(ctx context.Context, codes []int, sockets ...*socket) (string, error) {
	var seen []string
	for _, so := range sockets {
		code, err := so.wantClosed(ctx, codes...)
		if err != nil {
			return "", err
		}
		seen = append(seen, fmt.Sprint(code))
	}
	return fmt.Sprintf("%d sockets closed with %s", len(sockets), strings.Join(seen, ", ")), nil
}

// locksOut looks whether a cookie is worth nothing any more, at every node.
func (s *stage) locksOut(ctx context.Context, p *person) (string, error) {
	for _, n := range s.nodes {
		at := p.at(n)
		if err := at.call(ctx, http.MethodGet, "/api/rooms", nil, http.StatusUnauthorized, nil); err != nil {
			return "", fmt.Errorf("node %s: %w", n.name, err)
		}
	}
	return fmt.Sprintf("401 at %d nodes", len(s.nodes)), nil
}

// goesOn looks whether people can sign in and talk again, at every node.
func (s *stage) goesOn(ctx context.Context, room string, people ...*person) (string, error) {
	for _, p := range people {
		for _, n := range s.nodes {
			at := p.at(n)
			if err := at.signIn(ctx); err != nil {
				return "", err
			}
			so, err := at.open(ctx)
			if err != nil {
				return "", err
			}
			if err := talk(ctx, so, room); err != nil {
				return "", err
			}
			_ = so.conn.Close()
		}
	}
	return fmt.Sprintf("%d people talk at %d nodes", len(people), len(s.nodes)), nil
}

func stolenSession(ctx context.Context, s *stage) error {
	sc, err := s.open(ctx)
	if err != nil {
		return err
	}
	thief := sc.victim.at(s.nodes[1]) // the same cookie, from elsewhere
	var stolen *socket
	return steps(
		func() error {
			return s.step("the thief reads and listens with the cookie", func() (string, error) {
				stolen, err = thief.open(ctx)
				return "the cookie opens a socket at the other node", err
			})
		},
		func() error {
			return s.contain(
				func() error {
					return s.step("operator: end every session of the user", func() (string, error) { return s.endSessions(ctx, userID(sc.victim)) })
				},
				func() error {
					return s.step("the user's and the thief's sockets close on both nodes", func() (string, error) {
						return closed(ctx, []int{4403}, stolen, sc.atA, sc.atB)
					})
				},
				func() error {
					return s.step("the cookie is refused", func() (string, error) { return s.locksOut(ctx, thief) })
				},
			)
		},
		func() error {
			return s.step("bystanders noticed nothing", func() (string, error) { return "bob still talks", talk(ctx, sc.theirs, sc.roomID) })
		},
		func() error {
			return s.step("the user signs in again", func() (string, error) { return s.goesOn(ctx, sc.roomID, sc.victim) })
		},
	)
}

func abusiveUser(ctx context.Context, s *stage) error {
	sc, err := s.open(ctx)
	if err != nil {
		return err
	}
	return steps(
		func() error {
			return s.step("the user floods the room", func() (string, error) {
				for i := range 500 {
					got, err := sc.atA.send(ctx, "message.send", map[string]any{"room_id": sc.roomID, "body": fmt.Sprint("flood ", i)})
					if err != nil {
						return "", err
					}
					if got == "rate_limited" {
						return fmt.Sprintf("%d messages, then rate_limited", i), nil
					}
				}
				return "", errors.New("500 messages without a limit")
			})
		},
		func() error {
			return s.contain(
				func() error {
					return s.step("operator: disable the user", func() (string, error) {
						return "disabled", s.operator(ctx, func(ctx context.Context, o *operator) error {
							return o.parts.Accounts.SetDisabled(ctx, sc.victim.name, true)
						})
					})
				},
				func() error {
					return s.step("the user's sockets close on both nodes", func() (string, error) { return closed(ctx, []int{4403}, sc.atA, sc.atB) })
				},
				func() error {
					return s.step("the cookie is refused", func() (string, error) { return s.locksOut(ctx, sc.victim) })
				},
			)
		},
		func() error {
			return s.step("the password is refused as well", func() (string, error) {
				err := sc.victim.signIn(ctx)
				if err == nil {
					return "", errors.New("a disabled user signed in")
				}
				if !strings.Contains(err.Error(), "answered 401") {
					return "", err
				}
				return "401", nil
			})
		},
		func() error {
			return s.step("bystanders noticed nothing", func() (string, error) { return "bob still talks", talk(ctx, sc.theirs, sc.roomID) })
		},
		func() error {
			return s.step("it can be taken back", func() (string, error) {
				if err := s.operator(ctx, func(ctx context.Context, o *operator) error {
					return o.parts.Accounts.SetDisabled(ctx, sc.victim.name, false)
				}); err != nil {
					return "", err
				}
				return s.goesOn(ctx, sc.roomID, sc.victim)
			})
		},
	)
}

func userID(p *person) chat.UserID {
	id, _ := uuid.Parse(p.userID) // the server wrote it; the zero id ends nobody's session, which the next step sees
	return chat.UserID{UUID: id}
}
