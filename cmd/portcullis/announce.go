package main

import (
	"context"
	"fmt"

	"example.com/portcullis/internal/app"
)

func announceCommand() command {
	c := command{
		name:    "announce",
		summary: "tell everybody something, on every node",
		usage: `usage: portcullis announce <text>

The text goes to every socket on /ws/public, and to those who connect later as long as it
is one of the newest 20. It is public: put no names and no secrets in it.

example: portcullis announce "Maintenance tonight from 22:00 to 22:10 UTC."`,
	}
	c.run = func(ctx context.Context, p process, args []string) error {
		fs := c.flags(p)
		if err := c.parse(fs, args, 1, 1); err != nil {
			return err
		}
		return withApp(ctx, p, func(ctx context.Context, parts app.Parts, _ *app.Backends) error {
			a, err := parts.Board.Announce(ctx, fs.Arg(0))
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(p.Stdout, "announcement %d\n", a.Seq)
			return err
		})
	}
	return c
}
