package site

import (
	"net/http"
	"strings"
)

// deleteAccount erases the account of who asks. Its session has ended with all others
// when the answer goes out; the browser forgets what it stored.
func (s *Site) deleteAccount(w http.ResponseWriter, c *call) error {
	if err := s.o.Accounts.Erase(c.Context(), c.actor.User); err != nil {
		return err
	}
	return s.postSignOut(w, c)
}

// deleteAccountForm does the same for a person, who has to write whose account it is:
// there is no way back from one wrong press.
//
//control:name retention
func (s *Site) deleteAccountForm(w http.ResponseWriter, c *call) error {
	if strings.TrimSpace(c.PostFormValue("username")) != c.actor.Username {
		return s.showSessions(w, c, http.StatusUnprocessableEntity, "That is not your user name. Nothing was deleted.")
	}
	if err := s.o.Accounts.Erase(c.Context(), c.actor.User); err != nil {
		return err
	}
	if err := s.signOut(w, c); err != nil {
		return err
	}
	return seeOther(w, c, "/sign-in?done=account-deleted")
}
