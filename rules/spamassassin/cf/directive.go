package cf

import (
	"strconv"
	"strings"
)

// directive takes a line that counts.
func (r *reader) directive(key, rest string) {
	name, value, _ := cutSpace(rest)
	switch {
	case isRule(key):
		r.rule(key, name, value)
	case key == "score":
		r.score(name, value)
	case key == "describe":
		r.conf.Describe[name] = value
	case key == "tflags":
		r.conf.Flags[name] = strings.Fields(value)
	case key == "replace_tag":
		r.conf.Tags[name] = value
	case key == "replace_pre", key == "replace_post", key == "replace_inter":
		r.conf.Tags[strings.TrimPrefix(key, "replace_")+" "+name] = value
	case key == "replace_rules":
		for _, n := range strings.Fields(rest) {
			r.conf.Replaced[n] = true
		}
	default:
		u := r.conf.Other[key]
		if u.Count++; u.Count == 1 {
			u.First = r.at
		}
		r.conf.Other[key] = u
	}
}

func (r *reader) rule(kind, name, test string) {
	if !ruleName(name) {
		r.odd("%.60q cannot name a rule", name)
		return
	}
	if test == "" {
		r.odd("%s says nothing", name)
		return
	}
	r.conf.Rules[name] = &Rule{Name: name, Kind: kind, Test: test, Place: r.at}
}

func ruleName(s string) bool {
	for i := range len(s) {
		if c := s[i]; c != '_' && (c < '0' || c > '9' || i == 0) && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return s != ""
}

// score reads one number or four; those in parentheses add to what was said before.
func (r *reader) score(name, value string) {
	words := strings.Fields(value)
	if len(words) != 1 && len(words) != 4 {
		r.odd("a score of %s has one number or four", name)
		return
	}
	before, ok := r.conf.Scores[name]
	if !ok {
		before = [4]float64{1, 1, 1, 1}
	}
	var out [4]float64
	for i := range out {
		w := words[min(i, len(words)-1)]
		inner, relative := strings.CutPrefix(w, "(")
		f, err := strconv.ParseFloat(strings.TrimSuffix(inner, ")"), 64)
		if err != nil || f != f || f > 1e6 || f < -1e6 {
			r.odd("%.20q is no score", w)
			return
		}
		if out[i] = f; relative {
			out[i] += before[i]
		}
	}
	r.conf.Scores[name] = out
}
