// Package site is everything that is served over plain HTTP: pages, the JSON API,
// static files, and the browsers' reports.
//
// Threat: a foreign page that sends requests with the victim's cookies; a signed-in
// user who calls what no page offered; forms and JSON that say more than they were
// asked; a request in flight while its session ends; an error text that explains the
// inside; and one forgotten check on one route of forty, which is how most of these
// succeed (CWE-352, CWE-862, CWE-915, CWE-209, ASVS 4.1, 8.2, 16.5).
//
// Rule: no handler checks anything that holds for more than one route. A route names
// a Policy, the policy is a row of one table (routes.go), and one function enforces
// that row in one order (enforce.go):
//
//	request id → deadline → budget of the client's network → body read whole and capped
//	→ cross-origin → media type → session → who → signed in? → CSRF token → fresh proof? → handler
//
// The body is read before the session is loaded, so that a client cannot keep a
// request with a loaded session open while that session ends. A route without a
// policy does not start the server. Handlers get a call, which tells who acts, and
// return an error; errors become a status, a code and a sentence in one table
// (errors.go), and nothing else of them leaves the server.
//
// The JSON API is the one in docs/protocol.md. Pages work without JavaScript, except
// for the chat itself.
//
// Not covered: names of hosts, security headers and the socket routes, which are
// around and beside this package (internal/app). Pages and files may be read by a link
// from anywhere; that no other site reads the answer is the browser's same-origin policy,
// which no header of ours relaxes but for the origins that are listed (guard/cors).
package site

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/google/uuid"

	"example.com/portcullis/internal/account"
	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/clientip"
	"example.com/portcullis/internal/guard/cors"
	"example.com/portcullis/internal/guard/csrf"
	"example.com/portcullis/internal/guard/detect"
	"example.com/portcullis/internal/guard/origin"
	"example.com/portcullis/internal/guard/ratelimit"
	"example.com/portcullis/internal/guard/session"
	"example.com/portcullis/internal/guard/stepup"
	"example.com/portcullis/internal/guard/ticket"
	"example.com/portcullis/internal/guard/tunnel"
	"example.com/portcullis/internal/guard/upload"
	"example.com/portcullis/internal/secret"
)

// Accounts proves who somebody is; account.Service is the real one.
type Accounts interface {
	SignUp(ctx context.Context, c account.Caller, username, password, displayName string) (account.User, error)
	SignIn(ctx context.Context, c account.Caller, username, password string) (account.User, error)
	// SignInAnew is the sign-in with a password that was made for one, and its successor.
	SignInAnew(ctx context.Context, c account.Caller, username, password, next string) (account.User, error)
	ChangePassword(ctx context.Context, c account.Caller, a chat.Actor, current, next string) error
	// ProvePassword is for somebody who is signed in and asked once more.
	ProvePassword(ctx context.Context, c account.Caller, a chat.Actor, password string) error
	// Erase ends the account of somebody who has just proven who they are.
	Erase(ctx context.Context, id chat.UserID) error
	// Actor derives who acts from a session; chat.Denied when that user may not any more.
	Actor(ctx context.Context, s session.Session) (chat.Actor, error)
}

// Devices lists and ends the sessions of a user; the session store is the real one.
type Devices interface {
	OfUser(ctx context.Context, user uuid.UUID) ([]session.Session, error)
	Revoke(ctx context.Context, user, sid uuid.UUID, reason string) (bool, error)
	RevokeAll(ctx context.Context, user, keep uuid.UUID, reason string) ([]uuid.UUID, error)
	// Trim ends the oldest sessions of user until limit are left, and returns them, oldest
	// first; keep is never among them.
	Trim(ctx context.Context, user, keep uuid.UUID, limit int, reason string) ([]session.Session, error)
}

// Passkeys are proofs without a password; account.Passkeys is the real one.
type Passkeys interface {
	// Available reports whether they can be used here at all.
	Available() bool
	List(ctx context.Context, a chat.Actor) ([]account.Passkey, error)
	BeginRegister(ctx context.Context, a chat.Actor) ([]byte, error)
	Register(ctx context.Context, c account.Caller, a chat.Actor, name string, answer []byte) (account.Passkey, error)
	Remove(ctx context.Context, c account.Caller, a chat.Actor, id uuid.UUID) error
	BeginSignIn(ctx context.Context, sid uuid.UUID) ([]byte, error)
	SignIn(ctx context.Context, c account.Caller, sid uuid.UUID, answer []byte) (account.User, error)
	BeginStepUp(ctx context.Context, a chat.Actor) ([]byte, error)
	StepUp(ctx context.Context, c account.Caller, a chat.Actor, answer []byte) error
}

// Services lets programs in by their keys; account.Services is the real one.
type Services interface {
	SignIn(ctx context.Context, c account.Caller, key string) (account.User, session.Session, error)
}

// Tickets issues what opens a socket; ticket.Service is the real one.
type Tickets interface {
	Issue(c ticket.Claims) (token secret.Text, expires time.Time, id string, err error)
}

// Revoker tells every node that a session ended. The store has stored it already.
type Revoker interface {
	Revoke(ctx context.Context, r chat.Revocation)
}

// Sockets counts the open sockets of a user by session, as far as it can know.
type Sockets interface {
	SocketsOf(ctx context.Context, user chat.UserID) map[chat.SessionID]int
}

// Presence tells who of a room has an open socket. An error costs the answer its dots, no more.
type Presence interface {
	Online(ctx context.Context, room chat.RoomID) ([]chat.UserID, error)
}

