package site

import (
	"fmt"
	"net/http"

	"github.com/go-chi/chi/v5"
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
)

// rule is what enforce does for a policy.
type rule struct {
	page     bool   // refusals are pages and bodies are forms; otherwise both are JSON
	budget   budget // what a request costs its client's network
	maxBody  int64  // bytes of a body; 0: none is read
	session  bool   // a session is loaded, and every unsafe method passes the csrf room
	signedIn bool   // nobody gets in without signing in
}

var rules = map[Policy]rule{
	Asset:       {budget: free},
	Report:      {budget: reports, maxBody: maxReport},
	VisitorPage: {budget: requests, maxBody: maxBody, page: true, session: true},
	UserPage:    {budget: requests, maxBody: maxBody, page: true, session: true, signedIn: true},
	VisitorAPI:  {budget: requests, maxBody: maxBody, session: true},
	UserAPI:     {budget: requests, maxBody: maxBody, session: true, signedIn: true},
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
	return []route{
		{get, "/", UserPage, s.chatPage},
		{get, "/rooms/{id}", UserPage, s.roomPage},
		{get, "/sign-in", VisitorPage, s.signInPage},
		{post, "/sign-in", VisitorPage, s.signInForm},
		{get, "/sign-up", VisitorPage, s.signUpPage},
		{post, "/sign-up", VisitorPage, s.signUpForm},
		{post, "/sign-out", UserPage, s.signOutForm},
		{get, "/sessions", UserPage, s.sessionsPage},
		{post, "/sessions/revoke-others", UserPage, s.revokeOthersForm},
		{post, "/sessions/{sid}/revoke", UserPage, s.revokeForm},

		{get, "/api/session", VisitorAPI, s.getSession},
		{post, "/api/sign-up", VisitorAPI, s.postSignUp},
		{post, "/api/sign-in", VisitorAPI, s.postSignIn},
		{post, "/api/sign-out", UserAPI, s.postSignOut},
		{post, "/api/password", UserAPI, s.postPassword},
		{post, "/api/ws-ticket", UserAPI, s.postTicket},

		{get, "/api/sessions", UserAPI, s.getSessions},
		{post, "/api/sessions/revoke-others", UserAPI, s.postRevokeOthers},
		{del, "/api/sessions/{sid}", UserAPI, s.deleteSession},

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

		{post, "/csp-report", Report, s.postReport},
		{get, "/static/{hash}/*", Asset, s.getAsset},
		{get, "/schemas/{file}", Asset, s.getSchema},
	}
}

func (s *Site) enforceAll(routes []route) ([]Route, error) {
	table := make([]Route, 0, len(routes))
	for _, rt := range routes {
		ru, known := rules[rt.policy]
		if !known {
			return nil, fmt.Errorf("site: %s %s has no policy", rt.method, rt.pattern)
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
