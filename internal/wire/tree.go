package wire

import (
	"bytes"
	"errors"
	"io"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// poison reports whether key names an object's prototype in JavaScript. No message
// has such a key; code that merges objects key by key is changed by it (CWE-1321).
func poison(key string) bool {
	return key == "__proto__" || key == "constructor" || key == "prototype"
}

// errTooMany stops a frame that holds more than maxValues values.
var errTooMany = errors.New("too many values")

// reader builds the one tree of a frame: map[string]any, []any, string, int64,
// bool and nil. Faults that are not of the grammar are noted instead of returned,
// so that the frame's id can still be read for the answer.
type reader struct {
	dec    *jsontext.Decoder
	values int
	fault  string // rule that was broken first
}

// parse reads frame, whose depth and UTF-8 have been checked.
//
//control:name schema
func parse(frame []byte) (value any, fault string, err *Error) {
	r := reader{dec: jsontext.NewDecoder(bytes.NewBuffer(frame))} // strict is its default
	value, failed := r.value()
	if failed == nil {
		if _, failed = r.dec.ReadToken(); failed == io.EOF {
			return value, r.fault, nil
		}
		return nil, "", &Error{Code: BadJSON, Detail: "trailing"}
	}
	return nil, "", grammarError(frame, failed)
}

// grammarError names the rule behind an error of the parser.
func grammarError(frame []byte, failed error) *Error {
	switch {
	case errors.Is(failed, errTooMany):
		return &Error{Code: BadSchema, Detail: "values"}
	case errors.Is(failed, jsontext.ErrDuplicateName):
		return &Error{Code: BadJSON, Detail: "duplicate"}
	case jsontext.Value(frame).IsValid(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true)):
		// The bytes are UTF-8, so what was invalid is an escape: half a surrogate pair.
		return &Error{Code: BadEncoding, Detail: "surrogate"}
	default:
		return &Error{Code: BadJSON, Detail: "syntax"}
	}
}

func (r *reader) note(fault string) {
	if r.fault == "" {
		r.fault = fault
	}
}

// value reads the next value. Recursion is bounded by tooDeep.
func (r *reader) value() (any, error) {
	if r.values++; r.values > maxValues {
		return nil, errTooMany
	}
	tok, err := r.dec.ReadToken()
	if err != nil {
		return nil, err
	}
	switch tok.Kind() {
	case '{':
		return r.object()
	case '[':
		return r.array()
	case '"':
		return tok.String(), nil
	case '0':
		n, err := strconv.ParseInt(tok.String(), 10, 64)
		if err != nil { // a fraction, an exponent, or beyond 64 bits
			r.note("number")
		}
		return n, nil
	case 't', 'f':
		return tok.Bool(), nil
	default:
		return nil, nil // null
	}
}

// object reads what is between braces, and notes a key that would change every object of a
// script that merges it.
//
//control:name schema
func (r *reader) object() (any, error) {
	m := map[string]any{}
	for r.dec.PeekKind() != '}' {
		key, err := r.dec.ReadToken()
		if err != nil {
			return nil, err
		}
		k := key.String()
		if poison(k) {
			r.note(Extraneous)
		}
		if m[k], err = r.value(); err != nil {
			return nil, err
		}
	}
	_, err := r.dec.ReadToken()
	return m, err
}

func (r *reader) array() (any, error) {
	a := []any{}
	for r.dec.PeekKind() != ']' {
		v, err := r.value()
		if err != nil {
			return nil, err
		}
		a = append(a, v)
	}
	_, err := r.dec.ReadToken()
	return a, err
}
