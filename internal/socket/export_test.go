package socket

// SetPause makes the handshake call at with the name of each step before it begins.
func (s *Server) SetPause(at func(step string)) { s.at = at }
