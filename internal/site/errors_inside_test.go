package site_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"example.com/portcullis/internal/chat"
)

// Whatever went wrong inside, neither body nor header of the answer holds a piece of it,
// and of a refusal only its public sentence.
//
//control:proves errors
func TestErrors_noTextOfTheInsideReachesAClient(t *testing.T) {
	w := newWorld(t)
	b := w.signedIn("ada")
	rapid.Check(t, func(rt *rapid.T) {
		text := "zq" + rapid.StringMatching(`[a-z0-9<>"'&\\ %]{6,40}`).Draw(rt, "inside") + "qz"
		cause := rapid.SampledFrom([]error{errors.New(text), fmt.Errorf("%s: %w", text, context.DeadlineExceeded), fmt.Errorf("%s: %w", text, context.Canceled), fmt.Errorf("%s: %w", text, io.EOF)}).Draw(rt, "cause")
		kind := chat.Kind(rapid.IntRange(-1, int(chat.Busy)+2).Draw(rt, "kind")) // two that do not exist
		err := fmt.Errorf("pq: %s: %w", text, cause)
		if kind >= 0 {
			err = fmt.Errorf("%s: %w", text, &chat.Error{Kind: kind, Public: "Public words.", Err: err})
		}
		w.rooms.fail = err
		path := rapid.SampledFrom([]string{"/api/rooms", "/rooms/" + uuid.NewString()}).Draw(rt, "path")
		res := b.send(http.MethodGet, path, "")
		shown := res.Body.String() + fmt.Sprint(res.Header())
		if res.Code < 400 {
			rt.Fatalf("%v was answered with %d", err, res.Code)
		}
		if strings.Contains(shown, "zq") || strings.Contains(shown, "pq:") {
			rt.Fatalf("%v reached the client: %d %s", err, res.Code, shown)
		}
		if (kind == chat.Internal || kind == chat.Denied || kind > chat.Busy) && strings.Contains(shown, "Public words.") {
			rt.Fatalf("%v told its sentence: %d %s", err, res.Code, shown)
		}
	})
}
