package wire

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"example.com/portcullis/internal/chat"
)

// attempt is one frame of an attacker and the only right answer to it.
type attempt struct {
	name, frame string
	code        Code
	detail      string
}

// hostile is the corpus: every way known to us to make two readers disagree, to
// cost more than one pays, or to pass text that is not what it seems.
func hostile() []attempt {
	return slices.Concat(grammar(), keys(), numbers(), encodings(), sizes(), envelopes(), fields(), bodies())
}

func grammar() []attempt {
	join := frame(RoomJoin, `{"room_id":"`+room+`"}`)
	bad := func(name, f string) attempt { return attempt{name, f, BadJSON, "syntax"} }
	return []attempt{
		bad("empty", ``),
		bad("only space", ` `),
		bad("truncated", join[:len(join)-1]),
		bad("truncated in a string", join[:30]),
		bad("open object", `{`),
		bad("open array", `[`),
		bad("open string", `"`),
		bad("wrong closer", `{"v":1]`),
		bad("closer first", `}`),
		bad("trailing comma in object", `{"v":1,}`),
		bad("trailing comma in array", `[1,]`),
		bad("leading comma", `{,"v":1}`),
		bad("missing colon", `{"v" 1}`),
		bad("missing value", `{"v":}`),
		bad("missing comma", `{"v":1 "id":2}`),
		bad("single quotes", `{'v':1}`),
		bad("bare key", `{v:1}`),
		bad("number as key", `{1:1}`),
		bad("null as key", `{null:1}`),
		bad("line comment", join[:1]+"// x\n"+join[1:]),
		bad("block comment", join[:1]+"/* x */"+join[1:]),
		bad("NaN", `{"v":NaN}`),
		bad("Infinity", `{"v":Infinity}`),
		bad("minus Infinity", `{"v":-Infinity}`),
		bad("undefined", `{"v":undefined}`),
		bad("upper-case literal", `{"v":TRUE}`),
		bad("half a literal", `{"v":tru}`),
		bad("hex number", `{"v":0x1}`),
		bad("leading zero", `{"v":01}`),
		bad("leading plus", `{"v":+1}`),
		bad("leading dot", `{"v":.5}`),
		bad("trailing dot", `{"v":1.}`),
		bad("empty exponent", `{"v":1e}`),
		bad("two minuses", `{"v":--1}`),
		bad("control character in string", "{\"v\":\"a\x01b\"}"),
		bad("raw newline in string", "{\"v\":\"a\nb\"}"),
		{"NUL after the value", join + "\x00", BadJSON, "trailing"},
		bad("NUL for space", "\x00"+join),
		bad("vertical tab for space", "\v"+join),
		bad("no-break space", "\u00a0"+join),
		bad("unknown escape", `{"v":"\x41"}`),
		bad("short unicode escape", `{"v":"\u41"}`),
		bad("signed unicode escape", `{"v":"\u+041"}`),
		bad("JSON sequence", "\x1e"+join),
		bad("JSONP", `callback(`+join+`)`),
		bad("XSSI prefix", `)]}',`+"\n"+join),
		{"two values", join + join, BadJSON, "trailing"},
		{"two lines", join + "\n" + join, BadJSON, "trailing"},
		{"trailing word", join + "x", BadJSON, "trailing"},
		{"trailing brace", join + "}", BadJSON, "trailing"},
		{"depth 9", nested(9), BadJSON, "depth"},
		{"depth 9 in data", frame(RoomJoin, nested(8)), BadJSON, "depth"},
		{"depth 10,000", nested(10_000), BadJSON, "depth"},
		{"65,536 brackets never closed", strings.Repeat("[", MaxFrame), BadJSON, "depth"},
		{"deep objects", strings.Repeat(`{"a":`, 9) + "1" + strings.Repeat("}", 9), BadJSON, "depth"},
		{"deep behind a string with brackets", `["]]]]]]]]\"]]]",` + nested(9) + `]`, BadJSON, "depth"},
	}
}

