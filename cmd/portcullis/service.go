package main

import (
	"context"
	"fmt"
	"time"

	"example.com/portcullis/internal/app"
)

// serviceOverlap is how long the key before works on, unless said otherwise: a day to
// give the new one to whoever runs the program.
const serviceOverlap = 24 * time.Hour

func serviceCommand() command {
	c := command{
		name:    "service",
		summary: "add, list, rotate or disable services: programs with a key of their own",
		usage: `usage: portcullis service list
       portcullis service add <name> [-display "Full Name"]
       portcullis service rotate <name> [-overlap 24h]     then the old key and its sockets end; 0: now
       portcullis service disable <name>

add and rotate print the key once; it is stored nowhere. The program sends it to
POST /api/service/ticket as Authorization: Bearer <key>, and opens /ws/cli with the ticket.
People invite it to their rooms by its name.

example: portcullis service add deploy-bot > deploy-bot.key`,
	}
	c.run = func(ctx context.Context, p process, args []string) error {
		fs := c.flags(p)
		display := fs.String("display", "", "name that others see")
		overlap := fs.Duration("overlap", serviceOverlap, "how long the key before works on")
		verb, name, rest := words(args)
		if err := c.parse(fs, rest, 0, 0); err != nil {
			return err
		}
		if verb == "" || (name == "") != (verb == "list") {
			fs.Usage()
			return errUsage
		}
		return withApp(ctx, p, func(ctx context.Context, parts app.Parts, _ *app.Backends) error {
			return service(ctx, p, parts, verb, name, *display, *overlap)
		})
	}
	return c
}

func service(ctx context.Context, p process, parts app.Parts, verb, name, display string, overlap time.Duration) error {
	switch verb {
	case "list":
		list, err := parts.Services.List(ctx, 1000)
		if err != nil {
			return err
		}
		for _, s := range list {
			state := "enabled"
			if s.Disabled {
				state = "disabled"
			}
			fmt.Fprintf(p.Stdout, "%s  %-32s  %-8s  %d keys  since %s\n", s.ID, s.Username, state, s.Keys, s.CreatedAt.Format(time.RFC3339))
		}
		return nil
	case "add":
		u, key, err := parts.Services.Add(ctx, name, display)
		if err != nil {
			return err
		}
		fmt.Fprintf(p.Stderr, "%s is a service now. Its key, which is not shown again:\n", u.Username)
		_, err = fmt.Fprintln(p.Stdout, key.Reveal())
		return err
	case "rotate":
		key, err := parts.Services.Rotate(ctx, name, overlap)
		if err != nil {
			return err
		}
		fmt.Fprintf(p.Stderr, "The key before, with its sockets, ends in %s. The new one, which is not shown again:\n", overlap)
		_, err = fmt.Fprintln(p.Stdout, key.Reveal())
		return err
	case "disable":
		return parts.Services.Disable(ctx, name)
	}
	return fmt.Errorf("there is no `service %s`; see `portcullis service -h`", verb)
}
