package password

// Occupy takes every place for hashing and returns how to give them back.
func Occupy(h *Hasher) (leave func()) {
	for range cap(h.slots) {
		h.slots <- struct{}{}
	}
	return func() {
		for range cap(h.slots) {
			<-h.slots
		}
	}
}

// MaxWaiting is how many may wait and work together.
func MaxWaiting(h *Hasher) int { return cap(h.slots) * (1 + waitersPerSlot) }

// Common is the list of common passwords.
func Common(h *Hasher) []string { return h.common }
