package site

import (
	"fmt"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"example.com/portcullis/internal/guard/authz"
	"example.com/portcullis/internal/guard/upload"
)

// Policy is who may call a route, in which form. The zero Policy is not one: a
// route that was given none stops New.
type Policy int

// The policies. What they mean is the table of rules below.
const (
	Asset       Policy = iota + 1 // the same bytes for everybody
	Report                        // posted by browsers on their own, about our pages
	VisitorPage                   // a page for anybody
	UserPage                      // a page for signed-in users; others are led to the sign-in page
	VisitorAPI                    // JSON for anybody
	UserAPI                       // JSON for signed-in users
	FreshPage                     // a page for users who proved who they are a moment ago (guard/stepup)
	FreshAPI                      // JSON for them
	ExportPage                    // everything of theirs, as a file, for users with such a proof
	ServiceAPI                    // JSON for programs with a key of their own, never for a browser
	UploadAPI                     // one file from a signed-in user, JSON back
	FileAPI                       // a file for signed-in users; refusals are JSON
	WatchPage                     // a page for auditors and administrators; for others it does not exist (admin.go)
	WatchStream                   // events for them, as long as they stay
	AdminPage                     // a form for administrators with a fresh proof; for others it does not exist
)

// rule is what enforce does for a policy.
type rule struct {
	page     bool   // refusals are pages and bodies are forms; otherwise both are JSON
	budget   budget // what a request costs its client's network
	maxBody  int64  // bytes of a body; 0: none is read
	session  bool   // a session is loaded, and every unsafe method passes the csrf room
	signedIn bool   // nobody gets in without signing in
	fresh    bool   // and with a proof of a password or passkey that is not old
	upload   bool   // the body is a file, and is only read for who is signed in
	own      bool   // also to read not for pages of other sites (enforce.go)
	timeout  time.Duration
	role     func(authz.SiteRole) bool // who may know that the route exists; nil: everybody
}

// rules say what each Policy asks for.
//
//control:name admin-separation
//control:name retention
var rules = map[Policy]rule{
	Asset:       {budget: free},
	Report:      {budget: reports, maxBody: maxReport},
	VisitorPage: {budget: requests, maxBody: maxBody, page: true, session: true},
	UserPage:    {budget: requests, maxBody: maxBody, page: true, session: true, signedIn: true},
	VisitorAPI:  {budget: requests, maxBody: maxBody, session: true, own: true},
	UserAPI:     {budget: requests, maxBody: maxBody, session: true, own: true, signedIn: true},
	FreshPage:   {budget: requests, maxBody: maxBody, page: true, session: true, signedIn: true, fresh: true},
	ExportPage:  {budget: requests, maxBody: maxBody, page: true, session: true, signedIn: true, fresh: true, timeout: exportTimeout},
	ServiceAPI:  {budget: requests, maxBody: maxBody},
	FreshAPI:    {budget: requests, maxBody: maxBody, session: true, own: true, signedIn: true, fresh: true},
	UploadAPI:   {budget: requests, maxBody: upload.MaxBytes + formBytes, session: true, signedIn: true, upload: true, timeout: uploadTimeout}, // New lowers maxBody
	FileAPI:     {budget: requests, maxBody: maxBody, session: true, signedIn: true, timeout: fileTimeout},
	WatchPage:   {budget: requests, maxBody: maxBody, page: true, session: true, signedIn: true, role: authz.CanSeeEvents},
	WatchStream: {budget: requests, maxBody: maxBody, session: true, own: true, signedIn: true, role: authz.CanSeeEvents, timeout: streamLife},
	AdminPage:   {budget: requests, maxBody: maxBody, page: true, session: true, signedIn: true, fresh: true, role: authz.CanAdminister},
}

// Route is one line of the list of all routes. Handler enforces Policy.
type Route struct {
	Method, Pattern string
	Policy          Policy
	Handler         http.Handler
}

// handler does the work of one route. What it returns instead of answering becomes
// the answer, in the form of the route's policy.
type handler func(w http.ResponseWriter, c *call) error

type route struct {
	method, pattern string
	policy          Policy
	handle          handler
}

