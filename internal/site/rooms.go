package site

import (
	"net/http"

	"github.com/go-json-experiment/json/jsontext"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/wire"
)

// Rooms and their history. Nothing here decides who may see what: the core does,
// in the statement that reads.

type personBody struct {
	ID          string `json:"id"`
	Username    string `json:"username"`
	DisplayName string `json:"display_name"`
}

func person(p chat.Person) personBody { return personBody{p.ID.String(), p.Username, p.DisplayName} }

type roomBody struct {
	ID         string      `json:"id"`
	Title      string      `json:"title"` // empty for a direct room: show the peer
	Visibility string      `json:"visibility"`
	HeadSeq    int64       `json:"head_seq"`
	ReadSeq    int64       `json:"read_seq"`
	Role       string      `json:"role,omitzero"` // absent: not a member, the room is open
	Members    int         `json:"members"`
	Peer       *personBody `json:"peer,omitzero"`
}

func room(r chat.Room) roomBody {
	b := roomBody{ID: r.ID.String(), Title: r.Title, Visibility: string(r.Visibility), HeadSeq: r.HeadSeq, ReadSeq: r.ReadSeq, Role: string(r.Role), Members: r.Members}
	if r.Peer != nil {
		p := person(*r.Peer)
		b.Peer = &p
	}
	return b
}

func (s *Site) getRooms(w http.ResponseWriter, c *call) error {
	list, err := s.rooms(c)
	if err != nil {
		return err
	}
	s.writeJSON(w, http.StatusOK, struct {
		Rooms []roomBody `json:"rooms"`
	}{list})
	return nil
}

// rooms are those that the caller may see.
func (s *Site) rooms(c *call) ([]roomBody, error) {
	rooms, err := s.o.Chat.Rooms(c.Context(), c.actor)
	list := make([]roomBody, 0, len(rooms))
	for _, r := range rooms {
		list = append(list, room(r))
	}
	return list, err
}

func (s *Site) postRoom(w http.ResponseWriter, c *call) error {
	var sent struct {
		Title      string          `json:"title"`
		Visibility chat.Visibility `json:"visibility"`
	}
	if err := c.decode(&sent); err != nil {
		return err
	}
	r, err := s.o.Chat.CreateRoom(c.Context(), c.actor, sent.Title, sent.Visibility)
	if err != nil {
		return err
	}
	s.writeJSON(w, http.StatusCreated, room(r))
	return nil
}

// postDirect finds or makes the room of two, which is why it is 200 and not 201.
func (s *Site) postDirect(w http.ResponseWriter, c *call) error {
	var sent struct {
		Username string `json:"username"`
	}
	if err := c.decode(&sent); err != nil {
		return err
	}
	r, err := s.o.Chat.Direct(c.Context(), c.actor, sent.Username)
	if err != nil {
		return err
	}
	s.writeJSON(w, http.StatusOK, room(r))
	return nil
}

// standardPage is a page of history when the client names no limit: a few screens.
const standardPage = 50

func (s *Site) getMessages(w http.ResponseWriter, c *call) error {
	id, err := c.roomID()
	if err != nil {
		return err
	}
	before, err := c.number("before_seq", 0, 0)
	if err != nil {
		return err
	}
	limit, err := c.number("limit", 1, standardPage)
	if err != nil {
		return err
	}
	ms, more, err := s.o.Chat.History(c.Context(), c.actor, id, before, int(limit))
	if err != nil {
		return err
	}
	writeRaw(w, http.StatusOK, messagesBody(ms, more))
	return nil
}

func (s *Site) getSearch(w http.ResponseWriter, c *call) error {
	id, err := c.roomID()
	if err != nil {
		return err
	}
	limit, err := c.number("limit", 1, standardPage)
	if err != nil {
		return err
	}
	ms, err := s.o.Chat.Search(c.Context(), c.actor, id, c.URL.Query().Get("q"), int(limit))
	if err != nil {
		return err
	}
	writeRaw(w, http.StatusOK, messagesBody(ms, false))
	return nil
}

// messagesBody uses the socket's own encoding, so that a message looks the same
// wherever it comes from, and a deleted one has no body anywhere. more says that the page
// is shorter than asked for, and not the last.
func messagesBody(ms []chat.Message, more bool) jsontext.Value {
	body := []byte(`{"messages":[`)
	for i, m := range ms {
		if i > 0 {
			body = append(body, ',')
		}
		body = wire.Message(body, m)
	}
	body = append(body, ']')
	if more {
		body = append(body, `,"more":true`...)
	}
	return append(body, '}')
}
