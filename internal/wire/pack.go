package wire

import (
	"unicode/utf8"

	"github.com/tinylib/msgp/msgp"
)

// MessagePack, subprotocol portcullis.v1.msgpack: the same commands and events in
// other bytes.
//
// Threat: a length is a promise. Nine bytes can claim four thousand million elements
// and have a decoder allocate them (CVE-2026-2454, CVE-2026-5740), a few hundred can
// nest until the stack ends, an extension type can name whatever a decoder knows how
// to build, and a format with several spellings for one length lets two readers see
// two messages.
//
// Rule: the bytes are walked before anything is made of them (checkPack), by which
// every length is at most what is left of the frame. Maps with distinct text keys,
// arrays, text, whole numbers, true, false and nil; no binary, no floats, no
// extensions, so no times either. Lengths in their shortest form. Then the tree that
// JSON frames become, and with it the same schema: there is no second validator.
//
// The library reads and writes the primitives. Its own decoder is not used: it takes
// any type, the last of two equal keys, and binary data as a key.

// DecodePack reads one MessagePack frame, as Decode reads JSON. Its error is always
// an *Error: bad_json stands for "not one value of this language" here too.
//
//control:name msgpack
func (c *Codec) DecodePack(frame []byte) (Command, error) {
	if len(frame) > MaxFrame {
		return Command{}, &Error{Code: TooLarge, Detail: "size"}
	}
	if refused := checkPack(frame); refused != nil {
		return Command{}, refused
	}
	var r reader
	root, rest, refused := r.unpack(frame)
	if refused == nil && len(rest) > 0 {
		refused = &Error{Code: BadJSON, Detail: "trailing"}
	}
	if refused != nil {
		return Command{}, refused
	}
	return c.command(root, r.fault)
}

// checkPack walks frame and allocates nothing but its refusal.
func checkPack(frame []byte) *Error {
	values := 0
	rest, refused := walk(frame, MaxDepth, &values)
	if refused == nil && len(rest) > 0 {
		return &Error{Code: BadJSON, Detail: "trailing"}
	}
	return refused
}

// walk passes one value and returns what follows it. depth is how many maps and
// arrays it may still open.
func walk(b []byte, depth int, values *int) ([]byte, *Error) {
	if *values++; *values > maxValues {
		return nil, &Error{Code: BadSchema, Detail: "values"}
	}
	var err error
	rest := b
	switch msgp.NextType(b) {
	case msgp.MapType:
		var n uint32
		if n, rest, err = msgp.ReadMapHeaderBytes(b); err == nil {
			return walkMany(b, rest, uint64(n), true, depth-1, values)
		}
	case msgp.ArrayType:
		var n uint32
		if n, rest, err = msgp.ReadArrayHeaderBytes(b); err == nil {
			return walkMany(b, rest, uint64(n), false, depth-1, values)
		}
	case msgp.StrType:
		return walkText(b)
	case msgp.IntType, msgp.UintType:
		rest, err = skipInt(b)
	case msgp.BoolType:
		_, rest, err = msgp.ReadBoolBytes(b)
	case msgp.NilType:
		rest, err = msgp.ReadNilBytes(b)
	case msgp.InvalidType:
		err = msgp.ErrShortBytes
	default: // binary, floats, extensions and times
		return nil, &Error{Code: BadJSON, Detail: "kind"}
	}
	if err != nil {
		return nil, &Error{Code: BadJSON, Detail: "syntax"}
	}
	return rest, nil
}

// walkMany passes the n elements of a map or array whose header begins b and ends
// where rest begins. Each element has at least one byte, so n is refused while it is
// still only a number.
//
//control:name msgpack
func walkMany(b, rest []byte, n uint64, pairs bool, depth int, values *int) ([]byte, *Error) {
	least := n
	if pairs {
		least *= 2
	}
	switch {
	case depth < 0:
		return nil, &Error{Code: BadJSON, Detail: "depth"}
	case least > uint64(len(rest)):
		return nil, &Error{Code: BadJSON, Detail: "length"}
	case len(b)-len(rest) != shortest(n, 15, 0):
		return nil, &Error{Code: BadJSON, Detail: "form"}
	}
	for range n {
		var refused *Error
		if pairs {
			if msgp.NextType(rest) != msgp.StrType {
				return nil, &Error{Code: BadJSON, Detail: "key"}
			}
			if rest, refused = walkText(rest); refused != nil {
				return nil, refused
			}
		}
		if rest, refused = walk(rest, depth, values); refused != nil {
			return nil, refused
		}
	}
	return rest, nil
}

