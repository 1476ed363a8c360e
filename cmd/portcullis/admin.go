package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/portcullis/internal/account"
	"example.com/portcullis/internal/app"
	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/config"
	"example.com/portcullis/internal/guard/authz"
)

func migrateCommand() command {
	c := command{
		name:    "migrate",
		summary: "bring the database schema up to date",
		usage: `usage: portcullis migrate [status]

status says how many migrations are pending and changes nothing. Migrations only go forward.

example: DATABASE_URL=postgres://… portcullis migrate`,
	}
	c.run = func(ctx context.Context, p process, args []string) (err error) {
		fs := c.flags(p)
		if err := c.parse(fs, args, 0, 1); err != nil {
			return err
		}
		cfg, err := config.Load(p.Environ)
		if err != nil {
			return err
		}
		b, err := app.OpenDatabase(ctx, cfg, dataDir(cfg), logger(cfg, p.Stderr))
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, b.Close(context.WithoutCancel(ctx))) }()
		n, err := b.DB.Pending(ctx)
		if err != nil {
			return err
		}
		switch fs.Arg(0) {
		case "status":
			_, err = fmt.Fprintf(p.Stdout, "%d migrations are pending\n", n)
			return err
		case "":
			if err := b.DB.Migrate(ctx); err != nil {
				return err
			}
			_, err = fmt.Fprintf(p.Stdout, "%d migrations applied\n", n)
			return err
		}
		fs.Usage()
		return errUsage
	}
	return c
}

func userCommand() command {
	c := command{
		name:    "user",
		summary: "add, list, disable or change users",
		usage: `usage: portcullis user list
       portcullis user add <name> [-display "Full Name"] [-role user|auditor|admin]
       portcullis user password <name>
       portcullis user role <name> user|auditor|admin
       portcullis user disable <name> | enable <name>
       portcullis user delete <name>                                                  for good: the name, the files and what was written go

add and password print a random password once, for one sign-in within a day, at which its
owner chooses another. Everything but list and add ends the user's sessions, on every node, at once.

example: portcullis user add carol -role auditor`,
	}
	c.run = func(ctx context.Context, p process, args []string) error {
		fs := c.flags(p)
		display := fs.String("display", "", "name that others see")
		role := fs.String("role", "user", "user, auditor or admin")
		// Words first, flags after: `user add carol -role admin` reads like a sentence.
		verb, name, rest := words(args)
		if err := c.parse(fs, rest, 0, 1); err != nil {
			return err
		}
		if verb == "" || (name == "") != (verb == "list") {
			fs.Usage()
			return errUsage
		}
		return withApp(ctx, p, func(ctx context.Context, parts app.Parts, _ *app.Backends) error {
			return user(ctx, p, parts, verb, name, *display, *role, fs.Arg(0))
		})
	}
	return c
}

func user(ctx context.Context, p process, parts app.Parts, verb, name, display, role, word string) error {
	accounts := parts.Accounts
	switch verb {
	case "list":
		users, err := accounts.List(ctx, 1000)
		if err != nil {
			return err
		}
		for _, u := range users {
			fmt.Fprintln(p.Stdout, userLine(u))
		}
		return nil
	case "add":
		u, in, err := accounts.Invite(ctx, name, display, authz.SiteRole(role))
		if err != nil {
			return err
		}
		fmt.Fprintln(p.Stderr, userLine(u))
		return handOver(p, in)
	case "delete":
		u, err := accounts.Find(ctx, name)
		if err != nil {
			return err
		}
		if err := accounts.Erase(ctx, u.ID); err != nil {
			return err
		}
		_, err = fmt.Fprintf(p.Stdout, "%s is erased; what was written there is emptied within the hour\n", u.ID)
		return err
	case "password":
		in, err := accounts.ResetPassword(ctx, name)
		if err != nil {
			return err
		}
		return handOver(p, in)
	case "role":
		return accounts.SetRole(ctx, name, authz.SiteRole(word))
	case "disable", "enable":
		return accounts.SetDisabled(ctx, name, verb == "disable")
	}
	return fmt.Errorf("there is no `user %s`; see `portcullis user -h`", verb)
}

// handOver prints the password alone on standard output.
func handOver(p process, in account.Initial) error {
	fmt.Fprintf(p.Stderr, "Good for one sign-in until %s, at which another has to be chosen. The password, which is not shown again:\n", in.Until.Format(time.RFC3339))
	_, err := fmt.Fprintln(p.Stdout, in.Password.Reveal())
	return err
}

