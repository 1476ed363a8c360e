package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"example.com/portcullis/internal/app"
	"example.com/portcullis/internal/config"
	"example.com/portcullis/internal/devcert"
	"example.com/portcullis/internal/embedded"
	"example.com/portcullis/internal/guard/certs"
)

// Deadlines and sizes of plain HTTP. The deadlines are gone once a connection becomes
// a socket, which then has its own (internal/socket).
//
//control:name slow-upgrade
const (
	headerTimeout = 5 * time.Second  // a slow-loris client is dropped after this, and one that does not finish its TLS handshake
	readTimeout   = 15 * time.Second // 64 KiB over a bad mobile link
	writeTimeout  = 30 * time.Second
	idleTimeout   = 60 * time.Second
	maxHeader     = 16 << 10 // cookies, a ticket and what browsers send fit in 4 KiB
	maxStreams    = 100      // requests at once on one HTTP/2 connection, the least that RFC 9113 §6.5.2 recommends
)

// listening is everything that this process listens on. nil: not configured.
type listening struct {
	public, plain, private, service net.Listener

	certificate        certs.Source // of public; nil: it speaks http
	serviceCertificate certs.Source
	serviceClients     *x509.CertPool
}

// served is a listener with what serves it.
type served struct {
	*http.Server
	on net.Listener
}

// openListeners reads the certificates and takes the ports. With a port of 0, cfg
// learns the real one.
func openListeners(cfg *config.Config) (_ *listening, err error) {
	l := &listening{}
	defer func() {
		if err != nil {
			l.Close()
		}
	}()
	if l.certificate, err = publicCertificate(*cfg); err != nil {
		return l, err
	}
	if cfg.ServiceListen != "" {
		if l.serviceCertificate, err = certificateFiles(*cfg, "PORTCULLIS_SERVICE_CERT", cfg.ServiceCert, cfg.ServiceKey); err != nil {
			return l, err
		}
		if l.serviceClients, err = certs.Pool(cfg.ServiceClients); err != nil {
			return l, fmt.Errorf("read PORTCULLIS_SERVICE_CLIENT_CA: %w", err)
		}
	}
	for _, want := range []struct {
		variable, addr string
		got            *net.Listener
	}{
		{"PORTCULLIS_LISTEN", cfg.Listen, &l.public}, {"PORTCULLIS_PRIVATE_LISTEN", cfg.PrivateListen, &l.private},
		{"PORTCULLIS_PLAIN_LISTEN", cfg.PlainListen, &l.plain}, {"PORTCULLIS_SERVICE_LISTEN", cfg.ServiceListen, &l.service},
	} {
		if want.addr == "" {
			continue
		}
		if *want.got, err = listen(want.variable, want.addr); err != nil {
			return l, err
		}
	}
	cfg.Listen = l.public.Addr().String()
	if cfg.BaseURL.Port() == "0" {
		_, port, _ := net.SplitHostPort(cfg.Listen)
		cfg.BaseURL.Host = net.JoinHostPort(cfg.BaseURL.Hostname(), port)
	}
	return l, nil
}

// Close gives every port back.
func (l *listening) Close() {
	for _, n := range []net.Listener{l.public, l.plain, l.private, l.service} {
		if n != nil {
			_ = n.Close() // a server may have closed it already
		}
	}
}

// servers puts the application behind the listeners.
func (l *listening) servers(cfg config.Config, a *app.App, log *slog.Logger) ([]served, error) {
	var public *tls.Config
	if l.certificate != nil {
		public = certs.Config(l.certificate)
	}
	all := []served{{server(a.Handler(), public, log), l.public}}
	if l.private != nil {
		all = append(all, served{server(a.Private(), nil, log), l.private})
	}
	if l.plain != nil {
		plain, err := certs.NewPlain(cfg.BaseURL, a.CleartextRefused)
		if err != nil {
			return nil, err
		}
		all = append(all, served{server(plain, nil, log), l.plain})
	}
	if l.service != nil {
		s := server(a.Service(), certs.ServiceConfig(l.serviceCertificate, l.serviceClients), log)
		s.Protocols = new(http.Protocols)
		s.Protocols.SetHTTP1(true) // sockets only
		s.ErrorLog = a.PeerErrors()
		all = append(all, served{s, l.service})
	}
	return all, nil
}

