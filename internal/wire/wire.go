// Package wire is the protocol: frames ⇄ commands and events, in JSON or MessagePack.
//
// Threat: a frame that two readers understand differently (CWE-436). Duplicate
// keys, "Type" beside "type", bytes after the value, half a surrogate pair, 1e400:
// the check sees one command and the code that acts sees another, or the browser
// of somebody else does. A frame nested 10,000 deep or holding a million keys
// costs the server more than it costs the sender (CWE-400). Keys such as
// __proto__ or role aim at whoever copies objects later (CWE-915, CWE-1321).
// Direction marks make a message read as what its author did not write (CWE-451).
//
// Rule: one small language, checked in this order, and nothing is acted on before
// the last step. Decode stops at the first step that fails.
//
//  1. size ≤ MaxFrame, nesting ≤ MaxDepth: read off the bytes, nothing allocated
//  2. UTF-8, no byte order mark
//  3. JSON as in RFC 7493 (I-JSON): one value, no duplicate keys, no lone
//     surrogates, nothing after it; numbers are whole and fit 64 bits, there is no
//     way through float64; at most maxValues values
//  4. the envelope names a known command type
//  5. the JSON Schema of that type (draft 2020-12, web/schemas): unknown keys
//     refused, lengths and formats checked; the same files are served to clients
//  6. ids parsed, blank bodies refused: a Command, typed and flat
//
// The tree of step 3 is the only parse: what the schema saw is what Command holds.
// MessagePack frames (DecodePack) have their own steps 1 to 3 and then the same rest.
//
// Of the Unicode of a body the schema refuses control characters, bidi overrides and
// isolates; the form it is brought to and all finer rules are the package text's.
//
// Not covered: what a command may do (authz), how often (ratelimit), and the
// frames of WebSocket itself (frames).
package wire

import (
	"fmt"
	"slices"
)

const (
	// Subprotocol is what client and server agree on in the handshake.
	Subprotocol = "portcullis.v1.json"
	// SubprotocolPack is the other encoding of the same protocol; see DecodePack.
	SubprotocolPack = "portcullis.v1.msgpack"
	// MaxFrame is the largest frame of a client in bytes: four times the longest body,
	// and what clients and proxies commonly allow. A message with very many reactions
	// makes a larger event.
	MaxFrame = 65536
	// MaxDepth is the deepest nesting; the deepest command has 2, the rest is room for answers.
	MaxDepth = 8
	// maxValues bounds what the tree of one frame can cost; the largest command has 8 values.
	maxValues = 64
)

// Type is the type of a command or event, as in the envelope.
type Type string

// The commands: what clients send.
const (
	Auth           Type = "auth"
	RoomJoin       Type = "room.join"
	RoomLeave      Type = "room.leave"
	MessageSend    Type = "message.send"
	MessageEdit    Type = "message.edit"
	MessageDelete  Type = "message.delete"
	ReactionAdd    Type = "reaction.add"
	ReactionRemove Type = "reaction.remove"
	TypingStart    Type = "typing.start"
	ReadMark       Type = "read.mark"
)

// Types lists the commands, in the order of the documentation.
func Types() []Type {
	return []Type{
		Auth, RoomJoin, RoomLeave, MessageSend, MessageEdit, MessageDelete,
		ReactionAdd, ReactionRemove, TypingStart, ReadMark,
	}
}

// Events lists the types that the server sends, in the order of the documentation.
func Events() []Type {
	return []Type{
		"hello", "ack", "error", "message.new", "message.edited", "message.deleted",
		"reaction.changed", "member.changed", "room.changed", "room.removed",
		"presence.changed", "typing", "read.marked", "resync", "notice", "announcement",
	}
}

// Code is the code of an error frame: all that a client is told.
type Code string

// The error codes.
const (
	BadJSON        Code = "bad_json"         // not one strict JSON value
	BadSchema      Code = "bad_schema"       // not what the type's schema says
	UnknownType    Code = "unknown_type"     // no such command
	BadState       Code = "bad_state"        // not at this point of the conversation
	TooLarge       Code = "too_large"        // a frame or body over its limit
	BadEncoding    Code = "bad_encoding"     // not Unicode: bad UTF-8, lone surrogates
	Denied         Code = "denied"           // not allowed, or no such thing
	RateLimited    Code = "rate_limited"     // wait retry_ms
	Duplicate      Code = "duplicate"        // the id was used before for something else
	Quota          Code = "quota"            // over a limit of number
	UploadRejected Code = "upload_rejected"  // not a permitted file
	UploadInfected Code = "upload_infected"  // the scanner objects
	StepUpRequired Code = "step_up_required" // prove the password again first
	Busy           Code = "busy"             // nothing was stored; try again
	Internal       Code = "internal"         // ours
)

// Codes lists the error codes.
func Codes() []Code {
	return []Code{
		BadJSON, BadSchema, UnknownType, BadState, TooLarge, BadEncoding, Denied, RateLimited, Duplicate,
		Quota, UploadRejected, UploadInfected, StepUpRequired, Busy, Internal,
	}
}

// Known reports whether c is one of the codes.
func (c Code) Known() bool { return slices.Contains(Codes(), c) }

// Extraneous is the Detail of a frame with a key that its schema does not have,
// or one that only an attack on object copying has. It is recorded as
// malicious_extraneous; every other Detail as input_validation_fail.
const Extraneous = "extraneous"

// Error is why a frame was refused.
type Error struct {
	Code   Code   // for the error frame
	Detail string // for the audit: the rule, and the place as a JSON pointer; never a value of the frame
	Re     string // id of the command if it could be read, else empty
}

func (e *Error) Error() string { return fmt.Sprintf("frame refused: %s (%s)", e.Code, e.Detail) }
