package fold_test

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"postern/internal/mime/fold"
)

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                    "plain",
		"РауРаl":                   "PayPal",                  // Cyrillic but for the l
		"your Аmаzon аccount":      "your Amazon account",     // three Cyrillic letters
		"the сору of it":           "the copy of it",          // all Cyrillic, among Latin words
		"Вот сору и тема":          "Вот сору и тема",         // Cyrillic at home
		"Мы нашли Bаш выигpыш":     "Мы нашли Ваш выигрыш",    // Latin letters in Russian
		"vіаgrа":                   "viagra",                  // і and а
		"Ρayρal":                   "Paypal",                  // Greek
		"Καλημέρα κόσμε":           "Καλημέρα κόσμε",          //
		"ᎪᎷᎪᏃᎾN":                   "ᎪᎷᎪᏃᎾN",                  // one letter is like none
		"via\u200bgra\u200d pill":  "viagra pill",             //
		"V\u00adi\u00ada\u00adgra": "Viagra",                  // soft hyphens
		"发\u200b票 代\ufeff开":        "发票 代开",                   //
		"می\u200cخواهم":            "می\u200cخواهم",           // Persian needs it
		"👨\u200d👩\u200d👧 family":   "👨\u200d👩\u200d👧 family",  // so do pictures
		"ＦＲＥＥ　ｍｏｎｅｙ１２":             "FREE　money12",            //
		"𝐅𝐫𝐞𝐞 𝓶𝓸𝓷𝓮𝔂":               "Free money",              //
		"Ⓕⓡⓔⓔ 🅵🆁🅴🅴":                "Free FREE",               //
		"ᴠᴇʀɪꜰʏ ʏᴏᴜʀ":              "verify your",             //
		"v\u0337i\u0336a\u0335gra": "viagra",                  // marks heaped on
		"cafe\u0301":               "café",                    //
		"café über größe ñandú":    "café über größe ñandú",   //
		"“quoted” – it’s 100 €…":   "“quoted” – it’s 100 €…",  //
		"ﬁnd oﬀer":                 "find offer",              //
		"日本語のテキスト、です。":             "日本語のテキスト、です。",            //
		"한국어 문장":                   "한국어 문장",                  //
		"IP-адрес и SMSка":         "IP-адрес и SMSka",        //
		"שלום עולם מרחבא العربية":  "שלום עולם מרחבא العربية", //
	} {
		if got := string(fold.Text([]byte(in))); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestBare(t *testing.T) {
	for in, want := range map[string]string{
		"Vïàgrá": "Viagra", "größe": "größe", "Schöne Grüße": "Schöne Grüße", "Łódź": "Łódź", "préférée": "préférée", "Ðïscöünt": "Ðïscöünt", "Ďïscoünt": "Discount",
		"ısı": "ısı", "Ελλάδα й": "Ελλάδα й", "v\u0301i\u0300a\u0301": "via", "plain": "plain",
	} {
		if got := string(fold.Bare([]byte(in))); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestNothingIsCopiedInVain(t *testing.T) {
	for _, text := range []string{"", "ascii only", "Русский текст без подвоха", "中文，全角标点。", "déjà vu", "🎁 gift", "Ελληνικά"} {
		b := []byte(text)
		if got := fold.Text(b); len(got) != len(b) || len(b) > 0 && &got[0] != &b[0] {
			t.Errorf("%q is copied", text)
		}
	}
}

func TestLook(t *testing.T) {
	for text, want := range map[string]int{
		"Your Pаypаl account was Аmаzon": 2,
		"Verify уоur account":            1, // уо are Cyrillic
		"Ρayρal":                         1,
		"The NFκB pathway and TNFα, IFNγ, 5 μm, 10 kΩ, Δt, π-Meson, αβγ": 0,
		"email'ом, SMSка, IP-адрес, VIPы, Gmailом":                       0,
		"Cредний телефон: Tелефон и аккаунт":                             0, // a slip of the keyboard
		"Вы выиграли в лотepeю пpиз, пoлyчите дeньги":                    4,
		"Kαλημέρα σε όλους, στείλτε email":                               0,
		"日本語 text とmix": 0, "שלום hello": 0, "Größe naïve Łódź": 0, "plain": 0, "Вот и всё": 0,
		"ΑΒΓΔ Α1 ΑB": 0,
	} {
		if got := fold.Look(text); got.Mixed != want || (want > 0) != (got.First != "") {
			t.Errorf("%q: %+v, want %d", text, got, want)
		}
	}
}

func TestApart(t *testing.T) {
	for text, want := range map[string]int{
		"via\u200bgra": 0, "v\u200c\u200di\u2060a": 2, "Вы\u200bигра\u200bли": 2, "Ju\u200cly Ju\u200cne": 0, "July \u200c 7": 0, "": 0, "plain": 0, "\u200bword\u200b word": 0,
		"Donau\u00addampf\u00adschiff\u00adfahrt": 0, "V\u00adi\u00ada\u00adg\u00adra": 3, "V\u00adi\u00ada": 0, "a\u00adb": 0,
		"می\u200cخواهم": 0, "👨\u200d👩\u200d👧": 0, "ไทย\u200bไทย": 0, "क्\u200dष": 0, "https://a.test/\u200bpath": 0, "@\u200bname": 0,
		"\u200c\u00a0\u200c\u00a0\u200c": 0, "발\u200b표": 0, "x\u200b": 0, "\u202eabc\u202c": 0,
	} {
		if got := fold.Apart([]byte(text)); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

func FuzzText(f *testing.F) {
	for _, s := range []string{"Pаypаl", "v\u0337i\u200b", "Ⓕⓡ🅵", "ổ", "\u0301", "\u200b\u200b", strings.Repeat("аa", 100)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		s = strings.ToValidUTF8(s, "\ufffd")
		for _, to := range []func([]byte) []byte{fold.Text, fold.Bare} {
			in := []byte(s)
			out := to(in)
			if !utf8.Valid(out) || string(in) != s || len(out) > 3*len(in)+8 {
				t.Fatalf("%q becomes %q", s, out)
			}
			if again := to(bytes.Clone(out)); len(again) > len(out) {
				t.Errorf("%q grows from %q to %q", s, out, again)
			}
		}
		if n := fold.Look(s).Mixed; n > len(s) {
			t.Errorf("%d words in %q", n, s)
		}
	})
}
