package outside

import (
	"io"
	"net/http"
	"time"

	"postern/internal/said"
)

// mostFile is how large a list may be that is handed in here, in octets; the calls say the same.
const mostFile = 4 << 20

// edition is one publication of a list.
type edition struct {
	ID        string    `json:"id"`
	List      string    `json:"list"`
	Sum       string    `json:"sha256"`
	Count     int       `json:"count"`
	Signed    bool      `json:"signed"`
	Published time.Time `json:"published"`
	Imported  time.Time `json:"imported"`
	Applied   time.Time `json:"applied"`
	Due       time.Time `json:"due"`
	Calendar  string    `json:"calendar"`
	Late      bool      `json:"late"`
	State     string    `json:"state"`
	Added     []string  `json:"added"`
	Removed   []string  `json:"removed"`
	Adds      int       `json:"adds"`
	Removes   int       `json:"removes"`
	Refused   []struct {
		Line int        `json:"line"`
		Text string     `json:"text"`
		Why  string     `json:"why"`
		Said said.Words `json:"said"`
	} `json:"refused"`
	Refusals int `json:"refusals"`
	Trial    struct {
		Days  int      `json:"days"`
		Mails int      `json:"mails"`
		Hits  int      `json:"hits"`
		Ham   int      `json:"ham"`
		Wrong int      `json:"ham_hits"`
		Some  []string `json:"examples"`
	} `json:"simulation"`
	Person   []string     `json:"needs_person"`
	Said     []said.Words `json:"said"`
	By       string       `json:"by"`
	AgreedBy string       `json:"agreed_by"`
	Why      string       `json:"why"`
	Because  said.Words   `json:"because"`
}

// Wants is a reason why a person has to agree, by its number.
func (e edition) Wants(n int) said.Words {
	if n < len(e.Said) {
		return e.Said[n]
	}
	return said.Words{}
}

// Waits reports whether nobody has decided yet.
func (e edition) Waits() bool { return e.State == "previewed" }

// editions is the page of all.
type editions struct {
	Editions []edition
	Next     string
	After    string
	May      bool
	Problem  string
	List     string
	Day      string
}

func (o *Room) published(w http.ResponseWriter, r *http.Request) {
	o.editions(w, r, http.StatusOK, editions{})
}

func (o *Room) editions(w http.ResponseWriter, r *http.Request, status int, b editions) {
	b.May, b.After = o.Calls.May(r.Context(), "published.import"), r.FormValue("after")
	var out struct {
		Editions []edition `json:"editions"`
		Next     string    `json:"next"`
	}
	if err := o.Calls.Call(r.Context(), "published.list", map[string]any{"after": b.After, "limit": PerPage}, &out); err != nil {
		o.Kit.Fail(w, r, err)
		return
	}
	b.Editions, b.Next = out.Editions, out.Next
	o.write(w, r, status, "outside-published", "outside.nav-published", o.say(r, "published-title"), b)
}

// take reads a list that is handed in. Nothing takes effect.
func (o *Room) take(w http.ResponseWriter, r *http.Request) {
	b := editions{List: word(r, "list"), Day: word(r, "published")}
	p := map[string]any{"list": b.List}
	if b.Day != "" {
		day, err := time.Parse("2006-01-02T15:04", b.Day)
		if err != nil {
			b.Problem = o.say(r, "published-when")
			o.editions(w, r, http.StatusBadRequest, b)
			return
		}
		p["published"] = day.UTC()
	}
	for _, name := range []string{"file", "signature"} {
		f, _, err := r.FormFile(name)
		if err != nil {
			continue // the calls say that it is needed
		}
		bytes, err := io.ReadAll(io.LimitReader(f, mostFile+1))
		_ = f.Close()
		if err != nil {
			o.Kit.Fail(w, r, err)
			return
		}
		p[name] = bytes
	}
	var e edition
	err := o.Calls.Call(r.Context(), "published.import", p, &e)
	o.after(w, r, err, at("/outside/published", e.ID), func(status int, problem string) {
		b.Problem = problem
		o.editions(w, r, status, b)
	})
}

// preview is the page of one.
type preview struct {
	edition
	May     bool
	Problem string
	Reason  string
	Left    time.Duration
}

func (o *Room) edition(w http.ResponseWriter, r *http.Request) {
	o.previewed(w, r, http.StatusOK, preview{})
}

func (o *Room) previewed(w http.ResponseWriter, r *http.Request, status int, b preview) {
	if err := o.Calls.Call(r.Context(), "published.show", map[string]string{"id": r.PathValue("id")}, &b.edition); err != nil {
		o.Kit.Fail(w, r, err)
		return
	}
	b.May, b.Left = o.Calls.May(r.Context(), "published.apply"), b.Due.Sub(o.Kit.Now())
	o.write(w, r, status, "outside-edition", "outside.nav-published", o.say(r, "edition-title", "list", b.List, "day", o.Kit.Language(r).Day(b.Published)), b)
}

// decide puts a list into force, or refuses it.
func (o *Room) decide(w http.ResponseWriter, r *http.Request) {
	id, act, b := r.PathValue("id"), r.PostFormValue("act"), preview{Reason: word(r, "reason")}
	if act != "apply" && act != "drop" {
		o.bad(w, r)
		return
	}
	if b.Reason == "" {
		b.Problem = o.say(r, "reason-needed")
		o.previewed(w, r, http.StatusBadRequest, b)
		return
	}
	if act == "apply" && !o.Kit.Fresh(w, r) {
		return
	}
	var out any
	o.after(w, r, o.Calls.Call(r.Context(), "published."+act, map[string]string{"id": id, "reason": b.Reason}, &out), at("/outside/published", id), func(status int, problem string) {
		b.Problem = problem
		o.previewed(w, r, status, b)
	})
}