func keys() []attempt {
	in := func(extra string) string { return frame(RoomJoin, `{"room_id":"`+room+`",`+extra+`}`) }
	dup := func(name, f string) attempt { return attempt{name, f, BadJSON, "duplicate"} }
	extra := func(name, f string) attempt { return attempt{name, f, BadSchema, Extraneous} }
	top := func(s string) string { return strings.Replace(in(`"after_seq":1`), `{`, `{`+s+`,`, 1) }
	return []attempt{
		dup("same key twice", in(`"room_id":"`+room+`"`)),
		dup("same key twice with another value", in(`"room_id":"`+message+`"`)),
		dup("same key in another spelling", in(`"room\u005fid":"`+message+`"`)),
		dup("type twice", top(`"type":"message.send"`)),
		dup("data twice", top(`"data":{}`)),
		dup("deep in unknown data", in(`"x":{"a":1,"a":2}`)),
		extra("case twin", in(`"Room_id":"`+message+`"`)),
		extra("case twin of type", top(`"Type":"message.send"`)),
		extra("upper case", in(`"AFTER_SEQ":1`)),
		extra("look-alike letter", in(`"rооm_id":"`+message+`"`)), // Cyrillic о
		extra("long s", in(`"after_ſeq":1`)),                      // folds to s
		extra("key with space", in(`"after_seq ":1`)),
		extra("key with NUL", in(`"after_seq\u0000":1`)),
		extra("empty key", in(`"":1`)),
		extra("__proto__", in(`"__proto__":{"polluted":true}`)),
		extra("__proto__ escaped", in(`"\u005f_proto__":{"polluted":true}`)),
		extra("__proto__ on top", top(`"__proto__":{"admin":true}`)),
		extra("constructor", in(`"constructor":{"prototype":{"polluted":true}}`)),
		extra("prototype", in(`"prototype":1`)),
		extra("deep __proto__", in(`"x":{"y":[{"__proto__":1}]}`)),
		extra("__proto__ of an unknown type", `{"__proto__":1,"v":1,"id":"`+command+`","type":"nope","data":{}}`),
		extra("author", in(`"author":"`+message+`"`)),
		extra("user_id", top(`"user_id":"`+message+`"`)),
		extra("role", in(`"role":"owner"`)),
		extra("seq on join", in(`"seq":1`)),
		extra("created_at on send", frame(MessageSend, `{"room_id":"`+room+`","body":"a","created_at":"2026-01-01T00:00:00.000Z"}`)),
		extra("server's envelope", top(`"re":"`+command+`"`)),
		extra("$schema", top(`"$schema":"http://127.0.0.1/x"`)),
		extra("$ref", in(`"$ref":"http://169.254.169.254/latest"`)),
	}
}

func numbers() []attempt {
	mark := func(seq string) string { return frame(ReadMark, `{"room_id":"`+room+`","seq":`+seq+`}`) }
	num := func(name, f string) attempt { return attempt{name, f, BadSchema, "number"} }
	return []attempt{
		num("fraction", mark(`1.5`)),
		num("whole number with a fraction", mark(`1.0`)),
		num("exponent", mark(`1e2`)),
		num("exponent that needs a gigabyte", mark(`1e1000000000`)),
		num("beyond float64", mark(`1e400`)),
		num("tiny", mark(`1e-400`)),
		num("2^64", mark(`18446744073709551616`)),
		num("2^63", mark(`9223372036854775808`)),
		num("10,000 digits", mark(strings.Repeat("9", 10_000))),
		{"2^53", mark(`9007199254740992`), BadSchema, "maximum /data/seq"},
		{"2^63-1", mark(`9223372036854775807`), BadSchema, "maximum /data/seq"},
		{"negative", mark(`-1`), BadSchema, "minimum /data/seq"},
		{"number as text", mark(`"1"`), BadSchema, "type /data/seq"},
		{"seq is true", mark(`true`), BadSchema, "type /data/seq"},
		{"seq is null", mark(`null`), BadSchema, "type /data/seq"},
		{"negative after_seq", frame(RoomJoin, `{"room_id":"`+room+`","after_seq":-1}`), BadSchema, "minimum /data/after_seq"},
		num("version as fraction", strings.Replace(mark(`1`), `"v":1`, `"v":1.0`, 1)),
	}
}

