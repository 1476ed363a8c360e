package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/portcullis/internal/attack"
	"example.com/portcullis/internal/testkit"
)

// twoNodes runs two processes of one service: one public origin, one database, one Redis.
func twoNodes(t *testing.T, env ...string) (a, b *Server) {
	t.Helper()
	if variable(env, "DATABASE_URL") == "" {
		env = append(env, backends(t)...)
	}
	a = startGenerous(t, env...)
	shared := []string{"PORTCULLIS_BASE_URL=" + a.Base, "PORTCULLIS_DATA_DIR=" + variable(a.env, "PORTCULLIS_DATA_DIR")}
	return a, startGenerous(t, slices.Concat(env, shared)...)
}

// at is the same visitor at another node.
func at(t *testing.T, c *attack.Client, s *Server) *attack.Client {
	t.Helper()
	return c.At(s.Target(t))
}

//control:proves fanout
func TestNodes_deliverAcrossInOneOrder(t *testing.T) {
	t.Parallel()
	a, b := twoNodes(t)
	alice, bob := signUp(t, a, "alice"), signUp(t, b, "bob")
	id := room(t, alice, "open")
	as, bs := enter(t, alice, id), enter(t, bob, id)
	const each = 100
	var talking sync.WaitGroup
	for name, socket := range map[string]*attack.Socket{"alice": as, "bob": bs} {
		talking.Go(func() {
			for i := range each {
				if _, err := socket.Send("message.send", data{"room_id": id, "body": fmt.Sprint(name, " ", i)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	talking.Wait()
	wantSeqs(t, as, id, 1, 2*each)
	wantSeqs(t, bs, id, 1, 2*each)
	onA, onB := changes(as, id), changes(bs, id)
	for i := range onA {
		if onA[i].Raw != onB[i].Raw {
			t.Fatalf("the nodes disagree about change %d:\n%s\n%s", i, onA[i].Raw, onB[i].Raw)
		}
	}
}

// closeTimes signs a session out at one node and returns how long each of its sockets
// at the other took to close with 4403, from the moment of the request.
func closeTimes(t *testing.T, device *attack.Client, sockets []*attack.Socket) []time.Duration {
	t.Helper()
	times := make([]time.Duration, len(sockets))
	begin := time.Now()
	var closing sync.WaitGroup
	for i, socket := range sockets {
		closing.Go(func() {
			code, err := socket.Closed(20 * time.Second)
			times[i] = time.Since(begin)
			if err != nil || code != 4403 {
				t.Errorf("socket %d: closed with %d (%v), want 4403", i, code, err)
			}
		})
	}
	signOut(t, device)
	closing.Wait()
	return times
}

// One place more than the limit, on one node: on the other the oldest socket closes with
// why, and the user's other one hears of it.
//
//control:proves session-limit
func TestNodes_theLimitOnSessionsIsToldOnTheOtherNode(t *testing.T) {
	t.Parallel()
	a, b := twoNodes(t, "PORTCULLIS_SESSIONS_PER_USER=2")
	oldest := signUp(t, a, "alice")
	phone := signIn(t, a, oldest)
	end, other := open(t, at(t, oldest, b), attack.Handshake{}), open(t, at(t, phone, b), attack.Handshake{})
	signIn(t, a, oldest)
	wantClose(t, end, 4405)
	if f := until(t, other, "notice"); !strings.Contains(f.Raw, `"session_limit"`) {
		t.Errorf("told %s", f.Raw)
	}
}

//control:proves revocation
func TestNodes_signOutClosesTheSocketsOfTheOtherNode(t *testing.T) {
	t.Parallel()
	const perRound, rounds = 10, 20
	a, b := twoNodes(t, fmt.Sprint("PORTCULLIS_SOCKETS_PER_USER=", 4*perRound)) // a closed socket counts until its peer has answered
	alice := signUp(t, a, "alice")
	var times []time.Duration
	for range rounds {
		device := signIn(t, a, alice)
		there := at(t, device, b)
		var sockets []*attack.Socket
		for range perRound {
			sockets = append(sockets, open(t, there, attack.Handshake{}))
		}
		times = append(times, closeTimes(t, device, sockets)...)
		for _, socket := range sockets {
			socket.Close()
		}
	}
	slices.Sort(times)
	p50, p99 := times[len(times)/2], times[len(times)*99/100]
	t.Logf("from sign-out on one node to the closed socket on the other, %d sockets: p50 %s, p99 %s, max %s", len(times), p50, p99, times[len(times)-1])
	// The target is 100 ms at the 99th percentile; this machine may be busy with more.
	if p99 > time.Second {
		t.Errorf("p99 is %s", p99)
	}
}

//control:proves fanout
//control:proves revocation
func TestNodes_signOutClosesTheSocketsOfTheOtherNodeWithoutRedis(t *testing.T) {
	for _, tt := range []struct {
		name string
		stop func(*testkit.Proxy)
	}{{"gone", (*testkit.Proxy).Cut}, {"silent", (*testkit.Proxy).Pause}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			env := backends(t)
			proxy := testkit.NewProxy(t, variable(env, "REDIS_URL"))
			a, b := twoNodes(t, append(env, "REDIS_URL="+proxy.URL())...)
			alice := signUp(t, a, "alice")
			there := at(t, alice, b)
			sockets := []*attack.Socket{open(t, there, attack.Handshake{}), open(t, there, attack.Handshake{})}
			mark := b.Logs.Mark()
			tt.stop(proxy)
			slowest := slices.Max(closeTimes(t, alice, sockets))
			t.Logf("with Redis %s: closed after %s", tt.name, slowest)
			if slowest > 6*time.Second { // 5 s is the target, and polling every 5 s the means
				t.Errorf("closed after %s", slowest)
			}
			// Without Redis no ticket can be spent, so nobody gets in, and that is on record.
			bob := signUp(t, a, "bob")
			refusal(t, at(t, bob, b), attack.Handshake{}, http.StatusServiceUnavailable)
			b.wantEvent(t, mark, "ws_fail_closed", func(Event) bool { return true })
			proxy.Resume()
			testkit.Eventually(t, 20*time.Second, func() bool {
				s, err := at(t, bob, b).Open(t.Context(), attack.Handshake{})
				if err == nil {
					s.Close()
				}
				return err == nil
			})
		})
	}
}

// sender is a client that keeps its promise: what was not acknowledged is sent again,
// with the same id, on whatever node answers.
type sender struct {
	client *attack.Client
	room   string
	nodes  []*Server
	acked  map[string]int64 // command id → seq
}

// send has count messages acknowledged, over as many sockets as that takes.
func (s *sender) send(t *testing.T, count int, progress func(n int)) {
	node := 0
	var socket *attack.Socket
	defer func() {
		if socket != nil {
			socket.Close()
		}
	}()
	for n := range count {
		id := commandID(t)
		for tries := 0; ; tries++ {
			if tries > 200 {
				t.Errorf("message %d is not acknowledged anywhere", n)
				return
			}
			if socket == nil {
				socket = s.connect(t, s.nodes[node])
			}
			if socket != nil {
				if seq, ok := s.try(t, socket, id, fmt.Sprintf("%s-%d", s.client.User.Username, n)); ok {
					s.acked[id] = seq
					break
				}
				socket.Close()
				socket = nil
			}
			node = (node + 1) % len(s.nodes)
		}
		progress(n)
	}
}

func (s *sender) connect(t *testing.T, node *Server) *attack.Socket {
	socket, err := at(t, s.client, node).Open(t.Context(), attack.Handshake{})
	if err != nil {
		return nil
	}
	if f, err := socket.Ask("room.join", data{"room_id": s.room}); err != nil || f.Type != "ack" {
		socket.Close()
		return nil
	}
	return socket
}

func (s *sender) try(t *testing.T, socket *attack.Socket, id, body string) (int64, bool) {
	if err := socket.SendAs(id, "message.send", data{"room_id": s.room, "body": body}); err != nil {
		return 0, false
	}
	f, err := socket.Answer(id)
	if err != nil || f.Type != "ack" {
		return 0, false
	}
	var r reply
	if err := json.Unmarshal(f.Data, &r); err != nil {
		t.Error(err)
	}
	return r.Seq, true
}

//control:proves fanout
func TestNodes_aCrashLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	a, b := twoNodes(t)
	owner := signUp(t, a, "owner")
	id := room(t, owner, "open")

	// A listener on the node that will crash, who goes on at the other.
	listener := signUp(t, a, "listener")
	ls := enter(t, listener, id)

	const each, crashAt = 60, 20
	var crash sync.Once
	crashed := make(chan struct{})
	var senders []*sender
	for i := range 4 {
		senders = append(senders, &sender{client: signUp(t, a, fmt.Sprint("sender", i)), room: id, nodes: []*Server{a, b}, acked: map[string]int64{}})
	}
	var talking sync.WaitGroup
	for _, s := range senders {
		talking.Go(func() {
			s.send(t, each, func(n int) {
				if n == crashAt {
					crash.Do(func() { a.Kill(t); close(crashed) })
				}
			})
		})
	}
	// All that the crashed node still sent is in the listener's hands.
	heard := int64(0)
	<-crashed
	for {
		f, err := ls.Next(soon)
		if err != nil {
			break
		}
		if f.Room == id && f.Seq > 0 {
			if f.Seq != heard+1 {
				t.Fatalf("before the crash: seq %d after %d", f.Seq, heard)
			}
			heard = f.Seq
		}
	}
	talking.Wait()
	if t.Failed() {
		return
	}
	total := int64(len(senders) * each)
	back := open(t, at(t, listener, b), attack.Handshake{})
	if got := ask(t, back, "room.join", data{"room_id": id, "after_seq": heard}); got.HeadSeq != total {
		t.Errorf("head %d, want %d", got.HeadSeq, total)
	}
	wantSeqs(t, back, id, heard+1, total)
	t.Logf("the listener had %d changes before the crash and got %d after it", heard, total-heard)

	seqs := map[string]int64{}
	for before := ""; ; {
		page := history(t, at(t, owner, b), id, "?limit=100"+before)
		if len(page) == 0 {
			break
		}
		for _, m := range page {
			if _, twice := seqs[m.ClientID]; twice {
				t.Errorf("%s is there twice", m.Body)
			}
			seqs[m.ClientID] = m.Seq
		}
		before = fmt.Sprintf("&before_seq=%d", page[0].Seq)
	}
	if int64(len(seqs)) != total {
		t.Errorf("the room holds %d messages, want %d", len(seqs), total)
	}
	for _, s := range senders {
		for id, seq := range s.acked {
			if seqs[id] != seq {
				t.Errorf("%s was acknowledged as %d and is %d", id, seq, seqs[id])
			}
		}
	}

	// The crashed node comes back on its port and takes part again.
	a.Start(t)
	as := enter(t, at(t, owner, a), id)
	said := say(t, as, id, "back again")
	untilSeq(t, back, id, said.Seq)
	wantSeqs(t, back, id, heard+1, total+1)
}

//control:proves drain
func TestNode_stopsInGoodOrder(t *testing.T) {
	t.Parallel()
	s := startGenerous(t)
	alice := signUp(t, s, "alice")
	id := room(t, alice, "closed")
	socket := enter(t, alice, id)
	// A peer that does not answer the close keeps the drain going for a second, in
	// which the readiness can be seen.
	deaf, err := alice.OpenRaw(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	said := say(t, socket, id, "the last word")

	mark := s.Logs.Mark()
	s.Terminate(t)
	testkit.Eventually(t, soon, func() bool { return s.Ready() == http.StatusServiceUnavailable })
	wantClose(t, socket, 1012)
	if kinds := types(socket.Seen); !slices.Contains(kinds, "notice") {
		t.Errorf("nobody said that it is planned: %v", kinds)
	}
	if code := s.Wait(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	s.wantEvent(t, mark, "sys_shutdown", func(Event) bool { return true })

	s.Start(t)
	back := open(t, alice, attack.Handshake{})
	if got := ask(t, back, "room.join", data{"room_id": id, "after_seq": 0}); got.HeadSeq != said.Seq {
		t.Errorf("head %d, want %d", got.HeadSeq, said.Seq)
	}
	if ms := history(t, alice, id, ""); len(ms) != 1 || !strings.HasPrefix(ms[0].Body, "the last") {
		t.Errorf("%+v", ms)
	}
}
