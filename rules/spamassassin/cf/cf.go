// Package cf reads SpamAssassin's configuration files (*.cf): rules with their scores,
// descriptions and flags, as SpamAssassin 4.0.1 without network, Bayes and most plugins
// would understand them.
package cf

import (
	"bytes"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// Bounds of what is read.
const (
	MaxFile  = 16 << 20 // bytes of one file
	MaxFiles = 1000
	MaxRules = 50_000
)

// Place is where something stands.
type Place struct {
	File string
	Line int
}

func (p Place) String() string { return fmt.Sprintf("%s:%d", p.File, p.Line) }

// Rule is a definition.
type Rule struct {
	Name, Kind string // Kind: header, body, rawbody, uri, full, meta, mimeheader or another word
	Test       string // what stands behind the name
	Place      Place
	Skipped    string // why the definition does not count: the condition around it
}

// Used counts a directive that is no part of a rule.
type Used struct {
	Count int
	First Place
}

// Conf is what the files say.
type Conf struct {
	Files    []string
	Rules    map[string]*Rule
	Lacking  map[string]*Rule // rules defined only where a plugin is that is not here
	Scores   map[string][4]float64
	Describe map[string]string
	Flags    map[string][]string
	Tags     map[string]string // of replace_tag; "pre NAME", "post NAME" and "inter NAME" too
	Replaced map[string]bool   // rules in which tags are replaced
	Other    map[string]Used   // directives passed over
	Odd      []Problem         // lines not understood
}

// Problem is a line that could not be understood.
type Problem struct {
	Place  Place
	Reason string
}

// Read reads all *.cf of a folder in the order of their names. lang is the language of the
// descriptions, as "en". The error is that of the file system, or a bound.
func Read(dir fs.FS, lang string) (*Conf, error) {
	entries, err := fs.ReadDir(dir, ".")
	if err != nil {
		return nil, err
	}
	c := &Conf{Rules: map[string]*Rule{}, Lacking: map[string]*Rule{}, Scores: map[string][4]float64{}, Describe: map[string]string{},
		Flags: map[string][]string{}, Tags: map[string]string{}, Replaced: map[string]bool{}, Other: map[string]Used{}}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".cf") && e.Type().IsRegular() || e.Type()&fs.ModeSymlink != 0 && strings.HasSuffix(e.Name(), ".cf") {
			c.Files = append(c.Files, e.Name())
		}
	}
	slices.Sort(c.Files)
	if len(c.Files) > MaxFiles {
		return nil, fmt.Errorf("%d files; at most %d are read", len(c.Files), MaxFiles)
	}
	for _, name := range c.Files {
		src, err := fs.ReadFile(dir, name)
		if err != nil {
			return nil, err
		}
		if len(src) > MaxFile {
			return nil, fmt.Errorf("%s: %d bytes; at most %d are read", name, len(src), MaxFile)
		}
		r := reader{conf: c, lang: lang, at: Place{File: name}}
		r.file(src)
		if len(c.Rules)+len(c.Lacking) > MaxRules {
			return nil, fmt.Errorf("more than %d rules", MaxRules)
		}
	}
	for name := range c.Rules {
		delete(c.Lacking, name)
	}
	return c, nil
}

// reader reads one file.
type reader struct {
	conf   *Conf
	lang   string
	at     Place
	blocks []block // open conditions, the innermost last
}

// block is an open condition.
type block struct {
	on     bool
	reason string // why not
	odd    bool   // it was not understood: neither branch counts
}

func (r *reader) file(src []byte) {
	for line := range bytes.Lines(src) {
		r.at.Line++
		r.line(strings.TrimSpace(uncommented(strings.ToValidUTF8(string(line), "\ufffd"))))
	}
	if len(r.blocks) > 0 {
		r.odd("the file ends inside a condition")
	}
}

// uncommented is a line up to its comment; \# is none.
func uncommented(line string) string {
	from := 0
	for {
		i := strings.IndexByte(line[from:], '#')
		if i < 0 {
			return line
		}
		i += from
		if i == 0 || line[i-1] != '\\' {
			return line[:i]
		}
		line = line[:i-1] + line[i:]
		from = i
	}
}

func (r *reader) odd(format string, args ...any) {
	r.conf.Odd = append(r.conf.Odd, Problem{r.at, fmt.Sprintf(format, args...)})
}

// off is the reason why what stands here does not count, "" where it does.
func (r *reader) off() string {
	for _, b := range r.blocks {
		if !b.on {
			return b.reason
		}
	}
	return ""
}

func (r *reader) line(line string) {
	key, rest, _ := cutSpace(line)
	switch key {
	case "":
		return
	case "lang":
		lang, more, _ := cutSpace(rest)
		if lang != r.lang && !strings.HasPrefix(lang, r.lang+"_") {
			return
		}
		key, rest, _ = cutSpace(more)
	}
	switch key = strings.ToLower(key); key {
	case "if", "ifplugin", "else", "endif":
		r.condition(key, rest)
	default:
		if reason := r.off(); reason != "" {
			r.skipped(key, rest, reason)
		} else {
			r.directive(key, rest)
		}
	}
}

func cutSpace(s string) (word, rest string, found bool) {
	i := strings.IndexAny(s, " \t")
	if i < 0 {
		return s, "", false
	}
	return s[:i], strings.TrimSpace(s[i:]), true
}

// isRule tells that a directive defines a rule.
func isRule(key string) bool {
	switch key {
	case "header", "body", "rawbody", "uri", "full", "meta", "mimeheader", "uri_detail", "askdns", "urirhsbl", "urirhssub",
		"uridnsbl", "uridnssub", "urinsrhsbl", "urinsrhssub", "urifullnsrhsbl", "urifullnsrhssub":
		return true
	}
	return false
}

// skipped notes a rule that a missing plugin takes away.
func (r *reader) skipped(key, rest, reason string) {
	if name, test, ok := cutSpace(rest); ok && isRule(key) && strings.HasPrefix(reason, "needs") {
		r.conf.Lacking[name] = &Rule{Name: name, Kind: key, Test: test, Place: r.at, Skipped: reason}
	}
}
