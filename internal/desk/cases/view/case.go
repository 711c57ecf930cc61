// Package view is what the pages show of cases, as the calls of the gateway tell it.
package view

import (
	"fmt"
	"slices"
	"time"
)

// Case is one problem: an account of ours, or a source elsewhere.
type Case struct {
	ID         string    `json:"id"`
	Kind       string    `json:"kind"`
	Subject    string    `json:"subject"`
	State      string    `json:"state"`
	Since      time.Time `json:"since"`
	Opened     time.Time `json:"opened"`
	Changed    time.Time `json:"changed"`
	Account    string    `json:"account"`
	Source     Source    `json:"source"`
	Owner      string    `json:"owner"`
	Categories []string  `json:"categories"`
	Priority   int       `json:"priority"`
	Grade      int       `json:"grade"`
	Sentence   string    `json:"sentence"`
	Trust      int       `json:"trust"`
	Language   string    `json:"language"`
	Person     bool      `json:"person"`
	Drill      bool      `json:"drill"`
	LegalHold  bool      `json:"legal_hold"`
	Class      string    `json:"class"`
	Votes      int       `json:"votes"`
	Reports    int       `json:"reports"`
	Folded     int       `json:"folded"`
	Clocks     []Clock   `json:"clocks"`
	Evidence   []Item    `json:"evidence"`
	MergedInto string    `json:"merged_into"`
	Measure    string    `json:"measure"`
	Level      int       `json:"level"`
	Strikes    int       `json:"strikes"`
	Ending     *Ending   `json:"ending"`
	Reopened   int       `json:"reopened"`
	ResultAt   time.Time `json:"result_at"`
	Barred     bool      `json:"barred"`
}

// Source is where the mail came from.
type Source struct {
	IP     string    `json:"ip"`
	Port   int       `json:"port"`
	Time   time.Time `json:"time"`
	Helo   string    `json:"helo"`
	Domain string    `json:"domain"`
	Login  string    `json:"login"`
	Serial string    `json:"serial"`
}

// Via is the address and the port.
func (s Source) Via() string {
	if s.Port > 0 {
		return fmt.Sprintf("%s:%d", s.IP, s.Port)
	}
	return s.IP
}

// Item is one piece of evidence.
type Item struct {
	Sum  string    `json:"sha256"`
	Size int64     `json:"size"`
	Name string    `json:"name"`
	By   string    `json:"by"`
	At   time.Time `json:"at"`
}

// Ending is a permanent end that was proposed.
type Ending struct {
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
}

// Clock runs, or ran.
type Clock struct {
	Name    string       `json:"name"`
	Start   time.Time    `json:"start"`
	Marks   [3]time.Time `json:"marks"` // half, four fifths, all of its time
	Paused  time.Time    `json:"paused"`
	Stopped time.Time    `json:"stopped"`
	Unsure  bool         `json:"unsure"`
}

// Running reports whether it has not ended.
func (c Clock) Running() bool { return c.Stopped.IsZero() }

// Ticking reports whether it goes on just now.
func (c Clock) Ticking() bool { return c.Running() && c.Paused.IsZero() }

// Due is when it is too late.
func (c Clock) Due() time.Time { return c.Marks[2] }

// The steps of a clock.
const (
	Calm = "calm"
	Half = "half"
	Soon = "soon" // four fifths are gone
	Late = "late"
)

// Step is how far it has come.
func (c Clock) Step(now time.Time) string {
	step := Calm
	for i, s := range []string{Half, Soon, Late} {
		if !now.Before(c.Marks[i]) {
			step = s
		}
	}
	return step
}

// Count is a clock as it stands.
type Count struct {
	Clock
	Step string
	Left time.Duration // until it is due; below 0: since
}

// Owed is the clock that runs out first, as the queue is ordered; nil: nothing is owed.
func (c Case) Owed(now time.Time) *Count {
	var out *Count
	weak := []string{"T_data", "T_purge", "T_reminder"}
	for _, k := range c.Clocks {
		if !k.Ticking() {
			continue
		}
		w := slices.Contains(weak, k.Name)
		if out == nil || w == slices.Contains(weak, out.Name) && k.Due().Before(out.Due()) || !w && slices.Contains(weak, out.Name) {
			out = &Count{k, k.Step(now), k.Due().Sub(now)}
		}
	}
	if c.State == "CLOSED" {
		return nil
	}
	return out
}

// Counts are all clocks that have not ended, the first due first.
func (c Case) Counts(now time.Time) []Count {
	var out []Count
	for _, k := range c.Clocks {
		if k.Running() {
			out = append(out, Count{k, k.Step(now), k.Due().Sub(now)})
		}
	}
	slices.SortStableFunc(out, func(a, b Count) int { return a.Due().Compare(b.Due()) })
	return out
}

// Moments are when the shown step changes, for the script.
func (k Count) Moments() string {
	t := k.Marks
	return fmt.Sprintf("%d %d %d", t[0].Unix(), t[1].Unix(), t[2].Unix())
}

// About names the account or the source.
func (c Case) About() string {
	switch {
	case c.Account != "":
		return c.Account
	case c.Source.Domain != "":
		return c.Source.Domain
	case c.Source.IP != "":
		return c.Source.IP
	}
	return ""
}

// Measured is the level of the last measure, or "".
func (c Case) Measured() string {
	if c.Measure == "" {
		return ""
	}
	return fmt.Sprintf("M%d", c.Level)
}

// Open reports whether something is still to be done.
func (c Case) Open() bool { return c.State != "CLOSED" }

// Single is the class to filter the like of.
func (c Case) Single() string {
	if len(c.Categories) > 0 {
		return c.Categories[0]
	}
	return ""
}
