package ticket_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/portcullis/internal/guard/ticket"
	"example.com/portcullis/internal/secret"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

const (
	issuer = "https://chat.example.com"
	origin = "https://chat.example.com"
	route  = "/ws"
)

// spent remembers in memory, as Redis does for all nodes.
type spent struct {
	mu    sync.Mutex
	ids   map[string]bool
	ttls  []time.Duration
	calls int
	err   error
}

func (s *spent) Spend(_ context.Context, id string, ttl time.Duration) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if s.err != nil {
		return false, s.err
	}
	s.ttls = append(s.ttls, ttl)
	if s.ids[id] {
		return false, nil
	}
	if s.ids == nil {
		s.ids = make(map[string]bool)
	}
	s.ids[id] = true
	return true, nil
}

var (
	start   = time.Date(2026, 11, 23, 12, 0, 0, 400_000_000, time.UTC)
	newKey  = bytes.Repeat([]byte{0x5a, 0x17}, 16)
	oldKey  = bytes.Repeat([]byte{0xc3, 0x21}, 16)
	user    = uuid.MustParse("0192f3a1-0000-7000-8000-000000000001")
	session = uuid.MustParse("6f0c5b4e-6a53-4f0e-9f60-3f1f5d1a1b2c")
)

func keys() []ticket.Key {
	return []ticket.Key{{ID: "new", Secret: secret.NewBytes(newKey)}, {ID: "old", Secret: secret.NewBytes(oldKey)}}
}

func service(t testing.TB, now func() time.Time, s ticket.Spent, k ...ticket.Key) *ticket.Service {
	t.Helper()
	if len(k) == 0 {
		k = keys()
	}
	svc, err := ticket.New(ticket.Options{Keys: k, Issuer: issuer, Lifetime: 30 * time.Second, Now: now}, s)
	if err != nil {
		t.Fatal(err)
	}
	return svc
}

func at(now time.Time) func() time.Time { return func() time.Time { return now } }

func issue(t testing.TB, s *ticket.Service) string {
	t.Helper()
	token, _, _, err := s.Issue(ticket.Claims{User: user, Session: session, Origin: origin, Route: route})
	if err != nil {
		t.Fatal(err)
	}
	return token.Reveal()
}

// refused demands a refusal for want, with nothing in the claims.
func refused(t *testing.T, c ticket.Claims, err error, want ticket.Why) *ticket.Refused {
	t.Helper()
	r, ok := errors.AsType[*ticket.Refused](err)
	if !ok {
		t.Fatalf("error %v, want a refusal for %s", err, want)
	}
	if r.Why != want {
		t.Errorf("refused for %s, want %s", r.Why, want)
	}
	if c != (ticket.Claims{}) {
		t.Errorf("a refused ticket gave claims %+v", c)
	}
	return r
}

//control:proves ticket
func TestNew_refusesWeakOptions(t *testing.T) {
	good := func() ticket.Options {
		return ticket.Options{Keys: keys(), Issuer: issuer, Lifetime: 30 * time.Second}
	}
	if _, err := ticket.New(good(), &spent{}); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*ticket.Options){
		"zero":           func(o *ticket.Options) { *o = ticket.Options{} },
		"no issuer":      func(o *ticket.Options) { o.Issuer = "" },
		"two minutes":    func(o *ticket.Options) { o.Lifetime = 2 * time.Minute },
		"no lifetime":    func(o *ticket.Options) { o.Lifetime = 0 },
		"no key":         func(o *ticket.Options) { o.Keys = nil },
		"empty key":      func(o *ticket.Options) { o.Keys[1].Secret = secret.Bytes{} },
		"short key":      func(o *ticket.Options) { o.Keys[0].Secret = secret.NewBytes(newKey[:31]) },
		"same id twice":  func(o *ticket.Options) { o.Keys[1].ID = o.Keys[0].ID },
		"no key id":      func(o *ticket.Options) { o.Keys[0].ID = "" },
		"path as key id": func(o *ticket.Options) { o.Keys[0].ID = "../../dev/null" },
		"nine keys":      func(o *ticket.Options) { o.Keys = make([]ticket.Key, 9) },
	} {
		o := good()
		change(&o)
		if _, err := ticket.New(o, &spent{}); err == nil {
			t.Errorf("%s: accepted", name)
		} else if strings.Contains(err.Error(), string(newKey[:8])) {
			t.Errorf("%s: the error shows the key", name)
		}
	}
	if _, err := ticket.New(good(), nil); err == nil {
		t.Error("no record of spent tickets: accepted")
	}
}

