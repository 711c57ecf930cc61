// Package guarantees is the desk's pages of written guarantees: the pack of three papers, its
// approval by a second person, what follows a breach, and the erasing of an account's data.
package guarantees

import (
	"context"
	"embed"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"postern/internal/desk/page"
)

//go:embed all:html
var Pages embed.FS

// MaxFile bounds a paper, in octets.
const MaxFile = 20 << 20

// Room is the pages.
type Room struct {
	Kit   *page.Kit
	Calls page.Caller
}

// Routes adds the pages.
func (g *Room) Routes(handle func(pattern string, f http.HandlerFunc)) {
	handle("GET /guarantees", g.list)
	handle("POST /guarantees", g.begin)
	handle("GET /guarantees/{id}", g.show)
	handle("POST /guarantees/{id}/fill", g.fill)
	handle("POST /guarantees/{id}/upload", g.upload)
	handle("GET /guarantees/{id}/paper", g.paper)
	handle("POST /guarantees/{id}/submit", g.submit)
	handle("POST /guarantees/{id}/decide", g.decide)
	handle("POST /guarantees/{id}/end", g.end)
	handle("POST /guarantees/{id}/purge", g.purge)
}

// form is what the letter says.
type form struct {
	Company string    `json:"company"`
	Scope   string    `json:"scope"`
	Covers  string    `json:"covers"`
	Signer  string    `json:"signer"`
	Contact string    `json:"contact"`
	Phone   string    `json:"phone"`
	Date    time.Time `json:"date"`
}

// Day is the date as a field of a form has it.
func (f form) Day() string {
	if f.Date.IsZero() {
		return ""
	}
	return f.Date.Format(time.DateOnly)
}

type file struct {
	Sum  string    `json:"sha256"`
	Size int64     `json:"size"`
	Name string    `json:"name"`
	By   string    `json:"by"`
	At   time.Time `json:"at"`
}

// pack is one guarantee.
type pack struct {
	ID         string          `json:"id"`
	Case       string          `json:"case"`
	Account    string          `json:"account"`
	State      string          `json:"state"`
	Form       form            `json:"form"`
	Files      map[string]file `json:"files"`
	Proposer   string          `json:"proposer"`
	Proposed   time.Time       `json:"proposed"`
	Approver   string          `json:"approver"`
	Decided    time.Time       `json:"decided"`
	Reason     string          `json:"reason"`
	TrialUntil time.Time       `json:"trial_until"`
	Strike     int             `json:"strike"`
}

// part is one of the papers.
type part struct {
	Name, Key string // Key of its text
	File      file
}

func parts(p pack) []part {
	return []part{{"letter", "part-letter", p.Files["letter"]}, {"suspension statement", "part-suspension", p.Files["suspension statement"]}, {"licence copy", "part-licence", p.Files["licence copy"]}}
}

// Missing are keys of what a pack lacks.
func (p pack) Missing() (out []string) {
	for _, x := range parts(p) {
		if x.File.Sum == "" {
			out = append(out, x.Name)
		}
	}
	f := p.Form
	for _, field := range []struct {
		name string
		has  bool
	}{{"company", f.Company != ""}, {"scope", f.Scope != ""}, {"covered address or domain", f.Covers != ""}, {"signer", f.Signer != ""}, {"contact", f.Contact != ""}, {"phone", f.Phone != ""}, {"date", !f.Date.IsZero()}} {
		if !field.has {
			out = append(out, field.name)
		}
	}
	return out
}

type certificate struct {
	ID      string    `json:"id"`
	Account string    `json:"account"`
	Case    string    `json:"case"`
	Purged  time.Time `json:"purged"`
	By      string    `json:"by"`
	What    []string  `json:"what"`
	Sum     string    `json:"sha256"`
}

// listed is the page of all.
type listed struct {
	State        string
	States       []string
	Packs        []pack
	Next         string
	Certificates []certificate
	Case         string
	Form         form
	May          bool
	Problem      string
}

func (g *Room) list(w http.ResponseWriter, r *http.Request) {
	g.listed(w, r, http.StatusOK, listed{Case: r.FormValue("case")})
}

