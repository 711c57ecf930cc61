package measures

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"postern/internal/desk/page"
	"postern/internal/said"
)

// impact is what a measure would do.
type impact struct {
	Target   string    `json:"target"`
	Level    string    `json:"level"`
	Now      string    `json:"now"`
	Two      bool      `json:"two"`
	Accounts int       `json:"accounts"`
	Hour     volume    `json:"hour"`
	Day      *volume   `json:"day"`
	Held     int       `json:"held"`
	Waiting  int       `json:"waiting"`
	More     bool      `json:"more"`
	Rate     *volume   `json:"rate"`
	Until    time.Time `json:"until"`
	Review   time.Time `json:"review"`
	Systems  []struct {
		Name     string `json:"name"`
		Required bool   `json:"required"`
		Sessions bool   `json:"sessions"`
	} `json:"systems"`
	Stays  []Measure `json:"stays"`
	Stands bool      `json:"stands"`
}

type volume struct {
	Messages   int `json:"messages"`
	Recipients int `json:"recipients"`
}

// ask is a measure that the reader thinks of.
type ask struct {
	Account    string  `json:"account,omitempty"`
	Domain     string  `json:"domain,omitempty"`
	Level      string  `json:"level"`
	Reason     string  `json:"reason,omitempty"`
	Case       string  `json:"case,omitempty"`
	Hours      float64 `json:"hours,omitempty"`
	Messages   int     `json:"messages,omitempty"`
	Recipients int     `json:"recipients,omitempty"`
}

// weighed is the page on which one is weighed.
type weighed struct {
	Panel
	Ask     ask
	Levels  []string
	Impact  *impact
	Hours   []int
	Problem string
	Asked   *proposal // it waits for a second person
}

type proposal struct {
	ID      string     `json:"id"`
	Words   string     `json:"words"`
	Said    said.Words `json:"said"`
	Expires time.Time  `json:"until"`
}

// levels are those that a target can have.
func levels(domain bool) []string {
	if domain {
		return []string{"M0", "M1", "M2", "M3", "M6"}
	}
	return []string{"M0", "M1", "M2", "M3", "M4", "M5", "M7"}
}

// Steep reports whether the level takes a login away, or ends an account.
func (b weighed) Steep() bool { return b.Ask.Level >= "M5" }

func (m *Room) read(r *http.Request) weighed {
	b := weighed{Ask: ask{
		Account: strings.TrimSpace(r.FormValue("account")), Domain: strings.TrimPrefix(strings.TrimSpace(r.FormValue("domain")), "@"),
		Case: strings.TrimSpace(r.FormValue("case")), Reason: strings.TrimSpace(r.FormValue("reason")),
	}, Hours: []int{1, 4, 24, 7 * 24}}
	number := func(name string) int {
		n, err := strconv.Atoi(r.FormValue(name))
		if err != nil {
			return 0
		}
		return n
	}
	b.Ask.Hours, b.Ask.Messages, b.Ask.Recipients = float64(number("hours")), number("messages"), number("recipients")
	target := b.Ask.Account
	if b.Ask.Domain != "" {
		target, b.Ask.Account = "@"+b.Ask.Domain, ""
	}
	b.Levels = levels(b.Ask.Domain != "")
	if b.Ask.Level = strings.ToUpper(r.FormValue("level")); !slices.Contains(b.Levels, b.Ask.Level) {
		b.Ask.Level = ""
	}
	b.Panel = Panel{Target: target, Case: b.Ask.Case, Back: page.Local(r.FormValue("back"))}
	return b
}

// weigh shows what a measure would do.
func (m *Room) weigh(w http.ResponseWriter, r *http.Request) {
	m.weighed(w, r, http.StatusOK, m.read(r))
}

func (m *Room) weighed(w http.ResponseWriter, r *http.Request, status int, b weighed) {
	l := m.Kit.Language(r)
	if b.Target == "" {
		m.Kit.Fail(w, r, &page.Error{Status: http.StatusBadRequest, Words: l.Say("measures.name-one")})
		return
	}
	panel, err := Load(r.Context(), m.Calls, b.Target, b.Ask.Case, b.Back)
	if err != nil {
		m.Kit.Fail(w, r, err)
		return
	}
	b.Panel = panel
	if b.Ask.Level != "" && b.Asked == nil {
		preview := map[string]any{"account": b.Ask.Account, "domain": b.Ask.Domain, "level": b.Ask.Level, "hours": b.Ask.Hours}
		b.Impact = new(impact)
		if err := m.Calls.Call(r.Context(), "measure.preview", preview, b.Impact); err != nil {
			m.Kit.Fail(w, r, err)
			return
		}
	}
	m.Kit.ShowStatus(w, r, status, "measure-new", page.View{Title: l.Say("measures.title", "target", b.Target), Here: "accounts", Body: b})
}

// take takes the measure, or writes down that it is asked for.
func (m *Room) take(w http.ResponseWriter, r *http.Request) {
	b := m.read(r)
	l := m.Kit.Language(r)
	switch {
	case b.Ask.Level == "":
		b.Problem = l.Say("measures.choose")
	case b.Ask.Reason == "":
		b.Problem = l.Say("measures.reason-needed")
	}
	if b.Problem != "" {
		m.weighed(w, r, http.StatusBadRequest, b)
		return
	}
	if b.Steep() && !m.Kit.Fresh(w, r) {
		return
	}
	var err error
	if r.PostFormValue("two") == "yes" {
		b.Asked = new(proposal)
		err = m.Calls.Call(r.Context(), "measure.propose", b.Ask, b.Asked)
	} else {
		err = m.Calls.Call(r.Context(), "measure.apply", b.Ask, &struct{}{})
	}
	switch e := page.Refused(err); {
	case e != nil:
		b.Problem, b.Asked = e.Words, nil
		m.weighed(w, r, e.Status, b)
	case err != nil:
		m.Kit.Fail(w, r, err)
	case b.Asked != nil:
		m.weighed(w, r, http.StatusOK, b)
	default:
		to := "/accounts"
		if b.Ask.Account != "" {
			to = "/account" + string(page.Query("name", b.Ask.Account))
		}
		m.Kit.Back(w, r, to)
	}
}
