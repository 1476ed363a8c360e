package site

import (
	"slices"
	"testing"

	"example.com/portcullis/internal/guard/catalogue"
)

func TestChanges_areWholeLinesAndOnlyThoseThatDiffer(t *testing.T) {
	f := &catalogue.File{Path: "a.go", Lines: []string{"func f() {", "\tif a && b {", "\t\treturn no", "\t}", "\treturn yes", "}"}}
	for _, tt := range []struct {
		name, old, new string
		want           []changeView
	}{
		{"a piece of a line", "a && b", "a", []changeView{{true, "if a && b {"}, {false, "if a {"}}},
		{"lines that go", "\tif a && b {\n\t\treturn no\n\t}\n", "", []changeView{{true, "if a && b {"}, {true, "\treturn no"}, {true, "}"}}},
		{"what stays at both ends is left out", "if a && b {\n\t\treturn no\n\t}", "if a && b {\n\t\treturn yes\n\t}", []changeView{{true, "return no"}, {false, "return yes"}}},
		{"the last line", "\treturn yes\n}", "}", []changeView{{true, "return yes"}}},
		{"what the file does not hold is shown as it is written", "gone", "instead", []changeView{{true, "gone"}, {false, "instead"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := changes(f, catalogue.Cut{Old: tt.old, New: tt.new}); !slices.Equal(got, tt.want) {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
	if got := changes(nil, catalogue.Cut{Old: "a", New: "b"}); len(got) != 2 {
		t.Errorf("without a file: %+v", got)
	}
}

func TestPoint_speaksBelowTheLastLineThatIsShown(t *testing.T) {
	shown := func() []lineView {
		return []lineView{{Number: 3, Text: "a"}, {Number: 4, Text: "b"}, {Number: 5, Text: ""}}
	}
	cut := cutView{Cut: catalogue.Cut{File: "a.go", Removes: "all is open", Start: 4, End: 9}}
	lines := shown()
	point(lines, "a.go", []cutView{cut})
	if lines[0].Key || !lines[1].Key || lines[2].Key || !slices.Equal(lines[1].Without, []string{"all is open"}) {
		t.Errorf("%+v", lines)
	}
	lines = shown()
	point(lines, "b.go", []cutView{cut})
	for _, l := range lines {
		if l.Key || l.Without != nil {
			t.Errorf("another file's line is marked: %+v", l)
		}
	}
}