func encodings() []attempt {
	utf := func(name, f string) attempt { return attempt{name, f, BadEncoding, "utf8"} }
	half := func(name, s string) attempt { return attempt{name, send(s), BadEncoding, "surrogate"} }
	return []attempt{
		utf("ff fe", "\xff\xfe{}"),
		utf("lone continuation", send("\"\x80\"")),
		utf("truncated rune", send("\"\xf0\x9f\xa6\"")),
		utf("overlong slash", send("\"\xc0\xaf\"")),
		utf("overlong NUL", send("\"\xc0\x80\"")),
		utf("surrogate in UTF-8 (CESU)", send("\"\xed\xa0\xbd\"")),
		utf("beyond U+10FFFF", send("\"\xf4\x90\x80\x80\"")),
		utf("Latin-1", send("\"caf\xe9\"")),
		utf("bad byte in a key", frame(RoomJoin, "{\"a\xff\":1}")),
		utf("UTF-16", "{\x00\"\x00\xff\x00"),
		{"byte order mark", "\ufeff" + send(`"a"`), BadJSON, "bom"},
		{"byte order mark within", send(`"a"`)[:1] + "\ufeff" + send(`"a"`)[1:], BadJSON, "syntax"},
		half("lone high surrogate", `"\ud83e"`),
		half("lone low surrogate", `"\udd89"`),
		half("surrogates in the wrong order", `"\udd89\ud83e"`),
		half("high surrogate and a letter", `"\ud83eA"`),
		half("two high surrogates", `"\ud83e\ud83e\udd89"`),
		{"lone surrogate in a key", frame(RoomJoin, `{"\ud800":1}`), BadEncoding, "surrogate"},
	}
}

func sizes() []attempt {
	var many strings.Builder
	for i := range 5000 {
		many.WriteString(`,"k` + strconv.Itoa(i) + `":1`)
	}
	return []attempt{
		{"frame one byte over", send(`"` + strings.Repeat("a", MaxFrame-len(send(`""`))+1) + `"`), TooLarge, "size"},
		{"1 MiB", strings.Repeat(" ", 1<<20), TooLarge, "size"},
		{"deep and too large", strings.Repeat("[", MaxFrame+1), TooLarge, "size"},
		{"frame at the limit, body over", send(`"` + strings.Repeat("a", MaxFrame-len(send(`""`))) + `"`), TooLarge, "maxLength /data/body"},
		{"body one over", send(`"` + strings.Repeat("a", chat.MaxBody+1) + `"`), TooLarge, "maxLength /data/body"},
		{"body one over in emoji", send(`"` + strings.Repeat("🦉", chat.MaxBody+1) + `"`), TooLarge, "maxLength /data/body"},
		{"5,000 keys", frame(RoomJoin, `{"room_id":"`+room+`"`+many.String()+`}`), BadSchema, "values"},
		{"30,000 elements", frame(RoomJoin, `[1`+strings.Repeat(",1", 30_000)+`]`), BadSchema, "values"},
		{"3,000 empty objects", `[{}` + strings.Repeat(",{}", 3000) + `]`, BadSchema, "values"},
		{"ticket of 2,049 bytes", frame(Auth, `{"ticket":"`+strings.Repeat("a", 2049)+`"}`), BadSchema, "maxLength /data/ticket"},
		{"long emoji", frame(ReactionAdd, `{"room_id":"`+room+`","message_id":"`+message+`","emoji":"`+strings.Repeat("👍", 17)+`"}`), BadSchema, "maxLength /data/emoji"},
	}
}

