package calendar

import (
	"cmp"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"postern/internal/strict"
)

// Limits of what a calendar may say.
const (
	MaxFiles = 200  // files of a folder
	MaxSpan  = 60   // days of one entry
	MaxDays  = 2000 // entries of a calendar
	MinYear  = 2000
	MaxYear  = 2200
)

//go:embed data/*.yaml
var embedded embed.FS

// Days are one country's calendar.
type Days struct {
	Name   string `yaml:"calendar" json:"calendar"`
	Zone   Zone   `yaml:"zone" json:"zone"`
	Always bool   `yaml:"always" json:"always,omitempty"` // has no holidays, so that no year is missing
	Years  []Year `yaml:"years" json:"years"`
}

// Year is what differs from the plain week in one year.
type Year struct {
	Year   int    `yaml:"year" json:"year"`
	Status Status `yaml:"status" json:"status"`
	Source string `yaml:"source" json:"source"`
	Off    []Span `yaml:"off" json:"off"`
	Work   []Span `yaml:"work" json:"work,omitempty"`   // working days on a day of rest
	Short  []Span `yaml:"short" json:"short,omitempty"` // working days that end earlier
}

// Span is a day, or the days from one to another.
type Span struct {
	Day     Date   `yaml:"day" json:"day"`
	To      *Date  `yaml:"to" json:"to,omitempty"`
	Minutes int    `yaml:"minutes" json:"minutes,omitempty"` // by how much a short day is shorter
	Name    string `yaml:"name" json:"name,omitempty"`
}

func (s Span) last() Date {
	if s.To != nil {
		return *s.To
	}
	return s.Day
}

// year finds the data of a year, or nil.
func (d *Days) year(n int) *Year {
	for i := range d.Years {
		if d.Years[i].Year == n {
			return &d.Years[i]
		}
	}
	return nil
}

// Load reads the calendars of the program and lays those of a folder over them, year by year.
// An empty name stands for no folder.
func Load(dir string) (map[string]*Days, error) {
	all := map[string]*Days{}
	own, err := Defaults()
	if err != nil {
		return nil, err
	}
	if err := layFiles(all, own, "embedded:"); err != nil || dir == "" {
		return all, err
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("%s: the folder of calendars cannot be read: %w", dir, cmp.Or(err, errors.New("it is no folder")))
	}
	return all, layFiles(all, os.DirFS(dir), dir+string(filepath.Separator))
}

func layFiles(all map[string]*Days, from fs.FS, prefix string) error {
	names, err := fs.Glob(from, "*.yaml")
	if err != nil {
		return err
	}
	if len(names) > MaxFiles {
		return fmt.Errorf("%s has %d calendars; at most %d are read", prefix, len(names), MaxFiles)
	}
	var wrong []error
	seen := map[string]string{}
	for _, name := range names {
		if name == teamsFile {
			continue
		}
		src, err := fs.ReadFile(from, name)
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		d, err := Parse(prefix+name, src)
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		if before := seen[d.Name]; before != "" {
			wrong = append(wrong, fmt.Errorf("%s: the calendar %q stands in %s already", prefix+name, d.Name, before))
			continue
		}
		seen[d.Name] = prefix + name
		all[d.Name] = over(all[d.Name], d)
	}
	return errors.Join(wrong...)
}

// over lays the years of d over those of old.
func over(old, d *Days) *Days {
	if old == nil {
		return d
	}
	out := *d
	for _, y := range old.Years {
		if out.year(y.Year) == nil {
			out.Years = append(out.Years, y)
		}
	}
	slices.SortFunc(out.Years, func(a, b Year) int { return a.Year - b.Year })
	out.Always = out.Always || old.Always
	return &out
}

// Parse reads one calendar. Its error names file, line and column of everything wrong.
func Parse(file string, src []byte) (*Days, error) {
	var d Days
	doc := strict.Decode(file, src, &d)
	if doc.Err() == nil {
		d.check(doc)
	}
	if err := doc.Err(); err != nil {
		return nil, err
	}
	slices.SortFunc(d.Years, func(a, b Year) int { return a.Year - b.Year })
	return &d, nil
}

func (d *Days) check(doc *strict.Document) {
	if !validName(d.Name) {
		doc.Fault("calendar", "calendar.a-calendar-needs-a-name-of-small", "a calendar needs a name of small letters, digits and hyphens, at most 40")
	}
	if d.Zone.Location == nil {
		doc.Fault("zone", "calendar.a-calendar-needs-its-time-zone", "a calendar needs its time zone")
	}
	entries, seen := 0, map[int]bool{}
	for i, y := range d.Years {
		at := fmt.Sprintf("years[%d]", i)
		switch {
		case y.Year < MinYear || y.Year > MaxYear:
			doc.Fault(at+".year", "calendar.a-year-is-to", "a year is %d to %d", "least", MinYear, "most", MaxYear)
		case seen[y.Year]:
			doc.Fault(at+".year", "calendar.is-written-twice", "%d is written twice", "year", y.Year)
		case y.Status == "":
			doc.Fault(at, "calendar.a-year-needs-its-status-final-or", "a year needs its status: final or provisional")
		case strings.TrimSpace(y.Source) == "":
			doc.Fault(at, "calendar.a-year-needs-its-source", "a year needs its source")
		}
		seen[y.Year] = true
		entries += len(y.Off) + len(y.Work) + len(y.Short)
		y.check(doc, at)
	}
	if entries > MaxDays {
		doc.Fault("years", "calendar.entries-at-most-are-read", "%d entries; at most %d are read", "entries", entries, "most", MaxDays)
	}
}

// check looks at each entry, and at days that are named twice.
func (y Year) check(doc *strict.Document, at string) {
	seen := map[Date]string{}
	for _, list := range []struct {
		name  string
		spans []Span
	}{{"off", y.Off}, {"work", y.Work}, {"short", y.Short}} {
		for i, s := range list.spans {
			here := fmt.Sprintf("%s.%s[%d]", at, list.name, i)
			if !s.check(doc, here, y.Year, list.name == "short") {
				continue
			}
			for day := s.Day; !s.last().Before(day); day = day.plus(1) {
				if before := seen[day]; before != "" {
					doc.Fault(here, "calendar.is-named-twice-first-under", "%s is named twice, first under %s", "day", day, "before", before)
				}
				seen[day] = list.name
			}
		}
	}
}

func (s Span) check(doc *strict.Document, at string, year int, short bool) bool {
	switch {
	case s.Day.Year != year || s.last().Year != year:
		doc.Fault(at, "calendar.this-is-no-day-of", "this is no day of %d", "year", year)
	case s.last().Before(s.Day):
		doc.Fault(at+".to", "calendar.comes-before", "%s comes before %s", "last", s.last(), "day", s.Day)
	case s.Day.plus(MaxSpan).Before(s.last()):
		doc.Fault(at+".to", "calendar.one-entry-covers-at-most-days", "one entry covers at most %d days", "most", MaxSpan)
	case short != (s.Minutes > 0) || s.Minutes < 0 || s.Minutes > 24*60:
		doc.Fault(at, "calendar.minutes-say-by-how-much-a-short", "minutes say by how much a short day is shorter, 1 to 1440, and stand there alone")
	default:
		return true
	}
	return false
}

func validName(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return s != "" && len(s) <= 40
}

// Defaults are the calendars that come with the program.
func Defaults() (fs.FS, error) { return fs.Sub(embedded, "data") }
