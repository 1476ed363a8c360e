package tunnel

import "bytes"

// Protocol is what a target speaks.
type Protocol string

// The protocols that the guard knows. Both begin with a greeting of the server, so
// nothing of the client has to be relayed before it is known who listens.
const (
	SSH Protocol = "ssh" // RFC 4253
	RFB Protocol = "rfb" // RFC 6143, VNC
)

// Known reports whether p is one of the protocols.
func (p Protocol) Known() bool { return p == SSH || p == RFB }

const (
	// maxIdent is the longest identification of SSH, with CR LF (RFC 4253 section 4.2).
	maxIdent = 255
	// rfbIdent is the length of RFB's, always (RFC 6143 section 7.1.1).
	rfbIdent = 12
	// MaxOpening is the most that either side may send before its opening is decided.
	MaxOpening = maxIdent
)

// Verdict is what is known of how a side began.
type Verdict int

// The verdicts. The zero one lets nothing through.
const (
	Undecided Verdict = iota // a right beginning, not all of it
	Right
	Wrong
)

// Opening judges the first bytes that one side sent: all of them so far, at most
// MaxOpening of them. Bytes behind the opening are not looked at.
//
// For SSH it is the whole identification line: "SSH-2.0-", printable ASCII, LF, at
// most 255 bytes. A server may send other lines before it (RFC 4253 section 4.2);
// those that do cannot be targets, because every protocol with a text greeting could
// hide behind that rule. For RFB it is "RFB 003.", three digits and LF.
//
//control:name tunnel
func (p Protocol) Opening(b []byte) Verdict {
	switch p {
	case SSH:
		return opening(b, "SSH-2.0-", func(rest []byte) Verdict {
			for i, c := range rest {
				switch {
				case c == '\n':
					return Right
				case c == '\r' && (i+1 == len(rest) || rest[i+1] == '\n'):
				case c < ' ' || c > '~':
					return Wrong
				}
				if len("SSH-2.0-")+i+1 >= maxIdent {
					return Wrong
				}
			}
			return Undecided
		})
	case RFB:
		return opening(b, "RFB 003.", func(rest []byte) Verdict {
			for i, c := range rest[:min(len(rest), rfbIdent-8)] {
				if i < 3 && (c < '0' || c > '9') || i == 3 && c != '\n' {
					return Wrong
				}
			}
			if len(rest) < rfbIdent-8 {
				return Undecided
			}
			return Right
		})
	}
	return Wrong
}

// opening compares with what a protocol begins with; behind judges what comes after it.
//
//control:name tunnel
func opening(b []byte, prefix string, behind func([]byte) Verdict) Verdict {
	if len(b) < len(prefix) {
		if bytes.HasPrefix([]byte(prefix), b) {
			return Undecided
		}
		return Wrong
	}
	rest, ok := bytes.CutPrefix(b, []byte(prefix))
	if !ok {
		return Wrong
	}
	return behind(rest)
}
