package site

import "net/http"

// deleteAccount erases the account of who asks. Its session has ended with all others
// when the answer goes out; the browser forgets what it stored.
func (s *Site) deleteAccount(w http.ResponseWriter, c *call) error {
	if err := s.o.Accounts.Erase(c.Context(), c.actor.User); err != nil {
		return err
	}
	return s.postSignOut(w, c)
}
