package site

import (
	"net/http"
	"time"

	"github.com/go-json-experiment/json"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/authz"
)

// Members and moderation. Changes work on live sockets at once, by way of the core.

type memberBody struct {
	User       personBody `json:"user"`
	Role       string     `json:"role"`
	MutedUntil stamp      `json:"muted_until,omitzero"`
	Online     *bool      `json:"online,omitzero"` // absent: not known right now
}

func member(m chat.Member) memberBody {
	return memberBody{User: person(m.Person), Role: string(m.Role), MutedUntil: stamp{m.MutedUntil}}
}

func (s *Site) getMembers(w http.ResponseWriter, c *call) error {
	id, err := c.roomID()
	if err != nil {
		return err
	}
	ms, err := s.o.Chat.Members(c.Context(), c.actor, id)
	if err != nil {
		return err
	}
	// After the core let the caller in: who is online is for members only.
	online, unknown := s.o.Presence.Online(c.Context(), id)
	there := make(map[chat.UserID]bool, len(online))
	for _, u := range online {
		there[u] = true
	}
	list := make([]memberBody, 0, len(ms))
	for _, m := range ms {
		b := member(m)
		if unknown == nil {
			b.Online = new(there[m.Person.ID])
		}
		list = append(list, b)
	}
	s.writeJSON(w, http.StatusOK, struct {
		Members []memberBody `json:"members"`
	}{list})
	return nil
}

func (s *Site) postMember(w http.ResponseWriter, c *call) error {
	id, err := c.roomID()
	if err != nil {
		return err
	}
	var sent struct {
		Username string `json:"username"`
	}
	if err := c.decode(&sent); err != nil {
		return err
	}
	m, err := s.o.Chat.AddMember(c.Context(), c.actor, id, sent.Username)
	if err != nil {
		return err
	}
	s.changed(c, "member_added", m.Person.ID)
	s.writeJSON(w, http.StatusCreated, member(m))
	return nil
}

func (s *Site) patchMember(w http.ResponseWriter, c *call) error {
	var sent struct {
		Role       *authz.Role `json:"role"`
		MutedUntil until       `json:"muted_until"`
	}
	return s.moderate(w, c, "member_changed", func(room chat.RoomID, user chat.UserID) error {
		if err := c.decode(&sent); err != nil {
			return err
		}
		return s.o.Chat.ChangeMember(c.Context(), c.actor, room, user, chat.MemberChange{Role: sent.Role, MutedUntil: sent.MutedUntil.at})
	})
}

func (s *Site) deleteMember(w http.ResponseWriter, c *call) error {
	return s.moderate(w, c, "member_removed", func(room chat.RoomID, user chat.UserID) error {
		return s.o.Chat.RemoveMember(c.Context(), c.actor, room, user)
	})
}

func (s *Site) putBan(w http.ResponseWriter, c *call) error {
	return s.moderate(w, c, "banned", func(room chat.RoomID, user chat.UserID) error {
		return s.o.Chat.Ban(c.Context(), c.actor, room, user)
	})
}

func (s *Site) deleteBan(w http.ResponseWriter, c *call) error {
	return s.moderate(w, c, "unbanned", func(room chat.RoomID, user chat.UserID) error {
		return s.o.Chat.Unban(c.Context(), c.actor, room, user)
	})
}

// moderate does one change to the person of the address and records it.
func (s *Site) moderate(w http.ResponseWriter, c *call, reason string, change func(chat.RoomID, chat.UserID) error) error {
	room, user, err := c.roomAndUser()
	if err != nil {
		return err
	}
	if err := change(room, user); err != nil {
		return err
	}
	s.changed(c, reason, user)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Site) changed(c *call, reason string, target chat.UserID) {
	s.record(c, audit.Event{Name: audit.PermissionsChanged, Level: audit.Warn, Control: "authz", Reason: reason, Detail: target.String()})
}

// until is a time that may be null, for "no longer muted"; absent is nil.
type until struct{ at *time.Time }

// UnmarshalJSON tells null from absent, which a pointer alone does not.
func (u *until) UnmarshalJSON(b []byte) error {
	u.at = new(time.Time)
	return json.Unmarshal(b, u.at)
}
