package certs_test

import (
	"context"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.com/portcullis/internal/guard/certs"
	"example.com/portcullis/internal/testkit"
)

// pair is a certificate in two files, and what its Files reports. Files run in a
// bubble of testing/synctest, whose clock begins in the year 2000.
type pair struct {
	*certs.Files
	dir    string
	reload chan struct{}
	ahead  atomic.Int64 // how far the clock of Files is ahead: months of polls would take a while

	mu   sync.Mutex
	news []certs.Change
	said int // how much of news has been looked at
}

// lasting moves a certificate of 90 days into the bubble's time: it has d to go.
func lasting(d time.Duration) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.NotAfter = time.Now().Add(d)
		c.NotBefore = c.NotAfter.Add(-90 * 24 * time.Hour)
	}
}

func authority(t *testing.T) *testkit.CA { t.Helper(); return testkit.NewCA(t) }

func newPair(t *testing.T, ca *testkit.CA, leaf testkit.Leaf) *pair {
	t.Helper()
	p := &pair{dir: t.TempDir(), reload: make(chan struct{})}
	cert, key := ca.Write(t, p.dir, leaf)
	var err error
	if p.Files, err = certs.NewFiles(certs.FilesOptions{Cert: cert, Key: key, Host: host, Now: p.now}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		p.Run(ctx, p.reload, func(c certs.Change) { p.mu.Lock(); p.news = append(p.news, c); p.mu.Unlock() })
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	synctest.Wait()
	return p
}

func (p *pair) now() time.Time { return time.Now().Add(time.Duration(p.ahead.Load())) }

// skip moves the clock of Files ahead, and returns the news of the next look.
func (p *pair) skip(d time.Duration) []certs.Change {
	p.ahead.Add(int64(d))
	return p.since(11 * time.Second)
}

// since returns the news that came while d passed.
func (p *pair) since(d time.Duration) []certs.Change {
	time.Sleep(d) // the bubble's clock
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	news := p.news[p.said:]
	p.said = len(p.news)
	return news
}

func (p *pair) serial(t *testing.T) string {
	t.Helper()
	c, err := p.GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	return c.Leaf.SerialNumber.Text(16)
}

func (p *pair) write(t *testing.T, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, what string, news []certs.Change, kind certs.Kind, reason string) {
	t.Helper()
	if len(news) != 1 || news[0].Kind != kind || news[0].Reason != reason {
		t.Errorf("%s: reported %+v, want one of kind %d with reason %q", what, news, kind, reason)
	}
}

//control:proves certificates
func TestFiles_aNewPairIsUsedAndABadOneLeavesTheOldInPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := authority(t)
		first, second := ca.Issue(t, []string{host}, lasting(90*24*time.Hour)), ca.Issue(t, []string{host}, lasting(90*24*time.Hour))
		p := newPair(t, ca, first)
		old := p.serial(t)
		if news := p.since(time.Minute); len(news) != 0 {
			t.Fatalf("nothing changed, and %+v was reported", news)
		}

		// Half way through a rotation: the new certificate with the old key.
		p.write(t, "cert.pem", second.Cert)
		if news := p.since(10 * time.Second); len(news) != 0 || p.serial(t) != old {
			t.Errorf("half a rotation was reported at once: %+v", news)
		}
		want(t, "a pair that does not match, for long", p.since(10*time.Second), certs.ReloadFailed, "pair")
		if news := p.since(5 * time.Minute); len(news) != 0 || p.serial(t) != old {
			t.Errorf("the same failure was reported again: %+v", news)
		}
		p.write(t, "key.pem", second.Key)
		want(t, "the rotation", p.since(10*time.Second), certs.Reloaded, "")
		if p.serial(t) == old {
			t.Error("new handshakes still see the old certificate")
		}

		// At SIGHUP a bad pair is reported at once.
		now := p.serial(t)
		p.write(t, "cert.pem", []byte("corrupted"))
		p.reload <- struct{}{}
		want(t, "a corrupted file, at SIGHUP", p.since(0), certs.ReloadFailed, "pair")
		if p.serial(t) != now {
			t.Error("a corrupted file changed the certificate")
		}
		if err := os.Remove(filepath.Join(p.dir, "cert.pem")); err != nil {
			t.Fatal(err)
		}
		p.reload <- struct{}{}
		want(t, "no file", p.since(0), certs.ReloadFailed, "unreadable")
	})
}

//control:proves certificates
func TestFiles_refusesAKeyThatOthersCanRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := authority(t)
		p := newPair(t, ca, ca.Issue(t, []string{host}, lasting(90*24*time.Hour)))
		second := ca.Issue(t, []string{host}, lasting(90*24*time.Hour))
		old := p.serial(t)
		ca.Write(t, p.dir, second)
		key := filepath.Join(p.dir, "key.pem")
		for _, mode := range []os.FileMode{0o640, 0o604, 0o660} {
			if err := os.Chmod(key, mode); err != nil {
				t.Fatal(err)
			}
			p.reload <- struct{}{}
			want(t, mode.String(), p.since(0), certs.ReloadFailed, "key_mode")
			if p.serial(t) != old {
				t.Errorf("%s: the key was used", mode)
			}
			_, err := certs.NewFiles(certs.FilesOptions{Cert: filepath.Join(p.dir, "cert.pem"), Key: key, Host: host, Now: time.Now})
			if refused, ok := errors.AsType[*certs.Refused](err); !ok || refused.Reason != "key_mode" {
				t.Errorf("%s at start: %v", mode, err)
			}
		}
	})
}

