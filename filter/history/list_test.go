package history_test

import (
	"strings"
	"testing"

	"postern/filter"
	"postern/filter/history"
)

func TestListID(t *testing.T) {
	long := strings.Repeat("a", 250) + ".example"
	for in, want := range map[string]string{
		`<dev.lists.example>`:                                 "dev.lists.example",
		`Developers <dev.lists.example>`:                      "dev.lists.example",
		`"Devs <all>" <Dev.Lists.EXAMPLE>`:                    "dev.lists.example",
		`"a \" <x.y>" <dev.lists.example> (a (nested) <c.d>)`: "dev.lists.example",
		`(<no.example>) <dev.lists.example>`:                  "dev.lists.example",
		"folded\r\n <dev.lists.example>\r\n":                  "dev.lists.example",
		`< dev.lists.example >`:                               "dev.lists.example",
		`=?us-ascii?Q?Lena?= <lenas-jokes.da39efc.localhost>`: "lenas-jokes.da39efc.localhost",
		`<a_b+c.lists.example>`:                               "a_b+c.lists.example",
		``:                                                    "",
		`dev.lists.example`:                                   "",
		`<dev>`:                                               "",
		`<>`:                                                  "",
		`<dev.lists.example`:                                  "",
		`<dev..lists.example>`:                                "",
		`<.lists.example>`:                                    "",
		`<dev.lists.example.>`:                                "",
		`<dev lists.example>`:                                 "",
		`<dév.lists.example>`:                                 "",
		`<dev@lists.example>`:                                 "",
		`<dev.lists.example> more`:                            "",
		`<dev.lists.example> <other.example>`:                 "",
		`<dev.lists.example> (open`:                           "",
		`"<dev.lists.example>`:                                "",
		`(<dev.lists.example>`:                                "",
		`<` + long + `>`:                                      "",
		strings.Repeat("x", 3000) + `<dev.lists.example>`:     "",
		strings.Repeat("(", 1000) + `<dev.lists.example>`:     "",
		`\`:  "",
		`"\`: "",
	} {
		got, ok := history.ListID(in)
		if got != want || ok != (want != "") {
			t.Errorf("%.80q is %q, %v, want %q", in, got, ok, want)
		}
	}
}

func FuzzListID(f *testing.F) {
	for _, s := range []string{"", "<a.b>", `"x\"" (c) <a.b> (d)`, "<<a.b>>", "(((<a.b>", strings.Repeat("a", 300)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, ok := history.ListID(s)
		if ok != (id != "") || len(id) > 255 {
			t.Fatalf("%q, %v", id, ok)
		}
		if !ok {
			return
		}
		if again, ok := history.ListID("<" + id + ">"); !ok || again != id {
			t.Fatalf("%q is read again as %q, %v", id, again, ok)
		}
		if !strings.Contains(strings.ToLower(s), id) {
			t.Fatalf("%q does not stand in %q", id, s)
		}
	})
}

// listMail is mail of a list whose host SPF proves and whose author is not proved.
func listMail() mail {
	return mail{ip: "198.51.100.1", name: "mail.lists.example", from: "dev-bounces@bounce.lists.example", spf: "pass",
		author: "Ann <ann@a.example>", dmarc: "none", to: []string{"bob@ours.example"},
		header: "List-Id: Developers <dev.lists.example>\nList-Post: <mailto:dev@lists.example>"}
}

func TestListKnown(t *testing.T) {
	vary := func(f func(*mail)) mail { l := listMail(); f(&l); return l }
	failing := vary(func(l *mail) { l.dmarc = "fail" })
	for name, c := range map[string]struct {
		past, now mail
		want      bool
	}{
		"proved by SPF":  {listMail(), failing, true},
		"proved by DKIM": {vary(func(l *mail) { l.spf, l.dkim = "softfail", []string{"lists.example"} }), failing, true},
		"and now by DKIM": {listMail(), vary(func(l *mail) {
			l.dmarc, l.spf, l.dkim = "fail", "none", []string{"mail.lists.example"}
		}), true},
		"not proved before":     {vary(func(l *mail) { l.spf = "softfail" }), failing, false},
		"not proved now":        {listMail(), vary(func(l *mail) { l.dmarc, l.spf = "fail", "neutral" }), false},
		"proved for another":    {listMail(), vary(func(l *mail) { l.dmarc, l.from = "fail", "x@evil.example" }), false},
		"authors fail always":   {failing, failing, false},
		"authors not told":      {vary(func(l *mail) { l.dmarc = "" }), failing, false},
		"authors pass":          {vary(func(l *mail) { l.dmarc = "pass" }), failing, true},
		"another list":          {listMail(), vary(func(l *mail) { l.header = strings.Replace(l.header, "<dev.", "<evil.", 1) }), false},
		"case of the list":      {listMail(), vary(func(l *mail) { l.header = strings.Replace(l.header, "<dev.", "<DEV.", 1) }), true},
		"no other list field":   {listMail(), vary(func(l *mail) { l.header = "List-Id: <dev.lists.example>" }), false},
		"precedence":            {listMail(), vary(func(l *mail) { l.header = "List-Id: <dev.lists.example>\nPrecedence: List" }), true},
		"bulk":                  {listMail(), vary(func(l *mail) { l.header = "List-Id: <dev.lists.example>\nPrecedence: bulk" }), false},
		"unsubscribe":           {listMail(), vary(func(l *mail) { l.header = "List-Id: <dev.lists.example>\nList-Unsubscribe: <mailto:x@y>" }), true},
		"mailing-list":          {listMail(), vary(func(l *mail) { l.header = "List-Id: <dev.lists.example>\nMailing-List: list dev" }), true},
		"two identifiers":       {listMail(), vary(func(l *mail) { l.header += "\nList-Id: <other.lists.example>" }), false},
		"a label that is none":  {vary(under("dev+x.lists.example")), vary(under("dev+x.lists.example")), true},
		"nobody's domain":       {vary(under("x.localhost")), vary(under("x.localhost")), false},
		"another of the domain": {listMail(), vary(under("ops.lists.example")), false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.often(c.past, 2, 2)
			if got := w.has(c.now, history.ListKnown); got != c.want {
				t.Errorf("known: %v, want %v", got, c.want)
			}
		})
	}
}

func under(id string) func(*mail) {
	return func(l *mail) { l.header = "List-Id: <" + id + ">\nList-Post: <mailto:dev@lists.example>" }
}

// A list is not judged by mail whose author fails, and it is by what is judged spam.
func TestListJudged(t *testing.T) {
	failing := listMail()
	failing.dmarc = "fail"
	w := newWorld(t)
	w.often(listMail(), 2, 2)
	for range 50 {
		w.refused(failing)
		w.ends(failing, filter.Quarantine, filter.Held)
	}
	if !w.has(failing, history.ListKnown) {
		t.Error("refused mail of failing authors counts against the list")
	}
	for range 5 {
		w.refused(listMail())
	}
	if w.has(failing, history.ListKnown) {
		t.Error("a list that sends spam stays known")
	}
}
