package text

import (
	"strings"
	"testing"
	"testing/quick"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// People write like this, and all of it must pass, unchanged.
func TestBody_letsPeopleWrite(t *testing.T) {
	for name, s := range map[string]string{
		"English":         "Good morning, how are you? It's 5 o'clock — naïve café",
		"code":            "if a <= b {\n\treturn \"x\" // ☃\n}",
		"Arabic":          "السلام عليكم ورحمة الله وبركاته، كيف حالك؟",
		"Arabic, voweled": "بِسْمِ ٱللَّهِ ٱلرَّحْمَٰنِ ٱلرَّحِيمِ",
		"Persian, ZWNJ":   "می\u200cخواهم کتاب\u200cها را ببینم",
		"Urdu":            "آپ کیسے ہیں؟ میں ٹھیک ہوں۔",
		"Hebrew":          "שלום עולם, מה שלומך היום?",
		"Hebrew, pointed": "בְּרֵאשִׁ֖ית בָּרָ֣א אֱלֹהִ֑ים",
		"RTL marks":       "\u200fמחיר: 5\u200e $",
		"Hindi":           "नमस्ते दुनिया, आप कैसे हैं? क्षत्रिय ज्ञान",
		"Hindi, ZWJ":      "क्\u200dष और र्\u200dय",
		"Bengali":         "আমি বাংলায় গান গাই, র\u200d্যাব",
		"Malayalam":       "നന്ദി, അവന്\u200dറെ",
		"Sinhala":         "ශ්\u200dරී ලංකාව",
		"Tamil":           "வணக்கம் உலகம்",
		"Thai":            "สวัสดีชาวโลก น้ำใจที่ยิ่งใหญ่",
		"Lao":             "ສະບາຍດີຊາວໂລກ",
		"Khmer":           "សួស្តីពិភពលោក",
		"Burmese":         "မင်္ဂလာပါကမ္ဘာလောက",
		"Tibetan":         "བཀྲ་ཤིས་བདེ་ལེགས།",
		"Mongolian":       "ᠮᠣᠩᠭᠣᠯ ᠪᠢᠴᠢᠭ᠌",
		"Amharic":         "ሰላም ለዓለም",
		"Japanese":        "こんにちは、世界。カタカナ漢字ﾊﾝｶｸ",
		"Japanese name":   "葛󠄀城市の辻󠄀さん",
		"Chinese":         "你好，世界。龍龜",
		"Korean":          "안녕하세요 세계",
		"Old Korean":      "나랏말ᄊᆞ미",
		"Vietnamese":      "Xin chào thế giới, Nguyễn Ưởng",
		"Russian":         "Привет, мир! Ёлка",
		"Greek":           "Γειά σου Κόσμε, ᾄδειν",
		"Polish, Czech":   "Zażółć gęślą jaźń; příliš žluťoučký kůň",
		"mathematics":     "∀x∈ℝ: ⌈x⌉ = −⌊−x⌋, 𝐄[X] ≠ ½",
		"emoji":           "😀👍🏽❤️🔥☕⚓🛟🧭",
		"keycaps":         "1️⃣ #️⃣ *️⃣ ©️ ™️ ℹ️ ‼️ ▶︎",
		"family":          "👨\u200d👩\u200d👧\u200d👦 👩🏽\u200d❤️\u200d💋\u200d👨🏿 👩\u200d🚀 🧑🏻\u200d🤝\u200d🧑🏿",
		"ZWJ with VS16":   "🏳️\u200d🌈 🏴\u200d☠️ ❤️\u200d🔥 👁️\u200d🗨️ 🏃🏽\u200d♀️\u200d➡️",
		"flags":           "🇩🇪 🇺🇳 🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f 🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f🏴\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073\U000e007f 🏴",
		"braille":         "⠓⠑⠇⠇⠕⠀⠺⠕⠗⠇⠙",
		"box drawing":     "┌─┐\n│ │\n└─┘",
	} {
		t.Run(name, func(t *testing.T) {
			want := norm.NFC.String(s)
			if got, rule := Body(s); rule != "" || got != want {
				t.Errorf("%q: rule %q, became %q", s, rule, got)
			}
		})
	}
}

//control:proves unicode
func TestBody_refusesTextThatIsNotWhatItLooksLike(t *testing.T) {
	for _, tt := range []struct {
		name, s string
		want    Rule
	}{
		{"override (Trojan Source)", "invoice\u202Efdp.exe", Bidi},
		{"embedding", "a\u202Bb", Bidi},
		{"isolate", "a\u2067b\u2069", Bidi},
		{"deprecated shaping", "a\u206Ab", Bidi},
		{"bell", "a\ab", Control},
		{"escape sequence of a terminal", "\x1b[2J", Control},
		{"carriage return", "a\rb", Control},
		{"C1 control", "a\u0085b", Control},
		{"NUL", "a\x00", Control},
		{"joiner between letters", "ad\u200Dmin", Invisible},
		{"non-joiner between letters", "ad\u200Cmin", Invisible},
		{"joiner at the start", "\u200Da", Invisible},
		{"joiner behind an emoji and before a letter", "👨\u200Dx", Invisible},
		{"joiner at the end", "👨\u200D", Invisible},
		{"two joiners", "👨\u200D\u200D👩", Invisible},
		{"invisible times", "a\u2062b", Invisible},
		{"Mongolian vowel separator", "a\u180Eb", Invisible},
		{"Hangul filler", "\u3164", Invisible},
		{"halfwidth Hangul filler", "a\uFFA0", Invisible},
		{"musical null notehead", "a\U0001D173b", Invisible},
		{"interlinear annotation", "a\uFFF9b\uFFFAc\uFFFB", Invisible},
		{"selector behind a letter", "a\uFE0Fb", Invisible},
		{"hidden bytes in selectors", "😀\U000E0101\U000E0152", Invisible},
		{"selector at the start", "\uFE0F", Invisible},
		{"text in tags", "hi\U000E0068\U000E0069", Tag},
		{"tags behind a flag that there is not", "\U0001F3F4" + tags("ustx"), Tag},
		{"tags behind a flag that there is", "\U0001F3F4" + tags("gbsct") + "\U000E0061", Tag},
		{"a flag that is not ended", strings.TrimSuffix("\U0001F3F4"+tags("gbsct"), "\U000E007F"), Tag},
		{"tags behind another emoji", "😀" + tags("gbsct"), Tag},
		{"language tag", "\U000E0001", Tag},
		{"zalgo", "h" + strings.Repeat("\u0336", MaxMarks+1), Marks},
		{"zalgo of many kinds", "z" + strings.Repeat("\u0301\u0320\u0489", 5), Marks},
		{"an emoji without end", strings.Repeat("👨\u200D", MaxCluster) + "👩", Marks},
		{"noncharacter", "a\uFFFE", Encoding},
		{"noncharacter of a block", "\uFDD0", Encoding},
		{"not UTF-8", "a\xff", Encoding},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, rule := Body(tt.s); rule != tt.want {
				t.Errorf("%q: rule %q and %q, want %q", tt.s, rule, got, tt.want)
			}
		})
	}
}

