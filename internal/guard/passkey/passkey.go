// Package passkey proves who somebody is with a key that cannot be told to anybody.
//
// Threat: a password is typed into a page that only looks like ours, is used elsewhere
// too, or is guessed. A passkey signs for one name in the address bar and no other, so a
// look-alike page gets nothing that works here (phishing, CWE-522, ASVS 6.3.3, 6.5).
// What an attacker can still try: play an old answer again, use an answer made for
// another page, another server or another purpose, sign as somebody else with a key of
// their own, use a device that its thief could not unlock, or a copy of a key.
//
// Rule:
//   - A ceremony has a random challenge, one purpose, five minutes and one try: whoever
//     keeps it gives it out once (account.PasskeyStore).
//   - The answer must name our origin, byte for byte, and carry the hash of our name, and
//     must not come from inside of another site's frame.
//   - The device must have verified its user by PIN, finger or face: the passkey stands in
//     for the password, so holding the device is not enough.
//   - Signing in has no user name. The device names the user, the store names the owner
//     of the key, and both must be the same.
//   - A counter that does not rise means that there are two copies of the key: refused.
//   - Attestation is not asked for: which maker's device it is would be a trace of the
//     person, and would stop nobody who is not stopped already (W3C WebAuthn §13.4.1).
//
// Not covered: malware on the device, somebody who knows its PIN, and whoever controls
// the account that a passkey is synchronised with. Synchronised passkeys count nothing,
// so their counter stays zero and a copy is not noticed.
package passkey

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
	"github.com/google/uuid"
)

const (
	// Lifetime of a ceremony: long enough to find the phone (WebAuthn §15.1).
	Lifetime = 5 * time.Minute

	// MaxPerUser is a passkey for every device of a person, and some to spare.
	MaxPerUser = 10

	// maxAnswer caps what a browser answers, in bytes: real ones have about 2 KiB.
	maxAnswer = 16 << 10
)

// Purpose is what a ceremony is for. An answer made for one is none for another.
type Purpose string

// The purposes.
const (
	Register Purpose = "register"
	SignIn   Purpose = "sign_in"
	StepUp   Purpose = "step_up"
)

// Why is the reason of a refusal, for events. Clients get one answer for all.
type Why string

// The reasons.
const (
	Malformed Why = "malformed" // no answer at all, or not one of a passkey
	Expired   Why = "expired"   // too late
	Purposes  Why = "purpose"   // of another ceremony
	Unknown   Why = "unknown"   // a key that nobody has, or somebody else
	Invalid   Why = "invalid"   // challenge, origin, name, signature, or the user was not verified
	Counter   Why = "counter"   // used before elsewhere: there is a copy
)

// Refused is the error of an answer that proves nothing.
type Refused struct {
	Why Why
	Err error
}

func (r *Refused) Error() string { return fmt.Sprintf("passkey refused: %s: %v", r.Why, r.Err) }
func (r *Refused) Unwrap() error { return r.Err }

// Credential is a passkey as stored. None of it is secret.
type Credential struct {
	ID        []byte
	PublicKey []byte // COSE
	SignCount uint32
	Flags     byte // of the authenticator data at registration: may it be synchronised
	AAGUID    []byte
}

// Ref is a short hash of a credential's id, for logs.
func Ref(id []byte) string {
	h := sha256.Sum256(id)
	return hex.EncodeToString(h[:8])
}

// User is somebody with passkeys.
type User struct {
	ID                uuid.UUID // the user handle: random, and not the name
	Name, DisplayName string
	Passkeys          []Credential
}

// Ceremony is what the server keeps between the question and the answer.
type Ceremony struct {
	Purpose Purpose              `json:"purpose"`
	Expires time.Time            `json:"expires"`
	Data    webauthn.SessionData `json:"data"`
}

// Party is the relying party: this server. The nil Party refuses.
type Party struct {
	lib *webauthn.WebAuthn
	now func() time.Time
}

// ErrNoName says that the public origin is an address: passkeys belong to a name.
var ErrNoName = errors.New("passkey: the public origin is no name")

