package held

import (
	"net/http"
	"net/url"
	"slices"

	"postern/internal/desk/held/letter"
	"postern/internal/desk/held/take"
	"postern/internal/desk/held/taught"
	"postern/internal/desk/page"
	"postern/internal/desk/words"
)

// message is one held message.
type message struct {
	hold
	*letter.Letter
	Tab    string
	Title  []letter.Span
	Can    can
	Why    []sentence
	Proofs []letter.Proof
	Closed string // why the content is not shown

	Learned []taught.Known
}

// sentence is a reason as people read it.
type sentence struct {
	Text, Detail, Symbol, Step string
	Score                      int64
	Decided                    bool
}

// tabs are the ways to look at a message.
func tabs() []string { return []string{"text", "html", "links", "headers", "parts"} }

// Tabs are the ways to look at this one.
func (m message) Tabs() []string {
	return slices.DeleteFunc(tabs(), func(tab string) bool {
		return tab == "html" && !m.HTML || tab == "links" && len(m.Links) == 0
	})
}

// Source is where the frame of the HTML tab loads from.
func (m message) Source() string { return "/held/" + url.PathEscape(m.ID) + "/html" }

func (h *Room) message(w http.ResponseWriter, r *http.Request) {
	m := message{Tab: r.FormValue("tab"), Can: h.can(r.Context())}
	x, err := h.show(r.Context(), r.PathValue("id"))
	if err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	m.Learned = h.known(r.Context(), x.ID)[x.ID]
	l := h.Kit.Language(r)
	m.hold, m.Why = x, x.sentences(h.Kit.Words(), l)
	if x.Open() {
		var refused *page.Error
		if m.Letter, refused, err = take.View(r.Context(), h.Calls, x.ID); err != nil {
			h.Kit.Fail(w, r, err)
			return
		}
		if refused != nil {
			m.Closed = refused.Words
		}
	}
	if m.Letter != nil {
		m.Arrived(letter.Hop{From: x.Client.Helo, IP: x.Client.IP, By: x.Node, At: x.At})
		m.Proofs = proofs(x, m.From())
	}
	if !slices.Contains(tabs(), m.Tab) || m.Letter != nil && !slices.Contains(m.Tabs(), m.Tab) {
		m.Tab = "text"
	}
	title := x.Subject
	if title == "" {
		title = l.Say("held.no-subject")
	}
	m.Title = letter.Spans(title)
	h.Kit.Show(w, r, "held-message", page.View{Title: title, Here: "held", Wide: true, Body: m})
}

// Guarded reports whether the reader takes nothing from it.
func (m message) Guarded() bool { return m.Infected() && !m.Can.Infected }

// From is the author's domain.
func (m message) From() string { return m.Letter.From }

// Sender is who wrote it on the envelope.
func (m message) Sender() string { return m.hold.From }

func proofs(x hold, author string) []letter.Proof {
	var said []letter.Said
	for _, r := range x.Reasons {
		said = append(said, letter.Said{Symbol: r.Symbol, Detail: r.Detail})
	}
	return letter.Proofs(said, author)
}

// sentences are the reasons in the reader's language: what the default rules say is translated,
// what an operator wrote stands as it is.
func (h hold) sentences(book *words.Book, l *words.Language) []sentence {
	var out []sentence
	decided := h.decided()
	for i, r := range h.Reasons {
		s := sentence{Text: r.Describe, Detail: r.Detail, Symbol: r.Symbol, Step: r.Step, Score: r.Score, Decided: i == decided && !h.Otherwise()}
		if text, ok := book.Reason(l, r.Symbol, r.Describe); ok {
			s.Text = text
		}
		if s.Text == "" {
			s.Text = r.Symbol
		}
		out = append(out, s)
	}
	slices.SortStableFunc(out, func(a, b sentence) int {
		if a.Decided != b.Decided {
			if a.Decided {
				return -1
			}
			return 1
		}
		return int(b.Score - a.Score)
	})
	return out
}
