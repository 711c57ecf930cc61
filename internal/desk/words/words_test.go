package words

import (
	"maps"
	"regexp"
	"slices"
	"testing"
	"time"
)

func open(t *testing.T) *Book {
	t.Helper()
	b, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var placeholder = regexp.MustCompile(`\{[^}]*\}`)

// forms are the texts of an entry with the placeholders that each has.
func (e entry) all() map[string][]string {
	out := map[string][]string{}
	for form, text := range e.forms {
		out[form] = slices.Sorted(slices.Values(placeholder.FindAllString(text, -1)))
	}
	if e.forms == nil {
		out[""] = slices.Sorted(slices.Values(placeholder.FindAllString(e.text, -1)))
	}
	return out
}

// Every language says everything, with the same placeholders and all plural forms it needs.
func TestAllLanguagesSayTheSame(t *testing.T) {
	b := open(t)
	if want := []string{"en", "el", "ru", "zh-CN"}; !slices.Equal(b.Languages(), want) {
		t.Fatalf("%v", b.Languages())
	}
	base, _ := b.Language(Default)
	for _, name := range b.Languages() {
		l, _ := b.Language(name)
		needed := map[string]bool{}
		for n := range int64(200) {
			needed[category(l.tag, n)] = true
		}
		for key := range base.texts {
			if !l.Has(key) {
				t.Errorf("%s lacks %s", name, key)
			}
		}
		for key, e := range l.texts {
			o, ok := base.texts[key]
			if !ok {
				t.Errorf("%s has %s, which %s has not", name, key, Default)
				continue
			}
			if (e.forms == nil) != (o.forms == nil) {
				t.Errorf("%s %s: one has plural forms, the other not", name, key)
				continue
			}
			want := o.all()["other"]
			if o.forms == nil {
				want = o.all()[""]
			}
			for form, have := range e.all() {
				if !slices.Equal(have, want) {
					t.Errorf("%s %s %s: placeholders %v, not %v", name, key, form, have, want)
				}
				if e.forms[form] == "" && e.text == "" {
					t.Errorf("%s %s %s is empty", name, key, form)
				}
			}
			if e.forms != nil {
				for form := range needed {
					if e.forms[form] == "" {
						t.Errorf("%s %s lacks the form %s, has %v", name, key, form, slices.Sorted(maps.Keys(e.forms)))
					}
				}
			}
		}
	}
}

func TestPlurals(t *testing.T) {
	b := open(t)
	for _, c := range []struct {
		lang string
		n    int64
		want string
	}{
		{"en", 1, "1 day"}, {"en", 0, "0 days"}, {"en", 12345, "12,345 days"},
		{"ru", 1, "1 день"}, {"ru", 2, "2 дня"}, {"ru", 5, "5 дней"}, {"ru", 11, "11 дней"}, {"ru", 21, "21 день"}, {"ru", 1_000_002, "1 000 002 дня"},
		{"el", 1, "1 ημέρα"}, {"el", 2, "2 ημέρες"}, {"el", 12345, "12.345 ημέρες"}, {"zh-CN", 3, "3 天"},
	} {
		l, _ := b.Language(c.lang)
		if got := l.Say("common.days", "n", c.n); got != c.want {
			t.Errorf("%s %d: %q", c.lang, c.n, got)
		}
	}
	l, _ := b.Language("en")
	l.texts["test"] = entry{text: "{a} and {b}"}
	if got := l.Say("test", "a", "{b}", "b", "{a}"); got != "{b} and {a}" {
		t.Errorf("%q", got)
	}
	if got := l.Say("no.such"); got != "no.such" {
		t.Errorf("%q", got)
	}
}

func TestMatch(t *testing.T) {
	b := open(t)
	for _, c := range []struct{ wanted, header, want string }{
		{"", "", "en"}, {"ru", "el", "ru"}, {"xx", "el-GR,el;q=0.9,en;q=0.5", "el"}, {"", "zh", "zh-CN"}, {"", "zh-Hans-CN", "zh-CN"},
		{"", "fr,de", "en"}, {"", "not a header ;;;", "en"}, {"", "ru-UA", "ru"},
	} {
		if got := b.Match(c.wanted, c.header).Name; got != c.want {
			t.Errorf("%q %q: %s, want %s", c.wanted, c.header, got, c.want)
		}
	}
}

func TestFormats(t *testing.T) {
	b := open(t)
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.FixedZone("CST", 8*3600))
	for lang, want := range map[string][]string{
		"en":    {"4 Mar 2026 05:06 CST", "−1.05", "12,345.6", "1.5 MB", "in 3 days", "40 seconds ago", "999 B"},
		"zh-CN": {"2026年3月4日 05:06 CST", "−1.05", "12,345.6", "1.5 MB", "3 天后", "40 秒前", "999 B"},
		"ru":    {"04.03.2026 05:06 CST", "−1,05", "12 345,6", "1,5 MB", "через 3 дня", "40 секунд назад", "999 B"},
		"el":    {"04/03/2026 05:06 CST", "−1,05", "12.345,6", "1,5 MB", "σε 3 ημέρες", "πριν από 40 δευτερόλεπτα", "999 B"},
	} {
		l, _ := b.Language(lang)
		got := []string{
			l.Time(at), l.Decimal(-105), l.Decimal(1234560), l.Size(1_540_000),
			l.Ago(at.Add(3*24*time.Hour+time.Minute), at), l.Ago(at.Add(-40*time.Second), at), l.Size(999),
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s:\n got %q\nwant %q", lang, got, want)
		}
	}
	l, _ := b.Language("en")
	if l.Time(time.Time{}) != "–" || l.Decimal(500) != "5.0" || l.Number(-12345) != "−12,345" {
		t.Error(l.Time(time.Time{}), l.Decimal(500), l.Number(-12345))
	}
}
