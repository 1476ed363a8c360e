package app_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/postgres"
	"example.com/portcullis/internal/secret"
	"example.com/portcullis/internal/testkit"
)

// logbook reads the stored security events of a service.
type logbook struct {
	t      *testing.T
	events *postgres.Events
}

func (w *world) logbook(t *testing.T) logbook {
	t.Helper()
	db, err := postgres.Open(t.Context(), secret.NewText(w.db), postgres.Options{MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return logbook{t, db.Events(nil)}
}

// find lists the events that match.
func (l logbook) find(match func(audit.Event) bool) (found []audit.Event) {
	l.t.Helper()
	for place := int64(0); ; {
		page, err := l.events.Since(l.t.Context(), place, 1000)
		if err != nil {
			l.t.Fatal(err)
		}
		for _, e := range page {
			if place = e.ID; match(e.Event) {
				found = append(found, e.Event)
			}
		}
		if len(page) < 1000 {
			return found
		}
	}
}

// Three rooms are tried at one node and three at another: too few on each.
//
//control:proves detection
//control:proves response
func TestDetector_anAttackSplitOverTwoNodesFiresOnce(t *testing.T) {
	database, redis := testkit.DatabaseURL(t), testkit.RedisURL(t)
	nodes := []*world{newNode(t, database, redis), newNode(t, database, redis)}
	log := nodes[0].logbook(t)
	fired := func(user string) int {
		return len(log.find(func(e audit.Event) bool { return e.Name == audit.MaliciousReference && e.User == user }))
	}
	var attackers []string
	for range 3 { // whoever of the nodes is late in one round has read it in the next
		user := uuid.NewString()
		attackers = append(attackers, user)
		for i := range 6 {
			nodes[i%2].Audit.Record(t.Context(), audit.Event{Name: audit.AuthzFail, Level: audit.Critical, Control: "authz", User: user, IP: "198.51.100.7/32", Room: fmt.Sprint("room", i)})
		}
		testkit.Eventually(t, 10*time.Second, func() bool { return fired(user) > 0 })
	}
	for _, user := range attackers {
		if n := fired(user); n != 1 {
			t.Errorf("two nodes said it %d times", n)
		}
		throttled := func(e audit.Event) bool {
			return e.Name == audit.ResponseAction && e.Reason == "throttle_begun" && e.User == user
		}
		testkit.Eventually(t, 10*time.Second, func() bool { return len(log.find(throttled)) > 0 })
		if n := len(log.find(throttled)); n != 1 {
			t.Errorf("%d responses, want 1", n)
		}
	}
}
