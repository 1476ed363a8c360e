package chat_test

import (
	"slices"
	"testing"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/testkit"
)

// A kind that is declared and not listed would be refused by every other node, and
// found a while later by the sweep: slow, and seen by nobody.
func TestKinds_thatAreDeclaredAreListed(t *testing.T) {
	if got, want := chat.ChangeKinds(), testkit.Constants[chat.ChangeKind](t, "model.go"); !slices.Equal(got, want) {
		t.Errorf("ChangeKinds() is %v, but model.go declares %v", got, want)
	}
	if got, want := chat.SignalKinds(), testkit.Constants[chat.SignalKind](t, "model.go"); !slices.Equal(got, want) {
		t.Errorf("SignalKinds() is %v, but model.go declares %v", got, want)
	}
}
