package account

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
	"golang.org/x/text/unicode/norm"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/authz"
	"example.com/portcullis/internal/guard/passkey"
)

// Passkey is a passkey as its owner sees it.
type Passkey struct {
	ID         uuid.UUID
	User       chat.UserID
	Name       string
	Credential passkey.Credential
	CreatedAt  time.Time
	LastUsedAt time.Time // zero: never
}

// PasskeyStore keeps passkeys, and the questions that wait for an answer.
type PasskeyStore interface {
	// Ask keeps c for a session, instead of an unanswered one for the same purpose.
	Ask(ctx context.Context, sid uuid.UUID, c passkey.Ceremony) error
	// Answer gives a session's ceremony out once: of two calls at the same time, one
	// finds it. False: there is none.
	Answer(ctx context.Context, sid uuid.UUID, purpose passkey.Purpose) (passkey.Ceremony, bool, error)
	// PasskeysOf lists the passkeys of a user, oldest first.
	PasskeysOf(ctx context.Context, user chat.UserID) ([]Passkey, error)
	// AddPasskey stores p unless its user has limit already; kind Conflict then, or when
	// the credential is known. Kind Denied when the session sid has ended: a passkey
	// outlives its session, so one that was being added must not outlive what ended it.
	AddPasskey(ctx context.Context, sid uuid.UUID, p Passkey, limit int) error
	// UsePasskey stores the counter of a use by its owner. False: the passkey is gone, or
	// the counter did not rise since.
	UsePasskey(ctx context.Context, user chat.UserID, credential []byte, count uint32, at time.Time) (bool, error)
	// RemovePasskey removes a passkey of user and raises the credential generation, so
	// that a sign-in that it is proving now does not become a session. False: none.
	RemovePasskey(ctx context.Context, user chat.UserID, id uuid.UUID) (bool, error)
}

// Errors of passkeys; their texts may be shown.
var (
	// ErrPasskeyRefused is the one answer to a passkey that proves nothing.
	ErrPasskeyRefused = &chat.Error{Kind: chat.Denied, Public: "That passkey was not accepted. Try again, or use your password."}
	// ErrNoPasskeys says that the public origin is an address.
	ErrNoPasskeys = &chat.Error{Kind: chat.Invalid, Public: "Passkeys belong to a name, and this server is reached by an address."}
)

// Passkeys signs people in with passkeys.
type Passkeys struct {
	s     *Service
	party *passkey.Party
	store PasskeyStore
}

// NewPasskeys adds passkeys to s. A nil party refuses them all.
func NewPasskeys(s *Service, party *passkey.Party, store PasskeyStore) (*Passkeys, error) {
	if s == nil || store == nil {
		return nil, errors.New("account: passkeys need the service and a store")
	}
	return &Passkeys{s, party, store}, nil
}

// Available reports whether passkeys can be used here.
func (p *Passkeys) Available() bool { return p.party != nil }

// List returns a's passkeys, oldest first.
func (p *Passkeys) List(ctx context.Context, a chat.Actor) ([]Passkey, error) {
	return p.store.PasskeysOf(ctx, a.User)
}

// BeginRegister returns the options for a new passkey of a, and waits for the answer.
func (p *Passkeys) BeginRegister(ctx context.Context, a chat.Actor) ([]byte, error) {
	u, err := p.user(ctx, a.User)
	if err != nil {
		return nil, err
	}
	if len(u.Passkeys) >= passkey.MaxPerUser {
		return nil, errTooMany
	}
	return p.ask(ctx, a.Session.UUID, func() ([]byte, passkey.Ceremony, error) { return p.party.BeginRegister(u) })
}

var errTooMany = &chat.Error{Kind: chat.Conflict, Public: "Ten passkeys are enough. Remove one first."}

