package letters

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"postern/internal/desk/page"
)

// snippet is one short text.
type snippet struct {
	ID       string    `json:"id"`
	Owner    string    `json:"owner"`
	Language string    `json:"language"`
	Title    string    `json:"title"`
	Short    string    `json:"short"`
	Text     string    `json:"text"`
	By       string    `json:"by"`
	At       time.Time `json:"at"`
	Changes  int       `json:"changes"`
}

// Shared reports whether everybody sees it.
func (s snippet) Shared() bool { return s.Owner == "" }

// Lang is its language as HTML says it.
func (s snippet) Lang() string { return lang(s.Language) }

type snippetsPage struct {
	Snippets  []snippet
	Languages []string
	Language  string
	Form      snippet // what the form holds; ID "" = a new one
	FormSaid  bool    // the form is what was looked for
	AsShared  bool
	May       bool // keep one's own
	MayShare  bool
	Saved     bool
	Problem   string
}

// MayEdit reports whether the reader changes one.
func (p snippetsPage) MayEdit(s snippet) bool {
	return s.Shared() && p.MayShare || !s.Shared() && p.May
}

func languages() []string { return []string{"en", "zh", "ru", "el"} }

// all reads the texts that the reader sees.
func (h *Room) all(ctx context.Context, language string) (p snippetsPage, err error) {
	p = snippetsPage{Languages: languages(), May: h.Calls.May(ctx, "snippet.save"), MayShare: h.Calls.May(ctx, "snippet.share")}
	if slices.Contains(p.Languages, language) {
		p.Language = language
	}
	var out struct {
		Snippets []snippet `json:"snippets"`
	}
	err = h.Calls.Call(ctx, "snippet.list", map[string]string{"language": p.Language}, &out)
	p.Snippets = out.Snippets
	return p, err
}

func (h *Room) snippets(w http.ResponseWriter, r *http.Request) {
	p, err := h.all(r.Context(), r.FormValue("language"))
	if err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	p.Form.Language, p.Saved = p.Language, r.FormValue("saved") != ""
	if id := r.FormValue("edit"); id != "" {
		i := slices.IndexFunc(p.Snippets, func(s snippet) bool { return s.ID == id })
		if i < 0 || !p.MayEdit(p.Snippets[i]) {
			h.Kit.Fail(w, r, &page.Error{Status: http.StatusNotFound})
			return
		}
		p.Form, p.FormSaid, p.AsShared = p.Snippets[i], true, p.Snippets[i].Shared()
	}
	h.page(w, r, http.StatusOK, "snippets", h.say(r, "snippets"), p)
}

// keep keeps a text, or forgets one.
func (h *Room) keep(w http.ResponseWriter, r *http.Request) {
	form := snippet{
		ID: r.PostFormValue("id"), Language: r.PostFormValue("language"), Title: strings.TrimSpace(r.PostFormValue("title")),
		Short: strings.TrimSpace(r.PostFormValue("short")), Text: r.PostFormValue("text"),
	}
	form.Changes, _ = strconv.Atoi(r.PostFormValue("changes"))
	shared := r.PostFormValue("shared") == "yes"
	var params any = map[string]any{"id": form.ID, "language": form.Language, "title": form.Title, "short": form.Short, "text": form.Text, "changes": form.Changes}
	call := "snippet.save"
	switch remove := r.PostFormValue("act") == "remove"; {
	case remove && shared:
		call, params = "snippet.withdraw", map[string]string{"id": form.ID}
	case remove:
		call, params = "snippet.remove", map[string]string{"id": form.ID}
	case shared:
		call = "snippet.share"
	}
	var out snippet
	err := h.Calls.Call(r.Context(), call, params, &out)
	var refused *page.Error
	if errors.As(err, &refused) && (refused.Status == http.StatusBadRequest || refused.Status == http.StatusConflict) {
		p, err := h.all(r.Context(), "")
		if err != nil {
			h.Kit.Fail(w, r, err)
			return
		}
		p.Form, p.FormSaid, p.AsShared, p.Problem = form, true, shared, refused.Words
		h.page(w, r, refused.Status, "snippets", h.say(r, "snippets"), p)
		return
	}
	if err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/snippets?saved=yes", http.StatusSeeOther)
}
