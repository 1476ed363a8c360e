package main

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"time"

	"example.com/portcullis/internal/config"
	"example.com/portcullis/internal/guard/audit"
)

// recordRefusal writes the security events of a start that was refused for its
// configuration or for a backend that could not prove who it is. There is no database
// to write them to yet: they go to the log alone.
//
//control:name startup
func recordRefusal(log *slog.Logger, err error) {
	var events []audit.Event
	if problems, ok := errors.AsType[config.Problems](err); ok {
		for _, p := range problems {
			events = append(events, audit.Event{Name: audit.ConfigWeakRefused, Level: audit.Critical, Control: "startup", Reason: "refused_to_start", Detail: p.What})
		}
	}
	if untrusted, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		events = append(events, audit.Event{Name: audit.BackendUntrusted, Level: audit.Critical, Control: "backend-tls", Reason: "at_start", Detail: untrusted.Error()})
	}
	security, err := audit.New(audit.Options{Log: log, Now: time.Now})
	if err != nil {
		log.Error("security events not recorded", "error", err)
		return
	}
	ended, end := context.WithCancel(context.Background())
	end()
	for _, e := range events {
		security.Record(ended, e)
	}
	security.Run(ended) // writes what is queued and returns
}
