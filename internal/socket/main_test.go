package socket

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails if a goroutine of any test outlives its server's Shutdown.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