// Register stores the passkey of an answer under a name of a's choice.
func (p *Passkeys) Register(ctx context.Context, c Caller, a chat.Actor, name string, answer []byte) (Passkey, error) {
	name, err := cleanKeyName(name)
	if err != nil {
		return Passkey{}, err
	}
	ceremony, err := p.answered(ctx, c, a.User, a.Session.UUID, passkey.Register)
	if err != nil {
		return Passkey{}, err
	}
	u, err := p.user(ctx, a.User)
	if err != nil {
		return Passkey{}, err
	}
	got, err := p.party.Register(u, ceremony, answer)
	if err != nil {
		return Passkey{}, p.refused(ctx, c, a.User, "register", err)
	}
	id, err := uuid.NewRandom()
	if err != nil {
		return Passkey{}, fmt.Errorf("make passkey id: %w", err)
	}
	key := Passkey{ID: id, User: a.User, Name: name, Credential: got, CreatedAt: p.s.o.Now()}
	if err := p.store.AddPasskey(ctx, a.Session.UUID, key, passkey.MaxPerUser); err != nil {
		return Passkey{}, fmt.Errorf("add passkey: %w", err)
	}
	p.s.record(ctx, c, audit.Event{Name: audit.UserUpdated, Level: audit.Warn, Control: "passkey", Reason: "passkey_added", User: a.User.String(), Detail: passkey.Ref(got.ID)})
	return key, nil
}

// Remove removes a passkey of a's.
func (p *Passkeys) Remove(ctx context.Context, c Caller, a chat.Actor, id uuid.UUID) error {
	found, err := p.store.RemovePasskey(ctx, a.User, id)
	if err != nil {
		return fmt.Errorf("remove passkey: %w", err)
	}
	if !found {
		return chat.ErrDenied
	}
	p.s.record(ctx, c, audit.Event{Name: audit.UserUpdated, Level: audit.Warn, Control: "passkey", Reason: "passkey_removed", User: a.User.String()})
	return nil
}

// BeginSignIn returns the options for anybody's passkey, and waits for the answer of
// the visitor's session sid.
func (p *Passkeys) BeginSignIn(ctx context.Context, sid uuid.UUID) ([]byte, error) {
	return p.ask(ctx, sid, p.party.BeginSignIn)
}

// SignIn proves a passkey. Like a proof of a password, it is one of the User's
// CredentialGen. Every failure has one answer.
func (p *Passkeys) SignIn(ctx context.Context, c Caller, sid uuid.UUID, answer []byte) (User, error) {
	// No budget of everybody: nothing is hashed, nothing can be guessed, and strangers
	// could use it up to lock out all who have a passkey.
	if err := p.s.budget(ctx, c, "passkey", p.s.network(c)); err != nil {
		return User{}, err
	}
	ceremony, err := p.answered(ctx, c, chat.UserID{}, sid, passkey.SignIn)
	if err != nil {
		return User{}, err
	}
	var owner User
	_, used, err := p.party.SignIn(ceremony, answer, func(id uuid.UUID) (passkey.User, bool, error) {
		var err error
		owner, err = p.s.o.Store.ByID(ctx, chat.UserID{UUID: id})
		if errors.Is(err, ErrNoUser) {
			return passkey.User{}, false, nil
		}
		if err != nil {
			return passkey.User{}, false, fmt.Errorf("find user: %w", err)
		}
		u, err := p.withKeys(ctx, owner)
		return u, err == nil, err
	})
	switch {
	case err != nil:
		return User{}, p.refused(ctx, c, owner.ID, "sign_in", err)
	case owner.Disabled || owner.Role == authz.Service:
		return User{}, p.refused(ctx, c, owner.ID, "sign_in", &passkey.Refused{Why: "disabled", Err: errors.New("the account may not sign in")})
	}
	if err := p.use(ctx, c, owner.ID, used); err != nil {
		return User{}, err
	}
	p.s.record(ctx, c, audit.Event{Name: audit.LoginSuccess, Level: audit.Info, Control: "passkey", Reason: "sign_in", User: owner.ID.String()})
	return owner, nil
}

// BeginStepUp returns the options for one of a's own passkeys.
func (p *Passkeys) BeginStepUp(ctx context.Context, a chat.Actor) ([]byte, error) {
	u, err := p.user(ctx, a.User)
	if err != nil {
		return nil, err
	}
	if len(u.Passkeys) == 0 {
		return nil, invalid("You have no passkey yet. Use your password.")
	}
	return p.ask(ctx, a.Session.UUID, func() ([]byte, passkey.Ceremony, error) { return p.party.BeginStepUp(u) })
}

