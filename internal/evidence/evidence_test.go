package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"example.com/portcullis"
	"example.com/portcullis/internal/guard/catalogue"
)

var two = []catalogue.Control{
	{Name: "gate", Title: "Gates", Layer: catalogue.Handshake, Numbers: []int{7}, Threat: "Somebody comes in.", Refs: []string{"CWE-1"}},
	{Name: "wall", Title: "Walls", Layer: catalogue.Handshake, Threat: "Somebody climbs.", Refs: []string{"CWE-2"}, NoAttack: "it is too high"},
}

func TestLoad_holdsTheJudgementsToTheCatalogue(t *testing.T) {
	source, err := catalogue.Read(portcullis.Source())
	if err != nil {
		t.Fatal(err)
	}
	b, err := load(catalogue.All(), source, nil)
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, r := range b.asvs {
		count[r.Status]++
	}
	// ASVS 5.0.0 has 345 requirements, 48 of them in the chapters that chapters leaves out.
	if len(b.asvs) != 345-48 || count[met] < 150 || count[notMet] == 0 {
		t.Errorf("%d requirements, %v: that cannot be all, or not the truth", len(b.asvs), count)
	}
}

func TestReadASVS_refusesWhatNobodyCouldBelieve(t *testing.T) {
	const good = "4.4.2\t2\tA list of origins\tmet\t\tgate"
	for _, test := range []struct{ name, text, want string }{
		{"met by nothing", "4.4.2\t2\tA list of origins\tmet\t\t", "is met by no control"},
		{"met by a control that does not exist", "4.4.2\t2\tA list of origins\tmet\t\tmoat", "names moat"},
		{"not met without a word", "4.4.2\t2\tA list of origins\tnot met\t\t", "does not say why"},
		{"not applicable without a word", "4.4.2\t2\tA list of origins\tnot applicable\t\t", "does not say why"},
		{"not met by a control", "4.4.2\t2\tA list of origins\tnot met\tno time\tgate", "names a control and is not met"},
		{"a status of its own", "4.4.2\t2\tA list of origins\tnearly met\talmost\t", `has the status "nearly met"`},
		{"without level", "4.4.2\t\tA list of origins\tmet\t\tgate", "has no level"},
		{"twice", good + "\n" + good, "is there twice"},
		{"a column too few", "4.4.2\t2\tA list of origins\tmet\tgate", "5 columns"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := readASVS(test.text, two); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
	if all, err := readASVS("# for people\n"+good+"\n", two); err != nil || len(all) != 1 || !slices.Equal(all[0].Controls, []string{"gate"}) {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestReadAdvice_refusesUnknownControlsAndEmptyAnswers(t *testing.T) {
	for text, want := range map[string]string{"Section\tDo it\tmoat\t": "names moat", "Section\tDo it\t\t": "neither a control nor a reason"} {
		if _, err := readAdvice(text, two); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestReadNumbers_refusesGapsAndMissingOnes(t *testing.T) {
	for text, want := range map[string]string{"1\tOne\n3\tThree": "3 stands where 2 should", "1\tOne": "has 1 lines"} {
		if _, err := readNumbers(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestPages_sayWhatIsMetWhatIsNotAndWhere(t *testing.T) {
	source := &catalogue.Evidence{
		Code:    map[string][]catalogue.Place{"gate": {{File: "internal/gate/gate.go", Func: "Check"}}},
		Tests:   map[string][]catalogue.Place{"gate": {{File: "internal/gate/gate_test.go", Func: "TestCheck_refusesStrangers"}}},
		Attacks: map[string][]catalogue.Attack{"gate": {{Control: "gate", Title: "a stranger"}}},
	}
	b, err := load(catalogue.All(), source, nil)
	if err != nil {
		t.Fatal(err)
	}
	b.controls = two
	b.kills = map[string][]kill{"gate": {{"gate", "everybody comes in", []string{"TestCheck_refusesStrangers"}}}}
	b.asvs = []requirement{
		{"4.4.2", "2", "A list of origins", met, "", []string{"gate"}},
		{"11.1.1", "2", "A policy | of keys", notMet, "nobody wrote it", nil},
	}
	b.advice = []advice{{"Origin", "Check it", []string{"gate"}, ""}}
	pages, err := b.pages()
	if err != nil {
		t.Fatal(err)
	}
	text := map[string]string{}
	for _, p := range pages {
		text[p.name] = string(p.text)
	}
	for page, want := range map[string][]string{
		"controls.md": {"| [gate](#gate) | handshake | 7 | 4.4.2 | 1 | 1 | 1 |", "| none possible | 0 |", "`internal/gate/gate.go`, Check", "TestCheck_refusesStrangers",
			"Attack: a stranger", "it is too high", "Killed when everybody comes in", "Cheat sheet, Origin: Check it"},
		"asvs.md":        {"| 2 | 1 | 1 | 0 |", "- 11.1.1 (level 2) A policy | of keys: nobody wrote it.", `A policy \| of keys`, "[gate](controls.md#gate)", "no identity provider"},
		"cheat-sheet.md": {"| Origin | Check it | [gate](controls.md#gate) |"},
		"numbers.md":     {"| 7 | An exact list of origins | [gate](controls.md#gate) |", "| 8 | What an absent or null Origin means | open: no control claims it |", "| 5 | Programs of ours verify the server they connect to | out of scope:"},
	} {
		for _, w := range want {
			if !strings.Contains(text[page], w) {
				t.Errorf("%s lacks %q", page, w)
			}
		}
	}
	var back []requirement
	if err := json.Unmarshal([]byte(text["asvs.json"]), &back); err != nil || len(back) != 2 || back[1].Status != notMet {
		t.Errorf("asvs.json: %v, %+v", err, back)
	}
}
