// Package roster is the desk's pages about people: users with their roles, sessions and tokens,
// and what waits for a second person.
package roster

import (
	"context"
	"embed"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"postern/internal/desk/page"
)

//go:embed all:html
var Pages embed.FS

// Room is the pages. Roles are those that users have.
type Room struct {
	Kit   *page.Kit
	Calls page.Caller
	Roles []string
}

// Routes adds the pages.
func (o *Room) Routes(handle func(pattern string, f http.HandlerFunc)) {
	handle("GET /people", o.list)
	handle("GET /people/new", o.fresh)
	handle("POST /people/new", o.add)
	handle("GET /people/user/{name}", o.user)
	handle("POST /people/user/{name}", o.change)
	handle("GET /approvals", o.approvals)
	handle("GET /approvals/{id}", o.approval)
	handle("POST /approvals/{id}", o.decide)
}

type user struct {
	Name      string    `json:"name"`
	Role      string    `json:"role"`
	Email     string    `json:"email"`
	Domains   []string  `json:"domains"`
	Addresses []string  `json:"addresses"`
	Language  string    `json:"language"`
	Disabled  bool      `json:"disabled"`
	Password  bool      `json:"password"`
	Provided  bool      `json:"provided"`
	Created   time.Time `json:"created"`
	Changed   time.Time `json:"changed"`
	By        string    `json:"by"`
}

// Covers are the domains and addresses of a user.
func (u user) Covers() []string { return append(slices.Clone(u.Domains), u.Addresses...) }

type token struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Scopes  []string  `json:"scopes"`
	Expires time.Time `json:"expires"`
	Used    time.Time `json:"used"`
	Revoked time.Time `json:"revoked"`
}

type signedIn struct {
	ID    string    `json:"id"`
	Began time.Time `json:"began"`
	Seen  time.Time `json:"seen"`
	From  string    `json:"from"`
	Agent string    `json:"agent"`
}

type named struct {
	Name string `json:"name"`
}

func (o *Room) list(w http.ResponseWriter, r *http.Request) {
	var b struct {
		Users []user
		May   bool
	}
	b.May = o.Calls.May(r.Context(), "user.add")
	if err := o.Calls.Call(r.Context(), "user.list", struct{}{}, &b.Users); err != nil {
		o.Kit.Fail(w, r, err)
		return
	}
	o.Kit.Show(w, r, "people", page.View{Title: o.Kit.Language(r).Say("people.title"), Here: "people", Body: b})
}

// form is what somebody typed of a new user.
type form struct {
	user
	Roles []string
	Words string // why it is not taken
}

func (o *Room) fresh(w http.ResponseWriter, r *http.Request) {
	if !o.Calls.May(r.Context(), "user.add") {
		o.Kit.Fail(w, r, &page.Error{Status: http.StatusForbidden})
		return
	}
	o.ask(w, r, http.StatusOK, form{})
}

func (o *Room) ask(w http.ResponseWriter, r *http.Request, status int, f form) {
	f.Roles = o.Roles
	o.Kit.ShowStatus(w, r, status, "people-new", page.View{Title: o.Kit.Language(r).Say("people.add"), Here: "people", Body: f})
}

// covers sorts what somebody is responsible for into domains and addresses.
func covers(text string) (domains, addresses []string) {
	for _, f := range strings.FieldsFunc(text, func(c rune) bool { return c == ',' || c == ' ' || c == '\n' || c == '\r' || c == ';' }) {
		if strings.Contains(strings.TrimPrefix(f, "@"), "@") {
			addresses = append(addresses, f)
		} else {
			domains = append(domains, strings.TrimPrefix(f, "@"))
		}
	}
	return domains, addresses
}

func (o *Room) add(w http.ResponseWriter, r *http.Request) {
	f := form{user: user{Name: r.PostFormValue("name"), Role: r.PostFormValue("role"), Email: r.PostFormValue("email")}}
	f.Domains, f.Addresses = covers(r.PostFormValue("covers"))
	if !o.Calls.May(r.Context(), "user.add") {
		o.Kit.Fail(w, r, &page.Error{Status: http.StatusForbidden})
		return
	}
	if !o.Kit.Fresh(w, r) {
		return
	}
	params := map[string]any{"name": f.Name, "role": f.Role, "email": f.Email, "domains": f.Domains, "addresses": f.Addresses}
	var made user
	err := o.Calls.Call(r.Context(), "user.add", params, &made)
	var refused *page.Error
	switch {
	case errors.As(err, &refused):
		f.Words = refused.Words
		o.ask(w, r, refused.Status, f)
	case err != nil:
		o.Kit.Fail(w, r, err)
	default:
		o.one(w, r, http.StatusOK, one{Link: o.invite(r.Context(), made.Name)}, made.Name)
	}
}