// The order is the point: a check before normalisation sees another text than readers.
//
//control:proves unicode
func TestBody_normalisesBeforeItChecks(t *testing.T) {
	for _, tt := range []struct{ name, s, want string }{
		{"two spellings of é", "e\u0301", "é"},
		{"marks in another order", "a\u0301\u0323", "ạ́"},
		{"a letter that is another one", "\u212B \u2126", "Å Ω"},
		{"soft hyphen and zero-width space of a web page", "Donau\u00ADdampf\u200Bschiff", "Donaudampfschiff"},
		{"byte order mark of a file", "\uFEFFhello", "hello"},
		{"separators", "a\u2028b\u2029c", "a\nb\nc"},
		{"nothing but what is taken out", "\u200B\u2060\uFEFF", ""},
		{"eight marks, of which one composes", "e\u0301" + strings.Repeat("\u0323", 7), norm.NFC.String("e\u0301" + strings.Repeat("\u0323", 7))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, rule := Body(tt.s); rule != "" || got != tt.want {
				t.Errorf("%q became %q, rule %q; want %q", tt.s, got, rule, tt.want)
			}
		})
	}
	err := quick.Check(func(s string) bool {
		once, rule := Body(s)
		if rule != "" {
			return once == ""
		}
		twice, again := Body(once)
		return again == "" && twice == once && utf8.ValidString(once)
	}, nil)
	if err != nil {
		t.Errorf("not the same the second time: %v", err)
	}
}