func sessionCommand() command {
	c := command{
		name:    "session",
		summary: "list or end the sessions of a user, or of everybody",
		usage: `usage: portcullis session list <name>
       portcullis session revoke <name> [sid]     without sid: all of them
       portcullis session revoke -everybody       of all users: after a leak that nobody can bound, or when a backup was restored

Their sockets close on every node, at once.

example: portcullis session revoke mallory`,
	}
	c.run = func(ctx context.Context, p process, args []string) error {
		fs := c.flags(p)
		everybody := fs.Bool("everybody", false, "with revoke: of all users")
		verb, name, rest := words(args)
		if err := c.parse(fs, rest, 0, 1); err != nil {
			return err
		}
		if *everybody && (verb != "revoke" || name != "" || fs.NArg() > 0) || !*everybody && name == "" {
			fs.Usage()
			return errUsage
		}
		return withApp(ctx, p, func(ctx context.Context, parts app.Parts, b *app.Backends) error {
			if *everybody {
				ended, err := app.EndEverySession(ctx, parts, b)
				fmt.Fprintf(p.Stdout, "%d sessions ended\n", ended)
				return err
			}
			u, err := parts.Accounts.Find(ctx, name)
			if err != nil {
				return err
			}
			switch verb {
			case "list":
				sessions, err := b.DB.Sessions().OfUser(ctx, u.ID.UUID)
				if err != nil {
					return err
				}
				for _, s := range sessions {
					fmt.Fprintf(p.Stdout, "%s  since %s  until %s  %s\n", s.SID, s.CreatedAt.Format(time.RFC3339), s.EndsFirst().Format(time.RFC3339), s.IP)
				}
				return nil
			case "revoke":
				return revoke(ctx, p, parts, b, u, fs.Arg(0))
			}
			fs.Usage()
			return errUsage
		})
	}
	return c
}

func revoke(ctx context.Context, p process, parts app.Parts, b *app.Backends, u account.User, text string) error {
	var sid chat.SessionID // zero: all of them
	if text != "" {
		var err error
		if sid, err = chat.ParseSessionID(text); err != nil {
			return fmt.Errorf("sid: %w", err)
		}
	}
	ended, err := app.EndSessions(ctx, parts, b, u.ID, sid)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.Stdout, "%d sessions ended\n", ended)
	return err
}

func roomCommand() command {
	c := command{
		name:    "room",
		summary: "list a user's rooms, or make one",
		usage: `usage: portcullis room list <user>
       portcullis room create <owner> <title> [open|closed]

example: portcullis room create alice "Harbour office" closed`,
	}
	c.run = func(ctx context.Context, p process, args []string) error {
		fs := c.flags(p)
		if err := c.parse(fs, args, 2, 4); err != nil {
			return err
		}
		return withApp(ctx, p, func(ctx context.Context, parts app.Parts, _ *app.Backends) error {
			u, err := parts.Accounts.Find(ctx, fs.Arg(1))
			if err != nil {
				return err
			}
			switch {
			case fs.Arg(0) == "list" && fs.NArg() == 2:
				rooms, err := parts.Rooms.Rooms(ctx, u.ID)
				if err != nil {
					return err
				}
				for _, r := range rooms {
					fmt.Fprintf(p.Stdout, "%s  %-7s %-9s %4d members  %s\n", r.ID, r.Visibility, r.Role, r.Members, r.Title)
				}
				return nil
			case fs.Arg(0) == "create" && fs.NArg() >= 3:
				v := chat.Closed
				if fs.NArg() == 4 {
					v = chat.Visibility(fs.Arg(3))
				}
				r, err := parts.Chat.CreateRoom(ctx, chat.Actor{User: u.ID, Username: u.Username, DisplayName: u.DisplayName, Role: u.Role, Client: "command"}, fs.Arg(2), v)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintln(p.Stdout, r.ID)
				return err
			}
			fs.Usage()
			return errUsage
		})
	}
	return c
}

// words splits leading words from the flags behind them.
func words(args []string) (verb, name string, rest []string) {
	for len(args) > 0 && len(rest) == 0 {
		switch {
		case len(args[0]) > 0 && args[0][0] == '-':
			return verb, name, args
		case verb == "":
			verb = args[0]
		case name == "":
			name = args[0]
		default:
			return verb, name, args
		}
		args = args[1:]
	}
	return verb, name, args
}
