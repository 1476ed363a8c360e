package upload

import (
	"bytes"
	"encoding/binary"
)

// orientation reads how a JPEG wants to be turned, 1 to 8. It is the one value of the
// metadata that is looked at, and 1 (as it is) for everything that is not exactly as
// the standard says: a picture on its side is no danger, a clever parser is.
func orientation(k kind, b []byte) int {
	if k.magic != "image/jpeg" {
		return 1
	}
	b = b[2:] // SOI
	for len(b) >= 4 && b[0] == 0xFF {
		marker, size := b[1], int(binary.BigEndian.Uint16(b[2:]))
		if marker == 0xDA || size < 2 || len(b) < 2+size {
			break // the pixels begin, or the length lies
		}
		segment := b[4 : 2+size]
		if tiff, found := bytes.CutPrefix(segment, []byte("Exif\x00\x00")); marker == 0xE1 && found {
			return tiffOrientation(tiff)
		}
		b = b[2+size:]
	}
	return 1
}

// tiffOrientation looks for tag 0x0112, a single SHORT, in the first directory
// (TIFF 6.0 §2: entries of twelve bytes: tag, type, count, value).
func tiffOrientation(t []byte) int {
	if len(t) < 8 {
		return 1
	}
	var order binary.ByteOrder = binary.BigEndian
	if string(t[:2]) == "II" {
		order = binary.LittleEndian
	}
	at := uint64(order.Uint32(t[4:]))
	if at+2 > uint64(len(t)) {
		return 1
	}
	entries := t[at+2:]
	for range order.Uint16(t[at:]) {
		if len(entries) < 12 {
			break
		}
		if order.Uint16(entries) == 0x0112 && order.Uint16(entries[2:]) == 3 {
			if v := order.Uint16(entries[8:]); v >= 1 && v <= 8 {
				return int(v)
			}
			break
		}
		entries = entries[12:]
	}
	return 1
}
