package ticket

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

// Why is the reason of a refusal: a fixed word for logs and events. Clients get one
// answer for all of them.
type Why string

// The reasons, in the order in which they are looked for.
const (
	Malformed   Why = "malformed"   // size, alphabet, JSON
	Type        Why = "type"        // a token, but no ticket: typ, or another header member
	Signature   Why = "signature"   // algorithm, key id or signature
	Missing     Why = "claims"      // a claim is missing or of the wrong form
	Lifetime    Why = "lifetime"    // longer than MaxLifetime
	Expired     Why = "expired"     // too late
	NotYet      Why = "not_yet"     // from the future
	Issuer      Why = "issuer"      // of another server
	Audience    Why = "audience"    // for another route
	Origin      Why = "origin"      // asked for by a page of another origin
	Reused      Why = "reused"      // used before
	Unavailable Why = "unavailable" // whether it was used before cannot be known
)

// Refused is the error of Redeem.
type Refused struct {
	Why      Why
	TokenRef string // Ref of the ticket's id; "" unless the signature was ours
	Err      error  // of Spent, for Unavailable
}

func (r *Refused) Error() string {
	if r.Err != nil {
		return fmt.Sprintf("ticket refused: %s: %v", r.Why, r.Err)
	}
	return "ticket refused: " + string(r.Why)
}

func (r *Refused) Unwrap() error { return r.Err }

// Redeem accepts raw once, for route, from a page of origin ("" where browsers are not
// admitted). Cheap checks come first, then the signature, then the claims; only a ticket
// that passed them all is spent. The error is always a *Refused.
//
//control:name ticket
func (s *Service) Redeem(ctx context.Context, raw, route, origin string) (Claims, error) {
	c, refused := s.verify(raw, route, origin)
	if refused != nil {
		return Claims{}, refused
	}
	// Never zero or less, whatever the clocks say: Redis would take that as "for ever".
	ttl := max(c.ExpiresAt.Sub(s.now()), 0) + leeway + afterlife
	first, err := s.spent.Spend(ctx, c.ID, ttl)
	if err != nil {
		return Claims{}, &Refused{Why: Unavailable, TokenRef: Ref(c.ID), Err: err}
	}
	if !first {
		return Claims{}, &Refused{Why: Reused, TokenRef: Ref(c.ID)}
	}
	return c, nil
}

const (
	// base64url is the alphabet of a token's segments. Go's decoder skips line breaks
	// too, also where it is told to be strict.
	base64url = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

	// base32 is the alphabet of rand.Text, which makes ids of idLength.
	base32   = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	idLength = 26
)

// only reports whether every character of s is in alphabet.
func only(s, alphabet string) bool { return strings.Trim(s, alphabet) == "" }

// verify is everything but the spending.
//
//control:name ticket
func (s *Service) verify(raw, route, origin string) (Claims, *Refused) {
	if raw == "" || len(raw) > maxSize || !only(raw, base64url+".") {
		return Claims{}, &Refused{Why: Malformed}
	}
	var p payload
	if _, err := s.parser.ParseWithClaims(raw, &p, s.key); err != nil {
		return Claims{}, refusal(err, p.ID)
	}
	refuse := func(why Why) (Claims, *Refused) { return Claims{}, &Refused{Why: why, TokenRef: Ref(p.ID)} }
	service := origin == "" && p.Audience == audience(route, true) // never where browsers are admitted
	user, userErr := parseID(p.Subject)
	session, sessionErr := parseID(p.Session)
	switch {
	case userErr != nil || sessionErr != nil || p.Origin == nil || len(p.ID) != idLength || !only(p.ID, base32) || p.IssuedAt <= 0:
		return refuse(Missing)
	case p.ExpiresAt <= p.IssuedAt || p.ExpiresAt-p.IssuedAt > int64(MaxLifetime/time.Second):
		return refuse(Lifetime)
	case !service && p.Audience != audience(route, false):
		return refuse(Audience)
	case *p.Origin != origin:
		return refuse(Origin)
	}
	return Claims{
		ID: p.ID, User: user, Session: session, Origin: origin, Route: route, Service: service,
		IssuedAt: time.Unix(p.IssuedAt, 0).UTC(), ExpiresAt: time.Unix(p.ExpiresAt, 0).UTC(),
	}, nil
}

