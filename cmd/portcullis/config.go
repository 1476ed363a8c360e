package main

import (
	"context"
	"fmt"

	"example.com/portcullis/internal/config"
)

func configCommand() command {
	c := command{
		name:    "config",
		summary: "check, print or document the configuration",
		usage: `usage: portcullis config check|print|doc

  check   says everything that is wrong, and exits with 2 if anything is
  print   shows what is in force, secrets masked, * marks what differs from the default
  doc     writes the table of docs/config.md

example: PORTCULLIS_ENV=production portcullis config check`,
	}
	c.run = func(_ context.Context, p process, args []string) error {
		fs := c.flags(p)
		if err := c.parse(fs, args, 1, 1); err != nil {
			return err
		}
		if fs.Arg(0) == "doc" {
			return config.Doc(p.Stdout)
		}
		cfg, err := config.Load(p.Environ)
		if err != nil {
			return err
		}
		switch fs.Arg(0) {
		case "print":
			return cfg.Print(p.Stdout)
		case "check":
			_, err = fmt.Fprintln(p.Stdout, "the configuration is fine")
			return err
		}
		fs.Usage()
		return errUsage
	}
	return c
}
