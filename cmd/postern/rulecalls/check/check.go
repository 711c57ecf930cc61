// Package check says what a changed file of the operator's would do before it is saved: what
// is wrong with it and where, what it changes, and what needs a restart.
package check

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"postern/abuse/calendar"
	"postern/cmd/postern/setup"
	"postern/internal/config"
	"postern/internal/diff"
	"postern/internal/opfiles"
	"postern/internal/said"
	"postern/internal/strict"
	"postern/rules"
)

// MaxProblems bounds what is said of one text.
const MaxProblems = 50

// Problem is one thing that is wrong.
type Problem struct {
	File    string `json:"file"` // ID of a file; as it is said where it is none of the operator's
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
	Message string `json:"message"`
	Here    bool   `json:"here"` // in the text that is checked

	Words said.Words `json:"said,omitzero"` // Message by its code
}

// String is the problem as the command line says it.
func (p Problem) String() string {
	if p.Line == 0 {
		return p.File + ": " + p.Message
	}
	return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Message)
}

// Said implements said.Sayer.
func (p Problem) Said() said.Words {
	what := p.Words
	if what.English = p.Message; what.Code == "" {
		return said.Words{English: p.String()}
	}
	return said.Words{Code: said.Around, Values: said.Values{"before": strings.TrimSuffix(p.String(), p.Message), "said": what, "after": ""}, English: p.String()}
}

// Worth is a symbol whose worth changes.
type Worth struct {
	Symbol string `json:"symbol"`
	Before string `json:"before,omitempty"` // "" = there was none
	After  string `json:"after,omitempty"`  // "" = there is none any more
}

// Due is a deadline that would be another one.
type Due struct {
	Team   string    `json:"team"`
	From   time.Time `json:"from"`
	Before time.Time `json:"before"`
	After  time.Time `json:"after"`
}

// Checked is what is known of a text before it is saved.
type Checked struct {
	File     string      `json:"file"`
	OK       bool        `json:"ok"`
	Problems []Problem   `json:"problems"`
	More     int         `json:"more,omitempty"` // problems that are left out
	Warnings []string    `json:"warnings,omitempty"`
	Tests    int         `json:"tests,omitempty"`   // of the rules that were run
	Restart  []string    `json:"restart,omitempty"` // what takes effect after a restart
	Revision string      `json:"revision,omitempty"`
	Changes  []Worth     `json:"changes,omitempty"`
	Due      []Due       `json:"due,omitempty"`
	Diff     []diff.Hunk `json:"diff"`
	Base     string      `json:"base,omitempty"` // hash of the file as it is now
	Changed  bool        `json:"changed"`        // the text differs from it
}

// Checker checks.
type Checker struct {
	Shelf   *opfiles.Shelf
	Config  func() *config.Config
	Started func() *config.Config // with which the process began
	Rules   func() *rules.Set     // as the files on the disk say
	Temp    string                // folder for what only a real folder can be read from
	Now     func() time.Time
}

// Text checks a text as that of a file. Gone: the file would be removed.
func (c *Checker) Text(id, text string, gone bool) (Checked, error) {
	out := Checked{File: id, Problems: []Problem{}, Diff: []diff.Hunk{}}
	folder, name, err := c.Shelf.Find(id)
	if err != nil {
		return out, err
	}
	now, err := c.Shelf.Read(id)
	if err != nil && !errors.Is(err, opfiles.ErrNotFound) {
		return out, err
	}
	out.Base, out.Changed = now.Hash, now.Text != text || gone && now.Hash != ""
	after := text
	if gone {
		after = ""
	}
	out.Diff = diff.Between(now.Text, after)
	if len(text) > opfiles.MaxText {
		out.fail(id, folder, said.New("file.text-long", "the text is longer than what is written here"))
		return out, nil
	}
	switch folder.Kind {
	case "rules", "default":
		c.rules(&out, folder, name, text, gone)
	case "config":
		c.config(&out, folder, name, text)
	case "calendar", "calendar-own":
		c.calendar(&out, folder, name, text, gone)
	}
	out.OK = len(out.Problems) == 0
	return out, nil
}