//control:proves ticket
func TestRedeem_acceptsItsOwnTicketOnce(t *testing.T) {
	sp := &spent{}
	s := service(t, at(start), sp)
	token, expires, id, err := s.Issue(ticket.Claims{User: user, Session: session, Origin: origin, Route: route})
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Redeem(t.Context(), token.Reveal(), route, origin)
	whole := start.Truncate(time.Second)
	want := ticket.Claims{
		ID: id, User: user, Session: session, Origin: origin, Route: route,
		IssuedAt: whole, ExpiresAt: whole.Add(30 * time.Second),
	}
	if err != nil || got != want || expires != want.ExpiresAt {
		t.Fatalf("got %+v, %v\nwant %+v", got, err, want)
	}
	c, err := s.Redeem(t.Context(), token.Reveal(), route, origin)
	if r := refused(t, c, err, ticket.Reused); r.TokenRef != ticket.Ref(id) || strings.Contains(r.TokenRef, id) {
		t.Errorf("token ref %q", r.TokenRef)
	}
	if len(sp.ttls) == 0 || sp.ttls[0] < 30*time.Second+time.Minute || sp.ttls[0] > 5*time.Minute {
		t.Errorf("remembered for %v; want longer than any node's clock would accept it", sp.ttls)
	}
}

func TestRedeem_acceptsTicketForClientThatIsNoBrowser(t *testing.T) {
	s := service(t, at(start), &spent{})
	token, _, _, err := s.Issue(ticket.Claims{User: user, Session: session, Route: "/ws/cli"})
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.Redeem(t.Context(), token.Reveal(), "/ws/cli", origin)
	refused(t, c, err, ticket.Origin)
	if c, err = s.Redeem(t.Context(), token.Reveal(), "/ws/cli", ""); err != nil || c.Origin != "" || c.User != user {
		t.Errorf("%+v, %v", c, err)
	}
}

//control:proves ticket
func TestRedeem_letsExactlyOneOfManyThrough(t *testing.T) {
	s := service(t, at(start), &spent{})
	raw := issue(t, s)
	var wg sync.WaitGroup
	var accepted, reused atomic.Int32
	for range 200 {
		wg.Go(func() {
			_, err := s.Redeem(t.Context(), raw, route, origin)
			if r, ok := errors.AsType[*ticket.Refused](err); ok && r.Why == ticket.Reused {
				reused.Add(1)
			} else if err == nil {
				accepted.Add(1)
			}
		})
	}
	wg.Wait()
	if accepted.Load() != 1 || reused.Load() != 199 {
		t.Errorf("%d accepted, %d reused; want 1 and 199", accepted.Load(), reused.Load())
	}
}

//control:proves ticket
func TestRedeem_refusesWhenSpendingCannotBeRecorded(t *testing.T) {
	down := errors.New("redis is down")
	s := service(t, at(start), &spent{err: down})
	c, err := s.Redeem(t.Context(), issue(t, s), route, origin)
	refused(t, c, err, ticket.Unavailable)
	if !errors.Is(err, down) {
		t.Errorf("the cause is lost: %v", err)
	}
}

