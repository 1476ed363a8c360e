package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"example.com/portcullis/internal/config"
	"example.com/portcullis/internal/devcert"
)

func devcertCommand() command {
	c := command{
		name:    "devcert",
		summary: "make a short-lived certificate for https on this machine",
		usage: `usage: portcullis devcert [-dir folder]

Writes ca.pem, cert.pem and key.pem. The CA is good for localhost names only, ends after
30 days, and its own key is thrown away. Production refuses the certificate.

example: portcullis devcert -dir ./tls`,
	}
	c.run = func(_ context.Context, p process, args []string) error {
		fs := c.flags(p)
		dir := fs.String("dir", "", "folder for the files (default: tls in the data directory)")
		if err := c.parse(fs, args, 0, 0); err != nil {
			return err
		}
		if *dir == "" {
			cfg, err := config.Load(p.Environ)
			if err != nil {
				return err
			}
			*dir = filepath.Join(dataDir(cfg), "tls")
		}
		f, err := devcert.Make(*dir, time.Now())
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(p.Stdout, "Made for 30 days. Start with:\n\n  PORTCULLIS_TLS_CERT=%s PORTCULLIS_TLS_KEY=%s portcullis\n\nand let your browser trust %s until then.\n", f.Cert, f.Key, f.CA)
		return err
	}
	return c
}