// fail notes every problem of an error.
func (out *Checked) fail(id string, folder opfiles.Folder, err error) {
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		for _, e := range joined.Unwrap() {
			out.fail(id, folder, e)
		}
		return
	}
	var all strict.Errors
	if !errors.As(err, &all) {
		one := new(strict.Error)
		if !errors.As(err, &one) {
			one = strict.NewError(strict.Place{}, said.Of(err))
		}
		all = strict.Errors{one}
	}
	for _, e := range all {
		p := Problem{File: nameOf(e.File, folder), Line: e.Line, Column: e.Column, Message: e.Message, Words: e.Words.Bare()}
		if p.File == "" {
			p.File = id
		}
		p.Here = p.File == id
		if len(out.Problems) >= MaxProblems {
			out.More++
			continue
		}
		out.Problems = append(out.Problems, p)
	}
}

// nameOf turns a path into the ID of a file.
func nameOf(path string, folder opfiles.Folder) string {
	if rest, ok := strings.CutPrefix(path, "default/"); ok {
		return "default/" + rest
	}
	if path != "" && folder.Dir != "" && filepath.Dir(path) == filepath.Clean(folder.Dir) {
		return folder.Kind + "/" + filepath.Base(path)
	}
	return path
}

func (c *Checker) rules(out *Checked, folder opfiles.Folder, name, text string, gone bool) {
	below := os.DirFS(folder.Dir)
	if _, err := os.Stat(folder.Dir); err != nil {
		below = Empty{}
	}
	set, err := rules.LoadFS(rules.Layer{Name: folder.Dir, FS: opfiles.With(below, name, text, gone)})
	if err != nil {
		out.fail(out.File, folder, err)
		return
	}
	out.Revision, out.Tests = set.Revision(), set.Tests()
	for _, p := range set.Check() {
		out.fail(out.File, folder, p)
	}
	out.Changes = differ(c.Rules(), set)
}

// Set is the rules as they would be with a text, or without the file.
func (c *Checker) Set(id, text string, gone bool) (*rules.Set, error) {
	folder, name, err := c.Shelf.Find(id)
	if err != nil {
		return nil, err
	}
	if folder.Kind != "rules" {
		return nil, said.Errorf("file.only-files-of-rules-can-be-tried", "%w: only files of rules can be tried on a message", "kind", opfiles.ErrInvalid)
	}
	below := os.DirFS(folder.Dir)
	if _, err := os.Stat(folder.Dir); err != nil {
		below = Empty{}
	}
	return rules.LoadFS(rules.Layer{Name: folder.Dir, FS: opfiles.With(below, name, text, gone)})
}

// Worded is what a symbol is worth, as a file would say it.
func Worded(s rules.Symbol) string {
	words := s.Score.String()
	if s.Action > 0 {
		words += " " + s.Action.String()
	}
	if s.Rcpt {
		words += " at RCPT"
	}
	if s.Quiet {
		words += " quiet"
	}
	return words
}

func differ(old, now *rules.Set) []Worth {
	var out []Worth
	seen := map[string]bool{}
	for _, s := range old.Symbols() {
		seen[s.Name] = true
		after, ok := now.Symbol(s.Name)
		switch {
		case !ok:
			out = append(out, Worth{Symbol: s.Name, Before: Worded(s)})
		case Worded(s) != Worded(after):
			out = append(out, Worth{s.Name, Worded(s), Worded(after)})
		}
	}
	for _, s := range now.Symbols() {
		if !seen[s.Name] {
			out = append(out, Worth{Symbol: s.Name, After: Worded(s)})
		}
	}
	return out
}