func (g *Room) listed(w http.ResponseWriter, r *http.Request, status int, b listed) {
	b.States = []string{"", "waiting", "draft", "approved", "broken"}
	if s := r.FormValue("state"); slices.Contains(b.States, s) {
		b.State = s
	}
	b.May = g.Calls.May(r.Context(), "guarantee.new")
	var out struct {
		Packs []pack `json:"packs"`
		Next  string `json:"next"`
	}
	err := g.Calls.Call(r.Context(), "guarantee.list", map[string]any{"state": b.State, "after": r.FormValue("after"), "limit": 50}, &out)
	b.Packs, b.Next = out.Packs, out.Next
	if err == nil {
		var certs struct {
			Certificates []certificate `json:"certificates"`
		}
		err = g.Calls.Call(r.Context(), "guarantee.certificates", map[string]any{"limit": 20}, &certs)
		b.Certificates = certs.Certificates
	}
	if err != nil {
		g.Kit.Fail(w, r, err)
		return
	}
	g.Kit.ShowStatus(w, r, status, "guarantees", page.View{Title: g.Kit.Language(r).Say("guarantees.title"), Here: "accounts", Under: "accounts.nav-guarantees", Wide: true, Body: b})
}

func read(r *http.Request) form {
	text := func(name string) string { return strings.TrimSpace(r.PostFormValue(name)) }
	f := form{Company: text("company"), Scope: text("scope"), Covers: text("covers"), Signer: text("signer"), Contact: text("contact"), Phone: text("phone")}
	if day, err := time.Parse(time.DateOnly, text("date")); err == nil {
		f.Date = day
	}
	return f
}

