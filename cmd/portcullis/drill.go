package main

import (
	"context"
	"fmt"
	"time"

	"example.com/portcullis/internal/drill"
)

func drillCommand() command {
	c := command{
		name:    "drill",
		summary: "rehearse an incident, time it, and keep the evidence",
		usage: `usage: portcullis drill list
       portcullis drill <scenario> [-out folder]

A drill starts two nodes on a PostgreSQL and a Redis of its own and touches nothing else.
The evidence (report, security log, sums) is in the folder afterwards; it must be empty or absent.

example: portcullis drill leaked-ticket-key -out drill-2026-11`,
	}
	c.run = func(ctx context.Context, p process, args []string) error {
		fs := c.flags(p)
		out := fs.String("out", "", "folder for the evidence; default: drill-<scenario>-<time>")
		name, _, rest := words(args)
		if err := c.parse(fs, rest, 0, 0); err != nil {
			return err
		}
		switch name {
		case "":
			fs.Usage()
			return errUsage
		case "list":
			for _, s := range drill.Scenarios() {
				fmt.Fprintf(p.Stdout, "%-18s %s\n", s.Name, s.Title)
			}
			return nil
		}
		if *out == "" {
			*out = "drill-" + name + "-" + time.Now().UTC().Format("20060102T150405Z")
		}
		r, err := drill.Run(ctx, name, drill.Options{Dir: *out, Environ: p.Environ, Progress: p.Stderr})
		if err != nil {
			return err
		}
		fmt.Fprintf(p.Stdout, "contained after %s; evidence in %s\n", r.Contained.Round(time.Millisecond), *out)
		if !r.Passed {
			return fmt.Errorf("the drill failed: see %s/report.md", *out)
		}
		return nil
	}
	return c
}
