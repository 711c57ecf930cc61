// Package outside is the desk's pages about what lies beyond this installation: sources
// elsewhere and the blocks against them, server lists that others publish, and listings of our
// own addresses and domains.
package outside

import (
	"embed"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"postern/internal/desk/page"
)

//go:embed all:html
var Pages embed.FS

// PerPage is how many rows a page has.
const PerPage = 50

// here is the item of the menu.
const here = "outside.nav"

// Room is the pages.
type Room struct {
	Kit   *page.Kit
	Calls page.Caller
}

// Routes adds the pages.
func (o *Room) Routes(handle func(pattern string, f http.HandlerFunc)) {
	handle("GET /outside", o.list)
	handle("GET /outside/source/{id}", o.show)
	handle("POST /outside/source/{id}", o.act)
	handle("GET /outside/source/{id}/block", o.weigh)
	handle("POST /outside/source/{id}/block", o.block)
	handle("GET /outside/blocks", o.blocks)
	handle("GET /outside/published", o.published)
	handle("POST /outside/published/upload", o.take)
	handle("GET /outside/published/{id}", o.edition)
	handle("POST /outside/published/{id}", o.decide)
	handle("GET /outside/listings", o.listings)
	handle("POST /outside/listings", o.check)
	handle("GET /outside/listings/{id}", o.listing)
	handle("POST /outside/listings/{id}", o.onListing)
}

// word is a field of a form, without what surrounds it.
func word(r *http.Request, name string) string { return strings.TrimSpace(r.FormValue(name)) }

func number(r *http.Request, name string) int {
	n, err := strconv.Atoi(word(r, name))
	if err != nil {
		return 0
	}
	return n
}

// say is a text of this room.
func (o *Room) say(r *http.Request, key string, nameValues ...any) string {
	return o.Kit.Language(r).Say("outside."+key, nameValues...)
}

// write shows a page.
func (o *Room) write(w http.ResponseWriter, r *http.Request, status int, name, under, title string, body any) {
	o.Kit.ShowStatus(w, r, status, name, page.View{Title: title, Here: here, Under: under, Wide: true, Body: body})
}

// after goes back to a page, or shows again what was refused and why.
func (o *Room) after(w http.ResponseWriter, r *http.Request, err error, to string, again func(status int, problem string)) {
	switch e := page.Refused(err); {
	case e != nil && e.Status != http.StatusForbidden && e.Status != http.StatusNotFound:
		again(e.Status, e.Words)
	case err != nil:
		o.Kit.Fail(w, r, err)
	default:
		http.Redirect(w, r, to, http.StatusSeeOther)
	}
}

// bad is a request that asks for nothing there is.
func (o *Room) bad(w http.ResponseWriter, r *http.Request) {
	o.Kit.Fail(w, r, &page.Error{Status: http.StatusBadRequest})
}

func at(path string, id string) string { return path + "/" + url.PathEscape(id) }
