package ratelimit

// Tracked is how many buckets a Memory remembers.
func Tracked(s Source) int {
	m := s.(*Memory)
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.tracked)
}
