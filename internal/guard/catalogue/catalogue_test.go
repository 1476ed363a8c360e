package catalogue_test

import (
	"strings"
	"testing"

	"example.com/portcullis/internal/guard/catalogue"
)

func TestAll_isSoundInItself(t *testing.T) {
	for _, p := range catalogue.Check(catalogue.All()) {
		t.Error(p)
	}
}

func TestAll_everyNumberIsClaimedOrOutOfScope(t *testing.T) {
	claimed := map[int]bool{}
	for _, c := range catalogue.All() {
		for _, n := range c.Numbers {
			claimed[n] = true
		}
	}
	for n := range catalogue.OutOfScope() {
		claimed[n] = true
	}
	for n := 1; n <= catalogue.MaxNumber; n++ {
		if !claimed[n] {
			t.Errorf("no control claims number %d", n)
		}
	}
}

func TestCheck_findsWhatIsWrong(t *testing.T) {
	good := catalogue.Control{Name: "good", Title: "Good", Layer: catalogue.Session, Numbers: []int{1}, Threat: "Somebody does something.", NotStopped: []string{"Everything else."}, Refs: []string{"CWE-1"}}
	for _, tt := range []struct {
		name, want string
		change     func(*catalogue.Control)
	}{
		{"a name in capitals", "no name", func(c *catalogue.Control) { c.Name = "Good" }},
		{"the same name", "twice", func(c *catalogue.Control) { c.Name = "good" }},
		{"no layer", "layer", func(c *catalogue.Control) { c.Layer = "" }},
		{"no threat", "needed", func(c *catalogue.Control) { c.Threat = "" }},
		{"nothing that it does not stop", "needed", func(c *catalogue.Control) { c.NotStopped = nil }},
		{"a number of somebody else's", "good's", func(c *catalogue.Control) { c.Numbers = []int{1} }},
		{"a number that does not exist", "no number", func(c *catalogue.Control) { c.Numbers = []int{127} }},
		{"a number that is out of scope", "out of scope", func(c *catalogue.Control) { c.Numbers = []int{5} }},
		{"a reference that is misspelt", "no known form", func(c *catalogue.Control) { c.Refs = []string{"see above"} }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			other := good
			other.Name, other.Numbers = "other", nil
			tt.change(&other)
			if got := strings.Join(catalogue.Check([]catalogue.Control{good, other}), "\n"); !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want something with %q", got, tt.want)
			}
		})
	}
}
