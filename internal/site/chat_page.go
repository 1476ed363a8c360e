package site

import (
	"fmt"
	"net/http"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/authz"
)

// The chat's page comes with what it shows first: the newest messages as plain text, which
// a slow device shows long before the scripts run, and for those, so that they need not ask,
// the rooms and the newest page of history. All of it is what GET /api/rooms and
// GET /api/rooms/{id}/messages answer the same reader, from the same calls of the core, and
// like those answers it is kept by no cache and never compressed.

// chatView is what chat.html gets.
type chatView struct {
	RoomID   string        // empty: the page that chooses
	Messages []messageView // the newest, the last one at the bottom
	Writes   bool          // the reader may write here: the place for it is kept free
	Given    string        // a givenBody, in an attribute: a script with text would be inline
}

// givenBody is what the script starts from.
type givenBody struct {
	Me      personBody     `json:"me"`
	Socket  string         `json:"socket"`
	Room    string         `json:"room"`
	Rooms   []roomBody     `json:"rooms"`
	History jsontext.Value `json:"history,omitzero"` // absent: of no room, or of one that the reader is not in
}

// messageView is a message in plain text. What it is besides, the script adds: when it was by
// the reader's clock, links, reactions, files, the code points of what is hidden in it.
type messageView struct {
	Letter, Name, Username, Body string // Username is empty for the reader's own
	More                         bool   // goes on with what the line above began
	Gone                         bool
}

// firstMessages is what fits a high screen: more would be laid out for nobody.
const firstMessages = 30

// oneBlock is BLOCK_MS of the browser's timeline, so that nothing jumps when the script draws.
const oneBlock = 5 * time.Minute

func (s *Site) chatPage(w http.ResponseWriter, c *call) error {
	rooms, err := s.rooms(c)
	if err != nil {
		return err
	}
	return s.showChat(w, c, "Chat", chatView{}, givenBody{Rooms: rooms})
}

// roomPage asks the core before it shows a page with the room's id, so that a page
// does not tell more than the API.
func (s *Site) roomPage(w http.ResponseWriter, c *call) error {
	id, err := c.roomID()
	if err != nil {
		return err
	}
	r, err := s.o.Chat.Room(c.Context(), c.actor, id)
	if err != nil {
		return err
	}
	v, given := chatView{RoomID: id.String(), Writes: authz.Can(r.Role, authz.Send)}, givenBody{Room: id.String()}
	// Before the history: what comes between has a higher seq than this says, and reaches the socket.
	if given.Rooms, err = s.rooms(c); err != nil {
		return err
	}
	if r.Role != "" { // an open room may be seen by everybody, its history by members
		ms, more, err := s.o.Chat.History(c.Context(), c.actor, id, 0, standardPage)
		if err != nil {
			return err
		}
		v.Messages, given.History = messageViews(ms[max(0, len(ms)-firstMessages):], c.actor.User), messagesBody(ms, more)
	}
	title := r.Title
	if r.Peer != nil {
		title = r.Peer.DisplayName
	}
	return s.showChat(w, c, title, v, given)
}

func (s *Site) showChat(w http.ResponseWriter, c *call, title string, v chatView, given givenBody) error {
	given.Me, given.Socket = person(chat.Person{ID: c.actor.User, Username: c.actor.Username, DisplayName: c.actor.DisplayName}), s.socket
	body, err := json.Marshal(given)
	if err != nil {
		return fmt.Errorf("chat page: %w", err)
	}
	v.Given = string(body)
	return s.render(w, c, http.StatusOK, "chat", title, v)
}

func messageViews(ms []chat.Message, reader chat.UserID) []messageView {
	list := make([]messageView, 0, len(ms))
	for i, m := range ms {
		first, _ := utf8.DecodeRuneInString(m.Author.DisplayName)
		v := messageView{Letter: string(unicode.ToUpper(first)), Name: m.Author.DisplayName, Username: m.Author.Username, Body: m.Body, Gone: !m.DeletedAt.IsZero()}
		if m.Author.ID == reader {
			v.Name, v.Username = "You", ""
		}
		if v.Gone {
			v.Body = "This message was deleted."
		}
		if i > 0 {
			above := ms[i-1]
			v.More = above.Author.ID == m.Author.ID && m.ReplyTo == (chat.MessageID{}) && m.CreatedAt.Sub(above.CreatedAt) < oneBlock
		}
		list = append(list, v)
	}
	return list
}