// New returns the Party of the public origin base. ErrNoName if that is an address.
//
//control:name passkey
func New(base *url.URL, now func() time.Time) (*Party, error) {
	if _, err := netip.ParseAddr(base.Hostname()); err == nil {
		return nil, ErrNoName
	}
	verified := protocol.AuthenticatorSelection{
		ResidentKey: protocol.ResidentKeyRequirementRequired, RequireResidentKey: protocol.ResidentKeyRequired(),
		UserVerification: protocol.VerificationRequired,
	}
	timeout := webauthn.TimeoutConfig{Timeout: Lifetime, TimeoutUVD: Lifetime}
	lib, err := webauthn.New(&webauthn.Config{
		RPID: base.Hostname(), RPDisplayName: "Portcullis", RPOrigins: []string{base.Scheme + "://" + base.Host},
		AttestationPreference: protocol.PreferNoAttestation, AuthenticatorSelection: verified,
		Timeouts: webauthn.TimeoutsConfig{Login: timeout, Registration: timeout},
		// A browser may answer what was not asked; none of it is read.
		ExtensionsUnsolicitedOutputPolicy: protocol.UnsolicitedOutputPolicyIgnore,
	})
	if err != nil {
		return nil, fmt.Errorf("passkey: %w", err)
	}
	return &Party{lib, now}, nil
}

// BeginRegister asks for a new passkey of u, on a device that has none yet. It returns
// the options for navigator.credentials.create as JSON.
func (p *Party) BeginRegister(u User) (options []byte, c Ceremony, err error) {
	w := owner(u)
	creation, data, err := p.lib.BeginRegistration(w, webauthn.WithExclusions(webauthn.Credentials(w.WebAuthnCredentials()).CredentialDescriptors()))
	if err != nil {
		return nil, Ceremony{}, fmt.Errorf("ask for a passkey: %w", err)
	}
	return p.begun(Register, creation.Response, data)
}

// Register checks the answer and returns the new passkey.
//
//control:name passkey
func (p *Party) Register(u User, c Ceremony, answer []byte) (Credential, error) {
	if err := p.open(c, Register, answer); err != nil {
		return Credential{}, err
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(answer)
	if err != nil {
		return Credential{}, &Refused{Malformed, err}
	}
	got, err := p.lib.CreateCredential(owner(u), c.Data, parsed)
	if err != nil {
		return Credential{}, &Refused{Invalid, detail(err)}
	}
	return Credential{ID: got.ID, PublicKey: got.PublicKey, SignCount: got.Authenticator.SignCount, Flags: byte(got.Flags.ProtocolValue()), AAGUID: got.Authenticator.AAGUID}, nil
}

// BeginSignIn asks for a passkey of anybody. The options hold no user and no key, so
// they tell nothing about who exists.
func (p *Party) BeginSignIn() (options []byte, c Ceremony, err error) {
	assertion, data, err := p.lib.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return nil, Ceremony{}, fmt.Errorf("ask for a sign-in: %w", err)
	}
	return p.begun(SignIn, assertion.Response, data)
}

// Find returns the user whose id a device claims, with the passkeys that the store says
// are theirs; false when there is none.
type Find func(id uuid.UUID) (User, bool, error)

