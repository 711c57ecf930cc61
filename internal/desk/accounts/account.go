package accounts

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"postern/internal/desk/chart"
	"postern/internal/desk/measures"
	"postern/internal/desk/page"
	"postern/internal/desk/words"
	"postern/internal/said"
)

// hour is what was sent in an hour or a day.
type hour struct {
	At         time.Time `json:"at"`
	Messages   int       `json:"messages"`
	Recipients int       `json:"recipients"`
	Fresh      int       `json:"fresh"`
	Gone       int       `json:"gone"`
	Bad        int       `json:"bad"`
}

// FreshShare is the per cent of recipients that it wrote to for the first time.
func (h hour) FreshShare() int { return share(h.Fresh, h.Recipients) }

// GoneShare is the per cent of recipients that do not exist.
func (h hour) GoneShare() int { return share(h.Gone, h.Recipients) }

func share(part, whole int) int {
	if whole == 0 {
		return 0
	}
	return (part*100 + whole/2) / whole
}

type named struct {
	Name    string    `json:"name"`
	Count   int       `json:"count"`
	Last    time.Time `json:"last"`
	Country string    `json:"country"`
	ASN     int64     `json:"asn"`
}

type signal struct {
	ID       string     `json:"id"`
	Family   string     `json:"family"`
	Rule     string     `json:"rule"`
	At       time.Time  `json:"at"`
	Weight   int        `json:"weight"`
	Detail   string     `json:"detail"`
	Said     said.Words `json:"said"`
	Case     string     `json:"case"`
	Votes    int        `json:"votes"`
	Provider string     `json:"provider"`
	SentAt   time.Time  `json:"sent_at"`
	Feedback string     `json:"feedback"`
}

type pack struct {
	ID         string    `json:"id"`
	State      string    `json:"state"`
	Case       string    `json:"case"`
	Proposed   time.Time `json:"proposed"`
	TrialUntil time.Time `json:"trial_until"`
	Strike     int       `json:"strike"`
}

type trial struct {
	Pack       string    `json:"pack"`
	From       time.Time `json:"from"`
	Until      time.Time `json:"until"`
	Share      int       `json:"share"`
	Messages   int       `json:"messages"`
	Recipients int       `json:"recipients"`
	Steps      []struct {
		At    time.Time `json:"at"`
		Share int       `json:"share"`
	} `json:"steps"`
}

// activity is what the page shows of one account.
type activity struct {
	Name    string `json:"name"`
	Known   bool   `json:"known"`
	Level   string `json:"level"`
	Domain  bool   `json:"domain"`
	Account struct {
		Name   string     `json:"name"`
		Reason string     `json:"reason"`
		Said   said.Words `json:"said"`
		By     string     `json:"by"`
		At     time.Time  `json:"at"`
		Case   string     `json:"case"`
	} `json:"account"`
	Sends struct {
		From     time.Time `json:"from"`
		Cut      bool      `json:"cut"`
		Hours    []hour    `json:"hours"`
		Days     []hour    `json:"days"`
		Usual    int       `json:"usual"`
		Hour     hour      `json:"hour"`
		Day      hour      `json:"day"`
		Month    hour      `json:"month"`
		Waiting  int       `json:"waiting"`
		Held     int       `json:"held"`
		Domains  []named   `json:"domains"`
		Networks []named   `json:"networks"`
	} `json:"sends"`
	Judged struct {
		Score   int      `json:"score"`
		Signals []signal `json:"signals"`
	} `json:"judged"`
	Logins []struct {
		Network string    `json:"network"`
		Country string    `json:"country"`
		ASN     int64     `json:"asn"`
		Last    time.Time `json:"last"`
		Worked  bool      `json:"worked"`
		Failed  int       `json:"failed"`
	} `json:"logins"`
	Votes struct {
		Proven   int      `json:"proven"`
		Unproven int      `json:"unproven"`
		Last     []signal `json:"last"`
	} `json:"votes"`
	Measures []measures.Measure `json:"measures"`
	Cases    []struct {
		ID      string    `json:"id"`
		State   string    `json:"state"`
		Opened  time.Time `json:"opened"`
		Grade   int       `json:"grade"`
		Votes   int       `json:"votes"`
		Reports int       `json:"reports"`
	} `json:"cases"`
	Strikes      int    `json:"strikes"`
	Trial        *trial `json:"trial"`
	Guarantees   []pack `json:"guarantees"`
	Certificates []struct {
		ID     string    `json:"id"`
		Purged time.Time `json:"purged"`
		By     string    `json:"by"`
	} `json:"certificates"`
}

