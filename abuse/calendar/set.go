package calendar

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"postern/internal/strict"
)

// MaxTeams is how many teams there may be.
const MaxTeams = 100

// Set are the calendars of all teams. It does not change; a new one takes its place.
type Set struct {
	days  map[string]*Days
	teams map[string]*Calendar
	first string
}

// teamsFile is the file of a folder of calendars that has the teams.
const teamsFile = "teams.yaml"

// Open reads the calendars, those of a folder over the program's own, and builds every team's:
// those given, or else those of the folder's teams.yaml. The first team is the one that a case
// has when nothing else is said; without any there is one named "desk", which works on
// weekdays in UTC.
func Open(dir string, teams []Team) (*Set, error) {
	days, err := Load(dir)
	if err != nil {
		return nil, err
	}
	if len(teams) == 0 && dir != "" {
		if teams, err = readTeams(filepath.Join(dir, teamsFile)); err != nil {
			return nil, err
		}
	}
	if len(teams) == 0 {
		teams = []Team{{Name: "desk", Calendar: "plain"}}
	}
	if len(teams) > MaxTeams {
		return nil, fmt.Errorf("%d teams; at most %d are kept", len(teams), MaxTeams)
	}
	s := &Set{days: days, teams: map[string]*Calendar{}, first: teams[0].Name}
	var wrong []error
	for _, t := range teams {
		c, err := New(t, days)
		switch {
		case err != nil:
		case !validName(t.Name):
			err = fmt.Errorf("team %q: a team needs a name of small letters, digits and hyphens, at most 40", t.Name)
		case s.teams[t.Name] != nil:
			err = fmt.Errorf("team %q is named twice", t.Name)
		}
		wrong = append(wrong, err)
		s.teams[t.Name] = c
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, err
	}
	return s, nil
}

// readTeams reads the file of teams; that there is none is no error.
func readTeams(path string) ([]Team, error) {
	src, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var file struct {
		Teams []Team `yaml:"teams"`
	}
	doc := strict.Decode(path, src, &file)
	if err := doc.Err(); err != nil {
		return nil, err
	}
	return file.Teams, nil
}

// Team is the calendar of a team; that of the first for a name that is not known.
func (s *Set) Team(name string) *Calendar {
	if c := s.teams[name]; c != nil {
		return c
	}
	return s.teams[s.first]
}

// Known finds a team's calendar; an empty name stands for the first team.
func (s *Set) Known(name string) (*Calendar, bool) {
	c, ok := s.teams[cmp.Or(name, s.first)]
	return c, ok
}

// Teams are the names of all teams.
func (s *Set) Teams() []string { return slices.Sorted(maps.Keys(s.teams)) }

// Calendars are all countries' days, by name.
func (s *Set) Calendars() []*Days {
	out := make([]*Days, 0, len(s.days))
	for _, name := range slices.Sorted(maps.Keys(s.days)) {
		out = append(out, s.days[name])
	}
	return out
}

// Days are a country's days by their name.
func (s *Set) Days(name string) (*Days, bool) {
	d, ok := s.days[name]
	return d, ok
}

// Gaps are the gaps of all teams.
func (s *Set) Gaps(now time.Time) []Gap {
	var out []Gap
	for _, name := range s.Teams() {
		out = append(out, s.teams[name].Gaps(now)...)
	}
	return out
}
