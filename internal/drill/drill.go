// Package drill rehearses incidents: it does to a running service what the plan in
// docs/incident-response.md says, watches whether it worked, and times it.
//
// Threat: a plan that nobody has run. On the day that a key leaks, somebody finds out
// that the rotation signs everybody out, that the second node kept the old key, that
// nobody knows which command ends a session, and that the log to hand over is on the
// machine that was just wiped (ASVS 5.0 16.1.1 asks for an inventory; the drill is the
// use of it).
//
// Rule: each scenario starts two hardened nodes on one PostgreSQL and one Redis of its
// own, on loopback and in a folder of its own, with people who talk. Something goes
// wrong. Then the operator's own actions run, the same functions that the commands of
// this program call, and each is followed by a look from outside: is the socket closed,
// is the stolen thing refused, on both nodes. A step that does not see what it must see
// fails the drill. What happened is written as an evidence bundle: a report, the
// security log, whether that log is whole, and the sums of these files.
//
// What it does not do: touch your service, find the leak, or decide whom to tell. It
// measures this machine, not yours; run it where you would act.
package drill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// Scenario is one incident class of docs/incident-response.md.
type Scenario struct {
	Name, Title string
	run         func(ctx context.Context, s *stage) error
}

// Scenarios lists all of them.
func Scenarios() []Scenario {
	return []Scenario{
		{"leaked-ticket-key", "A key that signs socket tickets is in somebody else's hands", leakedTicketKey},
		{"stolen-session", "A session cookie is used by somebody else", stolenSession},
		{"abusive-user", "A user floods a room", abusiveUser},
		{"compromised-node", "A node can no longer be trusted", compromisedNode},
		{"leaked-log", "The log has been copied", leakedLog},
	}
}

// Step is one thing that was done or looked at.
type Step struct {
	Did  string        `json:"did"`
	Saw  string        `json:"saw"`
	Took time.Duration `json:"took_ns"`
	OK   bool          `json:"ok"`
}

// Report is what a drill found.
type Report struct {
	Scenario string    `json:"scenario"`
	Title    string    `json:"title"`
	Began    time.Time `json:"began"`
	Steps    []Step    `json:"steps"`
	// Contained is from the first action of the operator to the look that saw the
	// incident over.
	Contained time.Duration `json:"contained_ns"`
	Passed    bool          `json:"passed"`
}

// Options say where a drill may work.
type Options struct {
	// Dir is an empty or absent folder for the evidence. The stack's data is in a
	// temporary folder, which is removed at the end.
	Dir string
	// Environ is the environment of the operator; only the variables that say where
	// PostgreSQL's programs are have a meaning here.
	Environ []string
	// Progress gets a line per step.
	Progress io.Writer
}

// most is how long any scenario may take, servers included.
const most = 3 * time.Minute

// Run rehearses one scenario and writes its evidence. The error says why it could not be
// carried out; whether the service passed is in the Report.
//
//control:name drill
func Run(ctx context.Context, name string, o Options) (Report, error) {
	i := slices.IndexFunc(Scenarios(), func(s Scenario) bool { return s.Name == name })
	if i < 0 {
		return Report{}, fmt.Errorf("there is no scenario %q", name)
	}
	scenario := Scenarios()[i]
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	s, err := openStage(ctx, o)
	if err != nil {
		return Report{}, err
	}
	s.report = Report{Scenario: scenario.Name, Title: scenario.Title, Began: time.Now().UTC()}
	err = scenario.run(ctx, s)
	if failed := (*failure)(nil); errors.As(err, &failed) {
		err = nil // it is in the report
	}
	s.report.Passed = err == nil && !slices.ContainsFunc(s.report.Steps, func(st Step) bool { return !st.OK })
	err = errors.Join(err, s.close(context.WithoutCancel(ctx)))
	if err != nil {
		s.report.Passed = false
		return s.report, fmt.Errorf("drill %s: %w", name, err)
	}
	return s.report, nil
}

// failure ends a scenario whose step did not see what it must see.
type failure struct{ did string }

func (f *failure) Error() string { return "failed: " + f.did }

// step does one thing, times it, and stops the scenario if it failed.
//
//control:name drill
func (s *stage) step(did string, do func() (saw string, err error)) error {
	begin := time.Now()
	saw, err := do()
	st := Step{Did: did, Saw: saw, Took: time.Since(begin), OK: err == nil}
	if err != nil {
		st.Saw = err.Error()
	}
	s.report.Steps = append(s.report.Steps, st)
	mark := "ok  "
	if !st.OK {
		mark = "FAIL"
	}
	fmt.Fprintf(s.progress, "  %s %8s  %s: %s\n", mark, st.Took.Round(time.Millisecond), did, st.Saw)
	if err != nil {
		return &failure{did}
	}
	return nil
}

// steps runs them in order until one fails.
func steps(all ...func() error) error {
	for _, do := range all {
		if err := do(); err != nil {
			return err
		}
	}
	return nil
}

// contain times what the operator does until the incident is over.
func (s *stage) contain(all ...func() error) error {
	begin := time.Now()
	defer func() { s.report.Contained = time.Since(begin) }()
	return steps(all...)
}
