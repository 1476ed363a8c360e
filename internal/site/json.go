package site

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.com/portcullis/internal/chat"
)

// decode reads the body into v, strictly: one JSON value, valid UTF-8, no doubled
// names, names in the exact case, and no member that v does not have (CWE-915).
// encoding/json would let the last of two equal names win and "ROLE" pass for "role".
//
//control:name admin-separation
func (c *call) decode(v any) error {
	err := json.Unmarshal(c.body, v, json.RejectUnknownMembers(true))
	if err == nil {
		return nil
	}
	if wrong, ok := errors.AsType[*json.SemanticError](err); ok {
		if errors.Is(err, json.ErrUnknownName) {
			return extraneous(string(wrong.JSONPointer))
		}
		return errBadSchema
	}
	return errBadJSON
}

// writeJSON answers with v. Encoding comes first, so that a failure is still a 500.
func (s *Site) writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		s.o.Log.Error("answer not encoded", "error", err)
		status, body = http.StatusInternalServerError, []byte(`{"code":"internal","message":"`+publicInternal+`","request_id":"`+w.Header().Get("X-Request-Id")+`"}`)
	}
	writeRaw(w, status, body)
}

// writeRaw answers with JSON text. A failed write is the client's, who is gone.
func writeRaw(w http.ResponseWriter, status int, body jsontext.Value) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// roomID reads the room of the address. A text that is no id gets the answer of a
// room that is not there.
func (c *call) roomID() (chat.RoomID, error) {
	id, err := chat.ParseRoomID(chi.URLParam(c.Request, "id"))
	if err != nil {
		return id, chat.ErrDenied
	}
	c.room = id.String()
	return id, nil
}

// roomAndUser reads the room and the other person of the address.
func (c *call) roomAndUser() (chat.RoomID, chat.UserID, error) {
	room, err := c.roomID()
	if err != nil {
		return room, chat.UserID{}, err
	}
	user, err := chat.ParseUserID(chi.URLParam(c.Request, "user_id"))
	if err != nil {
		return room, user, chat.ErrDenied
	}
	return room, user, nil
}

// number reads a whole number of the query that is at least low, or standard when there is none.
func (c *call) number(name string, low, standard int64) (int64, error) {
	sent, found := c.URL.Query()[name]
	if !found {
		return standard, nil
	}
	n, err := strconv.ParseInt(sent[0], 10, 64)
	if err != nil || n < low || len(sent) > 1 {
		return 0, errBadSchema
	}
	return n, nil
}

// stamp is a time in the protocol's form: RFC 3339, UTC, always three digits of milliseconds.
type stamp struct{ time.Time }

// MarshalJSON takes the place of time.Time's own, which drops zeros at the end.
func (t stamp) MarshalJSON() ([]byte, error) {
	return t.UTC().AppendFormat(nil, `"2006-01-02T15:04:05.000Z"`), nil
}
