package app

import (
	"context"

	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/response"
	"example.com/portcullis/internal/site"
	"example.com/portcullis/internal/socket"
)

// watched are the sockets of this node as the dashboard sees them.
type watched struct{ *socket.Server }

func (w watched) Connections() []site.Connection {
	from := w.Server.Connections()
	list := make([]site.Connection, 0, len(from))
	for _, c := range from {
		list = append(list, site.Connection{
			ID: c.ID, Route: c.Route, User: c.User, Username: c.Username, Session: c.Session, SessionEnds: c.SessionEnds, Since: c.Since,
			Network: c.Network, UserAgent: c.UserAgent, Rooms: c.Rooms, MaxRooms: socket.MaxRooms,
			Queued: int64(c.Queued), MaxQueued: socket.MaxQueued, Received: c.Received,
		})
	}
	return list
}

// responses are the book, and the table behind it where one is lifted.
type responses struct {
	*response.Book
	table interface {
		Active(ctx context.Context) ([]response.Response, error)
		Lift(ctx context.Context, id int64, by string) (response.Response, bool, error)
	}
	audit audit.Recorder
}

func (r responses) Active(ctx context.Context) ([]response.Response, error) {
	return r.table.Active(ctx)
}

func (r responses) Lift(ctx context.Context, id int64, by string) (found bool, err error) {
	lifted, found, err := r.table.Lift(ctx, id, by)
	if err != nil || !found {
		return false, err
	}
	r.audit.Record(ctx, response.Event(lifted, "lifted"))
	return true, r.Refresh(ctx)
}
