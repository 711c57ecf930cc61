package audits

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"postern/internal/desk/rules/part"
)

// span is a day, or the days from one to another.
type span struct {
	Day     string `json:"day"`
	To      string `json:"to"`
	Minutes int    `json:"minutes"`
	Name    string `json:"name"`
}

// year is what differs from the plain week.
type year struct {
	Year   int    `json:"year"`
	Status string `json:"status"`
	Source string `json:"source"`
	Off    []span `json:"off"`
	Work   []span `json:"work"`
	Short  []span `json:"short"`
}

// days is one country's calendar.
type days struct {
	Name   string `json:"calendar"`
	Zone   string `json:"zone"`
	Always bool   `json:"always"`
	Years  []year `json:"years"`
}

// team is who works by it.
type team struct {
	Name     string `json:"name"`
	Calendar string `json:"calendar"`
	Zone     string `json:"zone"`
	Version  string `json:"version"`
	Minutes  int    `json:"minutes"`
}

// gap is a year that is missing, or not final.
type gap struct {
	Team     string `json:"team"`
	Calendar string `json:"calendar"`
	Year     int    `json:"year"`
	Status   string `json:"status"`
}

// calendarPage is one year of one calendar.
type calendarPage struct {
	Teams  []team `json:"teams"`
	All    []days `json:"days"`
	Gaps   []gap  `json:"gaps"`
	Name   string `json:"-"`
	Years  []int  `json:"-"`
	Year   *year  `json:"-"`
	Zone   string `json:"-"`
	Months []month
	File   string // where own days stand, or would
	Own    bool   // the file is there
	MayAct bool
	Today  string
}

// month is one month as a sheet.
type month struct {
	First time.Time
	Weeks [][]day
}

// day is one of them. Kind: "" = a working day, rest, off, work or short.
type day struct {
	Number int // 0 = of another month
	Kind   string
	Name   string
	Today  bool
}

func (h *Room) calendar(w http.ResponseWriter, r *http.Request) {
	p := calendarPage{Name: r.FormValue("name"), MayAct: h.Calls.May(r.Context(), "rules.save")}
	if err := h.Calls.Call(r.Context(), "calendar.show", struct{}{}, &p); err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	p.All = slices.DeleteFunc(p.All, func(d days) bool { return len(d.Years) == 0 })
	i := max(0, slices.IndexFunc(p.All, func(d days) bool { return d.Name == p.Name }))
	if len(p.All) > 0 {
		h.pick(&p, p.All[i], part.Number(r.FormValue("year")))
	}
	var all struct {
		Files   []struct{ ID string }
		Folders []struct{ Kind string }
	}
	if h.Calls.May(r.Context(), "rules.files") {
		if err := h.Calls.Call(r.Context(), "rules.files", struct{}{}, &all); err != nil {
			h.Kit.Fail(w, r, err)
			return
		}
	}
	for _, f := range all.Folders {
		if f.Kind == "calendar" {
			p.File = "calendar/" + p.Name + ".yaml"
		}
	}
	p.Own = slices.ContainsFunc(all.Files, func(f struct{ ID string }) bool { return f.ID == p.File })
	h.Show(w, r, http.StatusOK, "rules-calendar", "calendar", h.Say(r, "tab-calendar"), p)
}

// pick chooses the year, this one when none is said.
func (h *Room) pick(p *calendarPage, d days, wanted int) {
	p.Name, p.Zone = d.Name, d.Zone
	now := h.Kit.Now()
	if zone, err := time.LoadLocation(d.Zone); err == nil {
		now = now.In(zone)
	}
	p.Today = now.Format(time.DateOnly)
	at := len(d.Years) - 1
	for i, y := range d.Years {
		p.Years = append(p.Years, y.Year)
		if y.Year == wanted || wanted == 0 && y.Year == now.Year() {
			at = i
		}
	}
	p.Year = &d.Years[at]
	kinds := map[string]day{}
	mark := func(kind string, all []span) {
		for _, s := range all {
			first, err := time.Parse(time.DateOnly, s.Day)
			if err != nil {
				continue
			}
			last, err := time.Parse(time.DateOnly, s.To)
			if err != nil {
				last = first
			}
			for t := first; !t.After(last) && t.Before(first.AddDate(0, 3, 0)); t = t.AddDate(0, 0, 1) {
				kinds[t.Format(time.DateOnly)] = day{Kind: kind, Name: s.Name}
			}
		}
	}
	mark("off", p.Year.Off)
	mark("work", p.Year.Work)
	mark("short", p.Year.Short)
	for m := time.January; m <= time.December; m++ {
		p.Months = append(p.Months, sheet(p.Year.Year, m, kinds, p.Today))
	}
}

// sheet is a month, its weeks beginning on Monday.
func sheet(y int, m time.Month, kinds map[string]day, today string) month {
	first := time.Date(y, m, 1, 0, 0, 0, 0, time.UTC)
	out := month{First: first}
	t := first.AddDate(0, 0, -(int(first.Weekday())+6)%7)
	for t.Before(first.AddDate(0, 1, 0)) {
		var week []day
		for range 7 {
			d := day{}
			if t.Month() == m {
				key := t.Format(time.DateOnly)
				d = kinds[key]
				d.Number, d.Today = t.Day(), key == today
				if d.Kind == "" && (t.Weekday() == time.Saturday || t.Weekday() == time.Sunday) {
					d.Kind = "rest"
				}
			}
			week = append(week, d)
			t = t.AddDate(0, 0, 1)
		}
		out.Weeks = append(out.Weeks, week)
	}
	return out
}

// Title of a day, for who does not see colours.
func (d day) Title() string { return strings.TrimSpace(d.Name) }
