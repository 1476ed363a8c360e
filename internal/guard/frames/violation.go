package frames

// Kind names the rule that a client broke, for events and metrics.
type Kind string

// The rules. RFC section numbers are those of RFC 6455.
const (
	RSV               Kind = "rsv"                // a reserved bit without an extension that uses it (5.2)
	Opcode            Kind = "opcode"             // opcodes 3-7 and 11-15 (5.2)
	Unmasked          Kind = "unmasked"           // clients must mask: proxies could be poisoned (5.1, 10.3)
	LengthMSB         Kind = "length_msb"         // a length of 2^63 or more (5.2)
	LengthForm        Kind = "length_form"        // a longer length field than needed (5.2)
	ControlFragmented Kind = "control_fragmented" // ping, pong or close without FIN (5.5)
	ControlLength     Kind = "control_length"     // ping, pong or close with more than 125 bytes (5.5)
	ClosePayload      Kind = "close_payload"      // a close of one byte: a code has two (5.5.1)
	AfterClose        Kind = "after_close"        // a frame after the client's close (5.5.1)
	Continuation      Kind = "continuation"       // a continuation without a message (5.4)
	Interleaved       Kind = "interleaved"        // a new message inside an unfinished one (5.4)
	FragmentFlood     Kind = "fragment_flood"     // more frames than FramesPerMessage
	EmptyFragments    Kind = "empty_fragments"    // more empty fragments than EmptyFragments
	EarlyData         Kind = "early_data"         // bytes before our 101: request smuggling (4.1)
	Binary            Kind = "binary"             // a binary message where only text is spoken
	TooBig            Kind = "too_big"            // more payload than MessageBytes
	ControlFlood      Kind = "control_flood"      // more pings, pongs and closes than ControlFrames
	FrameRate         Kind = "frame_rate"         // more frames than FramesPerSecond and FrameBurst
	ByteRate          Kind = "byte_rate"          // more bytes than BytesPerSecond and ByteBurst
	SlowMessage       Kind = "slow_message"       // not complete within MessageDeadline
)

// closeCode is the code (RFC 6455 section 7.4.1) to close with.
func (k Kind) closeCode() int {
	switch k {
	case Binary:
		return 1003
	case ControlFlood, FrameRate, ByteRate, SlowMessage:
		return 1008
	case TooBig:
		return 1009
	}
	return 1002
}

// Violation is the error with which a connection ends. Tell the client the close
// code and nothing more: the rest would help to find the limits.
type Violation struct {
	Kind  Kind
	Close int    // WebSocket close code: 1002, 1003, 1008 or 1009
	Frame int64  // number of the frame on this connection, from 1
	Size  uint64 // payload that the frame declared, in bytes
}

func (v *Violation) Error() string { return "frame guard: " + string(v.Kind) }
