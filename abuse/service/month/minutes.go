package month

import (
	"slices"
	"strings"
	"time"

	"postern/abuse/service/book"
	"postern/abuse/service/exclusion"
)

// Behind is the group of doors that are not the service's own: it is shown, and not counted.
const Behind = "mailboxes"

// Outage is a run of failed minutes of a group.
type Outage struct {
	Group    string    `json:"group"`
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	Minutes  int       `json:"minutes"`
	Why      string    `json:"why,omitempty"`
	Excluded string    `json:"excluded,omitempty"` // by which exclusion
	Counted  bool      `json:"counted"`
}

// Reach counts minutes.
type Reach struct {
	Minutes    int `json:"minutes"`     // of the period, as far as it is over
	Observed   int `json:"observed"`    // somebody looked
	Failed     int `json:"failed"`      // and nobody answered
	Excluded   int `json:"excluded"`    // failed, and left out
	Unobserved int `json:"unobserved"`  // nobody looked, and they are not left out
	OutOfCount int `json:"left_out"`    // excluded, failed or not
	Counted    int `json:"not_reached"` // failed and not left out
}

// track is the day of a group: a letter a minute.
type track struct {
	from    time.Time
	minutes []byte
}

// combine lays the nodes' minutes of a group together: where one answered, the service did.
func combine(days []book.Day) map[string]*track {
	out := map[string]*track{}
	for _, d := range days {
		for group, text := range d.Minutes {
			t := out[group]
			if t == nil {
				t = &track{from: d.From}
				out[group] = t
			}
			for i := range len(text) {
				for len(t.minutes) <= i {
					t.minutes = append(t.minutes, book.None)
				}
				switch {
				case text[i] == book.Good:
					t.minutes[i] = book.Good
				case text[i] == book.Failed && t.minutes[i] == book.None:
					t.minutes[i] = book.Failed
				}
			}
		}
	}
	return out
}

func (t *track) at(i int) byte {
	if t == nil || i >= len(t.minutes) {
		return book.None
	}
	return t.minutes[i]
}

// excludedBy is the exclusion in force that a minute of a group lies in whole.
func excludedBy(all []exclusion.Exclusion, group string, at time.Time) string {
	for _, e := range all {
		if e.Counts(group) && !at.Before(e.From) && !at.Add(time.Minute).After(e.To) {
			return e.ID
		}
	}
	return ""
}

// walk goes through the minutes of a day, up to the end of what is over.
func (m *counting) walk(date string, from, to time.Time, total *Reach) {
	days := m.days[date]
	tracks := combine(days)
	groups := make([]string, 0, len(tracks))
	for g := range tracks {
		groups = append(groups, g)
	}
	slices.Sort(groups)
	for i := 0; ; i++ {
		at := from.Add(time.Duration(i) * time.Minute)
		if at.Add(time.Minute).After(to) {
			return
		}
		m.minute(at, i, groups, tracks, total)
	}
}

// minute counts one minute: it failed when one of the groups that count did.
func (m *counting) minute(at time.Time, i int, groups []string, tracks map[string]*track, total *Reach) {
	total.Minutes++
	var observed, failed, left bool
	for _, g := range groups {
		letter := tracks[g].at(i)
		if letter == book.None {
			continue
		}
		by := ""
		if letter == book.Failed {
			by = excludedBy(m.exclusions, g, at)
			m.outage(g, at, by)
		}
		r := m.groups[g]
		if r == nil {
			r = &Reach{}
			m.groups[g] = r
		}
		r.Observed++
		if letter == book.Failed {
			r.Failed++
			if by == "" {
				r.Counted++
			} else {
				r.Excluded++
			}
		}
		if g == Behind {
			continue
		}
		observed = true
		failed = failed || letter == book.Failed && by == ""
		left = left || by != ""
	}
	all := excludedBy(m.exclusions, "", at) != ""
	switch {
	case failed:
		total.Observed, total.Failed, total.Counted = total.Observed+1, total.Failed+1, total.Counted+1
	case left:
		total.Observed, total.Failed, total.Excluded, total.OutOfCount = total.Observed+1, total.Failed+1, total.Excluded+1, total.OutOfCount+1
	case observed:
		total.Observed++
		if all {
			total.OutOfCount++
		}
	case all:
		total.OutOfCount++
	default:
		total.Unobserved++
	}
}

// outage notes a failed minute.
func (m *counting) outage(group string, at time.Time, by string) {
	if group != Behind && by == "" {
		m.down = append(m.down, span{at, at.Add(time.Minute)})
	}
	if m.quiet {
		return
	}
	if n := len(m.outages); n > 0 {
		for i := n - 1; i >= max(0, n-len(m.groups)-4); i-- {
			if o := &m.outages[i]; o.Group == group && o.To.Equal(at) && o.Excluded == by {
				o.To = at.Add(time.Minute)
				o.Minutes++
				return
			}
		}
	}
	if len(m.outages) < maxListed {
		m.outages = append(m.outages, Outage{Group: group, From: at.UTC(), To: at.Add(time.Minute).UTC(), Minutes: 1, Why: m.why(group, at), Excluded: by, Counted: by == "" && group != Behind})
	}
}

// why is what was said of a failed minute.
func (m *counting) why(group string, at time.Time) string {
	var all []string
	for _, d := range m.days[m.date(at)] {
		for _, f := range d.Failures {
			if f.Group == group && !f.At.Before(at) && f.At.Before(at.Add(time.Minute)) && !slices.Contains(all, f.Why) && len(all) < 3 {
				all = append(all, f.Why)
			}
		}
	}
	return strings.Join(all, "; ")
}
