// Package page writes the pages of the desk: the frame they stand in, their languages, what
// they may load, and the errors that all of them share.
//
// A room whose act is dangerous asks for the password again before it does it:
//
//	if !room.Kit.Fresh(w, r) {
//		return
//	}
//
// A reader who gave it just now notices nothing. Else Fresh has answered: with a page that asks
// for it and carries the whole form along, so that the very same request comes back with the
// password, which the desk checks and takes out before the room sees it. Of a GET it leads to
// the question and back. Files are not carried along: ask before the page that uploads them.
package page

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"

	"postern/internal/desk/words"
	"postern/internal/said"
)

//go:embed all:html
var frames embed.FS

// User is who looks at a page.
type User struct {
	Name     string
	Role     string
	Language string
}

// Error is a refusal that whoever asked may read.
type Error struct {
	Status int
	Words  string     // in English, as the calls of the gateway say it; may be ""
	Said   said.Words // with its code, where it has one; Words are then said in the reader's language
	Again  time.Duration
	Waits  string // the ID of the request that was made of it, for a second person; "" = none

	spoken bool // Words are in the reader's language already
}

func (e *Error) Error() string { return fmt.Sprintf("%d %s", e.Status, e.Words) }

// Caller makes the calls of the gateway for whoever is in the context.
type Caller interface {
	// Call decodes the answer into result. Its error is an *Error, or a fault.
	Call(ctx context.Context, name string, params, result any) error
	// May reports whether the call would be let in.
	May(ctx context.Context, name string) bool
}

// Item is a part of the desk in the menu.
type Item struct {
	Key   string // "held": its text is common.nav-held; with a dot it is the text's own key
	Path  string
	Call  string // whoever may make it sees the item
	Under []Item // shown below the menu where the page belongs to this item
}

// text is the key of what the menu says.
func (i Item) text() string {
	if strings.Contains(i.Key, ".") {
		return i.Key
	}
	return "common.nav-" + i.Key
}

// Options are what a Kit is made of. All of them must be set but Title.
type Options struct {
	Words *words.Book
	Calls Caller
	Menu  []Item
	Now   func() time.Time
	Log   *slog.Logger
}

// Kit writes pages.
type Kit struct {
	o      Options
	rooms  []fs.FS
	assets *assets
	mu     sync.Mutex
	ready  map[string]*template.Template // by language and page
}

// New returns a kit for the pages in rooms: NAME.html is a page, _NAME.html a part that any
// page of the same room may use, _shared-NAME.html one for the pages of all rooms.
func New(o Options, rooms ...fs.FS) (*Kit, error) {
	a, err := newAssets()
	if err != nil {
		return nil, err
	}
	return &Kit{o: o, rooms: append([]fs.FS{frames}, rooms...), assets: a, ready: map[string]*template.Template{}}, nil
}

// Words are the kit's texts.
func (k *Kit) Words() *words.Book { return k.o.Words }

// Now is the time.
func (k *Kit) Now() time.Time { return k.o.Now() }

// View is what a page shows.
type View struct {
	Title string // said already
	Here  string // key of the menu item that the page belongs to
	Under string // and of the item below that; "" = the item itself
	Body  any
	Wide  bool // a table that uses the whole width

	frame
}

// frame is what the layout needs.
type frame struct {
	Lang      *words.Language
	Languages []language
	User      *User
	Token     string
	Menu      []link
	Below     []link // what stands under the item of the menu that the page belongs to
	Path      string // where the reader is, to come back to
	Theme     string
}

type link struct {
	Key, Path string
	Here      bool
}

type language struct {
	Name, Own string // its name in itself
	Here      bool
}

// Visit is what a request says about its reader.
type Visit struct {
	User  *User  // nil: nobody is signed in
	Token string // what forms carry
	Fresh bool   // the reader gave the password just now

	Session string // which of the reader's sessions it is
	Enrol   bool   // the reader has to make a second factor before anything else
	Ways    Ways   // how the reader may confirm

	Language string // in which the reader reads; "" where nobody asked yet
}

type visitKey struct{}

// With notes who reads.
func With(ctx context.Context, v Visit) context.Context {
	return context.WithValue(ctx, visitKey{}, v)
}

// Of is who reads.
func Of(ctx context.Context) Visit {
	v, _ := ctx.Value(visitKey{}).(Visit)
	return v
}

// Names of the cookies that keep a reader's taste.
const (
	languageCookie = "postern-language"
	themeCookie    = "postern-theme"
)

// Language is the reader's: chosen on this browser, else the user's own, else the browser's.
func (k *Kit) Language(r *http.Request) *words.Language {
	wanted := ""
	if u := Of(r.Context()).User; u != nil {
		wanted = u.Language
	}
	if c, err := r.Cookie(languageCookie); err == nil {
		wanted = c.Value
	}
	return k.o.Words.Match(wanted, r.Header.Get("Accept-Language"))
}

func (k *Kit) frame(r *http.Request, here, under string) frame {
	visit := Of(r.Context())
	f := frame{Lang: k.Language(r), User: visit.User, Token: visit.Token, Path: r.URL.RequestURI()}
	if r.Method != http.MethodGet {
		f.Path = back(r)
	}
	for _, name := range k.o.Words.Languages() {
		f.Languages = append(f.Languages, language{Name: name, Own: Own(name), Here: name == f.Lang.Name})
	}
	if c, err := r.Cookie(themeCookie); err == nil && (c.Value == "light" || c.Value == "dark") {
		f.Theme = c.Value
	}
	if f.User != nil && !visit.Enrol {
		for _, i := range k.o.Menu {
			if !k.o.Calls.May(r.Context(), i.Call) {
				continue
			}
			f.Menu = append(f.Menu, link{Key: i.text(), Path: i.Path, Here: i.Key == here})
			if i.Key == here && len(i.Under) > 0 {
				f.Below = k.below(r, i, under)
			}
		}
	}
	return f
}