func (c *Checker) config(out *Checked, folder opfiles.Folder, name, text string) {
	cfg, err := config.Parse(filepath.Join(folder.Dir, name), []byte(text))
	if err != nil {
		out.fail(out.File, folder, err)
		return
	}
	set, err := setup.Rules(cfg.Rules.Dir)
	if err != nil {
		out.fail(out.File, folder, err)
		return
	}
	out.Warnings = append(cfg.Warnings(), setup.UnknownSymbols(cfg, set)...)
	for _, err := range setup.Beside(cfg) {
		out.fail(out.File, folder, err)
	}
	out.Restart = setup.Differ(c.Started(), c.Config(), cfg).Restart
}

// calendar reads the folder as it would be. What stands beside the text is real files.
func (c *Checker) calendar(out *Checked, folder opfiles.Folder, name, text string, gone bool) {
	next, err := c.calendars(folder, name, text, gone)
	if err != nil {
		out.fail(out.File, folder, err)
		return
	}
	old, err := calendar.Open(folder.Dir, nil)
	if err != nil {
		return // what is there now cannot be read: nothing to compare with
	}
	for _, g := range next.Gaps(c.Now()) {
		out.Warnings = append(out.Warnings, g.Text())
	}
	out.Due = moved(old, next, c.Now())
}

func (c *Checker) calendars(folder opfiles.Folder, name, text string, gone bool) (*calendar.Set, error) {
	dir, err := os.MkdirTemp(c.Temp, "calendar-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	there, err := filepath.Glob(filepath.Join(folder.Dir, "*.yaml"))
	if err != nil {
		return nil, err
	}
	for _, path := range there[:min(len(there), calendar.MaxFiles+1)] {
		b, err := os.ReadFile(path)
		if err == nil && filepath.Base(path) != name {
			err = os.WriteFile(filepath.Join(dir, filepath.Base(path)), b, 0o600)
		}
		if err != nil {
			return nil, err
		}
	}
	if !gone {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	set, err := calendar.Open(dir, nil)
	return set, renamed(err, dir, folder.Dir)
}

// renamed says an error about the folder that was meant.
func renamed(err error, from, to string) error {
	var joined interface{ Unwrap() []error }
	var all strict.Errors
	switch {
	case err == nil:
	case errors.As(err, &joined):
		var out []error
		for _, e := range joined.Unwrap() {
			out = append(out, renamed(e, from, to))
		}
		return errors.Join(out...)
	case errors.As(err, &all):
		for _, e := range all {
			e.File = strings.Replace(e.File, from, to, 1)
		}
		return all
	case strings.Contains(err.Error(), from):
		return errors.New(strings.ReplaceAll(err.Error(), from, to))
	}
	return err
}

// lookAhead is for how many days deadlines are compared.
const lookAhead = 400

// moved are deadlines of one business day that would be other ones. Those that are set already
// stay as they are.
func moved(old, next *calendar.Set, now time.Time) []Due {
	var out []Due
	for _, team := range next.Teams() {
		a, was := old.Known(team)
		b, _ := next.Known(team)
		if !was {
			continue
		}
		zone := b.Team().Zone.Location
		for i := range lookAhead {
			y, m, d := now.In(zone).AddDate(0, 0, i).Date()
			from := time.Date(y, m, d, 12, 0, 0, 0, zone)
			x, err1 := a.Days(from, 1)
			z, err2 := b.Days(from, 1)
			if err1 == nil && err2 == nil && !x.At.Equal(z.At) {
				out = append(out, Due{team, from, x.At, z.At})
			}
			if len(out) == 100 {
				return out
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Due) int { return a.From.Compare(b.From) })
	return out
}

// Empty is a folder without files.
type Empty struct{}

// Open implements fs.FS.
func (Empty) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

// ReadDir implements fs.ReadDirFS.
func (Empty) ReadDir(string) ([]fs.DirEntry, error) { return nil, nil }
