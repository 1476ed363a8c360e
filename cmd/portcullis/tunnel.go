package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"example.com/portcullis/internal/account"
	"example.com/portcullis/internal/app"
	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/tunnel"
)

func tunnelCommand() command {
	c := command{
		name:    "tunnel",
		summary: "let users reach servers inside, or stop that",
		usage: `usage: portcullis tunnel list
       portcullis tunnel grant <user> <target> -by <administrator> -for 2h -reason "why"
       portcullis tunnel revoke <user> <target>

A target is a name of PORTCULLIS_TUNNELS. Nobody grants to themselves; a grant lasts 30 days at
most and replaces the one before. revoke closes the user's tunnel, on every node, at once.

example: portcullis tunnel grant bob bastion -by alice -for 2h -reason "incident 4711"`,
	}
	c.run = func(ctx context.Context, p process, args []string) error {
		fs := c.flags(p)
		by := fs.String("by", "", "the administrator who grants")
		lasts := fs.Duration("for", 0, "how long, such as 30m or 8h")
		reason := fs.String("reason", "", "why, in a sentence")
		verb, name, rest := words(args)
		target := ""
		if len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
			target, rest = rest[0], rest[1:]
		}
		if err := c.parse(fs, rest, 0, 0); err != nil {
			return err
		}
		if list := verb == "list"; list != (name == "") || list != (target == "") {
			fs.Usage()
			return errUsage
		}
		return withApp(ctx, p, func(ctx context.Context, parts app.Parts, b *app.Backends) error {
			switch verb {
			case "list":
				return listGrants(ctx, p.Stdout, parts, b)
			case "grant":
				return grant(ctx, p, parts, b, name, target, *by, *reason, *lasts)
			case "revoke":
				return revokeGrant(ctx, p, parts, b, name, target)
			}
			fs.Usage()
			return errUsage
		})
	}
	return c
}

func grant(ctx context.Context, p process, parts app.Parts, b *app.Backends, name, target, by, reason string, lasts time.Duration) error {
	targets, err := tunnel.NewTargets(parts.Config.Tunnels)
	if err != nil {
		return err
	}
	if _, configured := targets.Find(target); !configured {
		return fmt.Errorf("%q is no target of PORTCULLIS_TUNNELS", target)
	}
	user, err := parts.Accounts.Find(ctx, name)
	if err != nil {
		return err
	}
	giver, err := parts.Accounts.Find(ctx, by)
	if err != nil {
		return fmt.Errorf("-by: %w", err)
	}
	now := time.Now()
	g := tunnel.Grant{User: user.ID.UUID, Target: target, GrantedBy: giver.ID.UUID, Reason: reason, At: now, Until: now.Add(lasts)}
	if err := g.Check(); err != nil {
		return err
	}
	err = b.DB.Grants().Give(ctx, g)
	if chat.KindOf(err) == chat.Denied {
		return errors.New("both people must be enabled, and who grants an administrator")
	}
	if err != nil {
		return err
	}
	announce(ctx, parts, user, giver.ID.String(), target, "tunnel_replaced", "grant")
	_, err = fmt.Fprintf(p.Stdout, "%s may reach %s until %s\n", user.Username, target, g.Until.Format(time.RFC3339))
	return err
}

func revokeGrant(ctx context.Context, p process, parts app.Parts, b *app.Backends, name, target string) error {
	const reason = "tunnel_revoked"
	user, err := parts.Accounts.Find(ctx, name)
	if err != nil {
		return err
	}
	taken, err := b.DB.Grants().Take(ctx, user.ID.UUID, target, reason)
	if err != nil {
		return err
	}
	if !taken {
		return fmt.Errorf("%s has no grant for %q", user.Username, target)
	}
	announce(ctx, parts, user, "", target, reason, "revoke")
	_, err = fmt.Fprintf(p.Stdout, "%s may no longer reach %s\n", user.Username, target)
	return err
}

// announce tells every node to look at the grant again, and the log what happened.
func announce(ctx context.Context, parts app.Parts, user account.User, by, target, reason, did string) {
	parts.Node.Revoke(ctx, chat.Revocation{User: user.ID, Tunnel: target, Reason: reason, At: time.Now()})
	parts.Audit.Record(ctx, audit.Event{Name: audit.PermissionsChanged, Level: audit.Warn, Control: "tunnel", Reason: did, User: user.ID.String(), Detail: "target=" + target + " granted_by=" + by})
}

func listGrants(ctx context.Context, w io.Writer, parts app.Parts, b *app.Backends) error {
	grants, err := b.DB.Grants().All(ctx, time.Now())
	if err != nil {
		return err
	}
	users, err := parts.Accounts.List(ctx, 1000)
	if err != nil {
		return err
	}
	names := map[string]string{}
	for _, u := range users {
		names[u.ID.String()] = u.Username
	}
	name := func(id string) string { // one of more than a thousand is listed by id
		if n := names[id]; n != "" {
			return n
		}
		return id
	}
	for _, g := range grants {
		fmt.Fprintf(w, "%-20s %-20s until %s  by %s: %s\n", name(g.User.String()), g.Target, g.Until.Format(time.RFC3339), name(g.GrantedBy.String()), g.Reason)
	}
	return nil
}
