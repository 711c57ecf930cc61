package history_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"postern/filter"
	"postern/filter/history"
)

// letter is what bob writes to ann.
func letter() mail {
	return mail{out: true, account: "bob", from: "bob@ours.example", author: "Bob <bob@ours.example>", to: []string{"ann@a.example"}}
}

func TestKnownCorrespondent(t *testing.T) {
	known := history.KnownCorrespondent + " for bob@ours.example"
	vary := func(l mail, f func(*mail)) mail { f(&l); return l }
	out := func(f func(*mail)) mail { return vary(letter(), f) }
	in := func(f func(*mail)) mail { return vary(honest(), f) }
	many := make([]string, history.MaxCorrespondents+1)
	for i := range many {
		many[i] = fmt.Sprintf("u%d@a.example", i)
	}
	many[0] = "ann@a.example"
	for name, c := range map[string]struct {
		wrote mail
		state filter.FateState
		after time.Duration
		gets  mail
		want  bool
	}{
		"wrote":                  {letter(), filter.Delivered, 0, honest(), true},
		"on its way":             {letter(), filter.InOutbox, 0, honest(), true},
		"held":                   {letter(), filter.Held, 0, honest(), false},
		"refused":                {letter(), filter.Rejected, 0, honest(), false},
		"put off":                {letter(), filter.Deferred, 0, honest(), false},
		"399 days ago":           {letter(), filter.Delivered, 399 * day, honest(), true},
		"long ago":               {letter(), filter.Delivered, 401 * day, honest(), false},
		"to another":             {out(func(l *mail) { l.to = []string{"eve@a.example"} }), filter.Delivered, 0, honest(), false},
		"to a tag of ann":        {out(func(l *mail) { l.to = []string{"ann+x@a.example"} }), filter.Delivered, 0, honest(), false},
		"another case":           {out(func(l *mail) { l.to = []string{"Ann@A.example"} }), filter.Delivered, 0, honest(), true},
		"another of ours":        {out(func(l *mail) { l.from, l.author = "eve@ours.example", "eve@ours.example" }), filter.Delivered, 0, honest(), false},
		"by MAIL FROM":           {out(func(l *mail) { l.author = "x" }), filter.Delivered, 0, honest(), true},
		"by author":              {out(func(l *mail) { l.from = "srs@ours.example" }), filter.Delivered, 0, honest(), true},
		"by account":             {out(func(l *mail) { l.from, l.author, l.account = "s@ours.example", "s@ours.example", "bob@ours.example" }), filter.Delivered, 0, honest(), true},
		"from a tag of bob":      {out(func(l *mail) { l.from, l.author = "bob+x@ours.example", "x" }), filter.Delivered, 0, honest(), true},
		"automatic":              {out(func(l *mail) { l.header = "Auto-Submitted: auto-replied; x=y" }), filter.Delivered, 0, honest(), false},
		"by hand":                {out(func(l *mail) { l.header = "Auto-Submitted: No (really)" }), filter.Delivered, 0, honest(), true},
		"a bounce":               {out(func(l *mail) { l.from = "" }), filter.Delivered, 0, honest(), false},
		"to many at once":        {out(func(l *mail) { l.header = "Precedence: bulk" }), filter.Delivered, 0, honest(), false},
		"to too many":            {out(func(l *mail) { l.to = many }), filter.Delivered, 0, honest(), false},
		"to as many as may be":   {out(func(l *mail) { l.to = many[:history.MaxCorrespondents] }), filter.Delivered, 0, honest(), true},
		"to a tag of bob":        {letter(), filter.Delivered, 0, in(func(l *mail) { l.to[0] = "bob+club@ours.example" }), false},
		"the author fails":       {letter(), filter.Delivered, 0, honest().broken(), false},
		"the author is not told": {letter(), filter.Delivered, 0, in(func(l *mail) { l.dmarc = "" }), false},
		"DNS is silent":          {letter(), filter.Delivered, 0, in(func(l *mail) { l.dmarc = "temperror" }), false},
		"no record, DKIM":        {letter(), filter.Delivered, 0, in(func(l *mail) { l.dmarc, l.dkim = "none", []string{"mail.a.example"} }), true},
		"no record, SPF":         {letter(), filter.Delivered, 0, in(func(l *mail) { l.dmarc, l.dkim, l.from = "none", nil, "x@a.example" }), true},
		"no record, no proof":    {letter(), filter.Delivered, 0, in(func(l *mail) { l.dmarc, l.dkim = "none", []string{"b.example"} }), false},
		"no record, SPF fails":   {letter(), filter.Delivered, 0, in(func(l *mail) { l.dmarc, l.dkim, l.from, l.spf = "none", nil, "x@a.example", "fail" }), false},
		"another author":         {letter(), filter.Delivered, 0, in(func(l *mail) { l.author = "eve@a.example" }), false},
		"two authors":            {letter(), filter.Delivered, 0, in(func(l *mail) { l.author = "ann@a.example, eve@a.example" }), false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.ends(c.wrote, filter.Accept, c.state)
			w.now = w.now.Add(c.after)
			if got := w.has(c.gets, known); got != c.want {
				t.Errorf("known: %v, want %v", got, c.want)
			}
			if name == "to a tag of bob" && !w.has(c.gets, history.KnownCorrespondent+" for bob+club@ours.example") {
				t.Error("the address with a tag is not bob's")
			}
		})
	}
}

// The finding concerns who wrote, and nobody beside.
func TestCorrespondentIsPersonal(t *testing.T) {
	w := newWorld(t)
	w.delivered(letter())
	l := honest()
	l.to = []string{"eve@ours.example", "bob@ours.example", "all@ours.example"}
	if got := w.check(l); !slices.Equal(got, []string{history.KnownCorrespondent + " for bob@ours.example"}) {
		t.Errorf("%v", got)
	}
	back := honest() // a stranger who writes to us is nobody's correspondent by that
	w = newWorld(t)
	w.often(back, 5, 5)
	if w.has(back, history.KnownCorrespondent+" for bob@ours.example") {
		t.Error("who wrote to us is known as if we had written")
	}
}
