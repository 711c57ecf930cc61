package simhash_test

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"postern/filter/campaign/simhash"
)

const letter = `Dear Carol Winters,

your mailbox storage limit of 450 MB was exceeded this morning and incoming messages
are waiting in the delivery queue since then. To avoid the permanent loss of pending
messages please validate the account now by the secure page of the support team:

  https://storage.bulk.example/validate?id=7781

Validation takes less than two minutes. Accounts that were not validated within the
next working day are closed without further notice and cannot be recovered later.

Kind regards
Support team of the mail administration, ticket 88121
`

// TestVariants changes a letter as senders of campaigns do.
func TestVariants(t *testing.T) {
	of := simhash.Of(letter)
	for name, change := range map[string][]string{
		"another name":       {"Carol Winters", "Robert Miller"},
		"no name":            {"Dear Carol Winters", "Hello"},
		"other numbers":      {"450", "512", "88121", "40233", "ticket", "ticket no"},
		"another link":       {"storage.bulk.example/validate?id=7781", "quota.cheap.example/x/99017-aab"},
		"an address":         {"Support team", "support@bulk.example Support team"},
		"capitals":           {"To avoid the permanent loss", "TO AVOID THE PERMANENT LOSS"},
		"line ends":          {"\n", "\r\n"},
		"invisible letters":  {"mailbox", "mail\u200bbox", "account", "acc\u00adount"},
		"full width letters": {"Validation", "Ｖａｌｉｄａｔｉｏｎ"},
		"padding at the end": {"88121\n", "88121\n\ngarden window yellow seven piano\n"},
		"padding in between": {"Validation takes", "zebra lantern Validation takes", "Kind regards", "orange Kind regards"},
		"a word swapped":     {"this morning", "last night"},
		"all words twice":    {letter, letter + letter},
	} {
		text := strings.NewReplacer(change...).Replace(letter)
		if d := simhash.Apart(of, simhash.Of(text)); d > simhash.Near {
			t.Errorf("%s: %d bits apart, near is %d", name, d, simhash.Near)
		}
	}
}

// TestOthers holds letters apart that share a form, a greeting and much of their words.
func TestOthers(t *testing.T) {
	others := map[string]string{
		"another subject": `Dear Carol Winters,

thank you for the minutes of the meeting on Thursday. I have added the two points about
the storage of the old paper files and the delivery of the new shelves to the agenda, and
will ask the team to bring their figures for the next quarter.

Kind regards
Support team of the mail administration, ticket 88121
`,
		"the same form, other news": `Dear Carol Winters,

our newsletter of this week tells about the spring concert of the choir, the repaired roof of
the old mill, and three walks along the river that need no car at all to get there and back.

  https://storage.bulk.example/validate?id=7781

Kind regards
Support team of the mail administration, ticket 88121
`,
	}
	for name, text := range others {
		if d := simhash.Apart(simhash.Of(letter), simhash.Of(text)); d <= simhash.Near {
			t.Errorf("%s: only %d bits apart", name, d)
		}
	}
}

func TestTooLittleToTell(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":          "",
		"few words":        "thanks, see you tomorrow at eight",
		"one word, often":  strings.Repeat("hello ", 500),
		"numbers":          strings.Repeat("123 4567 89-12 ", 100),
		"addresses":        strings.Repeat("a@b.example https://c.example/d www.e.example ", 100),
		"octets, no words": strings.Repeat("\x80\xff \xfe", 100),
	} {
		if p := simhash.Of(text); p != 0 {
			t.Errorf("%s: %s", name, p)
		}
	}
	if simhash.Of("今天上午邮箱存储空间已经超出限制请立即点击安全页面验证您的账户否则所有邮件将会永久丢失无法恢复") == 0 {
		t.Error("Chinese has no words")
	}
}

