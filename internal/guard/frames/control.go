package frames

// maskBytes is how long the mask is that follows the two bytes of a short header.
const maskBytes = 4

// Control takes the next frame if it is a ping or a pong, and returns its opcode and its
// payload, which is valid until the next read. Opcode 0 means that something else is
// next, or an error: both are for the library to find.
//
// It is for an owner who waits between messages ([Conn.NetConn]): the library deals with
// a control frame only on its way to the next message, for which it then waits itself.
// So call it between messages only, for a Conn that came from [Hijack], and by the
// goroutine that reads. It waits for the frame to be whole, which has a deadline.
func (c *Conn) Control() (op byte, payload []byte) {
	head, err := c.reader.Peek(2)
	if err != nil {
		return 0, nil
	}
	if op = head[0] & opBits; op != opPing && op != opPong {
		return 0, nil
	}
	const begin = 2 + maskBytes // it has been judged: masked, and at most 125 bytes
	frame, err := c.reader.Peek(begin + int(head[1]&sizeBits))
	if err != nil {
		return 0, nil
	}
	mask, payload := frame[2:begin], frame[begin:]
	for i := range payload {
		payload[i] ^= mask[i%maskBytes]
	}
	_, _ = c.reader.Discard(len(frame)) // cannot fail: it is buffered
	return op, payload
}
