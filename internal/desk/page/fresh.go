package page

import (
	"net/http"
	"slices"
	"time"
)

// What the answer to the question is called in the form that comes back.
const (
	ConfirmPassword = "confirm-password"
	ConfirmCode     = "confirm-code"
)

// Question asks readers to confirm that it is them.
type Question struct {
	To     string  // where the form goes
	Fields []Field // what was to be done
	Back   string  // where a reader goes who does not confirm
	Name   string
	Ways   Ways
	Said   string // key of what went wrong
	Wait   time.Duration
}

// Ways are how a reader may confirm.
type Ways struct {
	Password bool   // by the password
	Code     bool   // and a code of the second factor
	Provider string // at the provider of this name
}

// Field is one value of a form that is carried along.
type Field struct{ Name, Value string }

// Fresh reports whether the reader confirmed lately. If not, it has answered the request.
func (k *Kit) Fresh(w http.ResponseWriter, r *http.Request) bool {
	if Of(r.Context()).Fresh {
		return true
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		http.Redirect(w, r, "/confirm"+string(Query("to", r.URL.RequestURI())), http.StatusSeeOther)
		return false
	}
	k.Ask(w, r, http.StatusForbidden, Question{})
	return false
}

// Ask shows the question for what r was to do.
func (k *Kit) Ask(w http.ResponseWriter, r *http.Request, status int, q Question) {
	q.To, q.Back = r.URL.RequestURI(), back(r)
	visit := Of(r.Context())
	q.Ways = visit.Ways
	if visit.User != nil {
		q.Name = visit.User.Name
	}
	_ = r.PostFormValue("") // reads the form, whichever kind it is
	var names []string
	for name := range r.PostForm {
		if name != ConfirmPassword && name != ConfirmCode && name != "form" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range r.PostForm[name] {
			q.Fields = append(q.Fields, Field{name, value})
		}
	}
	if r.Header.Get("HX-Request") != "" { // whatever part was to be replaced
		w.Header().Set("HX-Retarget", "#content")
		w.Header().Set("HX-Reswap", "innerHTML")
	}
	k.write(w, r, status, "confirm", View{Title: k.Language(r).Say("signin.fresh-title"), Body: q})
}