func envelopes() []attempt {
	data := `"data":{"room_id":"` + room + `"}`
	bad := func(name, f, detail string) attempt { return attempt{name, f, BadSchema, detail} }
	unknown := func(name, typ string) attempt {
		return attempt{name, `{"v":1,"id":"` + command + `","type":` + typ + `,` + data + `}`, UnknownType, "enum /type"}
	}
	withID := func(id string) string { return `{"v":1,"id":` + id + `,"type":"room.join",` + data + `}` }
	return []attempt{
		bad("null", `null`, "type /"),
		bad("true", `true`, "type /"),
		bad("number", `1`, "type /"),
		bad("string", `"room.join"`, "type /"),
		bad("array", `[]`, "type /"),
		bad("batch", `[`+send(`"a"`)+`]`, "type /"),
		bad("no type", `{}`, "type /type"),
		bad("type is a number", `{"type":1}`, "type /type"),
		bad("type is an array", `{"type":["room.join"]}`, "type /type"),
		bad("type is null", `{"type":null}`, "type /type"),
		unknown("empty type", `""`),
		unknown("type in another case", `"Room.Join"`),
		unknown("type with space", `"room.join "`),
		unknown("type with NUL", `"room.join\u0000"`),
		unknown("server's type", `"message.new"`),
		unknown("hello from a client", `"hello"`),
		unknown("path", `"../server.hello"`),
		unknown("method of Object", `"toString"`),
		unknown("definitions file", `"defs"`),
		bad("no version", `{"id":"`+command+`","type":"room.join",`+data+`}`, "required /"),
		bad("no data", `{"v":1,"id":"`+command+`","type":"room.join"}`, "required /"),
		bad("no id", `{"v":1,"type":"room.join",`+data+`}`, "required /"),
		bad("version 2", `{"v":2,"id":"`+command+`","type":"room.join",`+data+`}`, "const /v"),
		bad("version as text", `{"v":"1","id":"`+command+`","type":"room.join",`+data+`}`, "const /v"),
		bad("id is a number", withID(`1`), "type /id"),
		bad("id is empty", withID(`""`), "pattern /id"),
		bad("id is a UUIDv4", withID(`"5f0c6c1e-8f6c-4b6e-9f21-2b9d44c0aa10"`), "pattern /id"),
		bad("id in upper case", withID(`"`+strings.ToUpper(command)+`"`), "pattern /id"),
		bad("id without dashes", withID(`"`+strings.ReplaceAll(command, "-", "")+`"`), "pattern /id"),
		bad("id in braces", withID(`"{`+command+`}"`), "pattern /id"),
		bad("id as URN", withID(`"urn:uuid:`+command+`"`), "pattern /id"),
		bad("id of another variant", withID(`"0190b6a1-7c40-7b6e-cf21-2b9d44c0aa10"`), "pattern /id"),
		bad("id with a line feed", withID(`"`+command+`\n"`), "pattern /id"),
		bad("data is an array", frame(RoomJoin, `[]`), "type /data"),
		bad("data is null", frame(RoomJoin, `null`), "type /data"),
		bad("data is text of an object", frame(RoomJoin, `"{}"`), "type /data"),
	}
}

func fields() []attempt {
	bad := func(name, f, detail string) attempt { return attempt{name, f, BadSchema, detail} }
	join := func(id string) string { return frame(RoomJoin, `{"room_id":`+id+`}`) }
	return []attempt{
		bad("no room", frame(RoomJoin, `{}`), "required /data"),
		bad("room is an object", join(`{"$ne":null}`), "type /data/room_id"),
		bad("room is a list", join(`["`+room+`"]`), "type /data/room_id"),
		bad("room is a number", join(`1`), "type /data/room_id"),
		bad("room is a glob", join(`"*"`), "pattern /data/room_id"),
		bad("room is a channel name", join(`"portcullis:revocations"`), "pattern /data/room_id"),
		bad("room is SQL", join(`"' OR '1'='1"`), "pattern /data/room_id"),
		bad("room is a path", join(`"../../etc/passwd"`), "pattern /data/room_id"),
		bad("room with full-width digits", join(`"０190b6a0-5f3e-7c1a-9d2b-6f0c5d1e2a01"`), "pattern /data/room_id"),
		bad("nil room", join(`"00000000-0000-0000-0000-000000000000"`), "uuid /data/room_id"),
		bad("nil message", frame(MessageDelete, `{"room_id":"`+room+`","message_id":"00000000-0000-0000-0000-000000000000"}`), "uuid /data/message_id"),
		bad("nil reply", frame(MessageSend, `{"room_id":"`+room+`","body":"a","reply_to":"00000000-0000-0000-0000-000000000000"}`), "uuid /data/reply_to"),
		bad("reply to null", frame(MessageSend, `{"room_id":"`+room+`","body":"a","reply_to":null}`), "type /data/reply_to"),
		bad("edit without message", frame(MessageEdit, `{"room_id":"`+room+`","body":"a"}`), "required /data"),
		bad("empty emoji", frame(ReactionAdd, `{"room_id":"`+room+`","message_id":"`+message+`","emoji":""}`), "minLength /data/emoji"),
		bad("empty ticket", frame(Auth, `{"ticket":""}`), "minLength /data/ticket"),
		bad("ticket with a line feed", frame(Auth, `{"ticket":"a.b.c\n"}`), "pattern /data/ticket"),
		bad("ticket with a space", frame(Auth, `{"ticket":"Bearer a.b.c"}`), "pattern /data/ticket"),
	}
}

