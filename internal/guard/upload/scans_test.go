package upload

import (
	"bytes"
	"errors"
	"image/jpeg"
	"testing"
)

// progressive makes a grey JPEG of one block that goes over it n times. Larger ones cost
// the decoder 40 ms for each time, and the sender as few bytes as this one.
func progressive(n int, between ...byte) []byte {
	var b bytes.Buffer
	b.Write([]byte{0xFF, 0xD8})
	segment := func(marker byte, body ...byte) {
		b.Write([]byte{0xFF, marker, 0, byte(len(body) + 2)})
		b.Write(body)
	}
	table := func(class, symbol byte) {
		segment(0xC4, append(append([]byte{class, 1}, make([]byte, 15)...), symbol)...)
	}
	segment(0xDB, append([]byte{0}, bytes.Repeat([]byte{1}, 64)...)...) // quantisation
	segment(0xC2, 8, 0, 8, 0, 8, 1, 1, 0x11, 0)                         // progressive, 8 × 8, one component
	table(0x00, 0)                                                      // the one code says: no difference
	table(0x10, 0)                                                      // and: no more in this block
	for i := range n {
		if i == 0 {
			segment(0xDA, 1, 1, 0, 0, 0, 0) // the block's mean
		} else {
			segment(0xDA, 1, 1, 0, 1, 63, 0) // all the rest
		}
		b.WriteByte(0x7F) // one code, and filling
		b.Write(between)
	}
	b.Write([]byte{0xFF, 0xD9})
	return b.Bytes()
}

//control:proves upload
func TestCheck_refusesAPictureThatKeepsItsDecoderBusyForHours(t *testing.T) {
	for _, tt := range []struct {
		name  string
		bytes []byte
		taken bool
	}{
		{"as often as encoders do", progressive(10), true},
		{"as often as is allowed", progressive(maxScans), true},
		{"once more", progressive(maxScans + 1), false},
		{"with restarts between", progressive(maxScans+1, 0xFF, 0xD0), false},
		{"with bytes of no segment between", progressive(maxScans+1, 0x00, 0x11, 0xFF, 0x00), false},
		{"with a comment between that looks like an end", progressive(maxScans+1, 0xFF, 0xFE, 0, 4, 0xFF, 0xD9), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := jpeg.Decode(bytes.NewReader(tt.bytes)); err != nil {
				t.Fatalf("the decoder does not take it, so it proves nothing: %v", err)
			}
			_, err := guard(t, Options{}).Check(t.Context(), File{Name: "a.jpg", Declared: "image/jpeg", Bytes: tt.bytes})
			if tt.taken != (err == nil) {
				t.Fatalf("error %v; taken should be %t", err, tt.taken)
			}
			if refused, ok := errors.AsType[*Refused](err); !tt.taken && (!ok || refused.Why != Pixels) {
				t.Errorf("refused for %v, not for its pixels", err)
			}
		})
	}
}

func TestScans_aCommentThatLooksLikeAScanIsNone(t *testing.T) {
	if n := scans(progressive(2, 0xFF, 0xFE, 0, 6, 0xFF, 0xDA, 0xFF, 0xDA)); n != 2 {
		t.Errorf("%d scans; want 2", n)
	}
	for cut := range progressive(3) {
		scans(progressive(3)[:cut]) // does not read past the end
	}
}
