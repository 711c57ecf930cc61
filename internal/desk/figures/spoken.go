package figures

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"postern/internal/desk/words"
)

// notes are what the gateway may remark about a figure, as the words have it.
func notes() []string {
	return []string{"unseen", "days-unseen", "no-invoices", "young-backups", "some-domains"}
}

// said are figures in the reader's language.
func (h *Room) said(r *http.Request, all []figure) []figure {
	for i, f := range all {
		all[i] = f.in(h.Kit.Words(), h.Kit.Language(r))
	}
	return all
}

// in says a figure in the reader's language. What the gateway says otherwise than the words have
// it in English stands as it came.
func (f figure) in(book *words.Book, l *words.Language) figure {
	base, _ := book.Language(words.Default)
	if key := "figures.formula-" + f.ID; base.Has(key) && base.Say(key) == f.Formula {
		f.Formula = l.Say(key)
	}
	for _, n := range notes() {
		if key := "figures.note-" + n; base.Say(key) == f.Note {
			f.Note = l.Say(key)
		}
	}
	if key := "figures.in-" + f.Unit; l.Has(key) {
		f.Unit = l.Say(key)
	}
	var made []string
	for _, name := range slices.Sorted(maps.Keys(f.Of)) {
		v := f.Of[name]
		if key := "figures.of-" + name; l.Has(key) {
			name = l.Say(key)
		}
		made = append(made, name+" = "+short(&v))
	}
	f.Made = strings.Join(made, ", ")
	return f
}
