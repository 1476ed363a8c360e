package app

import (
	"context"
	"slices"
	"testing"

	"github.com/google/uuid"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/session"
)

// running are live sessions in memory, and the node that is told of their end.
type running struct {
	of   map[uuid.UUID][]uuid.UUID // by user
	told []chat.Revocation
}

func (r *running) OfUser(_ context.Context, user uuid.UUID) (list []session.Session, err error) {
	for _, sid := range r.of[user] {
		list = append(list, session.Session{SID: sid, User: user})
	}
	return list, nil
}

func (r *running) end(user, sid uuid.UUID) bool {
	i := slices.Index(r.of[user], sid)
	if i >= 0 {
		r.of[user] = slices.Delete(slices.Clone(r.of[user]), i, i+1)
	}
	return i >= 0
}

func (r *running) RevokeAll(context.Context, uuid.UUID, uuid.UUID, string) ([]uuid.UUID, error) {
	panic("a rule ends one session")
}

type ender struct{ *running }

func (e ender) Revoke(_ context.Context, user, sid uuid.UUID, _ string) (bool, error) {
	return e.end(user, sid), nil
}

type teller struct{ *running }

func (n teller) Revoke(_ context.Context, r chat.Revocation) { n.told = append(n.told, r) }

type written struct{ events []audit.Event }

func (w *written) Record(_ context.Context, e audit.Event) { w.events = append(w.events, e) }

// A rule knows a session by the log's reference of it, which opens nothing.
//
//control:proves response
func TestEndSession_endsTheOneOfThatReferenceAndTellsTheNodes(t *testing.T) {
	alice, bob := uuid.New(), uuid.New()
	one, other, bobs := uuid.New(), uuid.New(), uuid.New()
	r, log := &running{of: map[uuid.UUID][]uuid.UUID{alice: {other, one}, bob: {bobs}}}, &written{}
	e := endings{ender{r}, teller{r}, log}
	if ended, err := e.EndSession(t.Context(), alice.String(), audit.Ref(bobs.String()), "suspected"); ended || err != nil {
		t.Errorf("bob's session is alice's: %v, %v", ended, err)
	}
	if ended, err := e.EndSession(t.Context(), alice.String(), audit.Ref(one.String()), "suspected"); !ended || err != nil {
		t.Fatalf("%v, %v", ended, err)
	}
	if !slices.Equal(r.of[alice], []uuid.UUID{other}) || len(r.of[bob]) != 1 {
		t.Errorf("%v are left, want all but %v", r.of, one)
	}
	if len(r.told) != 1 || r.told[0].Session.UUID != one || r.told[0].User.UUID != alice || r.told[0].Reason != "suspected" {
		t.Errorf("the nodes were told %+v", r.told)
	}
	if len(log.events) != 1 || log.events[0].Name != audit.TokenRevoked || log.events[0].Session != audit.Ref(one.String()) || log.events[0].Reason != "suspected" {
		t.Errorf("events %+v", log.events)
	}
	if ended, err := e.EndSession(t.Context(), alice.String(), audit.Ref(one.String()), "suspected"); ended || err != nil || len(r.told) != 1 {
		t.Errorf("twice: %v, %v", ended, err)
	}
	if _, err := e.EndSession(t.Context(), "nobody", audit.Ref(one.String()), "suspected"); err == nil {
		t.Error("a user id that is none")
	}
}
