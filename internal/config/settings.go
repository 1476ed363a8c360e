package config

import (
	"reflect"
	"time"
)

// Setting is a variable, with what anybody may know of its value.
type Setting struct {
	Var
	Value string
}

// Settings lists every variable for people who must not learn where things are:
// numbers, times and switches as they are, of everything else (secrets, addresses,
// paths, names) only "set" or "not set".
func (c Config) Settings() []Setting {
	v := reflect.ValueOf(c)
	var all []Setting
	for _, va := range Vars() {
		s := Setting{Var: va, Value: "set"}
		switch field := v.Field(va.field); field.Interface().(type) {
		case int, bool, time.Duration:
			s.Value = show(field.Interface())
		default:
			if show(field.Interface()) == "" {
				s.Value = "not set"
			}
		}
		all = append(all, s)
	}
	return all
}
