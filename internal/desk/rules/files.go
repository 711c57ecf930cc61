package rules

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"postern/internal/desk/page"
	"postern/internal/desk/rules/part"
	"postern/internal/diff"
)

// file is one file of the operator's.
type file struct {
	ID       string    `json:"id"`
	Kind     string    `json:"kind"`
	Name     string    `json:"name"`
	Path     string    `json:"path"`
	Size     int64     `json:"size"`
	Modified time.Time `json:"modified"`
	Hash     string    `json:"hash"`
	ReadOnly string    `json:"read_only"`
	Text     string    `json:"text"`
}

// node is one of several.
type node struct {
	Name    string    `json:"name"`
	Version string    `json:"version"`
	Rules   string    `json:"rules"`
	Seen    time.Time `json:"seen"`
	Same    bool      `json:"same"`
}

// folder is one in which new files can be made.
type folder struct {
	Kind, Dir string
	Writable  bool
}

// filesPage is all files.
type filesPage struct {
	Node     string   `json:"node"`
	Revision string   `json:"revision"`
	Written  string   `json:"written"`
	Off      []any    `json:"off"`
	Restart  []string `json:"restart"`
	Files    []file   `json:"files"`
	Folders  []folder `json:"folders"`
	Nodes    []node   `json:"nodes"`
	MayAct   bool     `json:"-"`
	Kinds    []group  `json:"-"`
}

// group is the files of a kind.
type group struct {
	Kind  string
	Dir   string
	New   bool // files can be made here
	Files []file
}

func (h *Room) files(w http.ResponseWriter, r *http.Request) {
	var p filesPage
	if err := h.Calls.Call(r.Context(), "rules.files", struct{}{}, &p); err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	p.MayAct = h.Calls.May(r.Context(), "rules.save")
	for _, kind := range []string{"rules", "config", "calendar", "default", "calendar-own"} {
		g := group{Kind: kind}
		for _, f := range p.Files {
			if f.Kind == kind {
				g.Files = append(g.Files, f)
			}
		}
		for _, f := range p.Folders {
			if f.Kind == kind {
				g.Dir, g.New = f.Dir, f.Writable && p.MayAct
			}
		}
		if len(g.Files) > 0 || g.Dir != "" {
			p.Kinds = append(p.Kinds, g)
		}
	}
	h.show(w, r, http.StatusOK, "rules-files", "files", h.say(r, "tab-files"), p)
}

// lines makes what a form sends the lines that a file has.
func lines(s string) string {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	if s != "" && !strings.HasSuffix(s, "\n") {
		s += "\n"
	}
	return s
}

// open reads the file of a request, with what stands beside it.
func (h *Room) open(ctx context.Context, id string) (e editor, err error) {
	err = h.Calls.Call(ctx, "rules.file", map[string]string{"file": id}, &e.file)
	if _, status, ok := part.Refusal(err); ok && status == http.StatusNotFound && id != "" {
		kind, name, _ := strings.Cut(id, "/")
		e.file, e.New, err = file{ID: id, Kind: kind, Name: name}, true, nil
	}
	if err != nil {
		return e, err
	}
	e.Fresh, e.Base, e.MayAct, e.MayTry = e.Text, e.Hash, h.Calls.May(ctx, "rules.save"), e.Kind == "rules" && h.Calls.May(ctx, "rules.try") && h.Calls.May(ctx, "quarantine.list")
	e.MayReplay = e.Kind == "rules" && h.Calls.May(ctx, "rules.replay")
	if err := h.Calls.Call(ctx, "rules.keys", map[string]any{"kind": e.Kind}, &e.Help); err != nil {
		return e, err
	}
	e.Help.All = true
	return e, h.beside(ctx, &e)
}

func (h *Room) beside(ctx context.Context, e *editor) error {
	if e.MayTry {
		var found struct {
			Holds []hold `json:"holds"`
		}
		if err := h.Calls.Call(ctx, "quarantine.list", map[string]any{"text": "state:held", "limit": 20}, &found); err != nil {
			return err
		}
		e.Holds = found.Holds
	}
	var all filesPage
	if err := h.Calls.Call(ctx, "rules.files", struct{}{}, &all); err != nil {
		return err
	}
	e.Restart = all.Restart
	for _, n := range all.Nodes {
		if n.Name != all.Node {
			e.Nodes = append(e.Nodes, n)
		}
	}
	if len(e.Nodes) > 0 {
		if err := h.Calls.Call(ctx, "rules.sent", map[string]string{"file": e.ID}, &e.Sent); err != nil {
			return err
		}
	}
	var past changesPage
	if err := h.Calls.Call(ctx, "rules.history", pastQuery{File: e.ID, Limit: 1}, &past); err != nil {
		return err
	}
	if len(past.Changes) > 0 {
		e.Last = &past.Changes[0]
	}
	return nil
}

func (h *Room) edit(w http.ResponseWriter, r *http.Request) {
	id := r.FormValue("id")
	if name := strings.TrimSpace(r.FormValue("name")); name != "" {
		id = r.FormValue("kind") + "/" + strings.TrimSuffix(name, ".yaml") + ".yaml"
	}
	e, err := h.open(r.Context(), id)
	if err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	e.Saved = r.FormValue("saved") != ""
	h.showFile(w, r, http.StatusOK, e)
}

func (h *Room) showFile(w http.ResponseWriter, r *http.Request, status int, e editor) {
	h.show(w, r, status, "rules-file", "files", e.Name, e)
}