// routes is the whole list, pages first.
func (s *Site) routes() []route {
	const get, post, put, patch, del = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete
	all := []route{
		{get, "/", UserPage, s.chatPage},
		{get, "/rooms/{id}", UserPage, s.roomPage},
		{get, "/sign-in", VisitorPage, s.signInPage},
		{post, "/sign-in", VisitorPage, s.signInForm},
		{get, "/sign-up", VisitorPage, s.signUpPage},
		{post, "/sign-up", VisitorPage, s.signUpForm},
		{post, "/sign-out", UserPage, s.signOutForm},
		{get, "/sessions", UserPage, s.sessionsPage},
		{post, "/sessions/revoke-others", FreshPage, s.revokeOthersForm},
		{post, "/sessions/{sid}/revoke", FreshPage, s.revokeForm},
		{post, "/passkeys/{id}/remove", FreshPage, s.removePasskeyForm},
		{post, "/account/delete", FreshPage, s.deleteAccountForm},
		{post, "/account/export", ExportPage, s.exportForm},
		{get, "/step-up", UserPage, s.stepUpPage},
		{post, "/step-up", UserPage, s.stepUpForm},

		{get, "/api/session", VisitorAPI, s.getSession},
		{post, "/api/sign-up", VisitorAPI, s.postSignUp},
		{post, "/api/sign-in", VisitorAPI, s.postSignIn},
		{post, "/api/sign-out", UserAPI, s.postSignOut},
		{del, "/api/account", FreshAPI, s.deleteAccount},
		{post, "/api/password", UserAPI, s.postPassword}, // it asks for the password itself
		{post, "/api/step-up", UserAPI, s.postStepUp},
		{post, "/api/step-up/begin", UserAPI, s.postStepUpBegin},
		{get, "/api/passkeys", UserAPI, s.getPasskeys},
		{post, "/api/passkeys/begin", FreshAPI, s.postPasskeyBegin},
		{post, "/api/passkeys", FreshAPI, s.postPasskey},
		{del, "/api/passkeys/{id}", FreshAPI, s.deletePasskey},
		{post, "/api/passkeys/sign-in/begin", VisitorAPI, s.postPasskeySignInBegin},
		{post, "/api/passkeys/sign-in", VisitorAPI, s.postPasskeySignIn},
		{post, "/api/service/ticket", ServiceAPI, s.postServiceTicket},
		{post, "/api/ws-ticket", UserAPI, s.postTicket},

		{get, "/api/sessions", UserAPI, s.getSessions},
		{post, "/api/sessions/revoke-others", FreshAPI, s.postRevokeOthers},
		{del, "/api/sessions/{sid}", FreshAPI, s.deleteSession},

		{get, "/api/rooms", UserAPI, s.getRooms},
		{post, "/api/rooms", UserAPI, s.postRoom},
		{post, "/api/direct", UserAPI, s.postDirect},
		{get, "/api/rooms/{id}/messages", UserAPI, s.getMessages},
		{get, "/api/rooms/{id}/search", UserAPI, s.getSearch},
		{get, "/api/rooms/{id}/members", UserAPI, s.getMembers},
		{post, "/api/rooms/{id}/members", UserAPI, s.postMember},
		{patch, "/api/rooms/{id}/members/{user_id}", UserAPI, s.patchMember},
		{del, "/api/rooms/{id}/members/{user_id}", UserAPI, s.deleteMember},
		{put, "/api/rooms/{id}/bans/{user_id}", UserAPI, s.putBan},
		{del, "/api/rooms/{id}/bans/{user_id}", UserAPI, s.deleteBan},

		{post, "/api/rooms/{id}/uploads", UploadAPI, s.postUpload},
		{get, "/api/uploads/{id}", UserAPI, s.getUploadStatus},
		{get, "/uploads/{id}", FileAPI, s.getUpload},

		{get, "/admin/security", WatchPage, s.securityPage},
		{get, "/api/admin/events", WatchStream, s.getEvents},
		{post, "/admin/security/sockets/{conn}/close", AdminPage, s.closeSocketForm},
		{post, "/admin/security/sessions/{ref}/end", AdminPage, s.endSessionForm},
		{post, "/admin/security/users/disable", AdminPage, s.disableUserForm},
		{post, "/admin/security/blocks", AdminPage, s.blockForm},
		{post, "/admin/security/responses/{id}/lift", AdminPage, s.liftForm},
		{post, "/admin/security/announcements", AdminPage, s.announceForm},

		{post, "/csp-report", Report, s.postReport},
		{get, "/static/{hash}/*", Asset, s.getAsset},
		{get, "/schemas/{file}", Asset, s.getSchema},
	}
	if s.o.Source != nil {
		all = append(all, route{get, "/controls", VisitorPage, s.controlsPage}, route{get, "/controls/{name}", VisitorPage, s.controlPage},
			route{get, "/source/*", VisitorPage, s.sourcePage})
	}
	if !s.o.Targets.Empty() { // otherwise these addresses are as unknown as any other
		all = append(all, route{get, "/api/tunnels", UserAPI, s.getTunnels}, route{post, "/api/tunnels/{name}/ticket", FreshAPI, s.postTunnelTicket})
	}
	return all
}

// enforceAll puts the checks of its policy in front of every route. A route without a
// policy is an error, so that a forgotten check is a server that does not start.
//
//control:name route-policy
func (s *Site) enforceAll(routes []route) ([]Route, error) {
	table := make([]Route, 0, len(routes))
	for _, rt := range routes {
		ru, known := rules[rt.policy]
		if !known {
			return nil, fmt.Errorf("site: %s %s has no policy", rt.method, rt.pattern)
		}
		if ru.upload {
			ru.maxBody = s.o.UploadBytes + formBytes
		}
		table = append(table, Route{rt.method, rt.pattern, rt.policy, s.enforce(ru, rt.handle)})
	}
	return table, nil
}

// Table lists every route, in the order of the source.
func (s *Site) Table() []Route { return s.table }

// Routes adds every route to r, HEAD wherever there is GET, and the answers to
// what is no route.
func (s *Site) Routes(r chi.Router) {
	for _, rt := range s.table {
		r.Method(rt.Method, rt.Pattern, rt.Handler)
		if rt.Method == http.MethodGet {
			r.Method(http.MethodHead, rt.Pattern, rt.Handler)
		}
	}
	r.NotFound(s.NotFound)
	r.MethodNotAllowed(s.MethodNotAllowed)
}
