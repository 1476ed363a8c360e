package wire

// tooDeep reports whether frame opens more than limit objects and arrays inside
// each other. It reads bytes, not JSON: in a frame that is not JSON the answer means
// nothing, and the parser refuses that frame in the next step.
func tooDeep(frame []byte, limit int) bool {
	depth, inString := 0, false
	for i := 0; i < len(frame); i++ {
		switch b := frame[i]; {
		case inString && b == '\\':
			i++ // the escaped byte cannot end the string
		case b == '"':
			inString = !inString
		case inString:
		case b == '{' || b == '[':
			if depth++; depth > limit {
				return true
			}
		case b == '}' || b == ']':
			depth--
		}
	}
	return false
}
