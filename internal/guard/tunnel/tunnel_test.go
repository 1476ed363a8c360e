package tunnel_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"example.com/portcullis/internal/guard/tunnel"
)

// corpus is what a client sends to make a relay connect where it should not.
var corpus = []string{
	"127.0.0.1:6379", "127.0.0.1", "localhost", "localhost:5432", "169.254.169.254", "169.254.169.254:80", "metadata.google.internal",
	"2130706433", "0177.0.0.1", "0x7f000001", "127.1", "0", "[::1]", "[::1]:22", "::1", "[::ffff:127.0.0.1]:22", "[::ffff:7f00:1]", "fe80::1%25eth0",
	"127.0.0.1.nip.io", "7f000001.rbndr.us", "rebind.test", "bastion@127.0.0.1", "127.0.0.1#bastion", "bastion:22", "bastion:6379", "ssh:127.0.0.1:22",
	"BASTION", "Bastion", "bastion ", " bastion", "bastion.", "bastion%00", "bastion\x00", "bastion%2f..", "../bastion", "./bastion", "bastion/", "bastion/../x", "%62astion", "bastion?x", "bastion;hostkey=",
	"bаstion", "bastion\u200b", "ｂａｓｔｉｏｎ", "①②⑦.⓪.⓪.①", "１２７.０.０.１", "bast\u0131on", "", "-", ".", "..", "*", "http://127.0.0.1/", "file:///etc/passwd", "gopher://127.0.0.1:6379/_FLUSHALL",
	"name=ssh:127.0.0.1:22", "bastion\r\nHost: x", "bastion,desk", strings.Repeat("a", 33), strings.Repeat("a", 5000),
}

