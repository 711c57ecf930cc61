package page_test

import (
	"strings"
	"testing"
	"time"

	"postern/filter"
	"postern/filter/page"
	"postern/internal/mailtest"
	"postern/internal/mime"
)

// of runs the check on a page of any size and says what was read of it.
func of(t testing.TB, body string) ([]filter.Finding, *mime.Tree) {
	t.Helper()
	tree := mime.Bytes([]byte("Content-Type: text/html\r\n\r\n"+body), mime.DefaultLimits())
	found, err := page.Check{}.Check(t.Context(), &filter.Message{Parts: func() (*mime.Tree, error) { return tree, nil }})
	if err != nil {
		t.Fatal(err)
	}
	return found, tree
}

// mostSpent is far above what any of these needs, and far below what one that grows with the
// square of its size would.
const mostSpent = 20 * time.Second

// TestHF18 is hostile HTML: each costs seconds of processor time at most, what is cut is said,
// and what stands before it is found.
func TestHF18(t *testing.T) {
	salad := "<p>Dear Bob</p><div style='display:none'>" + letters(500) + "</div>"
	for _, x := range []struct {
		name, body string
		cut, finds bool
	}{
		{"H-F18 a million nested tags", salad + strings.Repeat("<b>", 1_000_000) + "deep", true, true},
		{"H-F18 a million ends", salad + strings.Repeat("</b>", 1_000_000), true, true},
		{"H-F18 ends that fit nothing", salad + strings.Repeat("<i>", 600) + strings.Repeat("</b>", 190_000), false, true},
		{"H-F18 an attribute of 10 MB", salad + "<p style='" + strings.Repeat("color:#fff;", 1_000_000) + "'>x", true, true},
		{"H-F18 a class of 3 MB", salad + "<style>" + strings.Repeat(".x.y.z{color:red}.x.q{opacity:0}", 1000) + "</style><p class='" + strings.Repeat("x ", 1_500_000) + "'>x", false, true},
		{"H-F18 many classes", salad + "<style>" + sheet() + "</style>" + strings.Repeat("<b class='a b c d e f g h i j k l m n o p q r s t u v w x y z'>", 30_000), false, true},
		{"H-F18 foreign content", salad + "<svg><style>.x{display:none}</style><math><mi><![CDATA[<p class=x>]]></mi></math><title><b></svg>" + letters(200), false, true},
		{"H-F18 select", salad + "<select>" + strings.Repeat("<option><div><p><select>", 40_000) + "</select>", false, true},
		{"H-F18 tables", salad + strings.Repeat("<table><tr><td>", 60_000) + strings.Repeat("</td>", 10_000), false, true},
		{"H-F18 comments that never end", salad + strings.Repeat("<!--", 900_000), false, true},
		{"H-F18 sheets that never end", salad + strings.Repeat("<style>{@media{", 200_000), false, true},
		{"H-F18 a sheet of braces", salad + "<style>" + strings.Repeat("{", 1<<20) + strings.Repeat("/*", 1<<20), false, true},
		{"H-F18 many stretches", salad + strings.Repeat("a<b hidden>b</b>", 40_000), false, true},
	} {
		t.Run(x.name, func(t *testing.T) {
			before := mailtest.CPU(t)
			found, tree := of(t, x.body)
			if spent := mailtest.CPU(t) - before; spent > mostSpent {
				t.Errorf("%v of processor time", spent)
			}
			if tree.ViewCut() != x.cut {
				t.Errorf("cut: %v", tree.ViewCut())
			}
			has := false
			for _, f := range found {
				has = has || f.Symbol == page.HiddenText
			}
			if has != x.finds {
				t.Errorf("found %v", found)
			}
			t.Logf("%d bytes, %v", len(x.body), mailtest.CPU(t)-before)
		})
	}
}

// sheet has many rules about many classes.
func sheet() string {
	var b strings.Builder
	for i := range 26 {
		for j := range 26 {
			b.WriteString("." + string(rune('a'+i)) + "." + string(rune('a'+j)) + "{color:#123;opacity:.5}")
		}
	}
	return b.String()
}

// BenchmarkCheck looks at a page of 20 kB that hides as much as honest ones do, read before.
func BenchmarkCheck(b *testing.B) {
	var s strings.Builder
	s.WriteString("<div style='display:none'>This week: lamps and shades for every room of the house</div>")
	for s.Len() < 20_000 {
		s.WriteString("<p style='font-size:14px;color:#333'>We meet on Tuesday at ten in the small room on the second floor. <a href='https://www.example.org/'>See more</a></p>")
	}
	benchmark(b, s.String())
}

// BenchmarkCheckSalad looks at one that hides most of what it holds.
func BenchmarkCheckSalad(b *testing.B) {
	benchmark(b, "<p>Dear Bob</p><div style='display:none'>"+letters(16_000)+"</div>")
}

func benchmark(b *testing.B, body string) {
	_, tree := of(b, body)
	m := &filter.Message{Parts: func() (*mime.Tree, error) { return tree, nil }}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := (page.Check{}).Check(b.Context(), m); err != nil {
			b.Fatal(err)
		}
	}
}