// posted is the page of a file with the text of the form.
func (h *Room) posted(w http.ResponseWriter, r *http.Request) (editor, bool) {
	e, err := h.open(r.Context(), r.PostFormValue("id"))
	if err != nil {
		h.Kit.Fail(w, r, err)
		return e, false
	}
	e.Fresh, e.Base, e.Hold, e.Note = lines(r.PostFormValue("text")), r.PostFormValue("base"), strings.TrimSpace(r.PostFormValue("hold")), r.PostFormValue("note")
	if strings.Contains(e.Text, "\r\n") {
		e.Fresh = strings.ReplaceAll(e.Fresh, "\n", "\r\n")
	}
	e.Gone = r.PostFormValue("gone") != ""
	if e.Gone {
		e.Fresh = ""
	}
	return e, true
}

func (h *Room) look(ctx context.Context, e *editor) error {
	e.Checked = &checked{}
	return h.Calls.Call(ctx, "rules.check", map[string]any{"file": e.ID, "text": e.Fresh, "gone": e.Gone}, e.Checked)
}

// check says what is wrong with the text; for a part of the page alone when a script asks.
func (h *Room) check(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("HX-Request") != "" {
		_, name, _ := strings.Cut(r.PostFormValue("id"), "/")
		e := editor{file: file{ID: r.PostFormValue("id"), Name: name}, Fresh: lines(r.PostFormValue("text"))}
		if err := h.look(r.Context(), &e); err != nil {
			h.Kit.Fail(w, r, err)
			return
		}
		h.Kit.Show(w, r, "rules-checked", page.View{Title: e.ID, Here: "rules", Body: e})
		return
	}
	e, ok := h.posted(w, r)
	if !ok {
		return
	}
	if err := h.look(r.Context(), &e); err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	h.showFile(w, r, http.StatusOK, e)
}

// keys says what may stand where the caret is.
func (h *Room) keys(w http.ResponseWriter, r *http.Request) {
	kind, _, _ := strings.Cut(r.PostFormValue("id"), "/")
	var out help
	err := h.Calls.Call(r.Context(), "rules.keys", map[string]any{"kind": kind, "text": lines(r.PostFormValue("text")), "line": max(1, part.Number(r.PostFormValue("line"))), "column": part.Number(r.PostFormValue("column"))}, &out)
	if err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	h.Kit.Show(w, r, "rules-keys", page.View{Title: out.Path, Here: "rules", Body: out})
}

func (h *Room) try(w http.ResponseWriter, r *http.Request) {
	e, ok := h.posted(w, r)
	if !ok {
		return
	}
	if at := strings.LastIndexByte(e.Hold, '/'); at >= 0 { // somebody pasted where it is shown
		e.Hold = e.Hold[at+1:]
	}
	e.Tried = &tried{}
	err := h.Calls.Call(r.Context(), "rules.try", map[string]string{"hold": e.Hold, "file": e.ID, "text": e.Fresh}, e.Tried)
	status := http.StatusOK
	if words, code, ok := part.Refusal(err); ok {
		e.Tried, e.Problem, status = nil, words, code
		err = h.look(r.Context(), &e)
	}
	if err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	h.showFile(w, r, status, e)
}

// save shows the difference first, and writes the file when that was seen.
func (h *Room) save(w http.ResponseWriter, r *http.Request) {
	e, ok := h.posted(w, r)
	if !ok {
		return
	}
	if err := h.look(r.Context(), &e); err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	switch {
	case !e.Checked.OK && !e.Gone:
		e.Problem = h.say(r, "not-saved")
		h.showFile(w, r, http.StatusUnprocessableEntity, e)
		return
	case e.Checked.Base != e.Base:
		h.conflict(w, r, e)
		return
	case !e.Checked.Changed:
		e.Problem = h.say(r, "same")
		h.showFile(w, r, http.StatusOK, e)
		return
	case r.PostFormValue("seen") != "yes":
		h.show(w, r, http.StatusOK, "rules-save", "files", h.say(r, "save-title", "name", e.Name), e)
		return
	case !h.Kit.Fresh(w, r):
		return
	}
	var out any
	err := h.Calls.Call(r.Context(), "rules.save", map[string]any{"file": e.ID, "text": e.Fresh, "gone": e.Gone, "base": e.Base, "note": strings.TrimSpace(e.Note)}, &out)
	if words, status, ok := part.Refusal(err); ok {
		e.Problem = words
		h.showFile(w, r, status, e)
		return
	}
	switch {
	case err != nil:
		h.Kit.Fail(w, r, err)
	case e.Gone:
		http.Redirect(w, r, "/rules/files", http.StatusSeeOther)
	default:
		http.Redirect(w, r, "/rules/file?saved=yes&id="+url.QueryEscape(e.ID), http.StatusSeeOther)
	}
}

// conflict shows the text on the disk against the one of the form.
func (h *Room) conflict(w http.ResponseWriter, r *http.Request, e editor) {
	e.Conflict, e.Theirs = true, diff.Between(e.Text, e.Fresh)
	h.show(w, r, http.StatusConflict, "rules-save", "files", h.say(r, "conflict-title", "name", e.Name), e)
}

func (h *Room) send(w http.ResponseWriter, r *http.Request) {
	if !h.Kit.Fresh(w, r) {
		return
	}
	id := r.PostFormValue("id")
	var out any
	err := h.Calls.Call(r.Context(), "rules.send", map[string]any{"file": id, "force": r.PostFormValue("force") != "", "note": r.PostFormValue("note")}, &out)
	if err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/rules/file?id="+url.QueryEscape(id), http.StatusSeeOther)
}
