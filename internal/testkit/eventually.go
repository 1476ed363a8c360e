package testkit

import (
	"testing"
	"time"
)

// pollEvery is short enough not to be felt and long enough not to starve what is waited for.
const pollEvery = 2 * time.Millisecond

// Eventually fails the test when holds has not returned true within the deadline. It asks at once, then every few
// milliseconds, so it costs no more time than the thing takes.
func Eventually(t testing.TB, deadline time.Duration, holds func() bool) {
	t.Helper()
	late := time.NewTimer(deadline)
	defer late.Stop()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for !holds() {
		select {
		case <-late.C:
			if !holds() {
				t.Fatalf("did not hold within %v", deadline)
			}
			return
		case <-tick.C:
		}
	}
}
