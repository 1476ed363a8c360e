package sessiontest_test

import (
	"testing"
	"time"

	"example.com/portcullis/internal/guard/session/sessiontest"
	"github.com/google/uuid"
)

func TestMemory_keepsTheContract(t *testing.T) {
	sessiontest.Contract(t, func(_ *testing.T, now func() time.Time) sessiontest.Fixture {
		m := sessiontest.NewMemory(now)
		return sessiontest.Fixture{
			Store:   m,
			User:    func(*testing.T) uuid.UUID { return uuid.New() },
			Disable: func(_ *testing.T, user uuid.UUID) { m.Disable(user) },
			Change:  func(_ *testing.T, user uuid.UUID) { m.Change(user) },
		}
	})
}
