package upload

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// maxScans is twice what the most thorough encoders use. A progressive JPEG goes over
// all of its pixels once per scan, and a scan that changes nothing is thirty bytes: in
// a file of 5 MiB there is room for 160,000, which is hours of work.
const maxScans = 50

var errScans = errors.New("the picture goes over its pixels too often")

// scans counts the scans of a JPEG, as its decoder will find them: segments are
// skipped by their length, and what is between them up to the next marker (ITU T.81
// section B.1.1).
func scans(b []byte) (n int) {
	for {
		at := bytes.IndexByte(b, 0xFF)
		if at < 0 || at+1 >= len(b) {
			return n
		}
		b = b[at+1:]
		switch marker := b[0]; {
		case marker == 0xFF: // filling
		case marker == 0x00, marker >= 0xD0 && marker <= 0xD8: // a byte of pixels, a restart, the beginning
			b = b[1:]
		case marker == 0xD9: // the end
			return n
		default:
			if marker == 0xDA {
				n++
			}
			if len(b) < 3 {
				return n
			}
			size := 1 + int(binary.BigEndian.Uint16(b[1:]))
			if size < 3 || size > len(b) {
				return n // the decoder stops here, too
			}
			b = b[size:]
		}
	}
}
