package testkit

import (
	"cmp"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"sync"
	"testing"
)

// Proxy stands on the line between a program and its PostgreSQL or Redis, and breaks it on command.
type Proxy struct {
	url             string
	network, target string
	listener        net.Listener
	running         sync.WaitGroup

	mu    sync.Mutex
	cut   bool
	open  chan struct{}         // closed while bytes may pass
	links map[net.Conn]net.Conn // client side → server side
}

// NewProxy listens on 127.0.0.1 in front of the server of a URL from [DatabaseURL] or [RedisURL], until the test ends.
func NewProxy(t testing.TB, server string) *Proxy {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal("testkit:", err)
	}
	p := &Proxy{open: make(chan struct{}), links: map[net.Conn]net.Conn{}}
	close(p.open)
	if p.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal("testkit:", err)
	}
	p.network, p.target = "tcp", net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), defaultPort(u.Scheme)))
	switch q := u.Query(); {
	case u.Scheme == "unix":
		p.network, p.target = "unix", u.Path
		u.Scheme, u.Path = "redis", ""
	case q.Get("host") != "": // PostgreSQL on a Unix socket
		p.network, p.target = "unix", filepath.Join(q.Get("host"), ".s.PGSQL.5432")
		q.Del("host")
		u.RawQuery = q.Encode()
	}
	u.Host = p.listener.Addr().String()
	p.url = u.String()
	p.running.Go(p.accept)
	t.Cleanup(func() {
		p.listener.Close()
		p.Cut()
		p.running.Wait()
	})
	return p
}

func defaultPort(scheme string) string {
	if scheme == "redis" {
		return "6379"
	}
	return "5432"
}

// URL is the server's URL, through the proxy.
func (p *Proxy) URL() string { return p.url }

// Pause lets no byte through and closes nothing, like a firewall that drops packets: only a deadline helps.
func (p *Proxy) Pause() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.open:
		p.open = make(chan struct{})
	default: // is paused
	}
}

// Cut closes every connection and every new one, like a server that is gone.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = true
	for client, server := range p.links {
		client.Close()
		server.Close()
	}
	p.pass()
}

// Resume ends Pause and Cut. What was paused goes on; what was cut has to connect again.
func (p *Proxy) Resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = false
	p.pass()
}

// pass lets bytes through; mu is held.
func (p *Proxy) pass() {
	select {
	case <-p.open:
	default:
		close(p.open)
	}
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.running.Go(func() { p.link(client) })
	}
}

// link joins a client to a new connection to the server, until one of them ends.
func (p *Proxy) link(client net.Conn) {
	defer client.Close()
	server, err := net.Dial(p.network, p.target)
	if err != nil {
		return
	}
	defer server.Close()
	p.mu.Lock()
	if p.cut {
		p.mu.Unlock()
		return
	}
	p.links[client] = server
	p.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { p.copy(server, client) })
	both.Go(func() { p.copy(client, server) })
	both.Wait()
	p.mu.Lock()
	delete(p.links, client)
	p.mu.Unlock()
}

// copy moves bytes until one side ends, and then ends both.
func (p *Proxy) copy(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	io.Copy(gate{to, p}, from)
}

// gate is a writer that waits while the proxy is paused.
type gate struct {
	net.Conn
	proxy *Proxy
}

func (g gate) Write(b []byte) (int, error) {
	g.proxy.mu.Lock()
	open := g.proxy.open
	g.proxy.mu.Unlock()
	<-open
	return g.Conn.Write(b)
}