// server is an HTTP server that no client can keep waiting: a client that sends its
// request one byte at a time is gone after headerTimeout, finished or not.
//
//control:name slow-upgrade
func server(h http.Handler, tlsConfig *tls.Config, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: h, TLSConfig: tlsConfig,
		ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		HTTP2:    &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// publicCertificate is where the public listener's certificate comes from; nil: it
// speaks http, behind a proxy or on this machine.
func publicCertificate(cfg config.Config) (certs.Source, error) {
	switch {
	case cfg.ACMEDirectory != "":
		return certs.NewACME(certs.ACMEOptions{Directory: cfg.ACMEDirectory, Email: cfg.ACMEEmail, Host: cfg.BaseURL.Hostname(), Dir: filepath.Join(dataDir(cfg), "acme"), Now: time.Now})
	case cfg.TLSCert != "":
		return certificateFiles(cfg, "PORTCULLIS_TLS_CERT", cfg.TLSCert, cfg.TLSKey)
	}
	return nil, nil
}

// certificateFiles checks a pair of files. In production a development certificate is
// refused, now and when it is put in place later.
//
//control:name devcert
func certificateFiles(cfg config.Config, variable, cert, key string) (certs.Source, error) {
	f, err := certs.NewFiles(certs.FilesOptions{Cert: cert, Key: key, Host: cfg.BaseURL.Hostname(), Now: time.Now, Refuse: func(c *x509.Certificate) error {
		if cfg.Production() && devcert.Made(c) {
			return errDevelopment
		}
		return nil
	}})
	switch refused, ok := errors.AsType[*certs.Refused](err); {
	case errors.Is(err, errDevelopment):
		return nil, config.Problems{{What: variable + " is a development certificate", Why: "nobody outside this machine trusts it, and nobody should", Next: "use a certificate of a public CA"}}
	case ok:
		return nil, config.Problems{{What: variable + " cannot be used: " + refused.Reason, Why: refused.Err.Error(), Next: "put a chain for " + cfg.BaseURL.Hostname() + " and its key there; `openssl x509 -text` shows what is in a file"}}
	case err != nil:
		return nil, err
	}
	return f, nil
}

var errDevelopment = errors.New("made by `portcullis devcert`")

// watch keeps the certificates fresh until ctx ends. hangup is SIGHUP, where there is one.
func (l *listening) watch(ctx context.Context, hangup func() (<-chan os.Signal, func()), report func(certs.Change)) {
	var sources []certs.Source
	for _, s := range []certs.Source{l.certificate, l.serviceCertificate} {
		if s != nil {
			sources = append(sources, s)
		}
	}
	if len(sources) == 0 {
		return // SIGHUP keeps its meaning: the terminal is gone
	}
	var signals <-chan os.Signal
	if hangup != nil {
		var stop func()
		signals, stop = hangup()
		defer stop()
	}
	var wg sync.WaitGroup
	var look []chan struct{}
	for _, s := range sources {
		now := make(chan struct{}, 1)
		look = append(look, now)
		wg.Go(func() { s.Run(ctx, now, report) })
	}
	for {
		select {
		case <-ctx.Done():
			wg.Wait()
			return
		case <-signals:
			for _, now := range look {
				select {
				case now <- struct{}{}:
				default: // it will look anyway
				}
			}
		}
	}
}

func listen(variable, addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, &embedded.Error{What: "cannot listen on " + addr, Why: err.Error(), Next: "stop the program that has the port, or choose another with " + variable, Err: err}
	}
	return l, nil
}
