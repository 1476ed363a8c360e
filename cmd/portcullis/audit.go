package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/google/uuid"

	"example.com/portcullis/internal/app"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/clientip"
	"example.com/portcullis/internal/guard/detect"
	"example.com/portcullis/internal/guard/response"
)

func auditCommand() command {
	c := command{
		name:    "audit",
		summary: "verify that the security log is whole",
		usage: `usage: portcullis audit verify [-from number] [-head number:hash]

Walks along the chain of security events and says which rows were changed, inserted,
removed, moved or cut off. -head is a checkpoint from a log that was kept elsewhere (the
detail of sys_monitor_heartbeat): without it, an end that was cut off does not show.
It exits with 1 if anything is wrong.

example: portcullis audit verify -head 48210:9f2c61d0a5b34e7788c1f0d2e3a4b5c6`,
	}
	c.run = func(ctx context.Context, p process, args []string) error {
		fs := c.flags(p)
		from := fs.Int64("from", 0, "begin at this row, which is taken as it is; 0: the beginning")
		kept := fs.String("head", "", "a checkpoint that was kept elsewhere")
		verb, name, rest := words(args)
		if err := c.parse(fs, rest, 0, 0); err != nil {
			return err
		}
		if verb != "verify" || name != "" {
			fs.Usage()
			return errUsage
		}
		var head *audit.Head
		if *kept != "" {
			h, err := audit.ParseHead(*kept)
			if err != nil {
				return err
			}
			head = &h
		}
		return withApp(ctx, p, func(ctx context.Context, parts app.Parts, b *app.Backends) error {
			return verify(ctx, p, parts, b, *from, head)
		})
	}
	return c
}

// errBroken says that the log is not whole; what is wrong has been printed.
var errBroken = errors.New("the security log is not whole")

func verify(ctx context.Context, p process, parts app.Parts, b *app.Backends, from int64, head *audit.Head) error {
	report, err := b.VerifyLog(ctx, parts.Config, from, head)
	if err != nil {
		return err
	}
	for _, f := range report.Findings {
		fmt.Fprintln(p.Stdout, f)
	}
	if report.Unchained > 0 {
		fmt.Fprintf(p.Stdout, "%d rows are from before there was a chain: nothing is known of them\n", report.Unchained)
	}
	fmt.Fprintf(p.Stdout, "%d rows, %d findings, newest %s\n", report.Rows, len(report.Findings), report.Head)
	if len(report.Findings) > 0 {
		return errBroken
	}
	return nil
}

func responseCommand() command {
	c := command{
		name:    "response",
		summary: "list, lift or make responses to attacks",
		usage: `usage: portcullis response list
       portcullis response lift <number>
       portcullis response block|throttle <network or user id> -reason "why" [-for 1h]

A response holds on every node within seconds and ends by itself, after a day at most.
A network is an address or a prefix as the log has it: many people may be behind one.

example: portcullis response block 198.51.100.7 -reason "flood since 14:00" -for 2h`,
	}
	c.run = func(ctx context.Context, p process, args []string) error {
		fs := c.flags(p)
		reason := fs.String("reason", "", "why, for whoever reads the log")
		d := fs.Duration("for", time.Hour, "until when, 24h at most")
		verb, name, rest := words(args)
		if err := c.parse(fs, rest, 0, 0); err != nil {
			return err
		}
		if verb == "" || (name == "") != (verb == "list") {
			fs.Usage()
			return errUsage
		}
		return withApp(ctx, p, func(ctx context.Context, parts app.Parts, b *app.Backends) error {
			switch verb {
			case "list":
				return listResponses(ctx, p, b)
			case "lift":
				return lift(ctx, p, parts, b, name)
			case "block", "throttle":
				subject, err := subjectOf(name)
				if err != nil {
					return err
				}
				now := time.Now()
				err = parts.Responses.Do(ctx, response.Response{Kind: response.Kind(verb), Subject: subject, At: now, Until: now.Add(*d), By: "command", Reason: *reason})
				if err == nil {
					_, err = fmt.Fprintf(p.Stdout, "%s of %s %s until %s\n", verb, subject.Kind, subject.Key, now.Add(*d).Format(time.RFC3339))
				}
				return err
			}
			fs.Usage()
			return errUsage
		})
	}
	return c
}

func listResponses(ctx context.Context, p process, b *app.Backends) error {
	list, err := b.DB.Responses().Active(ctx)
	for _, r := range list {
		fmt.Fprintf(p.Stdout, "%d  %-8s  %-7s %s  until %s  by %s: %s\n", r.ID, r.Kind, r.Subject.Kind, r.Subject.Key, r.Until.Format(time.RFC3339), r.By, r.Reason)
	}
	return err
}

func lift(ctx context.Context, p process, parts app.Parts, b *app.Backends, number string) error {
	var id int64
	if _, err := fmt.Sscan(number, &id); err != nil {
		return fmt.Errorf("a response has a number, see `portcullis response list`: %w", err)
	}
	r, found, err := b.DB.Responses().Lift(ctx, id, "command")
	if err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("no response %d is in force", id)
	}
	parts.Audit.Record(ctx, response.Event(r, "lifted"))
	_, err = fmt.Fprintf(p.Stdout, "lifted: %s of %s %s\n", r.Kind, r.Subject.Kind, r.Subject.Key)
	return err
}

// subjectOf reads a user id, an address or a prefix, which becomes the one that budgets
// are kept for.
func subjectOf(text string) (detect.Subject, error) {
	if id, err := uuid.Parse(text); err == nil {
		return detect.Subject{Kind: detect.User, Key: id.String()}, nil
	}
	ip, err := netip.ParseAddr(text)
	if err != nil {
		prefix, errPrefix := netip.ParsePrefix(text)
		if errPrefix != nil || prefix != clientip.Prefix(prefix.Addr()) {
			return detect.Subject{}, fmt.Errorf("%q is no user id and no network: budgets are kept for one IPv4 address, or a /64 of IPv6", text)
		}
		ip = prefix.Addr()
	}
	return detect.Subject{Kind: detect.Network, Key: clientip.Prefix(ip).String()}, nil
}