//control:proves ticket
func TestRedeem_refusesOutsideItsTime(t *testing.T) {
	raw := issue(t, service(t, at(start), &spent{}))
	for _, c := range []struct {
		name  string
		after time.Duration
		want  ticket.Why // "": accepted
	}{
		{"at once", 0, ""},
		{"on a node two seconds late", -2 * time.Second, ""},
		{"on a node four seconds late", -4 * time.Second, ticket.NotYet},
		{"at the last second", 29 * time.Second, ""},
		{"after its end and the leeway", 32 * time.Second, ticket.Expired},
		{"a day later", 24 * time.Hour, ticket.Expired},
	} {
		got, err := service(t, at(start.Add(c.after)), &spent{}).Redeem(t.Context(), raw, route, origin)
		if c.want == "" {
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		t.Run(c.name, func(t *testing.T) { refused(t, got, err, c.want) })
	}
}

//control:proves ticket
func TestRedeem_verifiesWithOldKeyAndForgetsRemovedOne(t *testing.T) {
	k := keys()
	byOld := issue(t, service(t, at(start), &spent{}, k[1]))
	if _, err := service(t, at(start), &spent{}).Redeem(t.Context(), byOld, route, origin); err != nil {
		t.Errorf("signed by the second key: %v", err)
	}
	c, err := service(t, at(start), &spent{}, k[0]).Redeem(t.Context(), byOld, route, origin)
	refused(t, c, err, ticket.Signature)
}

func TestIssue_refusesTicketForNobody(t *testing.T) {
	s := service(t, at(start), &spent{})
	for name, c := range map[string]ticket.Claims{
		"no user":     {Session: session, Origin: origin, Route: route},
		"no session":  {User: user, Origin: origin, Route: route},
		"no route":    {User: user, Session: session, Origin: origin},
		"long origin": {User: user, Session: session, Origin: strings.Repeat("o", 301), Route: route},
	} {
		if _, _, _, err := s.Issue(c); err == nil {
			t.Errorf("%s: issued", name)
		}
	}
}

func TestIssue_makesTokenThatFitsSubprotocolAndSizeLimit(t *testing.T) {
	s := service(t, at(start), &spent{})
	token, _, _, err := s.Issue(ticket.Claims{User: user, Session: session, Origin: strings.Repeat("o", 300), Route: "/" + strings.Repeat("r", 299)})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(token.Reveal()); n > 2048 {
		t.Errorf("%d bytes", n)
	}
	if _, err := s.Redeem(t.Context(), token.Reveal(), "/"+strings.Repeat("r", 299), strings.Repeat("o", 300)); err != nil {
		t.Error(err)
	}
}

// forge signs any header and claims with key, as somebody would who holds one.
func forge(t testing.TB, method jwt.SigningMethod, key any, header, claims map[string]any) string {
	t.Helper()
	tok := &jwt.Token{Method: method, Header: header, Claims: jwt.MapClaims(claims)}
	raw, err := tok.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// sealed signs segments as they are, for JSON that no encoder would write.
func sealed(header, claims string) string {
	text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	sig, _ := jwt.SigningMethodHS256.Sign(text, newKey)
	return text + "." + base64.RawURLEncoding.EncodeToString(sig)
}

func goodHeader() map[string]any {
	return map[string]any{"alg": "HS256", "typ": "ws-ticket+jwt", "kid": "new"}
}

func goodClaims() map[string]any {
	now := start.Unix()
	return map[string]any{
		"iss": issuer, "sub": user.String(), "sid": session.String(), "aud": "ws:/ws", "origin": origin,
		"jti": "ABCDEFGHIJKLMNOPQRSTUVWX23", "iat": now, "nbf": now, "exp": now + 30,
	}
}

// TestRedeem_refusesForgedTokens is every forgery we know, each with the key that the
// forger would have. None may be spent: a forger must not burn anybody's ticket.
//
//control:proves ticket
func TestRedeem_refusesForgedTokens(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	header := func(k string, v any) string {
		h := goodHeader()
		h[k] = v
		if v == nil {
			delete(h, k)
		}
		return forge(t, jwt.SigningMethodHS256, newKey, h, goodClaims())
	}
	claim := func(k string, v any) string {
		c := goodClaims()
		c[k] = v
		if v == nil {
			delete(c, k)
		}
		return forge(t, jwt.SigningMethodHS256, newKey, goodHeader(), c)
	}
	method := func(m jwt.SigningMethod, key any) string {
		h := goodHeader()
		h["alg"] = m.Alg()
		return forge(t, m, key, h, goodClaims())
	}
	good := forge(t, jwt.SigningMethodHS256, newKey, goodHeader(), goodClaims())
	parts := strings.Split(good, ".")
	const h, c = `{"alg":"HS256","typ":"ws-ticket+jwt","kid":"new"}`, `{"iss":"https://chat.example.com"`

	for _, f := range []struct {
		name string
		raw  string
		want ticket.Why
	}{
		{"nothing", "", ticket.Malformed},
		{"one segment", parts[0], ticket.Malformed},
		{"two segments", parts[0] + "." + parts[1], ticket.Malformed},
		{"four segments", good + "." + parts[2], ticket.Malformed},
		{"ten thousand dots", strings.Repeat(".", 10_000), ticket.Malformed},
		{"dots up to the size limit", strings.Repeat(".", 2048), ticket.Malformed},
		{"over the size limit", claim("origin", strings.Repeat("o", 2048)), ticket.Malformed},
		{"line break at the end", good + "\n", ticket.Malformed},
		{"line break within a segment", good[:10] + "\n" + good[10:], ticket.Malformed},
		{"padding", good + "=", ticket.Malformed},
		{"space before", " " + good, ticket.Malformed},
		{"two tokens", good + "," + good, ticket.Malformed},
		{"NUL at the end", good + "\x00", ticket.Malformed},
		{"second spelling of the signature", good[:len(good)-1] + next(good[len(good)-1]), ticket.Malformed},
		{"header is no JSON", "AAAA." + parts[1] + "." + parts[2], ticket.Malformed},
		{"no signature", parts[0] + "." + parts[1] + ".", ticket.Signature},
		{"signature of another token", parts[0] + "." + parts[1] + "." + strings.Split(claim("sid", uuid.NewString()), ".")[2], ticket.Signature},
		{"claims of another token", parts[0] + "." + strings.Split(claim("sid", uuid.NewString()), ".")[1] + "." + parts[2], ticket.Signature},
		{"alg none", method(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType), ticket.Signature},
		{"alg none in capitals", sealed(`{"alg":"NONE","typ":"ws-ticket+jwt","kid":"new"}`, goodJSON(t)), ticket.Signature},
		{"alg HS384 under the same key", method(jwt.SigningMethodHS384, newKey), ticket.Signature},
		{"alg HS512 under the same key", method(jwt.SigningMethodHS512, newKey), ticket.Signature},
		{"alg EdDSA of the forger", method(jwt.SigningMethodEdDSA, private), ticket.Signature},
		{"public key as HMAC key", method(jwt.SigningMethodHS256, []byte(public)), ticket.Signature},
		{"alg missing", sealed(`{"typ":"ws-ticket+jwt","kid":"new"}`, c+`}`), ticket.Signature},
		{"empty key", method(jwt.SigningMethodHS256, []byte{}), ticket.Signature},
		{"guessed key", method(jwt.SigningMethodHS256, []byte("secret")), ticket.Signature},
		{"kid of the other key", header("kid", "old"), ticket.Signature},
		{"kid unknown", header("kid", "newer"), ticket.Signature},
		{"kid is a path", header("kid", "../../../dev/null"), ticket.Signature},
		{"kid is SQL", header("kid", "new' or '1'='1"), ticket.Signature},
		{"kid is a list", header("kid", []string{"new"}), ticket.Signature},
		{"kid empty", header("kid", ""), ticket.Signature},
		{"kid missing", header("kid", nil), ticket.Type},
		{"typ of another kind of token", header("typ", "JWT"), ticket.Type},
		{"typ at+jwt", header("typ", "at+jwt"), ticket.Type},
		{"typ in capitals", header("typ", "WS-TICKET+JWT"), ticket.Type},
		{"typ missing", header("typ", nil), ticket.Type},
		{"crit", header("crit", []string{"exp"}), ticket.Type},
		{"key in the header", header("jwk", map[string]string{"kty": "oct", "k": "AAAA"}), ticket.Type},
		{"key by certificate", header("x5u", "https://evil.example/cert"), ticket.Type},
		{"key by URL", header("jku", "https://evil.example/keys"), ticket.Type},
		{"exp missing", claim("exp", nil), ticket.Missing},
		{"exp in a hundred years", claim("exp", start.AddDate(100, 0, 0).Unix()), ticket.Lifetime},
		{"exp past the end of time", claim("exp", int64(1<<63-1)), ticket.Expired},
		{"61 seconds", claim("exp", start.Unix()+61), ticket.Lifetime},
		{"exp before iat", sealedWith(t, "iat", start.Unix()+1, "exp", start.Unix()), ticket.Lifetime},
		{"exp past", sealedWith(t, "iat", start.Unix()-40, "nbf", start.Unix()-40, "exp", start.Unix()-10), ticket.Expired},
		{"exp as text", claim("exp", "1795435230"), ticket.Malformed},
		{"exp as a fraction", claim("exp", float64(start.Unix())+30.5), ticket.Malformed},
		{"iat missing", claim("iat", nil), ticket.Missing},
		{"iat negative", claim("iat", -1), ticket.Missing},
		{"iat in the future", sealedWith(t, "iat", start.Unix()+10, "exp", start.Unix()+30), ticket.NotYet},
		{"nbf missing", claim("nbf", nil), ticket.Missing},
		{"nbf in the future", claim("nbf", start.Unix()+10), ticket.NotYet},
		{"iss missing", claim("iss", nil), ticket.Missing},
		{"iss of another server", claim("iss", "https://evil.example"), ticket.Issuer},
		{"iss with a longer name", claim("iss", issuer+".evil.example"), ticket.Issuer},
		{"aud missing", claim("aud", nil), ticket.Audience},
		{"aud of another route", claim("aud", "ws:/ws/cli"), ticket.Audience},
		{"aud of another service", claim("aud", "chat-api"), ticket.Audience},
		{"aud of several routes", claim("aud", []string{"ws:/ws", "ws:/ws/cli"}), ticket.Malformed},
		{"aud in capitals", claim("aud", "WS:/WS"), ticket.Audience},
		{"origin missing", claim("origin", nil), ticket.Missing},
		{"origin null", sealed(h, strings.Replace(goodJSON(t), `"origin":"https://chat.example.com"`, `"origin":null`, 1)), ticket.Missing},
		{"origin empty", claim("origin", ""), ticket.Origin},
		{"origin of a sibling", claim("origin", "https://blog.example.com"), ticket.Origin},
		{"origin in capitals", claim("origin", "https://CHAT.example.com"), ticket.Origin},
		{"sub missing", claim("sub", nil), ticket.Missing},
		{"sub is a name", claim("sub", "admin"), ticket.Missing},
		{"sub zero", claim("sub", uuid.Nil.String()), ticket.Missing},
		{"sub in another spelling", claim("sub", "urn:uuid:"+user.String()), ticket.Missing},
		{"sid missing", claim("sid", nil), ticket.Missing},
		{"sid in capitals", claim("sid", strings.ToUpper(session.String())), ticket.Missing},
		{"jti missing", claim("jti", nil), ticket.Missing},
		{"jti short", claim("jti", "ABC"), ticket.Missing},
		{"jti that breaks out of a key", claim("jti", "ABCDEFGHIJKLMNOPQRSTUVWX:*"), ticket.Missing},
		{"claim too many", claim("role", "admin"), ticket.Malformed},
		{"claim twice", sealed(h, strings.Replace(goodJSON(t), "{", `{"sub":"`+uuid.NewString()+`",`, 1)), ticket.Malformed},
		{"claim in another case", sealed(h, strings.Replace(goodJSON(t), `"exp"`, `"EXP"`, 1)), ticket.Malformed},
		{"claims and more", sealed(h, goodJSON(t)+"{}"), ticket.Malformed},
		{"claims null", sealed(h, "null"), ticket.Missing},
		{"claims are a list", sealed(h, "[]"), ticket.Malformed},
	} {
		t.Run(f.name, func(t *testing.T) {
			sp := &spent{}
			c, err := service(t, at(start), sp).Redeem(t.Context(), f.raw, route, origin)
			refused(t, c, err, f.want)
			if sp.calls != 0 {
				t.Error("a forged token was spent")
			}
		})
	}

	// The forger's tools work: the token that was changed above is good unchanged.
	for name, raw := range map[string]string{"forged": good, "sealed": sealed(h, goodJSON(t))} {
		if _, err := service(t, at(start), &spent{}).Redeem(t.Context(), raw, route, origin); err != nil {
			t.Errorf("%s with the right key and claims: %v", name, err)
		}
	}
}

// next is another character that decodes to the same bytes at the end of a segment.
func next(last byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(alphabet[strings.IndexByte(alphabet, last)^1])
}

func goodJSON(t testing.TB) string {
	t.Helper()
	raw := forge(t, jwt.SigningMethodHS256, newKey, goodHeader(), goodClaims())
	b, err := base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func sealedWith(t testing.TB, pairs ...any) string {
	t.Helper()
	c := maps.Clone(goodClaims())
	for i := 0; i < len(pairs); i += 2 {
		c[pairs[i].(string)] = pairs[i+1]
	}
	return forge(t, jwt.SigningMethodHS256, newKey, goodHeader(), c)
}

//control:proves ticket
func TestRedeem_refusesGoodTicketElsewhere(t *testing.T) {
	for _, c := range []struct {
		name, route, origin string
		want                ticket.Why
	}{
		{"another route", "/ws/auth", origin, ticket.Audience},
		{"the route of programs", "/ws/cli", "", ticket.Audience},
		{"another origin", route, "https://attacker.example.com", ticket.Origin},
		{"no origin", route, "", ticket.Origin},
		{"opaque origin", route, "null", ticket.Origin},
	} {
		t.Run(c.name, func(t *testing.T) {
			sp := &spent{}
			s := service(t, at(start), sp)
			raw := issue(t, s)
			got, err := s.Redeem(t.Context(), raw, c.route, c.origin)
			if r := refused(t, got, err, c.want); r.TokenRef == "" {
				t.Error("no token ref although the signature was ours")
			}
			if _, err := s.Redeem(t.Context(), raw, route, origin); err != nil {
				t.Errorf("the refusal burned its owner's ticket: %v", err)
			}
		})
	}
}

//control:proves ticket
func FuzzRedeem(f *testing.F) {
	s := service(f, at(start), &spent{})
	good := forge(f, jwt.SigningMethodHS256, newKey, goodHeader(), goodClaims())
	parts := strings.Split(good, ".")
	f.Add(good)
	f.Add("")
	f.Add("..")
	f.Add(good + "\n")
	f.Add(parts[0] + "." + parts[1] + ".")
	f.Add("eyJhbGciOiJub25lIn0." + parts[1] + ".")
	f.Add(sealed(`{"alg":"HS256","typ":"ws-ticket+jwt","kid":"new","crit":["exp"]}`, goodJSON(f)))
	f.Add(sealed(`{"alg":"HS256","typ":"ws-ticket+jwt","kid":"new"}`, `{"exp":1e400}`))
	f.Add(sealed(`{"alg":"HS256","typ":"ws-ticket+jwt","kid":"new"}`, `null`))
	f.Add(sealed(`null`, `{}`))
	f.Fuzz(func(t *testing.T, raw string) {
		c, err := s.Redeem(t.Context(), raw, route, origin)
		if err == nil && raw != good {
			t.Fatalf("accepted %q, which nobody signed", raw)
		}
		if err != nil && c != (ticket.Claims{}) {
			t.Fatalf("refused, but gave claims %+v", c)
		}
		if _, ok := errors.AsType[*ticket.Refused](err); err != nil && !ok {
			t.Fatalf("error %v is no refusal", err)
		}
	})
}

type always struct{}

func (always) Spend(context.Context, string, time.Duration) (bool, error) { return true, nil }

func BenchmarkIssue(b *testing.B) {
	s := service(b, at(start), always{})
	for b.Loop() {
		issue(b, s)
	}
}

func BenchmarkRedeem(b *testing.B) {
	s := service(b, at(start), always{})
	raw := issue(b, s)
	for b.Loop() {
		if _, err := s.Redeem(b.Context(), raw, route, origin); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRedeem_forged(b *testing.B) {
	s := service(b, at(start), always{})
	raw := forge(b, jwt.SigningMethodHS256, oldKey, goodHeader(), goodClaims())
	for b.Loop() {
		if _, err := s.Redeem(b.Context(), raw, route, origin); err == nil {
			b.Fatal("accepted")
		}
	}
}
