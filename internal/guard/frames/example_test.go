package frames_test

import (
	"errors"
	"net/http"
	"time"

	"github.com/gorilla/websocket"

	"example.com/portcullis/internal/guard/frames"
)

// Reading a WebSocket behind the guard. The origin, the session and the ticket
// have been checked before.
func ExampleHijack() {
	upgrader := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}

	handler := func(w http.ResponseWriter, r *http.Request) {
		hijacked, guard := frames.Hijack(w, frames.Defaults(), 300)
		ws, err := upgrader.Upgrade(hijacked, r, nil)
		if err != nil {
			return // guard() has early_data if that was the reason
		}
		defer ws.Close()
		for {
			_ = ws.SetReadDeadline(time.Now().Add(35 * time.Second))
			if _, _, err = ws.ReadMessage(); err != nil {
				break
			}
		}
		if v, ok := errors.AsType[*frames.Violation](err); ok {
			bye := websocket.FormatCloseMessage(v.Close, "")
			_ = ws.WriteControl(websocket.CloseMessage, bye, time.Now().Add(time.Second))
		}
		_ = guard().BytesIn() // for the metrics
	}
	http.HandleFunc("GET /ws", handler)
}