func bodies() []attempt {
	bad := func(name, s, detail string) attempt { return attempt{name, send(s), BadSchema, detail} }
	all := []attempt{
		bad("body is null", `null`, "type /data/body"),
		bad("body is a number", `1`, "type /data/body"),
		bad("body is an object", `{"toString":"x"}`, "type /data/body"),
		bad("empty body", `""`, "minLength /data/body"),
		bad("spaces", `"   "`, "blank /data/body"),
		bad("line feeds", `"\n\n"`, "blank /data/body"),
		bad("no-break and ideographic spaces", `"\u00a0\u3000\u2003"`, "blank /data/body"),
		bad("zero-width space", `"\u200b"`, "blank /data/body"),
		bad("zero-width joiners", `"\u200d\u200c\u2060\ufeff"`, "blank /data/body"),
		bad("Hangul filler", `"\u3164"`, "blank /data/body"),
		bad("tag characters", `"\udb40\udc41"`, "blank /data/body"),
		bad("carriage return", `"a\r\nb"`, "pattern /data/body"),
		bad("NUL", `"a\u0000b"`, "pattern /data/body"),
		bad("escape of a terminal", `"a\u001b[2Jb"`, "pattern /data/body"),
		bad("backspace", `"a\bb"`, "pattern /data/body"),
		bad("form feed", `"a\fb"`, "pattern /data/body"),
		bad("delete", `"a\u007fb"`, "pattern /data/body"),
		bad("C1 next line", `"a\u0085b"`, "pattern /data/body"),
		bad("C1 control sequence", `"a\u009bb"`, "pattern /data/body"),
	}
	for _, r := range []rune{0x202A, 0x202B, 0x202C, 0x202D, 0x202E, 0x2066, 0x2067, 0x2068, 0x2069} {
		all = append(all, bad("bidi "+strconv.FormatInt(int64(r), 16), `"a`+string(r)+`b"`, "pattern /data/body"))
	}
	return all
}

//control:proves schema
//control:proves room-names
func TestDecode_refusesHostileFrames(t *testing.T) {
	codec := newCodec(t)
	corpus := hostile()
	if len(corpus) < 100 {
		t.Errorf("corpus has %d frames, want at least 100", len(corpus))
	}
	names := map[string]bool{}
	for _, tt := range corpus {
		if names[tt.name] {
			t.Errorf("two attempts are called %q", tt.name)
		}
		names[tt.name] = true
		t.Run(tt.name, func(t *testing.T) {
			c, err := codec.Decode([]byte(tt.frame))
			refused, ok := errors.AsType[*Error](err)
			if !ok {
				t.Fatalf("accepted: %+v, error %v", c, err)
			}
			if refused.Code != tt.code || refused.Detail != tt.detail {
				t.Errorf("refused with %s (%s), want %s (%s)", refused.Code, refused.Detail, tt.code, tt.detail)
			}
			if c != (Command{}) {
				t.Errorf("a refused frame left a command: %+v", c)
			}
		})
	}
}
