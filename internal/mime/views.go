package mime

import (
	"slices"
	"strings"

	"postern/internal/mime/header"
	"postern/internal/mime/view"
)

// views are computed together on first use.
type views = view.Views

func (t *Tree) view() *views {
	t.once.Do(func() {
		c := view.NewCollector(view.Budget{Text: t.lim.Text, Tokens: t.lim.Tokens, URLs: t.lim.URLs})
		for _, p := range t.shown() {
			c.Add(p.view())
		}
		t.views = c.Views()
	})
	return &t.views
}

func (p *Part) view() view.Body {
	return view.Body{MediaType: p.MediaType, Charset: p.Charset, Names: p.FileNames, Readings: p.Encoded(), Attached: p.Disposition == "attachment" || !strings.HasPrefix(p.MediaType, "text/")}
}

// Text returns the text of all text parts, HTML as text, in UTF-8 with LF line ends, at most
// Limits.Text bytes. Parts of other readings come last.
func (t *Tree) Text() string { return t.view().Text }

// HTMLText returns the decoded source of all HTML parts in UTF-8, at most Limits.Text bytes.
func (t *Tree) HTMLText() string { return t.view().HTML }

// Starts returns where parts begin behind the first, in Text and in HTMLText.
func (t *Tree) Starts() (text, html []int) { return t.view().TextAt, t.view().HTMLAt }

// Sources returns the decoded source of each text part by itself, HTML as written, in UTF-8
// with LF line ends, together at most Limits.Text bytes. Parts of other readings come last.
func (t *Tree) Sources() (out []string) {
	left := t.lim.Text
	for _, p := range t.shown() {
		for _, s := range p.view().Sources(left) {
			left -= len(s)
			out = append(out, s)
		}
	}
	return out
}

// shown are the leaves, those of other readings last.
func (t *Tree) shown() []*Part {
	last := map[bool]int{true: 1}
	return slices.SortedStableFunc(t.Leaves(), func(a, b *Part) int { return last[a.Alternate] - last[b.Alternate] })
}

// URLs returns the links of text and HTML parts, at most Limits.URLs.
func (t *Tree) URLs() []URL { return t.view().URLs }

// Figures say how much the text and HTML parts show.
func (t *Tree) Figures() Figures { return t.view().Figures }

// Pages say what HTML parts are made of, and what of their text is seen.
func (t *Tree) Pages() *Pages { return &t.view().Pages }

// Visible returns the text of all text parts as far as a reader sees it: of HTML without what
// its styles hide.
func (t *Tree) Visible() string { return view.Visible(t.Text(), t.Pages().Spans) }

// ViewCut reports whether a limit kept something out of the views.
func (t *Tree) ViewCut() bool { return t.view().Cut }

// FileNames returns every reading of every file name, without repetition.
func (t *Tree) FileNames() []string {
	var out []string
	seen := map[string]struct{}{}
	for _, p := range t.Parts {
		for _, n := range p.FileNames {
			if _, have := seen[n]; !have {
				seen[n] = struct{}{}
				out = append(out, n)
			}
		}
	}
	return out
}

// roots yields the headers of the message in every reading, the plain one first.
func (t *Tree) roots() []*Part {
	out := []*Part{t.Root}
	for _, p := range t.Parts[min(1, len(t.Parts)):] {
		if p.Parent == nil || p.Parent == t.Root && p.Alternate && p.Start == t.Root.Start && p.Header.Has("From") {
			out = append(out, p)
		}
	}
	return out
}

// Subject returns the decoded subject; of several the first.
func (t *Tree) Subject() string { return t.Root.Header.Decoded("Subject") }

// From returns the mailboxes of all From fields in order, those of other readings of the
// header last.
func (t *Tree) From() []Mailbox {
	var out []Mailbox
	seen := map[Mailbox]bool{}
	for _, p := range t.roots() {
		for _, v := range p.Header.All("From") {
			for _, m := range header.Mailboxes(v) {
				if !seen[m] {
					seen[m] = true
					out = append(out, m)
				}
			}
		}
	}
	return out
}
