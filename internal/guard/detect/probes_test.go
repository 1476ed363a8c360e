package detect

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"example.com/portcullis/internal/guard/audit"
)

// spoken is one text of the load below.
type spoken struct {
	sender, text string
	at           time.Time
}

// oracle reads a secret as CRIME does: every digit with every length-cancelling filler.
func oracle(sender, secret string, step time.Duration) (texts []spoken) {
	at := begin
	for known := range len(secret) {
		for _, c := range "0123456789abcdef" {
			for _, filler := range []string{"~", "~~", "~!~"} {
				at = at.Add(step)
				texts = append(texts, spoken{sender, "<input name=csrf_token value=" + secret[:known] + string(c) + filler, at})
			}
		}
	}
	return texts
}

// hear runs texts through one Probes per node and what they say through one Detector.
func hear(t *testing.T, nodes []*Probes, texts []spoken) (fired []Firing, after int) {
	t.Helper()
	d := detector(t)
	for i, s := range texts {
		if !nodes[i%len(nodes)].Run(s.sender, s.text, s.at) {
			continue
		}
		e := audit.Event{At: s.at, Name: audit.CompressionOracle, Control: "compression", Reason: "near_equal_messages", User: s.sender}
		if got := d.Observe(e); len(got) > 0 {
			if len(fired) == 0 {
				after = i + 1
			}
			fired = append(fired, got...)
		}
	}
	return fired, after
}

//control:proves detection
func TestProbes_anOracleIsSeenBeforeItHasReadASecret(t *testing.T) {
	const secret = "7c0ffee15badf00d7c0ffee15badf00d"
	attack := oracle("mallory", secret, 600*time.Millisecond)
	for name, nodes := range map[string][]*Probes{"one node": {NewProbes()}, "split over two": {NewProbes(), NewProbes()}} {
		fired, after := hear(t, nodes, attack)
		if len(fired) == 0 || fired[0].Rule != "compression_oracle" || fired[0].Subject != (Subject{User, "mallory"}) {
			t.Fatalf("%s: fired %+v, want compression_oracle about mallory", name, fired)
		}
		if read := after * len(secret) / len(attack); read > 4 {
			t.Errorf("%s: after %d probes, when %d digits of the secret can be read", name, after, read)
		}
	}
}

//control:proves detection
func TestProbes_wordsInBetweenAndAPrefixOfItselfHideNoOracle(t *testing.T) {
	p, runs := NewProbes(), 0
	for i, s := range oracle("mallory", "7c0f", time.Second) {
		// Ordinary talk, and the probe without its guess, so that the next one only grows.
		for _, text := range []string{s.text, fmt.Sprint("what do you all think about number ", i), s.text[:len(s.text)-2]} {
			if p.Run("mallory", text, s.at) {
				runs++
			}
		}
	}
	if runs < 3 {
		t.Errorf("%d of the 4 runs were seen", runs)
	}
}

// busy is six hours of a room as there are: people who say little, and programs that say
// much in the same words.
func busy() (texts []spoken) {
	r := rand.New(rand.NewPCG(3, 4))
	at := begin
	add := func(sender, text string) { texts = append(texts, spoken{sender, text, at}) }
	short := []string{"ok", "lol", "yes", "thanks!", "thank you very much", "thank you very much!", "see you tomorrow", "see you tonight", "good morning everybody", "good morning all", "hahahahahahaha", "hahahahahahahaha"}
	for second := range 6 * 3600 {
		at = at.Add(time.Second)
		if r.IntN(2) == 0 {
			add(fmt.Sprint("person", r.IntN(50)), short[r.IntN(len(short))])
		}
		if second%2 == 0 {
			add("gauge", fmt.Sprintf("temperature in rack 4: %d.%d C", 20+r.IntN(9), r.IntN(10)))
			add("counter", fmt.Sprintf("build of the main branch %d", 9990+second))
		}
		if second%20 == 0 {
			add("monitor", "health of service: "+[]string{"good", "fair", "bad"}[r.IntN(3)])
			add("clock", "it is now exactly "+at.Format("15:04:05"))
		}
		if second%3600 < 40 { // a report, once an hour, line by line
			add("reporter", fmt.Sprintf("backup finished of host-%c%c", 'a'+second%26, 'a'+second%3600%7))
		}
		if second%300 < 30 { // a bar that grows, and a wheel that turns
			add("bar", "copying files ["+strings.Repeat("#", second%300))
			add("wheel", "working on it "+string(`|/-\`[second%4]))
		}
		if second%90 == 0 { // somebody who writes a sentence into one message, by edits
			sentence := "this is a sentence that is written slowly and saved very often"
			for n := 1; n <= len(sentence); n++ {
				add("writer", sentence[:n])
			}
		}
		if second%15 == 0 { // 1,440 people come in, each with a name of their own
			add("greeter", fmt.Sprintf("Welcome to the room, %c%c%c%c!", 'A'+r.IntN(26), 'a'+r.IntN(26), 'a'+r.IntN(26), 'a'+r.IntN(26)))
		}
	}
	return texts
}

//control:proves detection
func TestProbes_aBusyRoomOfPeopleAndProgramsIsNoOracle(t *testing.T) {
	texts := busy()
	if fired, after := hear(t, []*Probes{NewProbes()}, texts); len(fired) != 0 {
		t.Errorf("false alarm after %d texts: %s about %v", after, fired[0].Why, fired[0].Subject)
	}
	if len(texts) < 40_000 {
		t.Errorf("only %d texts: that was no busy room", len(texts))
	}
	// The same room with an attacker in it.
	found, _ := hear(t, []*Probes{NewProbes()}, append(texts[:len(texts)/2:len(texts)/2], oracle("mallory", "7c0ffee15", time.Second)...))
	if len(found) != 1 || found[0].Subject.Key != "mallory" {
		t.Errorf("fired %+v, want mallory alone", found)
	}
}

func TestProbes_memoryIsBoundedWhateverComes(t *testing.T) {
	p := NewProbes()
	long := strings.Repeat("x", 4096)
	for i := range 2 * maxKeys {
		p.Run(fmt.Sprint("user", i), long, begin)
	}
	for i := range 100 {
		p.Run("mallory", fmt.Sprint(i, long), begin)
	}
	if n := p.of.order.Len(); n > maxKeys {
		t.Errorf("%d senders are remembered", n)
	}
	stems, _ := p.of.get("mallory")
	if len(*stems) > probeStems {
		t.Errorf("%d texts of one sender are remembered", len(*stems))
	}
	for _, s := range *stems {
		if len(s.end) > probeKeeps || len(s.seen) >= probeRun {
			t.Errorf("a text of %d bytes and %d hashes", len(s.end), len(s.seen))
		}
	}
}

// Long texts of which only the end is kept are compared at the same place.
func TestProbes_longTextsAreComparedByTheirEnds(t *testing.T) {
	p, runs := NewProbes(), 0
	for i := range 4 * probeRun {
		if p.Run("mallory", strings.Repeat("long ", 700)+"token="+string(rune('a'+i%26))+strings.Repeat("~", i%5), begin.Add(time.Duration(i)*time.Second)) {
			runs++
		}
	}
	if runs == 0 {
		t.Error("padding hides the probes")
	}
}

func BenchmarkProbes(b *testing.B) {
	texts := busy()
	p := NewProbes()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		s := texts[i%len(texts)]
		p.Run(s.sender, s.text, s.at)
	}
}