// TestRobustness counts how many letters are still near when random words are put in.
func TestRobustness(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	word := func() string {
		b := make([]byte, 3+r.IntN(7))
		for i := range b {
			b[i] = byte('a' + r.IntN(26))
		}
		return string(b)
	}
	for _, c := range []struct{ padding, least int }{{0, 98}, {5, 80}, {10, 45}} {
		near := 0
		const letters = 200
		for range letters {
			var words []string
			for range 150 {
				words = append(words, word())
			}
			of := simhash.Of(strings.Join(words, " "))
			for range 150 * c.padding / 100 {
				words = slices.Insert(words, r.IntN(len(words)), word())
			}
			if simhash.Apart(of, simhash.Of("Dear "+word()+" "+word()+" "+strings.Join(words, " "))) <= simhash.Near {
				near++
			}
		}
		if share := 100 * near / letters; share < c.least {
			t.Errorf("%d %% padding: %d %% are near, want %d %%", c.padding, share, c.least)
		}
	}
}

// TestUnrelated holds letters without a word in common far apart.
func TestUnrelated(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	prints := make([]simhash.Print, 500)
	for i := range prints {
		var b strings.Builder
		for range 60 {
			for range 6 {
				b.WriteByte(byte('a' + r.IntN(26)))
			}
			b.WriteByte(' ')
		}
		prints[i] = simhash.Of(b.String())
	}
	near := 0
	for i, a := range prints {
		for _, b := range prints[:i] {
			if simhash.Apart(a, b) <= simhash.Near {
				near++
			}
		}
	}
	if near > 0 {
		t.Errorf("%d of %d pairs are near", near, len(prints)*(len(prints)-1)/2)
	}
}

func TestBands(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := simhash.Print(rapid.Uint64().Draw(t, "print"))
		q := p
		for range rapid.IntRange(0, 10).Draw(t, "bits") {
			q ^= 1 << rapid.IntRange(0, 63).Draw(t, "bit")
		}
		meet := func(bands []simhash.Band) bool {
			return slices.ContainsFunc(q.Bands(), func(b simhash.Band) bool { return slices.Contains(bands, b) })
		}
		d := bits.OnesCount64(uint64(p ^ q))
		if simhash.Apart(p, q) != d {
			t.Errorf("%d bits apart, not %d", simhash.Apart(p, q), d)
		}
		if d <= 3 && !meet(p.Bands()) {
			t.Errorf("%d bits apart share no part", d)
		}
		if d <= 7 && !meet(p.Wide()) {
			t.Errorf("%d bits apart do not meet", d)
		}
		if n := len(slices.Compact(slices.Sorted(slices.Values(p.Wide())))); n != 68 {
			t.Errorf("%d different parts", n)
		}
	})
}

func TestText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := simhash.Print(rapid.Uint64Min(1).Draw(t, "print"))
		text, err := p.MarshalText()
		var got simhash.Print
		if err != nil || got.UnmarshalText(text) != nil || got != p {
			t.Errorf("%s became %s, %v", p, got, err)
		}
	})
	for _, bad := range []string{"", "0", "0000000000000000", "123", "00000000000000gg", "00000000000000001"} {
		if _, err := simhash.Parse(bad); err == nil {
			t.Errorf("%q is a print", bad)
		}
	}
}

func FuzzOf(f *testing.F) {
	f.Add(letter)
	f.Add("\u200b\xff \u0e01\u4e00 a-b_c'd")
	f.Fuzz(func(t *testing.T, text string) {
		if simhash.Of(text) != simhash.Of(text+" ") {
			t.Error("white space makes another print")
		}
	})
}

func BenchmarkOf(b *testing.B) {
	r := rand.New(rand.NewPCG(5, 6))
	words := strings.Fields(letter)
	for _, size := range []int{2 << 10, 20 << 10, 64 << 10} {
		var text strings.Builder
		for text.Len() < size {
			fmt.Fprintf(&text, "%s%c ", words[r.IntN(len(words))], 'a'+r.IntN(26))
		}
		b.Run(fmt.Sprintf("%d kB", size>>10), func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				simhash.Of(text.String())
			}
		})
	}
}