// Orchestrators mount a folder whose files are links through "..data", which is swapped.
//
//control:proves certificates
func TestFiles_seesTheSymlinkSwapOfAnOrchestrator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca, mount := authority(t), t.TempDir()
		for _, v := range []string{"v1", "v2"} {
			if err := os.Mkdir(filepath.Join(mount, v), 0o700); err != nil {
				t.Fatal(err)
			}
			ca.Write(t, filepath.Join(mount, v), ca.Issue(t, []string{host}, lasting(90*24*time.Hour)))
		}
		link := func(target, name string) {
			if err := os.Symlink(target, filepath.Join(mount, name)); err != nil {
				t.Fatal(err)
			}
		}
		link("v1", "..data")
		link("..data/cert.pem", "cert.pem")
		link("..data/key.pem", "key.pem")
		p := &pair{dir: mount}
		var err error
		p.Files, err = certs.NewFiles(certs.FilesOptions{Cert: filepath.Join(mount, "cert.pem"), Key: filepath.Join(mount, "key.pem"), Host: host, Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			p.Run(ctx, nil, func(c certs.Change) { p.mu.Lock(); p.news = append(p.news, c); p.mu.Unlock() })
		})
		old := p.serial(t)
		link("v2", "..tmp")
		if err := os.Rename(filepath.Join(mount, "..tmp"), filepath.Join(mount, "..data")); err != nil {
			t.Fatal(err)
		}
		want(t, "the swap", p.since(11*time.Second), certs.Reloaded, "")
		if p.serial(t) == old {
			t.Error("the old certificate is still in use")
		}
		cancel()
		wg.Wait()
	})
}

//control:proves certificates
func TestFiles_saysThatTheEndIsNearOncePerThreshold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const day = 24 * time.Hour
		ca := authority(t)
		p := newPair(t, ca, ca.Issue(t, []string{host}, lasting(31*day)))
		if news := p.skip(time.Hour); len(news) != 0 {
			t.Errorf("31 days before: %+v", news)
		}
		want(t, "30 days before", p.skip(day), certs.Expiring, "30_days")
		want(t, "14 days before", p.skip(16*day), certs.Expiring, "14_days")
		want(t, "7 days before", p.skip(7*day), certs.Expiring, "7_days")
		if news := p.skip(5 * day); len(news) != 0 {
			t.Errorf("said again: %+v", news)
		}
		// A renewed one begins anew, and says the nearest threshold alone.
		ca.Write(t, p.dir, ca.Issue(t, []string{host}, lasting(time.Duration(p.ahead.Load())+10*day)))
		news := p.since(11 * time.Second)
		if len(news) != 2 || news[0].Kind != certs.Reloaded || news[1].Kind != certs.Expiring || news[1].Reason != "14_days" {
			t.Errorf("a certificate with ten days: %+v", news)
		}
	})
}

// An authority may issue for six days (short-lived certificates need no revocation), and
// the one for development lives for thirty.
//
//control:proves certificates
func TestFiles_aShortLifeIsNoReasonToWarn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const day = 24 * time.Hour
		ca := authority(t)
		p := newPair(t, ca, ca.Issue(t, []string{host}, func(c *x509.Certificate) { c.NotBefore, c.NotAfter = time.Now(), time.Now().Add(6*day) }))
		if news := p.skip(3 * day); len(news) != 0 {
			t.Errorf("half of six days are left: %+v", news)
		}
		want(t, "a third of it", p.skip(day+time.Hour), certs.Expiring, "7_days")
		ca.Write(t, p.dir, ca.Issue(t, []string{host}, func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = p.now().Add(-time.Minute), p.now().Add(30*day)
		}))
		want(t, "a new one of thirty", p.since(11*time.Second), certs.Reloaded, "")
		want(t, "ten of them are left", p.skip(20*day), certs.Expiring, "14_days")
	})
}

func TestNewFiles_refusesWhatAFurtherRuleRefuses(t *testing.T) {
	ca := authority(t)
	cert, key := ca.Write(t, t.TempDir(), ca.Issue(t, []string{host}))
	no := errors.New("not here")
	_, err := certs.NewFiles(certs.FilesOptions{Cert: cert, Key: key, Host: host, Now: time.Now, Refuse: func(*x509.Certificate) error { return no }})
	if !errors.Is(err, no) {
		t.Errorf("err = %v", err)
	}
	if _, err := certs.NewFiles(certs.FilesOptions{Cert: cert, Key: key, Now: time.Now}); err == nil {
		t.Error("a certificate for no name in particular was accepted")
	}
}
