package rules

import (
	"encoding/json"
	"math"
	"net/http"
	"strings"

	"postern/internal/desk/page"
	"postern/internal/desk/rules/part"
)

// maxTurns is after how many parts a rehearsal waits to be told to go on.
const maxTurns = 10

// share is a count of verdicts and how many of all that is.
type share struct {
	N     int        `json:"n"`
	Share float64    `json:"share"`
	CI    [2]float64 `json:"ci"`
}

// Percent, Low and High are in hundredths of a percent.
func (s share) Percent() int64 { return int64(math.Round(s.Share * 10000)) }

// Low is the lower end of the interval.
func (s share) Low() int64 { return int64(math.Round(s.CI[0] * 10000)) }

// High is the upper end of the interval.
func (s share) High() int64 { return int64(math.Round(s.CI[1] * 10000)) }

// changed is a symbol that weighs otherwise.
type changed struct {
	Symbol, Mark  string
	Before, After int64
}

// flipped is a message whose verdict would be another.
type flipped struct {
	ID      string    `json:"id"`
	Before  int64     `json:"before"`
	After   int64     `json:"after"`
	Changed []changed `json:"changed"`
}

// flip is one kind of change.
type flip struct {
	From string `json:"from"`
	To   string `json:"to"`
	share
	Examples []flipped `json:"examples"`
}

// rehearsed is what a rehearsal came to, as far as it went.
type rehearsed struct {
	Messages int    `json:"messages"`
	Known    int    `json:"known"`
	NotKnown int    `json:"not_known"`
	NoBody   int    `json:"no_body"`
	Unlike   int    `json:"unlike"`
	Stricter share  `json:"stricter"`
	Milder   share  `json:"milder"`
	Flips    []flip `json:"flips"`
	Patterns []struct {
		Symbol string `json:"symbol"`
		N      int    `json:"n"`
	} `json:"patterns"`
}

// Flipped is how many verdicts would be others.
func (r rehearsed) Flipped() int { return r.Stricter.N + r.Milder.N }

// replayed is the answer to a part of a rehearsal.
type replayed struct {
	Report json.RawMessage `json:"report"` // handed back with the next part
	Next   string          `json:"next"`
	Kept   struct {
		Kept int `json:"kept"`
		Seen int `json:"seen"`
	} `json:"kept"`
	Days int       `json:"days"`
	Off  []string  `json:"off"`
	Of   rehearsed `json:"-"`
	Turn int       `json:"-"`
	Goes bool      `json:"-"` // on by itself
}

// SoFar is the report as a form carries it.
func (r replayed) SoFar() string { return string(r.Report) }

// rehearse judges a part of the mail that passed with the text of the form, or says what was
// found so far.
func (h *Room) rehearse(r *http.Request, e *editor) error {
	out := &replayed{Turn: part.Number(r.PostFormValue("turn")) + 1}
	ask := map[string]any{"file": e.ID, "text": e.Fresh, "gone": e.Gone}
	if after := r.PostFormValue("after"); after != "" && r.PostFormValue("again") == "" {
		before := []byte(r.PostFormValue("so_far"))
		if !json.Valid(before) {
			return &page.Error{Status: http.StatusBadRequest}
		}
		ask["after"], ask["so_far"] = after, json.RawMessage(before)
	} else {
		out.Turn = 1
	}
	if err := h.Calls.Call(r.Context(), "rules.replay", ask, out); err != nil {
		return err
	}
	if err := json.Unmarshal(out.Report, &out.Of); err != nil {
		return err
	}
	out.Goes = out.Next != "" && out.Turn%maxTurns != 0
	e.Replayed = out
	return nil
}

// stopped is a rehearsal that somebody ended, with what it had come to.
func stopped(r *http.Request) (*replayed, error) {
	out := &replayed{Report: json.RawMessage(r.PostFormValue("so_far")), Next: r.PostFormValue("after"), Turn: part.Number(r.PostFormValue("turn")), Days: part.Number(r.PostFormValue("days"))}
	out.Kept.Kept, out.Kept.Seen = part.Number(r.PostFormValue("kept")), part.Number(r.PostFormValue("seen"))
	if err := json.Unmarshal(out.Report, &out.Of); err != nil {
		return nil, &page.Error{Status: http.StatusBadRequest}
	}
	return out, nil
}

// replay shows what the text would have done to the mail that passed; for a part of the page
// alone when a script asks.
func (h *Room) replay(w http.ResponseWriter, r *http.Request) {
	script := r.Header.Get("HX-Request") != ""
	var e editor
	if script {
		_, name, _ := strings.Cut(r.PostFormValue("id"), "/")
		e = editor{file: file{ID: r.PostFormValue("id"), Name: name}, Fresh: lines(r.PostFormValue("text")), Gone: r.PostFormValue("gone") != ""}
	} else {
		var ok bool
		if e, ok = h.posted(w, r); !ok {
			return
		}
	}
	status, err := http.StatusOK, error(nil)
	if r.PostFormValue("stop") != "" {
		e.Replayed, err = stopped(r)
	} else {
		err = h.rehearse(r, &e)
	}
	if words, code, ok := part.Refusal(err); ok && words != "" {
		e.Problem, status, err = words, code, nil
	}
	switch {
	case err != nil:
		h.Kit.Fail(w, r, err)
	case script:
		h.Kit.Show(w, r, "rules-replayed", page.View{Title: e.ID, Here: "rules", Body: e})
	default:
		h.showFile(w, r, status, e)
	}
}