func walkText(b []byte) ([]byte, *Error) {
	text, rest, err := msgp.ReadStringZC(b) // compares the length with what is left
	switch {
	case err != nil:
		return nil, &Error{Code: BadJSON, Detail: "length"}
	case len(b)-len(rest)-len(text) != shortest(uint64(len(text)), 31, 1):
		return nil, &Error{Code: BadJSON, Detail: "form"}
	case !utf8.Valid(text):
		return nil, &Error{Code: BadEncoding, Detail: "utf8"}
	}
	return rest, nil
}

// shortest returns the size of the shortest header for a length of n: one byte up to
// fix, then with one more (only text has that form), two or four bytes of length.
func shortest(n uint64, fix uint64, hasOne int) int {
	switch {
	case n <= fix:
		return 1
	case hasOne == 1 && n <= 0xff:
		return 2
	case n <= 0xffff:
		return 3
	}
	return 5
}

// skipInt passes a number of any width; what does not fit 64 bits signed is noted
// later, as it is for JSON.
func skipInt(b []byte) ([]byte, error) {
	if msgp.NextType(b) == msgp.UintType {
		_, rest, err := msgp.ReadUint64Bytes(b)
		return rest, err
	}
	_, rest, err := msgp.ReadInt64Bytes(b)
	return rest, err
}

// unpack makes the tree of a frame that checkPack has passed: the same one that the
// JSON reader makes.
func (r *reader) unpack(b []byte) (any, []byte, *Error) {
	broken := &Error{Code: BadJSON, Detail: "syntax"}
	switch msgp.NextType(b) {
	case msgp.MapType:
		n, rest, err := msgp.ReadMapHeaderBytes(b)
		if err != nil {
			return nil, nil, broken
		}
		m := make(map[string]any, n)
		for range n {
			var k string
			if k, rest, err = msgp.ReadStringBytes(rest); err != nil {
				return nil, nil, broken
			}
			if _, twice := m[k]; twice {
				return nil, nil, &Error{Code: BadJSON, Detail: "duplicate"}
			}
			if poison(k) {
				r.note(Extraneous)
			}
			var refused *Error
			if m[k], rest, refused = r.unpack(rest); refused != nil {
				return nil, nil, refused
			}
		}
		return m, rest, nil
	case msgp.ArrayType:
		n, rest, err := msgp.ReadArrayHeaderBytes(b)
		if err != nil {
			return nil, nil, broken
		}
		a := make([]any, 0, n)
		for range n {
			v, after, refused := r.unpack(rest)
			if refused != nil {
				return nil, nil, refused
			}
			a, rest = append(a, v), after
		}
		return a, rest, nil
	case msgp.StrType:
		s, rest, err := msgp.ReadStringBytes(b)
		if err != nil {
			return nil, nil, broken
		}
		return s, rest, nil
	case msgp.IntType, msgp.UintType:
		n, rest, err := msgp.ReadInt64Bytes(b)
		if err != nil { // beyond 64 bits signed: the walk has seen that it is a whole number
			r.note("number")
			if rest, err = skipInt(b); err != nil {
				return nil, nil, broken
			}
		}
		return n, rest, nil
	case msgp.BoolType:
		v, rest, err := msgp.ReadBoolBytes(b)
		if err != nil {
			return nil, nil, broken
		}
		return v, rest, nil
	case msgp.NilType:
		rest, err := msgp.ReadNilBytes(b)
		if err != nil {
			return nil, nil, broken
		}
		return nil, rest, nil
	}
	return nil, nil, broken
}