func targets(t *testing.T, lines ...string) tunnel.Targets {
	t.Helper()
	var list []tunnel.Target
	for _, l := range lines {
		var x tunnel.Target
		if err := x.UnmarshalText([]byte(l)); err != nil {
			t.Fatalf("%s: %v", l, err)
		}
		list = append(list, x)
	}
	s, err := tunnel.NewTargets(list)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The client asks for a host, a port, or another spelling of a target.
//
//control:proves tunnel
func TestFind_knowsTheConfiguredNamesAndNoSpellingOfAnythingElse(t *testing.T) {
	s := targets(t, "bastion=ssh:10.0.0.5:22", "desk=rfb:[fd00::5]:5900")
	for _, name := range corpus {
		if got, ok := s.Find(name); ok {
			t.Errorf("%q is %+v", name, got)
		}
	}
	if got, ok := s.Find("bastion"); !ok || got.Host != "10.0.0.5" || got.Port != 22 || got.Protocol != tunnel.SSH {
		t.Errorf("bastion is %+v, %v", got, ok)
	}
}

// Whatever else a client can write is no name either.
//
//control:proves tunnel
func TestFind_knowsNoOtherText(t *testing.T) {
	s := targets(t, "bastion=ssh:10.0.0.5:22", "desk=rfb:[fd00::5]:5900")
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-z0-9-]{0,40}`), rapid.SampledFrom(corpus)).Draw(t, "name")
		if _, ok := s.Find(name); ok != (name == "bastion" || name == "desk") {
			t.Fatalf("%q: %v", name, ok)
		}
	})
}

//control:proves tunnel
func TestFind_knowsNothingWithoutConfiguration(t *testing.T) {
	var off tunnel.Targets
	for _, name := range append(corpus, "bastion") {
		if _, ok := off.Find(name); ok {
			t.Errorf("%q is known", name)
		}
	}
	if !off.Empty() {
		t.Error("the zero set is not empty")
	}
}

func TestTarget_readsWhatAnOperatorMeans(t *testing.T) {
	const key = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	for _, tt := range []struct {
		text string
		want tunnel.Target
	}{
		{"bastion=ssh:10.0.0.5:22", tunnel.Target{Name: "bastion", Protocol: tunnel.SSH, Host: "10.0.0.5", Port: 22}},
		{" a=rfb:desk.example.com:5900 ", tunnel.Target{Name: "a", Protocol: tunnel.RFB, Host: "desk.example.com", Port: 5900}},
		{"six=ssh:[fd00::5]:22;hostkey=" + key, tunnel.Target{Name: "six", Protocol: tunnel.SSH, Host: "fd00::5", Port: 22, HostKey: key}},
		{"me=ssh:127.0.0.1:2222", tunnel.Target{Name: "me", Protocol: tunnel.SSH, Host: "127.0.0.1", Port: 2222}},
		{"mapped=ssh:[::ffff:10.0.0.5]:22", tunnel.Target{Name: "mapped", Protocol: tunnel.SSH, Host: "10.0.0.5", Port: 22}},
	} {
		var got tunnel.Target
		if err := got.UnmarshalText([]byte(tt.text)); err != nil || got != tt.want {
			t.Errorf("%s: %+v, %v", tt.text, got, err)
		}
	}
}

func TestTarget_refusesWhatNobodyCanMean(t *testing.T) {
	for _, text := range []string{
		"", "bastion", "bastion=", "bastion=ssh", "bastion=ssh:host", "bastion=ssh::22", "bastion=ssh:host:0", "bastion=ssh:host:65536", "bastion=ssh:host:022", "bastion=ssh:host:+22", "bastion=ssh:host:ssh",
		"bastion=http:host:80", "bastion=SSH:host:22", "Bastion=ssh:host:22", "1=ssh:host:22", "-a=ssh:host:22", "a_b=ssh:host:22", strings.Repeat("a", 33) + "=ssh:host:22",
		"a=ssh:0.0.0.0:22", "a=ssh:[::]:22", "a=ssh:255.255.255.255:22", "a=ssh:224.0.0.1:22", "a=ssh:[ff02::1]:22", "a=ssh:[fe80::1%eth0]:22", "a=ssh:[10.0.0.5]:22", "a=ssh:[::1:22", "a=ssh:fd00::5:22",
		"a=ssh:2130706433:22", "a=ssh:0177.0.0.1:22", "a=ssh:127.1:22", "a=ssh:0x7f.1:22", "a=ssh:host@10.0.0.5:22", "a=ssh:ho st:22", "a=ssh:höst:22", "a=ssh:host/x:22", "a=ssh:a..b:22", "a=ssh:" + strings.Repeat("a", 254) + ":22",
		"a=ssh:host:22;hostkey=", "a=ssh:host:22;hostkey=MD5:00", "a=ssh:host:22;hostkey=SHA256:AAAA", "a=rfb:host:5900;hostkey=SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
	} {
		var got tunnel.Target
		if err := got.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q became %+v", text, got)
		}
	}
	twice := tunnel.Target{Name: "a", Protocol: tunnel.SSH, Host: "h", Port: 22}
	if _, err := tunnel.NewTargets([]tunnel.Target{twice, twice}); err == nil {
		t.Error("two targets of one name")
	}
	if _, err := tunnel.NewTargets(make([]tunnel.Target, 65)); err == nil {
		t.Error("65 targets")
	}
	if _, err := tunnel.NewTargets([]tunnel.Target{{Name: "a"}}); err == nil {
		t.Error("a target without an address")
	}
}

// What answers on the port is Redis, a web server or nothing that the operator meant;
// or the client speaks HTTP into an SSH target.
//
//control:proves tunnel
func TestOpening_letsOnlyTheTargetsProtocolBegin(t *testing.T) {
	long := "SSH-2.0-" + strings.Repeat("a", 246)
	for _, tt := range []struct {
		p    tunnel.Protocol
		text string
		want tunnel.Verdict
	}{
		{tunnel.SSH, "SSH-2.0-OpenSSH_9.9\r\n", tunnel.Right},
		{tunnel.SSH, "SSH-2.0-Go\r\n\x00\x00\x01\x00binary", tunnel.Right},
		{tunnel.SSH, "SSH-2.0-old\n", tunnel.Right},
		{tunnel.SSH, "", tunnel.Undecided}, {tunnel.SSH, "S", tunnel.Undecided}, {tunnel.SSH, "SSH-2.0-", tunnel.Undecided}, {tunnel.SSH, "SSH-2.0-x\r", tunnel.Undecided},
		{tunnel.SSH, long + "\n", tunnel.Right}, {tunnel.SSH, long + "aa", tunnel.Wrong}, {tunnel.SSH, long + "a\n", tunnel.Wrong},
		{tunnel.SSH, "SSH-1.99-x\r\n", tunnel.Wrong}, {tunnel.SSH, "SSH-1", tunnel.Wrong}, {tunnel.SSH, "ssh-2.0-x\r\n", tunnel.Wrong}, {tunnel.SSH, "\r\nSSH-2.0-x\r\n", tunnel.Wrong},
		{tunnel.SSH, "SSH-2.0-x\x00\n", tunnel.Wrong}, {tunnel.SSH, "SSH-2.0-x\ry\n", tunnel.Wrong}, {tunnel.SSH, "SSH-2.0-\x80\n", tunnel.Wrong},
		{tunnel.SSH, "GET / HTTP/1.1\r\n", tunnel.Wrong}, {tunnel.SSH, "-ERR unknown command\r\n", tunnel.Wrong}, {tunnel.SSH, "+PONG\r\n", tunnel.Wrong}, {tunnel.SSH, "HTTP/1.1 400", tunnel.Wrong}, {tunnel.SSH, "RFB 003.008\n", tunnel.Wrong},
		{tunnel.SSH, "220 mail ESMTP\r\n", tunnel.Wrong}, {tunnel.SSH, "\x16\x03\x01", tunnel.Wrong},
		{tunnel.RFB, "RFB 003.008\n", tunnel.Right}, {tunnel.RFB, "RFB 003.889\nmore", tunnel.Right}, {tunnel.RFB, "RFB 003.00", tunnel.Undecided}, {tunnel.RFB, "RFB 003.008", tunnel.Undecided},
		{tunnel.RFB, "RFB 004.000\n", tunnel.Wrong}, {tunnel.RFB, "RFB 003.0x8\n", tunnel.Wrong}, {tunnel.RFB, "RFB 003.008\r", tunnel.Wrong}, {tunnel.RFB, "SSH-2.0-x\r\n", tunnel.Wrong},
		{"", "SSH-2.0-x\r\n", tunnel.Wrong}, {"http", "GET ", tunnel.Wrong},
	} {
		if got := tt.p.Opening([]byte(tt.text)); got != tt.want {
			t.Errorf("%s %q: %d, want %d", tt.p, tt.text, got, tt.want)
		}
	}
}

// The verdict must not depend on how the bytes are cut into pieces.
func TestOpening_isTheSameHoweverTheBytesArrive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SampledFrom([]tunnel.Protocol{tunnel.SSH, tunnel.RFB}).Draw(t, "protocol")
		b := []byte(rapid.OneOf(rapid.StringMatching(`SSH-2\.0-[ -~]{0,20}\r?\n.{0,20}`), rapid.StringMatching(`RFB 003\.[0-9x]{3}\n.{0,9}`), rapid.String()).Draw(t, "bytes"))
		whole := p.Opening(b)
		for i := range len(b) {
			if v := p.Opening(b[:i]); v != tunnel.Undecided && v != whole {
				t.Fatalf("%q is %d after %d bytes and %d in the end", b, v, i, whole)
			}
		}
	})
}

//control:proves tunnel
func TestGrant_needsSomebodyElseAReasonAndAnEnd(t *testing.T) {
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	user, other := uuid.New(), uuid.New()
	good := tunnel.Grant{User: user, Target: "bastion", GrantedBy: other, Reason: "incident 4711", At: at, Until: at.Add(time.Hour)}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		spoil func(*tunnel.Grant)
		want  error
	}{
		{"to oneself", func(g *tunnel.Grant) { g.GrantedBy = user }, tunnel.ErrFourEyes},
		{"by nobody", func(g *tunnel.Grant) { g.GrantedBy = uuid.Nil }, tunnel.ErrFourEyes},
		{"to nobody", func(g *tunnel.Grant) { g.User = uuid.Nil }, tunnel.ErrTarget},
		{"for an address", func(g *tunnel.Grant) { g.Target = "10.0.0.5:22" }, tunnel.ErrTarget},
		{"without a reason", func(g *tunnel.Grant) { g.Reason = "" }, tunnel.ErrReason},
		{"with a long reason", func(g *tunnel.Grant) { g.Reason = strings.Repeat("é", 201) }, tunnel.ErrReason},
		{"with a line break", func(g *tunnel.Grant) { g.Reason = "a\nb" }, tunnel.ErrReason},
		{"without an end", func(g *tunnel.Grant) { g.Until = time.Time{} }, tunnel.ErrUntil},
		{"that is over", func(g *tunnel.Grant) { g.Until = at }, tunnel.ErrUntil},
		{"for ever", func(g *tunnel.Grant) { g.Until = at.Add(tunnel.MaxGrant + 1) }, tunnel.ErrUntil},
	} {
		g := good
		tt.spoil(&g)
		if err := g.Check(); !errors.Is(err, tt.want) {
			t.Errorf("a grant %s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

//control:proves tunnel
func TestLimits_everyTunnelEnds(t *testing.T) {
	l := tunnel.NewLimits(10, time.Minute)
	if err := l.Check(); err != nil {
		t.Fatal(err)
	}
	if (tunnel.Limits{}).Check() == nil {
		t.Error("limits that limit nothing are taken")
	}
	long := l
	long.Lifetime = tunnel.MaxLifetime + 1
	if long.Check() == nil {
		t.Error("a lifetime over 8 hours is taken")
	}
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct{ grant, session, want time.Duration }{
		{time.Hour, 2 * time.Hour, time.Hour}, {3 * time.Hour, 2 * time.Hour, 2 * time.Hour}, {100 * time.Hour, 100 * time.Hour, 8 * time.Hour}, {-time.Hour, time.Hour, -time.Hour},
	} {
		if got := l.End(now, now.Add(tt.grant), now.Add(tt.session)); !got.Equal(now.Add(tt.want)) {
			t.Errorf("grant %v, session %v: ends after %v, want %v", tt.grant, tt.session, got.Sub(now), tt.want)
		}
	}
	var carried int64
	for _, tt := range []struct {
		n  int
		ok bool
	}{{4, true}, {6, true}, {1, false}, {0, true}, {-1, false}, {1 << 62, false}} {
		if got := l.Take(&carried, tt.n); got != tt.ok {
			t.Errorf("%d bytes after %d: %v", tt.n, carried, got)
		}
	}
	if carried != 10 {
		t.Errorf("%d bytes were charged", carried)
	}
}