// account is the page.
type account struct {
	activity
	Panel    measures.Panel
	ByHour   chart.Bars
	ByDay    chart.Bars
	Ramp     *chart.Steps
	Of       string // its domain
	MayStop  bool   // and take no other measure
	MayCases bool
}

// Times is how much more than usual was sent in the last hour, as a factor; 0: not twice as much.
func (b account) Times() int {
	if b.Sends.Usual == 0 || b.Sends.Hour.Recipients < 2*b.Sends.Usual {
		return 0
	}
	return b.Sends.Hour.Recipients / b.Sends.Usual
}

func (a *Room) one(w http.ResponseWriter, r *http.Request) {
	name := strings.ToLower(strings.TrimSpace(r.FormValue("name")))
	l := a.Kit.Language(r)
	if name == "" {
		a.Kit.Fail(w, r, &page.Error{Status: http.StatusBadRequest, Words: l.Say("measures.name-one")})
		return
	}
	var b account
	if err := a.Calls.Call(r.Context(), "account.activity", map[string]string{"name": name}, &b.activity); err != nil {
		a.Kit.Fail(w, r, err)
		return
	}
	back := Path(b.Name)
	caseID := ""
	if len(b.Cases) > 0 && !over(b.Cases[0].State) {
		caseID = b.Cases[0].ID
	}
	var err error
	if b.Panel, err = measures.Load(r.Context(), a.Calls, b.Name, caseID, back); err != nil {
		a.Kit.Fail(w, r, err)
		return
	}
	b.MayStop = !b.Panel.May && a.Calls.May(r.Context(), "account.suspend")
	b.MayCases = a.Calls.May(r.Context(), "case.show")
	_, b.Of, _ = strings.Cut(b.Name, "@")
	b.draw(l, a.Kit.Now())
	status := http.StatusOK
	if !b.Known {
		status = http.StatusNotFound
	}
	a.Kit.ShowStatus(w, r, status, "account", page.View{Title: b.Name, Here: "accounts", Wide: true, Body: b})
}

// over reports whether a case is done with.
func over(state string) bool {
	switch state {
	case "CLOSED", "RESULT_SENT", "RESOLVED", "REJECTED", "RELEASED", "NOT_OURS", "DUPLICATE":
		return true
	}
	return false
}

func (b *account) draw(l *words.Language, now time.Time) {
	b.ByHour = chart.Bars{
		ID: "by-hour", Caption: l.Say("accounts.by-hour"), Unit: l.Say("accounts.recipients"), Part: l.Say("accounts.fresh"), Limit: b.Sends.Usual, Says: l.Say("accounts.usual-line", "n", b.Sends.Usual),
		Head: [3]string{l.Say("accounts.hour"), l.Say("accounts.recipients"), l.Say("accounts.fresh")}, Table: l.Say("accounts.as-table"),
	}
	for _, h := range b.Sends.Hours {
		bar := chart.Bar{Value: h.Recipients, Part: h.Fresh, Says: l.Time(h.At)}
		if h.At.Hour()%6 == 0 {
			bar.Label = h.At.Format("15:04")
		}
		b.ByHour.Values = append(b.ByHour.Values, bar)
	}
	b.ByHour = b.ByHour.Draw(l.Number)
	b.ByDay = chart.Bars{
		ID: "by-day", Caption: l.Say("accounts.by-day"), Unit: l.Say("accounts.recipients"), Part: l.Say("accounts.gone"),
		Head: [3]string{l.Say("accounts.day"), l.Say("accounts.recipients"), l.Say("accounts.gone")}, Table: l.Say("accounts.as-table"),
	}
	for i, h := range b.Sends.Days {
		bar := chart.Bar{Value: h.Recipients, Part: h.Gone, Says: l.Day(h.At)}
		if i%7 == 6 {
			bar.Label = strconv.Itoa(h.At.Day()) + "." + strconv.Itoa(int(h.At.Month())) + "."
		}
		b.ByDay.Values = append(b.ByDay.Values, bar)
	}
	b.ByDay = b.ByDay.Draw(l.Number)
	if t := b.Trial; t != nil && t.Until.After(t.From) {
		long := t.Until.Sub(t.From)
		at := func(x time.Time) float64 { return float64(x.Sub(t.From)) / float64(long) }
		s := chart.Steps{ID: "ramp", Caption: l.Say("accounts.ramp"), Now: at(now), NowSays: l.Say("accounts.today"), Head: [2]string{l.Say("accounts.from"), l.Say("accounts.of-normal")}, Table: l.Say("accounts.as-table")}
		for _, p := range t.Steps {
			s.Points = append(s.Points, chart.Point{At: at(p.At), Level: p.Share, Label: l.Time(p.At)})
		}
		s = s.Draw()
		b.Ramp = &s
	}
}