// begin opens the pack of a case.
func (g *Room) begin(w http.ResponseWriter, r *http.Request) {
	b := listed{Case: strings.TrimSpace(r.PostFormValue("case")), Form: read(r)}
	var p pack
	err := g.Calls.Call(r.Context(), "guarantee.new", map[string]any{"case": b.Case, "form": b.Form}, &p)
	if e := page.Refused(err); e != nil {
		b.Problem = e.Words
		g.listed(w, r, e.Status, b)
		return
	}
	if err != nil {
		g.Kit.Fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/guarantees/"+url.PathEscape(p.ID), http.StatusSeeOther)
}

// one is the page of one.
type one struct {
	pack
	Parts      []part
	Lacks      []string
	Own        bool // the reader brought it in
	MayFill    bool
	MayApprove bool
	CaseState  string
	Strikes    int
	Ending     bool
	Max        int
	Problem    string
}

// Open reports whether it is still being filled in.
func (b one) Open() bool { return b.State == "draft" }

func (g *Room) show(w http.ResponseWriter, r *http.Request) { g.shown(w, r, http.StatusOK, "") }

func (g *Room) shown(w http.ResponseWriter, r *http.Request, status int, problem string) {
	b := one{Max: MaxFile, Problem: problem, MayFill: g.Calls.May(r.Context(), "guarantee.fill"), MayApprove: g.Calls.May(r.Context(), "guarantee.approve")}
	if err := g.Calls.Call(r.Context(), "guarantee.show", map[string]any{"id": r.PathValue("id")}, &b.pack); err != nil {
		g.Kit.Fail(w, r, err)
		return
	}
	var shown struct {
		Case struct {
			State   string    `json:"state"`
			Strikes int       `json:"strikes"`
			Ending  *struct{} `json:"ending"`
		} `json:"case"`
	}
	if err := g.Calls.Call(r.Context(), "case.show", map[string]any{"id": b.Case}, &shown); err != nil && page.Refused(err) == nil {
		g.Kit.Fail(w, r, err)
		return
	}
	b.CaseState, b.Strikes, b.Ending = shown.Case.State, shown.Case.Strikes, shown.Case.Ending != nil
	l := g.Kit.Language(r)
	for _, key := range b.Missing() {
		b.Lacks = append(b.Lacks, l.Say("guarantees.m-"+key))
	}
	b.Parts = parts(b.pack)
	if u := page.Of(r.Context()).User; u != nil {
		b.Own = u.Name == b.Proposer
	}
	g.Kit.ShowStatus(w, r, status, "guarantee", page.View{Title: l.Say("guarantees.title-one", "account", b.Account), Here: "accounts", Under: "accounts.nav-guarantees", Body: b})
}

// do makes a call and shows the pack again, with what was refused.
func (g *Room) do(w http.ResponseWriter, r *http.Request, call string, params map[string]any) {
	err := g.Calls.Call(r.Context(), call, params, &struct{}{})
	switch e := page.Refused(err); {
	case e != nil:
		g.shown(w, r, e.Status, e.Words)
	case err != nil:
		g.Kit.Fail(w, r, err)
	default:
		http.Redirect(w, r, "/guarantees/"+url.PathEscape(r.PathValue("id")), http.StatusSeeOther)
	}
}

func (g *Room) fill(w http.ResponseWriter, r *http.Request) {
	g.do(w, r, "guarantee.fill", map[string]any{"id": r.PathValue("id"), "form": read(r)})
}

func (g *Room) upload(w http.ResponseWriter, r *http.Request) {
	f, head, err := r.FormFile("file")
	if err != nil {
		g.shown(w, r, http.StatusBadRequest, g.Kit.Language(r).Say("guarantees.file", "size", g.Kit.Language(r).Size(MaxFile)))
		return
	}
	defer f.Close()
	body, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err != nil {
		g.Kit.Fail(w, r, err)
		return
	}
	g.do(w, r, "guarantee.upload", map[string]any{"id": r.PathValue("id"), "part": r.PostFormValue("part"), "name": head.Filename, "bytes": body})
}

func (g *Room) submit(w http.ResponseWriter, r *http.Request) {
	g.do(w, r, "guarantee.submit", map[string]any{"id": r.PathValue("id")})
}

func (g *Room) decide(w http.ResponseWriter, r *http.Request) {
	if !g.Kit.Fresh(w, r) {
		return
	}
	call := "guarantee.refuse"
	if r.PostFormValue("act") == "approve" {
		call = "guarantee.approve"
	}
	g.do(w, r, call, map[string]any{"id": r.PathValue("id"), "reason": strings.TrimSpace(r.PostFormValue("reason"))})
}

// caseOf is the case of the pack of the request.
func (g *Room) caseOf(ctx context.Context, id string) (string, error) {
	var p pack
	err := g.Calls.Call(ctx, "guarantee.show", map[string]any{"id": id}, &p)
	return p.Case, err
}

func (g *Room) end(w http.ResponseWriter, r *http.Request) {
	g.ofCase(w, r, "case.end", "id", map[string]any{"reason": strings.TrimSpace(r.PostFormValue("reason")), "order": strings.TrimSpace(r.PostFormValue("order"))})
}

func (g *Room) purge(w http.ResponseWriter, r *http.Request) {
	g.ofCase(w, r, "guarantee.purge", "case", map[string]any{"reason": strings.TrimSpace(r.PostFormValue("reason"))})
}

// ofCase makes a call about the case of a pack, for somebody who proved again who it is.
func (g *Room) ofCase(w http.ResponseWriter, r *http.Request, call, name string, params map[string]any) {
	if !g.Kit.Fresh(w, r) {
		return
	}
	id, err := g.caseOf(r.Context(), r.PathValue("id"))
	if err != nil {
		g.Kit.Fail(w, r, err)
		return
	}
	params[name] = id
	g.do(w, r, call, params)
}

// paper hands one over as bytes for the disk, never for the browser.
func (g *Room) paper(w http.ResponseWriter, r *http.Request) {
	var out struct {
		Name  string `json:"name"`
		Bytes []byte `json:"bytes"`
	}
	if err := g.Calls.Call(r.Context(), "guarantee.paper", map[string]any{"id": r.PathValue("id"), "part": r.FormValue("part")}, &out); err != nil {
		g.Kit.Fail(w, r, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": r.PathValue("id") + "-" + strings.ReplaceAll(r.FormValue("part"), " ", "-") + ".bin"}))
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	h.Set("Cache-Control", "no-store")
	_, _ = w.Write(out.Bytes) // the reader has gone: nobody to tell
}