// below are the items under one of the menu, that one first.
func (k *Kit) below(r *http.Request, i Item, under string) []link {
	out := []link{{Key: i.text(), Path: i.Path, Here: under == ""}}
	for _, u := range i.Under {
		if k.o.Calls.May(r.Context(), u.Call) {
			out = append(out, link{Key: u.text(), Path: u.Path, Here: u.Key == under})
		}
	}
	return out
}

// Own is the name of a language in itself.
func Own(name string) string {
	switch name {
	case "el":
		return "Ελληνικά"
	case "ru":
		return "Русский"
	case "zh-CN":
		return "简体中文"
	}
	return "English"
}

// Show writes a page.
func (k *Kit) Show(w http.ResponseWriter, r *http.Request, name string, v View) {
	k.write(w, r, http.StatusOK, name, v)
}

// ShowStatus writes a page with another status.
func (k *Kit) ShowStatus(w http.ResponseWriter, r *http.Request, status int, name string, v View) {
	k.write(w, r, status, name, v)
}

func (k *Kit) write(w http.ResponseWriter, r *http.Request, status int, name string, v View) {
	v.frame = k.frame(r, v.Here, v.Under)
	block := "frame"
	if r.Header.Get("HX-Request-Type") == "partial" {
		block = "content" // a part of the page is replaced
	}
	t, err := k.template(v.Lang, name)
	var out bytes.Buffer
	if err == nil {
		err = t.ExecuteTemplate(&out, block, v)
	}
	if err != nil {
		k.o.Log.Error("a page could not be written", "page", name, "error", err)
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", v.Lang.Name)
	h.Set("Cache-Control", "no-store")
	h.Add("Vary", "Cookie, Accept-Language, HX-Request-Type")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(out.Bytes()) // the reader has gone: nobody to tell
	}
}

// template is a page in a language, read once.
func (k *Kit) template(l *words.Language, name string) (*template.Template, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	key := l.Name + " " + name
	if t, ok := k.ready[key]; ok {
		return t, nil
	}
	t, err := template.New(name).Funcs(k.functions(l)).Option("missingkey=error").ParseFS(frames, "html/_*.html")
	if err != nil {
		return nil, err
	}
	for _, room := range k.rooms {
		if shared, _ := fs.Glob(room, "html/_shared-*.html"); len(shared) > 0 {
			if t, err = t.ParseFS(room, shared...); err != nil {
				return nil, err
			}
		}
	}
	for _, room := range k.rooms {
		if _, err := fs.Stat(room, path.Join("html", name+".html")); err != nil {
			continue
		}
		if parts, _ := fs.Glob(room, "html/_*.html"); len(parts) > 0 && room != fs.FS(frames) {
			if t, err = t.ParseFS(room, parts...); err != nil {
				return nil, err
			}
		}
		if t, err = t.ParseFS(room, path.Join("html", name+".html")); err != nil {
			return nil, err
		}
		k.ready[key] = t
		return t, nil
	}
	return nil, fmt.Errorf("there is no page %q", name)
}

// Pages are the names of all pages.
func (k *Kit) Pages() []string {
	var all []string
	for _, room := range k.rooms {
		names, _ := fs.Glob(room, "html/*.html")
		for _, n := range names {
			if n = strings.TrimSuffix(path.Base(n), ".html"); !strings.HasPrefix(n, "_") {
				all = append(all, n)
			}
		}
	}
	return all
}

// Fail writes an error as a page: what the calls refuse in their words, a fault of ours in
// none.
func (k *Kit) Fail(w http.ResponseWriter, r *http.Request, err error) {
	l := k.Language(r)
	err = k.Spoken(r, err)
	var e *Error
	if !errors.As(err, &e) {
		if !errors.Is(err, context.Canceled) {
			k.o.Log.Error("a page failed", "path", r.URL.Path, "error", err)
		}
		e = &Error{Status: http.StatusInternalServerError, Words: l.Say("common.error-more")}
	}
	key := fmt.Sprintf("common.error-%d", e.Status)
	if !l.Has(key) {
		key = "common.error-500"
	}
	detail := e.Words
	if e.Again > 0 {
		detail = l.Say("common.error-again", "span", l.Span(e.Again+time.Second))
	}
	k.write(w, r, e.Status, "error", View{Title: l.Say(key), Body: detail})
}

// Back sends the reader to where the form came from, or else to path.
func (k *Kit) Back(w http.ResponseWriter, r *http.Request, to string) {
	if from := back(r); from != "" {
		to = from
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// back is the page that a form says it came from.
func back(r *http.Request) string { return Local(r.PostFormValue("back")) }

// Local is to if it is a path of this site, else "".
func Local(to string) string {
	u, err := url.Parse(to)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.ContainsAny(to, "\\\r\n\t") {
		return ""
	}
	return to
}

// Taste keeps what a form says of language and colours in cookies of this browser.
func (k *Kit) Taste(w http.ResponseWriter, r *http.Request, secure bool) {
	keep := func(name, value string) {
		http.SetCookie(w, &http.Cookie{Name: name, Value: value, Path: "/", MaxAge: 400 * 24 * 3600, Secure: secure, HttpOnly: true, SameSite: http.SameSiteStrictMode})
	}
	if l, ok := k.o.Words.Language(r.PostFormValue("language")); ok {
		keep(languageCookie, l.Name)
	}
	switch theme := r.PostFormValue("theme"); theme {
	case "light", "dark", "auto":
		keep(themeCookie, theme)
	}
}