// key finds the key of a token by its kid in the closed set. The header must hold the
// three members that Issue writes and no other: crit, jku, jwk and x5u have no meaning here.
//
//control:name ticket
func (s *Service) key(t *jwt.Token) (any, error) {
	if t.Header["typ"] != typ || len(t.Header) != 3 {
		return nil, &Refused{Why: Type}
	}
	kid, _ := t.Header["kid"].(string)
	key, ok := s.keys[kid]
	if !ok {
		return nil, &Refused{Why: Signature}
	}
	return key, nil
}

// refusal turns the library's error into ours. Before the signature is known to be
// good, id is a stranger's text and stays out.
func refusal(err error, id string) *Refused {
	if r, ok := errors.AsType[*Refused](err); ok {
		return r
	}
	if !errors.Is(err, jwt.ErrTokenInvalidClaims) {
		if errors.Is(err, jwt.ErrTokenMalformed) {
			return &Refused{Why: Malformed}
		}
		return &Refused{Why: Signature}
	}
	why := Missing
	switch {
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
	case errors.Is(err, jwt.ErrTokenExpired):
		why = Expired
	case errors.Is(err, jwt.ErrTokenNotValidYet), errors.Is(err, jwt.ErrTokenUsedBeforeIssued):
		why = NotYet
	case errors.Is(err, jwt.ErrTokenInvalidIssuer):
		why = Issuer
	}
	return &Refused{Why: why, TokenRef: Ref(id)}
}

// payload is the claims of a ticket on the wire. Numbers are whole seconds: the
// library's own type also reads fractions and numbers in quotes.
type payload struct {
	Issuer    string  `json:"iss"`
	Subject   string  `json:"sub"`
	Audience  string  `json:"aud"`
	ID        string  `json:"jti"`
	IssuedAt  int64   `json:"iat"`
	NotBefore int64   `json:"nbf"`
	ExpiresAt int64   `json:"exp"`
	Session   string  `json:"sid"`
	Origin    *string `json:"origin"` // a pointer, as "" is a value and none is not
}

// UnmarshalJSON is strict where the library is not: a name in another case, a name
// twice or a name too many is refused.
func (p *payload) UnmarshalJSON(b []byte) error {
	type plain payload
	return json.Unmarshal(b, (*plain)(p), json.RejectUnknownMembers(true))
}

// The getters are for the library's validator. A zero time is a missing claim.

func (p *payload) GetExpirationTime() (*jwt.NumericDate, error) { return date(p.ExpiresAt), nil }
func (p *payload) GetIssuedAt() (*jwt.NumericDate, error)       { return date(p.IssuedAt), nil }
func (p *payload) GetNotBefore() (*jwt.NumericDate, error)      { return date(p.NotBefore), nil }
func (p *payload) GetIssuer() (string, error)                   { return p.Issuer, nil }
func (p *payload) GetSubject() (string, error)                  { return p.Subject, nil }
func (p *payload) GetAudience() (jwt.ClaimStrings, error)       { return jwt.ClaimStrings{p.Audience}, nil }

func date(seconds int64) *jwt.NumericDate {
	if seconds == 0 {
		return nil
	}
	return jwt.NewNumericDate(time.Unix(seconds, 0))
}

// parseID reads the one canonical spelling of an id that is not zero.
func parseID(s string) (uuid.UUID, error) {
	id, err := uuid.Parse(s)
	if err != nil || id == uuid.Nil || id.String() != s {
		return uuid.UUID{}, errors.New("not a canonical UUID")
	}
	return id, nil
}