// Suspects are sessions that have to prove themselves again; guard/response is the real one.
type Suspects interface {
	// ProofAfter is the moment from which on proofs of the session with this reference
	// (audit.Ref) count; the zero time: all of them.
	ProofAfter(session string) time.Time
}

// Options of New. All are required, except Source, Knobs and Demo.
type Options struct {
	Chat     *chat.Service
	Uploads  *chat.Uploads
	Archive  Archive
	Accounts Accounts
	Sessions *session.Manager // made with session.Options.Unavailable: site.Unavailable
	Devices  Devices
	Tickets  Tickets
	CSRF     *csrf.Guard
	CORS     *cors.Policy
	StepUp   stepup.Policy
	Suspects Suspects
	Passkeys Passkeys
	Services Services
	Origin   *origin.Policy // of the socket routes: whom a ticket may be made for
	ClientIP *clientip.Resolver
	Limits   ratelimit.Source
	Revoker  Revoker
	Sockets  Sockets
	Presence Presence
	Targets  tunnel.Targets // of tunnels; none: there are no routes about them
	Grants   Grants
	Admin    Admin // what the security dashboard reads and does
	Audit    audit.Recorder
	Log      *slog.Logger
	Now      func() time.Time
	Web      fs.FS    // templates/, static/, schemas/
	Source   fs.FS    // this program's own source, for the pages about its controls; nil: there are none
	BaseURL  *url.URL // the public origin

	// RequestsPerMinute is the budget of one client network over all pages and calls.
	RequestsPerMinute int
	// UploadBytes is the largest file.
	UploadBytes int64
	// SessionsPerUser is how many places one user may be signed in at.
	SessionsPerUser int
	OpenSignUp      bool
	// Knobs are the variables of the configuration, as everybody may see them.
	Knobs []Knob
	// Demo are the names of made-up people that the sign-in page offers in development.
	Demo []string
}

// Site answers HTTP requests. Create it with New; it is safe for concurrent use.
type Site struct {
	o        Options
	own      string // the origin of BaseURL
	socket   string // the address of the browser's socket route
	pages    pages
	controls controlPages
	assets   assets
	schemas  map[string]asset
	table    []Route

	probes        *detect.Probes
	uploading     turns[uuid.UUID]
	uploadingFrom turns[netip.Prefix]
	watching      turns[uuid.UUID]
	exporting     turns[uuid.UUID]
	drained       chan struct{} // closed by Drain
}

// New checks the options, parses every template, reads every static file, and
// checks that every route has a policy.
func New(o Options) (*Site, error) {
	switch {
	case o.Chat == nil || o.Accounts == nil || o.Sessions == nil || o.Devices == nil || o.Tickets == nil || o.Revoker == nil:
		return nil, errors.New("site: chat, accounts, sessions, devices, tickets and revoker are required")
	case !o.Targets.Empty() && o.Grants == nil:
		return nil, errors.New("site: tunnels need grants")
	case o.Passkeys == nil || o.Services == nil || o.Archive == nil:
		return nil, errors.New("site: passkeys, services and the archive are required")
	case o.CSRF == nil || o.CORS == nil || o.StepUp == (stepup.Policy{}) || o.Suspects == nil || o.Origin == nil || o.ClientIP == nil || o.Limits == nil || o.Audit == nil:
		return nil, errors.New("site: csrf, cors, step-up, origin, client address, limits and audit are required")
	case o.Sockets == nil || o.Presence == nil || o.Log == nil || o.Now == nil || o.Web == nil:
		return nil, errors.New("site: sockets, presence, log, clock, web files and source are required")
	case o.Uploads == nil || o.UploadBytes <= 0 || o.UploadBytes > upload.MaxBytes:
		return nil, errors.New("site: uploads and their largest size are required")
	case o.BaseURL == nil || o.BaseURL.Host == "":
		return nil, errors.New("site: the base URL is required")
	case !o.Admin.complete():
		return nil, errors.New("site: every part of the security dashboard is required")
	case o.RequestsPerMinute <= 0 || o.SessionsPerUser <= 0:
		return nil, errors.New("site: RequestsPerMinute and SessionsPerUser must be positive")
	}
	s := &Site{o: o, own: o.BaseURL.Scheme + "://" + o.BaseURL.Host, socket: socketAddress(o.BaseURL), controls: newControlPages(o), probes: detect.NewProbes(), drained: make(chan struct{})}
	if !o.Origin.Allowed(s.own) {
		return nil, errors.New("site: the base URL is not among the allowed origins")
	}
	var err error
	if s.pages, err = parsePages(o.Web); err != nil {
		return nil, err
	}
	if s.assets, err = readAssets(o.Web); err != nil {
		return nil, err
	}
	if s.schemas, err = readSchemas(o.Web); err != nil {
		return nil, err
	}
	if s.table, err = s.enforceAll(s.routes()); err != nil {
		return nil, err
	}
	return s, nil
}

// socketAddress is written into the page by the server. A page that took it from
// its own address could be told to connect elsewhere.
//
//control:name output
func socketAddress(base *url.URL) string {
	scheme := "ws"
	if base.Scheme == "https" {
		scheme = "wss"
	}
	return (&url.URL{Scheme: scheme, Host: base.Host, Path: routeWS}).String()
}

// Unavailable answers a request of this package whose session could not be read or
// saved; it is for session.Options. Nothing that the handler wanted to say is said.
func Unavailable(w http.ResponseWriter, r *http.Request, err error) {
	if fail, ok := r.Context().Value(failKey{}).(func(http.ResponseWriter, error)); ok {
		fail(w, &chat.Error{Kind: chat.Busy, Public: publicBusy, Err: err})
		return
	}
	http.Error(w, publicBusy, http.StatusServiceUnavailable)
}
