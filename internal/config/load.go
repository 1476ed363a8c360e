package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"

	"example.com/portcullis/internal/secret"
)

// Problem is one thing that is wrong with the configuration: what, why it matters,
// what to do next.
type Problem struct{ What, Why, Next string }

func (p Problem) String() string {
	return fmt.Sprintf("%s\n    why:  %s\n    next: %s", p.What, p.Why, p.Next)
}

// Problems is every problem at once: nobody wants to find them one start at a time.
type Problems []Problem

func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = "  - " + p.String()
	}
	return fmt.Sprintf("the configuration has %d problem(s):\n%s", len(ps), strings.Join(lines, "\n"))
}

// maxSecretFile bounds what a *_FILE variable may make us read.
const maxSecretFile = 64 << 10

// Load reads environ (the form of os.Environ) and validates it. The error is
// Problems when the values are at fault.
func Load(environ []string) (Config, error) {
	vars := map[string]string{}
	for _, kv := range environ {
		k, v, _ := strings.Cut(kv, "=")
		vars[k] = v
	}
	var problems Problems
	problems = append(problems, unknown(vars)...)
	problems = append(problems, readFiles(vars)...)

	var c Config
	err := env.ParseWithOptions(&c, env.Options{Environment: vars, DefaultValueTagName: "default"})
	if err != nil {
		problems = append(problems, parseProblems(err)...)
		return c, problems
	}
	c.derive()
	problems = append(problems, c.validate()...)
	if len(problems) > 0 {
		return c, problems
	}
	return c, nil
}

// Var is one variable as the documentation and the checks see it.
type Var struct {
	Name, Default, Min, Max, Doc string
	Secret                       bool
	field                        int
}

// Vars lists every variable in the order of Config.
func Vars() []Var {
	t := reflect.TypeFor[Config]()
	vars := make([]Var, 0, t.NumField())
	for i := range t.NumField() {
		f := t.Field(i)
		vars = append(vars, Var{
			Name: f.Tag.Get("env"), Default: f.Tag.Get("default"), Min: f.Tag.Get("min"), Max: f.Tag.Get("max"), Doc: f.Tag.Get("doc"),
			Secret: f.Type == reflect.TypeFor[secret.Text]() || f.Type == reflect.TypeFor[[]TicketKey](), field: i,
		})
	}
	return vars
}

// readFiles replaces X_FILE by the content of the file it names, for secrets.
func readFiles(vars map[string]string) Problems {
	var ps Problems
	for _, v := range Vars() {
		path, ok := vars[v.Name+"_FILE"]
		if !v.Secret || !ok {
			continue
		}
		if vars[v.Name] != "" {
			ps = append(ps, Problem{v.Name + " and " + v.Name + "_FILE are both set", "only one of them can be meant", "unset one"})
			continue
		}
		info, err := os.Stat(path)
		if err == nil && info.Size() > maxSecretFile {
			err = fmt.Errorf("%s has %d bytes, more than %d", path, info.Size(), maxSecretFile)
		}
		var b []byte
		if err == nil {
			b, err = os.ReadFile(path)
		}
		if err != nil {
			ps = append(ps, Problem{v.Name + "_FILE cannot be read", err.Error(), "name a readable file that holds the secret and nothing else"})
			continue
		}
		vars[v.Name] = strings.TrimSpace(string(b))
	}
	return ps
}

// unknown finds misspelt variables: a limit that nobody reads is no limit.
func unknown(vars map[string]string) Problems {
	var names []string
	for _, v := range Vars() {
		names = append(names, v.Name)
		if v.Secret {
			names = append(names, v.Name+"_FILE")
		}
	}
	var ps Problems
	for k := range vars {
		if strings.HasPrefix(k, "PORTCULLIS_") && !slices.Contains(names, k) {
			ps = append(ps, Problem{k + " is not a variable of Portcullis", "a misspelt limit would be no limit", "did you mean " + nearest(k, names) + "?"})
		}
	}
	slices.SortFunc(ps, func(a, b Problem) int { return strings.Compare(a.What, b.What) })
	return ps
}

// nearest returns the name with the smallest edit distance to s.
func nearest(s string, names []string) string {
	return slices.MinFunc(names, func(a, b string) int { return distance(s, a) - distance(s, b) })
}

// distance is the Levenshtein distance.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}

// parseProblems turns the loader's errors into problems. Values of secrets do not
// appear: their parsers never repeat what they were given.
func parseProblems(err error) Problems {
	var ps Problems
	if all, ok := errors.AsType[env.AggregateError](err); ok {
		for _, e := range all.Errors {
			if p, ok := errors.AsType[env.ParseError](e); ok {
				field, _ := reflect.TypeFor[Config]().FieldByName(p.Name)
				ps = append(ps, Problem{field.Tag.Get("env") + " cannot be read", p.Err.Error(), "see `portcullis config doc` for its form"})
				continue
			}
			ps = append(ps, Problem{"the environment cannot be read", e.Error(), "see `portcullis config doc`"})
		}
		return ps
	}
	return Problems{{"the environment cannot be read", err.Error(), "see `portcullis config doc`"}}
}

// UnmarshalText reads kid:base64. Its errors never repeat the key.
func (k *TicketKey) UnmarshalText(b []byte) error {
	id, key, ok := strings.Cut(strings.TrimSpace(string(b)), ":")
	if !ok || id == "" || len(id) > 32 {
		return errors.New("a ticket key is kid:base64 of 32 bytes, with a kid of at most 32 characters")
	}
	raw, err := base64.StdEncoding.DecodeString(key)
	if err != nil {
		return errors.New("the part of a ticket key after the colon is not base64")
	}
	k.ID, k.Key = id, secret.NewBytes(raw)
	return nil
}

// AuditKeyBytes decodes AuditKey. Its error never repeats the key.
func (c Config) AuditKeyBytes() (secret.Bytes, error) {
	b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(c.AuditKey.Reveal()))
	if err != nil {
		return secret.Bytes{}, errors.New("PORTCULLIS_AUDIT_KEY is not base64")
	}
	return secret.NewBytes(b), nil
}

// bounds checks every number against its floor and ceiling.
func (c Config) bounds() Problems {
	var ps Problems
	v := reflect.ValueOf(c)
	for _, va := range Vars() {
		if va.Min == "" {
			continue
		}
		outside := false
		switch got := v.Field(va.field).Interface().(type) {
		case int:
			var lo, hi int
			_, _ = fmt.Sscan(va.Min, &lo)
			_, _ = fmt.Sscan(va.Max, &hi)
			outside = got < lo || got > hi
		case time.Duration:
			lo, _ := time.ParseDuration(va.Min)
			hi, _ := time.ParseDuration(va.Max)
			outside = got < lo || got > hi
		}
		if outside {
			ps = append(ps, Problem{fmt.Sprintf("%s is %v", va.Name, v.Field(va.field).Interface()), "a limit cannot be switched off, by a large number either", fmt.Sprintf("choose %s to %s", va.Min, va.Max)})
		}
	}
	return ps
}
