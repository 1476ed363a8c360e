package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.com/portcullis/internal/config"
	"example.com/portcullis/internal/devcert"
	"example.com/portcullis/internal/testkit"
)

//control:proves devcert
func TestPublicCertificate_productionRefusesADevelopmentCertificate(t *testing.T) {
	f, err := devcert.Make(t.TempDir(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for env, refused := range map[string]bool{"development": false, "production": true} {
		cfg := config.Config{Env: env, TLSCert: f.Cert, TLSKey: f.Key, BaseURL: &url.URL{Scheme: "https", Host: "app.portcullis.localhost:8443"}}
		got, err := publicCertificate(cfg)
		problems, isProblem := errors.AsType[config.Problems](err)
		if isProblem != refused || (got == nil) != refused {
			t.Errorf("%s: certificate %v, error %v; want refused %v", env, got != nil, err, refused)
		}
		if refused && !strings.Contains(problems.Error(), "PORTCULLIS_TLS_CERT is a development certificate") {
			t.Errorf("%s: %v", env, problems)
		}
	}
}

//control:proves certificates
func TestPublicCertificate_aPairForAnotherNameDoesNotStart(t *testing.T) {
	ca := testkit.NewCA(t)
	cert, key := ca.Write(t, t.TempDir(), ca.Issue(t, []string{"chat.example.org"}))
	_, err := publicCertificate(config.Config{Env: "production", TLSCert: cert, TLSKey: key, BaseURL: &url.URL{Scheme: "https", Host: "chat.example.com"}})
	if _, ok := errors.AsType[config.Problems](err); !ok || !strings.Contains(err.Error(), "cannot be used: name") {
		t.Errorf("err = %v", err)
	}
}

// The clock is a bubble's: each second that passes here takes none.
//
//control:proves slow-upgrade
func TestServer_dropsAHandshakeOfOneByteASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reached atomic.Int64
		l := serveHere(t, nil, func(w http.ResponseWriter, _ *http.Request) { reached.Add(1); fmt.Fprint(w, "in") })
		begin := time.Now()
		slow, err := l.Dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		defer slow.Close()
		go func() { _, _ = io.Copy(io.Discard, slow) }() // a pipe has no buffer for an answer
		for i := range 60 {
			if _, err = slow.Write([]byte("GET /ws HTTP/1.1\r\nHost: chat.example.com\r\nX-Slow: aaaaaaaaaaaaaaaaaaaaaa")[i : i+1]); err != nil {
				break
			}
			if i == 2 { // meanwhile an honest client
				honest, err := l.Dial(t.Context(), "", "")
				if err != nil {
					t.Fatal(err)
				}
				defer honest.Close()
				go func() {
					_, _ = io.WriteString(honest, "GET / HTTP/1.1\r\nHost: chat.example.com\r\nConnection: close\r\n\r\n")
					_, _ = io.Copy(io.Discard, honest)
				}()
			}
			time.Sleep(time.Second)
		}
		if took := time.Since(begin); err == nil || took > headerTimeout+2*time.Second {
			t.Errorf("the slow client was held for %s (%v)", took, err)
		}
		if n := reached.Load(); n != 1 {
			t.Errorf("the handler ran %d times, want once for the honest client", n)
		}
	})
}

//control:proves slow-upgrade
func TestServer_dropsATLSHandshakeThatNeverComes(t *testing.T) {
	ca := testkit.NewCA(t)
	pair := ca.Issue(t, []string{"chat.example.com"}).Pair(t)
	synctest.Test(t, func(t *testing.T) {
		l := serveHere(t, &tls.Config{Certificates: []tls.Certificate{pair}}, http.NotFound)
		begin := time.Now()
		silent, err := l.Dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		defer silent.Close()
		if err := silent.SetReadDeadline(begin.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, err := silent.Read(make([]byte, 1)); !errors.Is(err, io.EOF) || time.Since(begin) > headerTimeout+time.Second {
			t.Errorf("a client that says nothing was held for %s (%v)", time.Since(begin), err)
		}
	})
}

//control:proves slow-upgrade
func TestServer_refusesHeadersWithoutEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := serveHere(t, nil, func(http.ResponseWriter, *http.Request) { t.Error("the handler was reached") })
		client := &http.Client{Transport: &http.Transport{DialContext: l.Dial, DisableKeepAlives: true}}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://chat.example.com/ws", nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 64 {
			req.Header.Set(fmt.Sprintf("X-Padding-%d", i), strings.Repeat("a", 1<<10))
		}
		res, err := client.Do(req)
		if err == nil {
			res.Body.Close()
			if res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
				t.Errorf("64 KiB of headers got %d", res.StatusCode)
			}
		}
	})
}

// serveHere serves h inside of the bubble until the test ends.
func serveHere(t *testing.T, tlsConfig *tls.Config, h http.HandlerFunc) *testkit.PipeListener {
	t.Helper()
	l := testkit.NewPipeListener()
	s := server(h, tlsConfig, slog.New(slog.DiscardHandler))
	done := make(chan struct{})
	go func() {
		defer close(done)
		if tlsConfig != nil {
			_ = s.ServeTLS(l, "", "")
			return
		}
		_ = s.Serve(l)
	}()
	t.Cleanup(func() {
		_ = s.Close()
		<-done
		time.Sleep(time.Minute) // of the bubble: connections end after Close has returned
	})
	return l
}

// There is no database yet to write to: what was refused is in the log.
//
//control:proves startup
func TestServe_aRefusedStartIsASecurityEvent(t *testing.T) {
	var out, errs bytes.Buffer
	code := run(context.Background(), process{Args: []string{"serve"}, Stdout: &out, Stderr: &errs,
		Environ: []string{"PORTCULLIS_ENV=production", "PORTCULLIS_BASE_URL=http://localhost:8080", "DATABASE_URL=postgres://app:canary-pw@db/chat?sslmode=require"}})
	if code != 2 {
		t.Errorf("exit code %d", code)
	}
	for _, want := range []string{`"event":"config_weak_refused"`, `"control":"startup"`, `DATABASE_URL has sslmode=require`} {
		if !strings.Contains(errs.String(), want) {
			t.Errorf("standard error lacks %s:\n%s", want, errs.String())
		}
	}
	if strings.Contains(errs.String(), "canary-pw") {
		t.Error("the log holds a password")
	}
}
