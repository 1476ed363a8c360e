package site

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"example.com/portcullis/internal/account"
	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/clientip"
	"example.com/portcullis/internal/guard/detect"
	responses "example.com/portcullis/internal/guard/response"
)

// What an administrator does on the dashboard. Each is a form, so that it works without
// JavaScript, leads back to the page, and is an event.

const (
	// reasonAdmin is what the sockets and the log of a session that was ended here say.
	reasonAdmin = "admin"
	// minReason and maxReason bound why somebody is blocked: a word, and a line of the log.
	minReason, maxReason = 3, 200
)

func refused(public string) *refusal {
	return &refusal{status: http.StatusBadRequest, code: "bad_schema", public: public}
}

var (
	errOwn      = refused("That would lock you out of this page.")
	errNoSocket = &refusal{status: http.StatusNotFound, code: "not_found", public: "That socket is not on this node, or is closed. To end it wherever it is, end its session."}
	errNoLift   = &refusal{status: http.StatusNotFound, code: "not_found", public: "That response has ended already."}
	errNoEnd    = &refusal{status: http.StatusNotFound, code: "not_found", public: "That session has ended already."}
)

// acted records an act and leads back.
//
//control:name admin-separation
func (s *Site) acted(w http.ResponseWriter, c *call, reason, detail, done string) error {
	s.record(c, audit.Event{Name: audit.AuthzAdmin, Level: audit.Warn, Control: "admin-separation", Reason: reason, Detail: detail})
	return seeOther(w, c, "/admin/security?done="+done)
}

func (s *Site) closeSocketForm(w http.ResponseWriter, c *call) error {
	id := chi.URLParam(c.Request, "conn")
	if !s.o.Admin.Sockets.CloseConnection(id) {
		return errNoSocket
	}
	return s.acted(w, c, "close_socket", id, "socket-closed")
}

// endSessionForm ends a session by the reference that the log and the list of sockets
// have: the page never holds a session's id.
func (s *Site) endSessionForm(w http.ResponseWriter, c *call) error {
	ref := chi.URLParam(c.Request, "ref")
	user, err := chat.ParseUserID(c.PostFormValue("user"))
	if err != nil {
		return errBadSchema
	}
	if ref == audit.Ref(c.session.SID.String()) {
		return errOwn
	}
	list, err := s.o.Devices.OfUser(c.Context(), user.UUID)
	if err != nil {
		return fmt.Errorf("list sessions: %w", err)
	}
	for _, d := range list {
		if audit.Ref(d.SID.String()) != ref {
			continue
		}
		found, err := s.o.Devices.Revoke(c.Context(), user.UUID, d.SID, reasonAdmin)
		if err != nil {
			return fmt.Errorf("revoke session: %w", err)
		}
		if found {
			s.ended(c, user, d.SID, reasonAdmin)
			return s.acted(w, c, "end_session", ref, "session-ended")
		}
	}
	return errNoEnd
}

func (s *Site) disableUserForm(w http.ResponseWriter, c *call) error {
	name := strings.TrimSpace(c.PostFormValue("username"))
	if name == "" || len(name) > maxReason {
		return errBadSchema
	}
	if strings.EqualFold(name, c.actor.Username) {
		return errOwn
	}
	if err := s.o.Admin.Users.SetDisabled(c.Context(), name, true); err != nil {
		if errors.Is(err, account.ErrNoUser) {
			return refused("There is no user of that name.")
		}
		return err
	}
	return s.acted(w, c, "disable_user", name, "user-disabled")
}

func (s *Site) blockForm(w http.ResponseWriter, c *call) error {
	subject, err := parseSubject(strings.TrimSpace(c.PostFormValue("subject")))
	if err != nil {
		return refused("Name a user's id, an IPv4 address or an IPv6 /64.")
	}
	if subject.Key == c.actor.User.String() || subject.Key == c.network.String() {
		return errOwn
	}
	why := strings.TrimSpace(c.PostFormValue("reason"))
	minutes, err := strconv.Atoi(c.PostFormValue("minutes"))
	if n := len([]rune(why)); err != nil || n < minReason || n > maxReason || minutes < 1 || time.Duration(minutes)*time.Minute > responses.Longest {
		return refused("A block has a reason of 3 to 200 characters, and ends within 24 hours.")
	}
	now := s.o.Now()
	r := responses.Response{Kind: responses.Block, Subject: subject, At: now, Until: now.Add(time.Duration(minutes) * time.Minute), By: "admin:" + c.actor.Username, Reason: why}
	if err := s.o.Admin.Responses.Do(c.Context(), r); err != nil {
		return fmt.Errorf("block: %w", err)
	}
	return s.acted(w, c, "block", fmt.Sprintf("%s %s for %dm: %s", subject.Kind, subject.Key, minutes, why), "blocked")
}

func (s *Site) liftForm(w http.ResponseWriter, c *call) error {
	id, err := strconv.ParseInt(chi.URLParam(c.Request, "id"), 10, 64)
	if err != nil {
		return errNoLift
	}
	found, err := s.o.Admin.Responses.Lift(c.Context(), id, "admin:"+c.actor.Username)
	if err != nil {
		return fmt.Errorf("lift: %w", err)
	}
	if !found {
		return errNoLift
	}
	return s.acted(w, c, "lift", strconv.FormatInt(id, 10), "lifted")
}

func (s *Site) announceForm(w http.ResponseWriter, c *call) error {
	a, err := s.o.Admin.Board.Announce(c.Context(), c.PostFormValue("body"))
	if err != nil {
		return err
	}
	return s.acted(w, c, "announce", strconv.FormatInt(a.Seq, 10), "announced")
}

// parseSubject reads a user's id, or a network as budgets are kept for.
func parseSubject(text string) (detect.Subject, error) {
	if id, err := uuid.Parse(text); err == nil {
		return detect.Subject{Kind: detect.User, Key: id.String()}, nil
	}
	ip, err := netip.ParseAddr(text)
	if err != nil {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return detect.Subject{}, err
		}
		if ip = prefix.Addr(); clientip.Prefix(ip) != prefix {
			return detect.Subject{}, fmt.Errorf("%s is not what budgets are kept for", text)
		}
	}
	return detect.Subject{Kind: detect.Network, Key: clientip.Prefix(ip).String()}, nil
}
