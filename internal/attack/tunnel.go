package attack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// bytesProtocol is the subprotocol of tunnels.
const bytesProtocol = "portcullis.v1.tunnel"

// inside are names with which a relay is made to connect where it should not.
var inside = []string{
	"127.0.0.1:6379", "169.254.169.254", "2130706433:6379", "0177.0.0.1:22", "0x7f000001:22", "127.1:22", "%5B::1%5D:22", "%5B::ffff:127.0.0.1%5D:22",
	"127.0.0.1.nip.io:22", "7f000001.c0a80001.rbndr.us:22", "bastion@127.0.0.1", "bastion%00", "bastion:6379", "BASTION", "%62astion", "bastion%2F..",
	"%E2%91%A0%E2%91%A1%E2%91%A6.%E2%93%AA.%E2%93%AA.%E2%91%A0", strings.Repeat("a", 300),
}

func tunnelAttacks() []Attack {
	return []Attack{{
		Control: "tunnel",
		Title:   "a signed-in user makes the server connect to Redis, to the cloud's metadata and to itself, in eighteen spellings",
		Run: withVictim(func(ctx context.Context, _ *Target, mallory *Client) (Outcome, error) {
			// Whether something answers inside shows in answers that differ.
			seen := map[string]string{}
			for _, name := range inside {
				a, err := mallory.Call(ctx, http.MethodPost, "/api/tunnels/"+name+"/ticket", nil)
				if err != nil {
					return Outcome{}, err
				}
				if a.Status == http.StatusCreated {
					return won("a ticket for %s", name)
				}
				if a.Status == http.StatusTooManyRequests {
					break // asking more names is what a budget is against
				}
				status, err := mallory.tunnel(ctx, name, "no.such.ticket")
				if err != nil {
					return Outcome{}, err
				}
				if status == http.StatusSwitchingProtocols {
					return won("a tunnel to %s", name)
				}
				seen[fmt.Sprint(a.Status, a.Code(), status)] = name
			}
			if len(seen) != 1 {
				return won("names are told apart: %v", seen)
			}
			return lost("every name is refused with the same %v", seen)
		}),
	}, {
		Control: "tunnel",
		Title:   "script in a chat page opens a tunnel with the session and the ticket of the chat",
		Run: withTicket(func(ctx context.Context, _ *Target, victim *Client, ticket string) (Outcome, error) {
			status, err := victim.tunnel(ctx, "bastion", ticket)
			if err != nil {
				return Outcome{}, err
			}
			if status == http.StatusSwitchingProtocols {
				return won("the chat's ticket opened a tunnel")
			}
			a, err := victim.Call(ctx, http.MethodPost, "/api/ws-ticket", map[string]string{"route": "/ws/tunnel/bastion"})
			if err != nil {
				return Outcome{}, err
			}
			if a.Status == http.StatusCreated {
				return won("the chat's own call makes tickets for tunnels")
			}
			return lost("refused with %d, and no ticket: %d", status, a.Status)
		}),
	}, {
		Control: "tunnel",
		Title:   "a stranger finds out that the server could make tunnels, though none is configured",
		Run: withVictim(func(ctx context.Context, _ *Target, mallory *Client) (Outcome, error) {
			for _, pair := range [][3]string{
				{http.MethodGet, "/api/tunnels", "/api/tunnelx"}, {http.MethodPost, "/api/tunnels/bastion/ticket", "/api/tunnelx/bastion/ticket"}, {http.MethodGet, "/ws/tunnel/bastion", "/ws/tunnex/bastion"},
			} {
				var got [2]string
				for i, path := range pair[1:] {
					a, err := mallory.Call(ctx, pair[0], path, nil)
					if err != nil {
						return Outcome{}, err
					}
					if a.Status == http.StatusUnauthorized || a.Status == http.StatusUpgradeRequired {
						return won("%s answers %d", path, a.Status)
					}
					got[i] = fmt.Sprint(a.Status, a.Code(), a.Header.Get("Content-Type"), a.Header.Get("Allow"))
				}
				if got[0] != got[1] {
					return won("%s answers %q, an unknown address %q", pair[1], got[0], got[1])
				}
			}
			return lost("all are addresses that do not exist")
		}),
	}}
}

// tunnel tries to open a tunnel and returns the status of the answer.
func (c *Client) tunnel(ctx context.Context, name, ticket string) (int, error) {
	conn, err := c.dial(ctx, Handshake{Route: "/ws/tunnel/" + name, Subprotocols: []string{bytesProtocol, "ticket." + ticket}})
	if refused, ok := errors.AsType[*Refused](err); ok {
		return refused.Status, nil
	}
	if err != nil {
		return 0, err
	}
	return http.StatusSwitchingProtocols, conn.Close()
}
