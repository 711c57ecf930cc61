package act

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"postern/internal/desk/cases/view"
	"postern/internal/desk/page"
	"postern/internal/said"
)

// letter is a letter as it is kept.
type letter struct {
	ID       string     `json:"id"`
	Case     string     `json:"case"`
	Report   string     `json:"report"`
	Kind     string     `json:"kind"`
	To       string     `json:"to"`
	Language string     `json:"language"`
	Subject  string     `json:"subject"`
	Body     string     `json:"body"`
	State    string     `json:"state"`
	Why      string     `json:"why"`
	Said     said.Words `json:"said"`
	By       string     `json:"by"`
	At       time.Time  `json:"at"`
	Sent     time.Time  `json:"sent"`
	Tells    string     `json:"tells"`
}

// Draft reports whether it can still be changed.
func (l letter) Draft() bool { return l.State == "draft" }

// Result reports whether it would be the result of its case, by what it is.
func (l letter) Result() bool {
	return l.Kind == "result" || l.Kind == "rejected" || l.Kind == "not-ours"
}

type snippet struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	Short string `json:"short"`
	Text  string `json:"text"`
}

type letterPage struct {
	Letter   letter
	Case     view.Case
	Snippets []snippet
	Keeps    bool // the reader has snippets
	Preview  bool
	Problem  string
	Now      time.Time
	May      bool
	ResultIn *view.Count // how long the result may take
}

// draft begins a letter.
func (h *Room) draft(w http.ResponseWriter, r *http.Request) {
	var l letter
	p := map[string]string{"case": r.PathValue("id"), "report": r.PostFormValue("report"), "kind": r.PostFormValue("kind"), "language": r.PostFormValue("language")}
	if err := h.Calls.Call(r.Context(), "notice.draft", p, &l); err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/cases/"+r.PathValue("id")+"/letters/"+l.ID, http.StatusSeeOther)
}

// open reads a letter with its case.
func (h *Room) open(r *http.Request) (p letterPage, err error) {
	ctx := r.Context()
	s, err := h.shown(ctx, r.PathValue("id"))
	if err != nil {
		return p, err
	}
	p = letterPage{Case: s.Case, Now: h.Kit.Now(), May: h.Calls.May(ctx, "notice.edit"), Keeps: h.Calls.May(ctx, "snippet.list")}
	if err := h.Calls.Call(ctx, "notice.show", map[string]string{"id": r.PathValue("letter")}, &p.Letter); err != nil {
		return p, err
	}
	if p.Letter.Case != s.Case.ID {
		return p, &page.Error{Status: http.StatusNotFound}
	}
	for _, k := range s.Case.Counts(p.Now) {
		if k.Name == "T_result" && k.Ticking() {
			p.ResultIn = &k
		}
	}
	p.Snippets, err = h.snippets(ctx, p.Letter)
	return p, err
}

// snippets are the sentences that can be put into a letter of its language.
func (h *Room) snippets(ctx context.Context, l letter) ([]snippet, error) {
	if !l.Draft() || !h.Calls.May(ctx, "snippet.list") {
		return nil, nil
	}
	var out struct {
		Snippets []snippet `json:"snippets"`
	}
	err := h.Calls.Call(ctx, "snippet.list", map[string]string{"language": l.Language}, &out)
	return out.Snippets, err
}

func (h *Room) letter(w http.ResponseWriter, r *http.Request) {
	p, err := h.open(r)
	if err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	p.Preview = r.FormValue("preview") != "" || !p.Letter.Draft()
	h.show(w, r, http.StatusOK, p)
}

func (h *Room) show(w http.ResponseWriter, r *http.Request, status int, p letterPage) {
	h.Kit.ShowStatus(w, r, status, "case-letter", page.View{Title: p.Case.ID + " · " + h.Kit.Language(r).Say("cases.letter"), Here: "cases", Body: p})
}

// write keeps the words, and then does with the letter what was asked for.
func (h *Room) write(w http.ResponseWriter, r *http.Request) {
	p, err := h.open(r)
	if err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	ctx, act := r.Context(), r.PostFormValue("act")
	at := "/cases/" + p.Case.ID
	id := map[string]any{"id": p.Letter.ID}
	var after letter
	switch act {
	case "send":
		id["result"] = r.PostFormValue("tells") == "result"
		err = h.Calls.Call(ctx, "notice.send", id, &after)
		at += "?tab=letters"
	case "discard":
		id["reason"] = strings.TrimSpace(r.PostFormValue("reason"))
		err = h.Calls.Call(ctx, "notice.discard", id, &after)
		at += "?tab=letters"
	default:
		at, err = h.edit(r, &p, at)
	}
	var refused *page.Error
	if errors.As(err, &refused) && refused.Status < http.StatusInternalServerError && p.Letter.Draft() {
		p.Problem, p.Preview = refused.Words, act == "send"
		h.show(w, r, refused.Status, p)
		return
	}
	if err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	http.Redirect(w, r, at, http.StatusSeeOther)
}

// edit keeps the words of a draft, with a snippet behind them if one was asked for.
func (h *Room) edit(r *http.Request, p *letterPage, at string) (string, error) {
	p.Letter.Subject, p.Letter.Body = strings.TrimSpace(r.PostFormValue("subject")), strings.ReplaceAll(r.PostFormValue("body"), "\r\n", "\n")
	if add := r.PostFormValue("snippet"); add != "" {
		for _, s := range p.Snippets {
			if s.ID == add {
				p.Letter.Body = strings.TrimLeft(strings.TrimRight(p.Letter.Body, "\n")+"\n\n"+s.Text+"\n", "\n")
			}
		}
	}
	var after letter
	err := h.Calls.Call(r.Context(), "notice.edit", map[string]string{"id": p.Letter.ID, "subject": p.Letter.Subject, "body": p.Letter.Body}, &after)
	at += "/letters/" + p.Letter.ID
	if r.PostFormValue("act") == "preview" {
		at += "?preview=yes"
	}
	return at, err
}
