package wire

import (
	"bytes"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/tinylib/msgp/msgp"
)

// Repack appends the MessagePack form of frame, one that an encoder of this package
// made, and returns dst. So an event has one encoder, and what the two kinds of
// clients see cannot part. Anything else than our own frames gives nonsense.
func Repack(dst, frame []byte) []byte {
	dst, _ = repack(dst, frame)
	return dst
}

// repack appends one value and returns what follows it in b, which has no blanks.
func repack(dst, b []byte) (packed, rest []byte) {
	switch b[0] {
	case '{':
		return repackMany(dst, b[1:], '}', 0x80, 0xde)
	case '[':
		return repackMany(dst, b[1:], ']', 0x90, 0xdc)
	case '"':
		return repackText(dst, b)
	case 't':
		return msgp.AppendBool(dst, true), b[len("true"):]
	case 'f':
		return msgp.AppendBool(dst, false), b[len("false"):]
	case 'n':
		return msgp.AppendNil(dst), b[len("null"):]
	}
	end := bytes.IndexFunc(b, func(r rune) bool { return r != '-' && (r < '0' || r > '9') })
	if end < 0 {
		end = len(b)
	}
	n, _ := strconv.ParseInt(string(b[:end]), 10, 64) // ours: whole and within 64 bits
	if n >= 0 {
		return msgp.AppendUint64(dst, uint64(n)), b[end:] // the shorter form, which AppendInt64 does not choose
	}
	return msgp.AppendInt64(dst, n), b[end:]
}

// repackMany appends the elements up to closer behind a header, which begins as one
// byte, fix, and grows when there turn out to be more elements than it can count.
func repackMany(dst, b []byte, closer, fix, wide byte) (packed, rest []byte) {
	start := len(dst)
	dst = append(dst, fix)
	n := 0
	for b[0] != closer {
		if b[0] == ',' {
			b = b[1:]
		}
		if closer == '}' {
			dst, b = repackText(dst, b)
			b = b[1:] // the colon
		}
		dst, b = repack(dst, b)
		n++
	}
	switch {
	case n < 16:
		dst[start] |= byte(n)
	case n < 1<<16:
		dst = append(dst, 0, 0)
		copy(dst[start+3:], dst[start+1:])
		dst[start], dst[start+1], dst[start+2] = wide, byte(n>>8), byte(n)
	default:
		dst = append(dst, 0, 0, 0, 0)
		copy(dst[start+5:], dst[start+1:])
		dst[start], dst[start+1], dst[start+2], dst[start+3], dst[start+4] = wide+1, byte(n>>24), byte(n>>16), byte(n>>8), byte(n)
	}
	return dst, b[1:]
}

func repackText(dst, b []byte) (packed, rest []byte) {
	end := 1
	plain := true
	for b[end] != '"' {
		if b[end] == '\\' {
			plain = false
			end++
		}
		end++
	}
	if plain {
		return msgp.AppendStringFromBytes(dst, b[1:end]), b[end+1:]
	}
	text, _ := jsontext.AppendUnquote(nil, b[:end+1]) // ours: well-formed
	return msgp.AppendStringFromBytes(dst, text), b[end+1:]
}
