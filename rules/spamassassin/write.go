package spamassassin

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode"

	"postern/rules/spamassassin/cf"
)

// maxDescribe is the longest sentence a rule may have, in bytes.
const maxDescribe = 200

// report says what became of the rules.
func (im *importer) report(ordered []*cf.Rule) Report {
	r := Report{Taken: []Entry{}, Differ: []Entry{}, Refused: []Entry{}, Off: []Entry{}, Odd: []Entry{}, Passed: []Passed{}}
	for _, rule := range ordered {
		m := im.made[rule.Name]
		e := Entry{Rule: rule.Name, Kind: rule.Kind, File: rule.Place.File, Line: rule.Place.Line}
		switch {
		case m.off != "":
			e.Reason = m.off
			r.Off = append(r.Off, e)
		case m.reason != "":
			e.Reason = m.reason
			r.Refused = append(r.Refused, e)
		case len(m.notes) > 0:
			slices.Sort(m.notes)
			e.Symbol, e.Notes = m.symbol, slices.Compact(m.notes)
			r.Differ = append(r.Differ, e)
		default:
			e.Symbol = m.symbol
			r.Taken = append(r.Taken, e)
		}
	}
	for _, p := range im.conf.Odd {
		r.Odd = append(r.Odd, Entry{File: p.Place.File, Line: p.Place.Line, Reason: p.Reason})
	}
	for _, name := range slices.Sorted(maps.Keys(im.conf.Other)) {
		u := im.conf.Other[name]
		r.Passed = append(r.Passed, Passed{name, u.Count, u.First.File, u.First.Line})
	}
	return r
}

// files writes the rules that were taken, a file for each source.
func (im *importer) files(ordered []*cf.Rule, r *Report) map[string][]byte {
	out := map[string][]byte{}
	for _, source := range im.conf.Files {
		var patterns, composites bytes.Buffer
		for _, rule := range ordered {
			if m := im.made[rule.Name]; rule.Place.File == source && m.taken() {
				im.write(&patterns, &composites, rule, m, r)
			}
		}
		if patterns.Len()+composites.Len() == 0 {
			continue
		}
		var b bytes.Buffer
		fmt.Fprintf(&b, "# Made of %s by postern rules import spamassassin.\n", plain(source))
		for _, section := range []struct {
			name string
			text []byte
		}{{"patterns", patterns.Bytes()}, {"composites", composites.Bytes()}} {
			if len(section.text) > 0 {
				fmt.Fprintf(&b, "%s:\n%s", section.name, section.text)
			}
		}
		out["spamassassin-"+strings.TrimSuffix(source, ".cf")+".yaml"] = b.Bytes()
	}
	return out
}

// write writes the patterns and the composite of one rule.
func (im *importer) write(patterns, composites *bytes.Buffer, rule *cf.Rule, m *made, r *Report) {
	describe, score := im.describe(rule.Name), im.points(rule.Name, r)
	for _, p := range m.patterns {
		entry(patterns, p.id, describe)
		fmt.Fprintf(patterns, "    in: %s\n    match: %s\n", p.in, quoted(p.match))
		worth(patterns, m.when != "" || isPart(rule.Name), score)
		r.Patterns++
	}
	for _, times := range slices.Sorted(maps.Keys(m.times)) {
		entry(patterns, timesName(m.symbol, times), describe)
		fmt.Fprintf(patterns, "    in: %s\n    match: %s\n    times: %d\n    quiet: true\n", m.patterns[0].in, quoted(m.patterns[0].match), times)
		r.Patterns++
	}
	if m.when != "" {
		entry(composites, m.symbol, describe)
		fmt.Fprintf(composites, "    when: %s\n", m.when)
		worth(composites, isPart(rule.Name), score)
		r.Composed++
	}
}

func entry(b *bytes.Buffer, id, describe string) {
	fmt.Fprintf(b, "  - id: %s\n    describe: %s\n", id, quoted(describe))
}

// worth writes what a rule counts; what only others look at is quiet.
func worth(b *bytes.Buffer, quiet bool, score string) {
	switch {
	case quiet:
		b.WriteString("    quiet: true\n")
	case score != "0":
		fmt.Fprintf(b, "    score: %s\n", score)
	}
}

// isPart tells that a rule scores nothing by its name: meta rules look at it.
func isPart(name string) bool { return strings.HasPrefix(name, "__") }

// points is the score in our numbers: two places, at most 100.
func (im *importer) points(name string, r *Report) string {
	if isPart(name) {
		return "0"
	}
	score := im.score(name)
	n := math.Round(score * 100)
	if math.Abs(n-score*100) > 1e-6 {
		r.Rounded++
	}
	n = max(-10_000, min(n, 10_000))
	if n == 0 {
		return "0"
	}
	return fmt.Sprintf("%.2f", n/100)
}

// describe is the sentence of a rule.
func (im *importer) describe(name string) string {
	text := plain(im.conf.Describe[name])
	if text == "" {
		text = "SpamAssassin's rule " + name
	}
	if len(text) > maxDescribe {
		text = strings.ToValidUTF8(text[:maxDescribe-3], "") + "..."
	}
	return text
}

// plain is text without what no line may hold.
func plain(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s))
}

// quoted is a string in YAML's single quotes.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