// SignIn checks the answer and returns whose it is and the passkey with its new counter.
//
//control:name passkey
func (p *Party) SignIn(c Ceremony, answer []byte, find Find) (User, Credential, error) {
	if err := p.open(c, SignIn, answer); err != nil {
		return User{}, Credential{}, err
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(answer)
	if err != nil {
		return User{}, Credential{}, &Refused{Malformed, err}
	}
	var u User
	var broken error
	_, got, err := p.lib.ValidatePasskeyLogin(func(_, handle []byte) (webauthn.User, error) {
		id, err := uuid.FromBytes(handle)
		if err != nil {
			return nil, errNobody
		}
		var found bool
		if u, found, broken = find(id); broken != nil || !found {
			return nil, errNobody
		}
		return owner(u), nil
	}, c.Data, parsed)
	if broken != nil {
		return User{}, Credential{}, broken
	}
	proven, err := p.used(u, got, err)
	if err != nil {
		return User{}, Credential{}, err
	}
	return u, proven, nil
}

// BeginStepUp asks u, who is signed in, for one of their passkeys; they must have one.
func (p *Party) BeginStepUp(u User) (options []byte, c Ceremony, err error) {
	assertion, data, err := p.lib.BeginLogin(owner(u), webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return nil, Ceremony{}, fmt.Errorf("ask for a step-up: %w", err)
	}
	return p.begun(StepUp, assertion.Response, data)
}

// StepUp checks the answer of u and returns the passkey with its new counter.
func (p *Party) StepUp(u User, c Ceremony, answer []byte) (Credential, error) {
	if err := p.open(c, StepUp, answer); err != nil {
		return Credential{}, err
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(answer)
	if err != nil {
		return Credential{}, &Refused{Malformed, err}
	}
	got, err := p.lib.ValidateLogin(owner(u), c.Data, parsed)
	return p.used(u, got, err)
}

var errNobody = errors.New("no such user or passkey")

// begun closes the question.
func (p *Party) begun(purpose Purpose, options any, data *webauthn.SessionData) ([]byte, Ceremony, error) {
	b, err := json.Marshal(options)
	if err != nil {
		return nil, Ceremony{}, fmt.Errorf("encode options: %w", err)
	}
	return b, Ceremony{Purpose: purpose, Expires: p.now().Add(Lifetime), Data: *data}, nil
}

// open refuses an answer to another question, or one that comes too late.
//
//control:name passkey
func (p *Party) open(c Ceremony, purpose Purpose, answer []byte) error {
	switch {
	case p == nil || len(answer) == 0 || len(answer) > maxAnswer:
		return &Refused{Malformed, errors.New("no answer, or one that is too long")}
	case c.Purpose != purpose || c.Data.Challenge == "":
		return &Refused{Purposes, errors.New("another ceremony")}
	case c.Data.UserVerification != protocol.VerificationRequired:
		return &Refused{Purposes, errors.New("a ceremony without user verification")}
	case !c.Expires.After(p.now()):
		return &Refused{Expired, errors.New("too late")}
	}
	return nil
}

// used turns what the library says of an assertion into ours. It only warns of a
// counter that went back; here that is a refusal.
//
//control:name passkey
func (p *Party) used(u User, got *webauthn.Credential, err error) (Credential, error) {
	_, stranger := errors.AsType[*protocol.ErrorUnknownCredential](err)
	switch {
	case stranger || errors.Is(err, errNobody):
		return Credential{}, &Refused{Unknown, err}
	case err != nil:
		return Credential{}, &Refused{Invalid, detail(err)}
	case got.Authenticator.CloneWarning:
		return Credential{ID: got.ID}, &Refused{Counter, fmt.Errorf("user %s: the counter did not rise", u.ID)}
	}
	return Credential{ID: got.ID, PublicKey: got.PublicKey, SignCount: got.Authenticator.SignCount, Flags: byte(got.Flags.ProtocolValue()), AAGUID: got.Authenticator.AAGUID}, nil
}

// detail adds what the library only tells developers; it stays in the log.
func detail(err error) error {
	if e, ok := errors.AsType[*protocol.Error](err); ok && e.DevInfo != "" {
		return fmt.Errorf("%w (%s)", err, e.DevInfo)
	}
	return err
}

// owner is a User as the library calls it.
type owner User

func (o owner) WebAuthnID() []byte          { return o.ID[:] }
func (o owner) WebAuthnName() string        { return o.Name }
func (o owner) WebAuthnDisplayName() string { return o.DisplayName }
func (o owner) WebAuthnCredentials() []webauthn.Credential {
	list := make([]webauthn.Credential, len(o.Passkeys))
	for i, c := range o.Passkeys {
		list[i] = webauthn.Credential{ID: c.ID, PublicKey: c.PublicKey, Flags: webauthn.NewCredentialFlags(protocol.AuthenticatorFlags(c.Flags)),
			Authenticator: webauthn.Authenticator{AAGUID: c.AAGUID, SignCount: c.SignCount}}
	}
	return list
}
