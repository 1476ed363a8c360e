package drill

import (
	"errors"
	"io"
	"testing"
)

// A drill that passes whatever it sees is theatre.
//
//control:proves drill
func TestStep_aLookThatSeesTheWrongThingFailsTheDrill(t *testing.T) {
	s := &stage{progress: io.Discard}
	looked := false
	err := s.contain(
		func() error {
			return s.step("operator: end the session", func() (string, error) { return "ended", nil })
		},
		func() error {
			return s.step("the cookie is refused", func() (string, error) { return "", errors.New("answered 200, want 401") })
		},
		func() error { looked = true; return nil },
	)
	if _, ok := errors.AsType[*failure](err); !ok || looked {
		t.Errorf("error %v, went on: %v; want the scenario to stop there", err, looked)
	}
	if steps := s.report.Steps; len(steps) != 2 || !steps[0].OK || steps[1].OK || steps[1].Saw != "answered 200, want 401" {
		t.Errorf("steps: %+v", s.report.Steps)
	}
	if s.report.Contained <= 0 {
		t.Error("no time was taken")
	}
}