// link is a one-time link, shown this once.
type link struct {
	Path    string    `json:"path"`
	URL     string    `json:"url"`
	Expires time.Time `json:"expires"`
}

// Where is what to send.
func (l link) Where() string {
	if l.URL != "" {
		return l.URL
	}
	return l.Path
}

func (o *Room) invite(ctx context.Context, name string) *link {
	var l link
	if err := o.Calls.Call(ctx, "user.invite", named{name}, &l); err != nil {
		return nil // the page of the user has a button for another one
	}
	return &l
}

// one is what the page of a user shows.
type one struct {
	User   user
	Factor struct {
		On    bool      `json:"on"`
		Since time.Time `json:"since"`
		Left  int       `json:"left"`
	}
	Sessions []signedIn
	Tokens   []token
	Roles    []string
	May, Own bool
	Now      time.Time
	Link     *link
	Secret   string // of a new token, shown this once
	Words    string
	Done     bool
}

func (o *Room) user(w http.ResponseWriter, r *http.Request) {
	o.one(w, r, http.StatusOK, one{Done: r.FormValue("done") != ""}, r.PathValue("name"))
}

func (o *Room) one(w http.ResponseWriter, r *http.Request, status int, b one, name string) {
	ctx := r.Context()
	b.Roles, b.Now, b.May, b.Own = o.Roles, o.Kit.Now(), o.Calls.May(ctx, "user.change"), page.Of(ctx).User.Name == name
	err := o.Calls.Call(ctx, "user.show", named{name}, &b.User)
	for call, into := range map[string]any{"user.factor": &b.Factor, "user.sessions": &b.Sessions, "token.list": &b.Tokens} {
		if err == nil {
			err = o.Calls.Call(ctx, call, named{name}, into)
		}
	}
	if err != nil {
		o.Kit.Fail(w, r, err)
		return
	}
	b.Tokens = slices.DeleteFunc(b.Tokens, func(t token) bool { return !t.Revoked.IsZero() })
	o.Kit.ShowStatus(w, r, status, "people-user", page.View{Title: b.User.Name, Here: "people", Body: b})
}

// change does what a button of a user's page says, after a fresh sign-in.
func (o *Room) change(w http.ResponseWriter, r *http.Request) {
	name, act := r.PathValue("name"), r.PostFormValue("act")
	if !o.Calls.May(r.Context(), "user.change") {
		o.Kit.Fail(w, r, &page.Error{Status: http.StatusForbidden})
		return
	}
	if !o.Kit.Fresh(w, r) {
		return
	}
	b := one{}
	err := o.act(r, &b, name, act)
	var refused *page.Error
	switch {
	case errors.As(err, &refused) && refused.Status != http.StatusNotFound:
		b.Words = refused.Words
		o.one(w, r, refused.Status, b, name)
	case err != nil:
		o.Kit.Fail(w, r, err)
	case act == "remove":
		http.Redirect(w, r, "/people", http.StatusSeeOther)
	case b.Link != nil || b.Secret != "":
		o.one(w, r, http.StatusOK, b, name)
	default:
		http.Redirect(w, r, r.URL.Path+"?done=1", http.StatusSeeOther)
	}
}

func (o *Room) act(r *http.Request, b *one, name, act string) error {
	ctx, call := r.Context(), func(call string, params any) error {
		var out any
		return o.Calls.Call(r.Context(), call, params, &out)
	}
	switch act {
	case "save":
		domains, addresses := covers(r.PostFormValue("covers"))
		return call("user.change", map[string]any{"name": name, "role": r.PostFormValue("role"), "email": r.PostFormValue("email"), "domains": domains, "addresses": addresses})
	case "disable", "enable":
		return call("user.change", map[string]any{"name": name, "disabled": act == "disable"})
	case "remove":
		return call("user.remove", named{name})
	case "factor":
		return call("user.factor-reset", map[string]any{"name": name, "note": r.PostFormValue("note")})
	case "sign-out":
		return call("user.sign-out", map[string]any{"name": name, "id": r.PostFormValue("id")})
	case "revoke":
		return call("token.revoke", map[string]any{"id": r.PostFormValue("id")})
	case "invite":
		b.Link = new(link)
		return o.Calls.Call(ctx, "user.invite", named{name}, b.Link)
	case "token":
		days, err := strconv.Atoi(r.PostFormValue("days"))
		if err != nil || days < 1 || days > 366 {
			return &page.Error{Status: http.StatusBadRequest, Words: o.Kit.Language(r).Say("people.days-wrong")}
		}
		var made struct {
			Secret string `json:"secret"`
		}
		err = o.Calls.Call(ctx, "token.add", map[string]any{"user": name, "name": r.PostFormValue("token"), "scopes": strings.Fields(r.PostFormValue("scopes")), "hours": 24 * days}, &made)
		b.Secret = made.Secret
		return err
	}
	return &page.Error{Status: http.StatusBadRequest}
}