// StepUp proves one of a's passkeys once more.
func (p *Passkeys) StepUp(ctx context.Context, c Caller, a chat.Actor, answer []byte) error {
	if err := p.s.budget(ctx, c, a.Username, p.s.network(c)); err != nil {
		return err
	}
	ceremony, err := p.answered(ctx, c, a.User, a.Session.UUID, passkey.StepUp)
	if err != nil {
		return err
	}
	u, err := p.user(ctx, a.User)
	if err != nil {
		return err
	}
	used, err := p.party.StepUp(u, ceremony, answer)
	if err != nil {
		return p.refused(ctx, c, a.User, "step_up", err)
	}
	return p.use(ctx, c, a.User, used)
}

func (p *Passkeys) ask(ctx context.Context, sid uuid.UUID, begin func() ([]byte, passkey.Ceremony, error)) ([]byte, error) {
	if p.party == nil {
		return nil, ErrNoPasskeys
	}
	options, c, err := begin()
	if err != nil {
		return nil, err
	}
	if err := p.store.Ask(ctx, sid, c); err != nil {
		return nil, fmt.Errorf("keep ceremony: %w", err)
	}
	return options, nil
}

// answered takes the question that an answer claims to be for: gone after this, whatever
// the answer says.
func (p *Passkeys) answered(ctx context.Context, c Caller, user chat.UserID, sid uuid.UUID, purpose passkey.Purpose) (passkey.Ceremony, error) {
	ceremony, found, err := p.store.Answer(ctx, sid, purpose)
	if err != nil {
		return passkey.Ceremony{}, fmt.Errorf("take ceremony: %w", err)
	}
	if !found {
		return passkey.Ceremony{}, p.refused(ctx, c, user, string(purpose), &passkey.Refused{Why: "replayed", Err: errors.New("nothing was asked, or it was answered")})
	}
	return ceremony, nil
}

// use stores the counter. Of two answers with one counter, the second is a copy's.
func (p *Passkeys) use(ctx context.Context, c Caller, user chat.UserID, used passkey.Credential) error {
	ok, err := p.store.UsePasskey(ctx, user, used.ID, used.SignCount, p.s.o.Now())
	if err != nil {
		return fmt.Errorf("use passkey: %w", err)
	}
	if !ok {
		return p.refused(ctx, c, user, "use", &passkey.Refused{Why: passkey.Counter, Err: errors.New("removed, or used elsewhere meanwhile")})
	}
	return nil
}

// refused records why, and gives the one answer. An error that is no refusal passes.
func (p *Passkeys) refused(ctx context.Context, c Caller, user chat.UserID, step string, err error) error {
	r, ok := errors.AsType[*passkey.Refused](err)
	if !ok {
		return err
	}
	e := audit.Event{Name: audit.LoginFail, Level: audit.Warn, Control: "passkey", Reason: string(r.Why), Detail: step}
	if r.Why == passkey.Counter {
		e.Level = audit.Critical
	}
	if user != (chat.UserID{}) {
		e.User = user.String()
	}
	p.s.record(ctx, c, e)
	return ErrPasskeyRefused
}

func (p *Passkeys) user(ctx context.Context, id chat.UserID) (passkey.User, error) {
	u, err := p.s.o.Store.ByID(ctx, id)
	if err != nil {
		return passkey.User{}, fmt.Errorf("find user: %w", err)
	}
	return p.withKeys(ctx, u)
}

func (p *Passkeys) withKeys(ctx context.Context, u User) (passkey.User, error) {
	keys, err := p.store.PasskeysOf(ctx, u.ID)
	if err != nil {
		return passkey.User{}, fmt.Errorf("list passkeys: %w", err)
	}
	out := passkey.User{ID: u.ID.UUID, Name: u.Username, DisplayName: u.DisplayName}
	for _, k := range keys {
		out.Passkeys = append(out.Passkeys, k.Credential)
	}
	return out, nil
}

func cleanKeyName(name string) (string, error) {
	name = strings.Join(strings.Fields(norm.NFC.String(name)), " ")
	if name == "" {
		return "Passkey", nil
	}
	if utf8.RuneCountInString(name) > maxDisplayName || strings.ContainsFunc(name, func(r rune) bool { return r == utf8.RuneError || !unicode.IsGraphic(r) }) {
		return "", invalid("A name has at most 64 characters, and none that are invisible.")
	}
	return name, nil
}
