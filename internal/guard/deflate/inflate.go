package deflate

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

const (
	// MaxRatio is how many times larger than its bytes on the wire a message may be.
	// Text comes to 10, a page of one repeated line to some hundred, deflate at most to 1,032.
	MaxRatio = 100
	// ratioFrom is from how many inflated bytes on the ratio counts: what is short does no harm.
	ratioFrom = 16 << 10
	// step is how much is inflated between two looks at the ratio.
	step = 4 << 10
)

// TooLarge is a message that inflates to more than it may.
type TooLarge struct {
	Ratio int   // inflated bytes per byte on the wire, so far
	Limit int64 // that was met; 0: the ratio was
}

func (e *TooLarge) Error() string {
	if e.Limit == 0 {
		return fmt.Sprintf("inflated to %d times its size", e.Ratio)
	}
	return fmt.Sprintf("inflated to more than %d bytes", e.Limit)
}

// Reason is the slug for events.
func (e *TooLarge) Reason() string {
	if e.Limit == 0 {
		return "inflate_ratio"
	}
	return "inflated_size"
}

// Read appends to dst what r inflates to, limit bytes at most: exactly limit is
// accepted, and of anything larger one byte more than limit is ever made. wire tells
// how many bytes have come in so far.
//
//control:name inflated-size
func Read(dst *bytes.Buffer, r io.Reader, limit int64, wire func() int64) error {
	left := io.LimitedReader{R: r, N: limit + 1}
	var total int64
	for {
		n, err := io.CopyN(dst, &left, step)
		total += n
		ratio := total / max(wire(), 1)
		switch {
		case total > limit:
			return &TooLarge{Ratio: int(ratio), Limit: limit}
		case total > ratioFrom && ratio > MaxRatio:
			return &TooLarge{Ratio: int(ratio)}
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}
