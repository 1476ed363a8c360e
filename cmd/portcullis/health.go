package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"time"

	"example.com/portcullis/internal/config"
)

func healthCommand() command {
	c := command{
		name:    "health",
		summary: "ask the server on this machine whether it is ready",
		usage: `usage: portcullis health

Exits with 0 if /readyz on PORTCULLIS_LISTEN says so. For container health checks, which
then need no other program in the image.

example: portcullis health`,
	}
	c.run = func(ctx context.Context, p process, args []string) error {
		if err := c.parse(c.flags(p), args, 0, 0); err != nil {
			return err
		}
		cfg, err := config.Load(p.Environ)
		if err != nil {
			return err
		}
		_, port, err := net.SplitHostPort(cfg.Listen)
		if err != nil {
			return err
		}
		scheme := "http"
		client := &http.Client{Timeout: 2 * time.Second}
		if cfg.TLS() {
			scheme = "https"
			// Loopback to ourselves: the authority may be one that this account does not know.
			client.Transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: cfg.BaseURL.Hostname(), MinVersion: tls.VersionTLS12}}
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+net.JoinHostPort("127.0.0.1", port)+"/readyz", nil)
		if err != nil {
			return err
		}
		res, err := client.Do(req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("not ready: %s", res.Status)
		}
		_, err = fmt.Fprintln(p.Stdout, "ready")
		return err
	}
	return c
}