func TestLine_isOneLine(t *testing.T) {
	for s, want := range map[string]string{
		"General":                      "General",
		"  two   spaces \u3000 wide  ": "two spaces wide",
		"\u00a0no-break\u00a0":         "no-break",
		"Café ☕":                       "Café ☕",
		"חדר ישיבות":                   "חדר ישיבות",
	} {
		if got, rule := Line(s); rule != "" || got != want {
			t.Errorf("%q became %q, rule %q; want %q", s, got, rule, want)
		}
	}
	for s, want := range map[string]Rule{"a\nb": Control, "a\tb": Control, "a\u200fb": Bidi, "\u2800": Invisible, "a\u2028b": Control} {
		if got, rule := Line(s); rule != want {
			t.Errorf("%q: rule %q (%q), want %q", s, rule, got, want)
		}
	}
}

//control:proves unicode
func TestName_refusesNamesThatPassForOthers(t *testing.T) {
	for s, want := range map[string]Rule{
		"Alice":                            "",
		"José Müller-O’Brien":              "",
		"Анна Каренина":                    "",
		"Вера":                             "", // looks like Bepa, and is a name
		"Ελένη Παπαδοπούλου":               "",
		"محمد علي":                         "",
		"דנה כהן (Dana)":                   "",
		"अमित कुमार":                       "",
		"สมชาย":                            "",
		"山田 太郎 Taro":                       "",
		"ピカチュウ好き":                          "",
		"김철수 Kim":                          "",
		"王小明":                              "",
		"🦉 Owl":                            "",
		"👩\u200d🚀 Eva":                     "",
		"аdmin":                            Mixed, // Cyrillic а
		"раypal":                           Mixed,
		"Αlice":                            Mixed, // Greek Alpha
		"Оlеg":                             Mixed,
		"Σωκράτης Сократ":                  Mixed,
		"アВ":                               Mixed,
		"a\u200Db":                         Invisible,
		"Alice\u200F":                      Bidi,
		"\uE000":                           Unknown,
		"a\U000F0000":                      Unknown,
		"x\u0378":                          Unknown,
		"A\u202Elice":                      Bidi,
		"Z" + strings.Repeat("\u0300", 20): Marks,
	} {
		if got, rule := Name(s); rule != want {
			t.Errorf("%q: rule %q (%q), want %q", s, rule, got, want)
		}
	}
}

//control:proves unicode
func TestSkeleton_isOneForWhatLooksAlike(t *testing.T) {
	for _, s := range []string{"аdmin", "ADMIN", "ad min", "Аdмin", "аԁміп", "ａｄｍｉｎ", "𝐚𝐝𝐦𝐢𝐧", "ᴀᴅᴍɪɴ", "ádmin", "аdmın", "ad\u00A0min", "ⓐⓓⓜⓘⓝ"} {
		if got := Skeleton(s); got != "admin" {
			t.Errorf("%q looks like %q, want admin", s, got)
		}
	}
	for _, s := range []string{"Анна", "badmin", "管理者", "adm1n"} {
		if got := Skeleton(s); got == "admin" {
			t.Errorf("%q is said to look like admin", s)
		}
	}
	for from, to := range lookalikes {
		if from < utf8.RuneSelf || to >= utf8.RuneSelf {
			t.Errorf("%q → %q is no letter that passes for an ASCII one", from, to)
		}
	}
}

func TestGraphemes_countsAsReadersDo(t *testing.T) {
	for s, want := range map[string]int{"": 0, "abc": 3, "👨\u200d👩\u200d👧\u200d👦": 1, "🇩🇪🇫🇷": 2, "e\u0301": 1, "กำ": 1} {
		if got := Graphemes(s); got != want {
			t.Errorf("%q has %d, want %d", s, got, want)
		}
	}
}

func BenchmarkBody(b *testing.B) {
	for name, s := range map[string]string{"ascii": strings.Repeat("Good morning ", 10), "arabic_4096": strings.Repeat("س", 4096)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = Body(s)
			}
		})
	}
}
