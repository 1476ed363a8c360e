package wire

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/secret"
)

// Command is one frame of a client, checked and typed. Only the fields of its Type
// are set; who sends it is no part of it.
type Command struct {
	ID       chat.ClientID
	Type     Type
	Room     chat.RoomID
	Message  chat.MessageID
	Body     string
	ReplyTo  chat.MessageID                 // zero: none
	Uploads  [chat.MaxUploads]chat.UploadID // zero: none; an array, so that commands can be compared
	AfterSeq int64
	Resume   bool  // room.join: after_seq was given, so changes after it are asked for
	Seq      int64 // read.mark
	Emoji    string
	Ticket   secret.Text
}

// Files are the uploads that the command names.
func (c Command) Files() (ids []chat.UploadID) {
	for _, id := range c.Uploads {
		if id != (chat.UploadID{}) {
			ids = append(ids, id)
		}
	}
	return ids
}

var bom = []byte("\uFEFF")

// Decode reads one frame. Its error is always an *Error. The frame is not kept.
//
//control:name schema
func (c *Codec) Decode(frame []byte) (Command, error) {
	switch {
	case len(frame) > MaxFrame:
		return Command{}, &Error{Code: TooLarge, Detail: "size"}
	case tooDeep(frame, MaxDepth):
		return Command{}, &Error{Code: BadJSON, Detail: "depth"}
	case !utf8.Valid(frame):
		return Command{}, &Error{Code: BadEncoding, Detail: "utf8"}
	case bytes.HasPrefix(frame, bom):
		return Command{}, &Error{Code: BadJSON, Detail: "bom"}
	}
	root, fault, failed := parse(frame)
	if failed != nil {
		return Command{}, failed
	}
	return c.command(root, fault)
}

// command is the gate behind both encodings: the tree of a frame, and the rule that
// reading it has noted as broken, become a Command or a refusal.
func (c *Codec) command(root any, fault string) (Command, error) {
	envelope, ok := root.(map[string]any)
	if !ok {
		return Command{}, &Error{Code: BadSchema, Detail: "type /"}
	}
	text, _ := envelope["id"].(string)
	id, err := chat.ParseClientID(text)
	if err != nil {
		text = "" // never echo what is not an id; the schema says so below
	}
	if fault != "" {
		return Command{}, &Error{Code: BadSchema, Detail: fault, Re: text}
	}
	name, ok := envelope["type"].(string)
	if !ok {
		return Command{}, &Error{Code: BadSchema, Detail: "type /type", Re: text}
	}
	schema, ok := c.commands[Type(name)]
	if !ok {
		return Command{}, &Error{Code: UnknownType, Detail: "enum /type", Re: text}
	}
	if err := schema.Validate(envelope); err != nil {
		code, detail := violation(err)
		return Command{}, &Error{Code: code, Detail: detail, Re: text}
	}
	cmd := Command{ID: id, Type: Type(name)}
	if detail := cmd.fill(envelope["data"].(map[string]any)); detail != "" {
		return Command{}, &Error{Code: BadSchema, Detail: detail, Re: text}
	}
	return cmd, nil
}

// fill takes the fields of data, which the schema has checked, and returns the
// rule that one breaks which a schema cannot say, or "".
func (c *Command) fill(data map[string]any) string {
	var err error
	if s, ok := data["room_id"].(string); ok {
		if c.Room, err = chat.ParseRoomID(s); err != nil {
			return "uuid /data/room_id"
		}
	}
	if s, ok := data["message_id"].(string); ok {
		if c.Message, err = chat.ParseMessageID(s); err != nil {
			return "uuid /data/message_id"
		}
	}
	if s, ok := data["reply_to"].(string); ok {
		if c.ReplyTo, err = chat.ParseMessageID(s); err != nil {
			return "uuid /data/reply_to"
		}
	}
	if list, ok := data["upload_ids"].([]any); ok {
		for i, item := range list {
			s, _ := item.(string)
			if c.Uploads[i], err = chat.ParseUploadID(s); err != nil {
				return "uuid /data/upload_ids"
			}
		}
	}
	if s, ok := data["body"].(string); ok {
		if blank(s) {
			return "blank /data/body"
		}
		c.Body = s
	}
	c.AfterSeq, c.Resume = data["after_seq"].(int64)
	c.Seq, _ = data["seq"].(int64)
	c.Emoji, _ = data["emoji"].(string)
	if s, ok := data["ticket"].(string); ok {
		c.Ticket = secret.NewText(s)
	}
	return ""
}

// invisible are letters and symbols that show nothing, beside spaces and format
// characters: Hangul fillers and the empty Braille pattern.
const invisible = "\u115F\u1160\u3164\uFFA0\u2800"

// blank reports whether s shows nothing at all: an empty message in disguise.
func blank(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return !unicode.IsSpace(r) && !unicode.Is(unicode.Cf, r) && !strings.ContainsRune(invisible, r)
	})
}
