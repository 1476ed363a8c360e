// Package authz is the table of who may do what in a room, and nothing else.
//
// Threat: a signed-in user calls an action that the page never offered, or names
// a room that is not theirs (broken function and object level authorization,
// CWE-285, CWE-639, ASVS 8.2.1, 8.2.2). WebSocket handlers are prone to it: the
// check at subscribe time is taken for a check on every message.
//
// Rule: one static table, role × action, deny by default. An unknown role or
// action can nothing. Every command asks the table on every message, and the
// statement that writes asks it again: chat.Store gets Roles(action) as a bound
// parameter and requires the member's role to be among them, so that there is no
// time between check and use.
//
// Not covered: what a role may see of other rooms (chat never names a room to
// somebody outside it) and site-wide roles beyond the three below.
package authz

// Role is what a member may do in one room. The zero Role is no member and can nothing.
type Role string

// The roles of a room, from least to most.
const (
	Reader    Role = "reader"    // may read
	Member    Role = "member"    // may also write
	Moderator Role = "moderator" // may also moderate readers and members
	Owner     Role = "owner"     // may everything, except to be removed by others
)

// Action is one thing that a command wants to do in a room.
type Action string

// The actions of a room. Every command of the protocol maps to exactly one.
const (
	Read       Action = "read"        // receive events, history, search, member list, typing and presence
	Send       Action = "send"        // post a message
	EditOwn    Action = "edit_own"    // change one's own message
	DeleteOwn  Action = "delete_own"  // delete one's own message
	DeleteAny  Action = "delete_any"  // delete anybody's message
	React      Action = "react"       // add or remove one's own reaction
	Type       Action = "type"        // say that one is typing
	Mark       Action = "mark"        // move one's own read marker
	Invite     Action = "invite"      // add a member
	Mute       Action = "mute"        // silence a member for a time
	Remove     Action = "remove"      // remove a member
	Ban        Action = "ban"         // remove a user and refuse their return
	ChangeRole Action = "change_role" // give a member another role
	Manage     Action = "manage"      // change the room itself
)

// table is the whole policy. Read it as sentences: "a moderator may mute".
var table = map[Role]map[Action]bool{
	Reader:    set(Read, Mark),
	Member:    set(Read, Mark, Send, EditOwn, DeleteOwn, React, Type),
	Moderator: set(Read, Mark, Send, EditOwn, DeleteOwn, React, Type, DeleteAny, Invite, Mute, Remove, Ban),
	Owner:     set(Read, Mark, Send, EditOwn, DeleteOwn, React, Type, DeleteAny, Invite, Mute, Remove, Ban, ChangeRole, Manage),
}

func set(actions ...Action) map[Action]bool {
	m := make(map[Action]bool, len(actions))
	for _, a := range actions {
		m[a] = true
	}
	return m
}

// ranks orders roles for Outranks; 0 is no member.
var ranks = map[Role]int{Reader: 1, Member: 2, Moderator: 3, Owner: 4}

// Can reports whether a member with role may do action. Unknown role or action: no.
//
//control:name authz
func Can(role Role, action Action) bool { return table[role][action] }

// Roles lists the roles that may do action, for the statement that writes. An
// unknown action gives an empty list, which matches no row.
func Roles(action Action) []Role {
	roles := []Role{}
	for _, r := range []Role{Reader, Member, Moderator, Owner} {
		if Can(r, action) {
			roles = append(roles, r)
		}
	}
	return roles
}

// CanOn reports whether a member with role actor may do action to a member with
// role target: the table allows it, and actor outranks target. Nobody moderates
// an equal, so two moderators cannot remove each other and nobody removes an owner.
//
//control:name authz
func CanOn(actor Role, action Action, target Role) bool {
	return Can(actor, action) && ranks[actor] > ranks[target]
}

// Known reports whether role is one of the four.
func Known(role Role) bool { return ranks[role] > 0 }

// SiteRole is what a user may do outside rooms. The zero SiteRole can nothing.
type SiteRole string

// The site-wide roles.
const (
	User    SiteRole = "user"    // chats
	Auditor SiteRole = "auditor" // also reads security events
	Admin   SiteRole = "admin"   // also acts on users and sessions
	Service SiteRole = "service" // a program: less than a user, and never becomes one
)

// CanLead reports whether role may make rooms, let others in, moderate, and enter open
// rooms by itself. A program may not: it talks where people have invited it.
//
//control:name service-identity
func CanLead(role SiteRole) bool { return role != Service }

// CanSeeEvents reports whether role may read the security event stream.
func CanSeeEvents(role SiteRole) bool { return role == Auditor || role == Admin }

// CanAdminister reports whether role may act on other users.
//
//control:name authz
func CanAdminister(role SiteRole) bool { return role == Admin }

// KnownSite reports whether role is one of the three that people have.
func KnownSite(role SiteRole) bool { return role == User || role == Auditor || role == Admin }
