package authz_test

import (
	"slices"
	"testing"

	"example.com/portcullis/internal/guard/authz"
	"example.com/portcullis/internal/testkit"
)

var (
	roles   = []authz.Role{"", "root", authz.Reader, authz.Member, authz.Moderator, authz.Owner}
	actions = []authz.Action{"", "sudo", authz.Read, authz.Send, authz.EditOwn, authz.DeleteOwn, authz.DeleteAny, authz.React, authz.Type, authz.Mark,
		authz.Invite, authz.Mute, authz.Remove, authz.Ban, authz.ChangeRole, authz.Manage}
)

// want is the policy said a second time, by hand, so that a slip in the table shows.
var want = map[authz.Role][]authz.Action{
	authz.Reader:    {authz.Read, authz.Mark},
	authz.Member:    {authz.Read, authz.Mark, authz.Send, authz.EditOwn, authz.DeleteOwn, authz.React, authz.Type},
	authz.Moderator: {authz.Read, authz.Mark, authz.Send, authz.EditOwn, authz.DeleteOwn, authz.React, authz.Type, authz.DeleteAny, authz.Invite, authz.Mute, authz.Remove, authz.Ban},
	authz.Owner:     actions[2:],
}

// What is declared and not in these lists would be decided by nobody's second look.
func TestRolesAndActions_thatAreDeclaredAreTested(t *testing.T) {
	for _, r := range testkit.Constants[authz.Role](t, "authz.go") {
		if !slices.Contains(roles, r) {
			t.Errorf("role %q is new: add it to roles and to want, and to Roles and ranks in authz.go", r)
		}
	}
	for _, a := range testkit.Constants[authz.Action](t, "authz.go") {
		if !slices.Contains(actions, a) {
			t.Errorf("action %q is new: add it to actions, and to want for each role that may", a)
		}
	}
}

//control:proves authz
func TestCan_everyRoleAndActionIsDecidedAndUnknownOnesAreDenied(t *testing.T) {
	for _, r := range roles {
		for _, a := range actions {
			if got, want := authz.Can(r, a), slices.Contains(want[r], a); got != want {
				t.Errorf("Can(%q, %q) = %v, want %v", r, a, got, want)
			}
		}
	}
}

//control:proves authz
func TestRoles_agreesWithCanSoThatTheStatementAndTheTableCannotDrift(t *testing.T) {
	for _, a := range actions {
		got := authz.Roles(a)
		for _, r := range roles {
			if slices.Contains(got, r) != authz.Can(r, a) {
				t.Errorf("Roles(%q) = %v, but Can(%q) = %v", a, got, r, authz.Can(r, a))
			}
		}
	}
}

//control:proves authz
func TestCanOn_nobodyModeratesAnEqualOrASuperior(t *testing.T) {
	for _, actor := range roles {
		for _, target := range roles {
			for _, a := range []authz.Action{authz.Mute, authz.Remove, authz.Ban, authz.ChangeRole} {
				if authz.CanOn(actor, a, target) && (!authz.Can(actor, a) || actor == target || target == authz.Owner) {
					t.Errorf("CanOn(%q, %q, %q) must be refused", actor, a, target)
				}
			}
		}
	}
	if !authz.CanOn(authz.Moderator, authz.Remove, authz.Member) {
		t.Error("a moderator must be able to remove a member")
	}
}

func TestSiteRoles_onlyAdminActsAndOnlyAuditorAndAdminSeeEvents(t *testing.T) {
	for role, want := range map[authz.SiteRole][3]bool{
		"": {}, "root": {}, authz.User: {false, false, true}, authz.Auditor: {true, false, true}, authz.Admin: {true, true, true},
	} {
		got := [3]bool{authz.CanSeeEvents(role), authz.CanAdminister(role), authz.KnownSite(role)}
		if got != want {
			t.Errorf("%q: events, administer, known = %v, want %v", role, got, want)
		}
	}
}

//control:proves service-identity
func TestCanLead_isForPeople(t *testing.T) {
	for role, want := range map[authz.SiteRole]bool{authz.User: true, authz.Auditor: true, authz.Admin: true, authz.Service: false} {
		if authz.CanLead(role) != want {
			t.Errorf("%s may lead: %v", role, !want)
		}
	}
	if authz.KnownSite(authz.Service) || authz.CanAdminister(authz.Service) || authz.CanSeeEvents(authz.Service) {
		t.Error("a program has a role of people")
	}
}
