// Package search turns the form above a list of held mail into the text of a search, and back.
package search

import (
	"net/url"
	"strings"
)

// Query is a search as its text says it: words, and fields with a name.
type Query struct {
	words  []string
	fields map[string]string
}

// known are the fields that the form of the list has.
func known() []string {
	return []string{"from", "to", "symbol", "state", "class", "direction", "score", "since", "until"}
}

// Read takes a search apart. What it does not understand stays among the words, for the call to
// complain of.
func Read(text string) Query {
	q := Query{fields: map[string]string{}}
	for _, w := range cut(text) {
		name, value, ok := strings.Cut(w, ":")
		name = strings.ToLower(name)
		if ok && value != "" && q.fields[name] == "" && isKnown(name) {
			q.fields[name] = value
		} else {
			q.words = append(q.words, w)
		}
	}
	return q
}

func isKnown(name string) bool {
	for _, k := range known() {
		if k == name {
			return true
		}
	}
	return false
}

// cut cuts at spaces outside double quotes.
func cut(text string) (out []string) {
	var word strings.Builder
	quoted := false
	flush := func() {
		if word.Len() > 0 {
			out = append(out, word.String())
		}
		word.Reset()
	}
	for _, r := range text {
		switch {
		case r == '"':
			quoted = !quoted
		case !quoted && strings.ContainsRune(" \t\r\n", r):
			flush()
		default:
			word.WriteRune(r)
		}
	}
	flush()
	return out
}

// String is the search as text, its fields in a fixed order.
func (q Query) String() string {
	out := make([]string, 0, len(q.words)+len(q.fields))
	for _, w := range q.words {
		out = append(out, quote(w))
	}
	for _, name := range known() {
		if v := q.fields[name]; v != "" {
			out = append(out, quote(name+":"+v))
		}
	}
	return strings.Join(out, " ")
}

func quote(w string) string {
	w = strings.ReplaceAll(w, `"`, "")
	if strings.ContainsAny(w, " \t\r\n") {
		return `"` + w + `"`
	}
	return w
}

// Filled is the search that the form of fields asks for; ok is false where it was not sent.
func Filled(form url.Values) (q Query, ok bool) {
	if form.Get("fields") == "" {
		return q, false
	}
	q = Query{words: cut(form.Get("words")), fields: map[string]string{}}
	for _, name := range known() {
		q.fields[name] = strings.TrimSpace(form.Get(name))
	}
	low, high := strings.TrimSpace(form.Get("low")), strings.TrimSpace(form.Get("high"))
	switch {
	case low != "" && high != "":
		q.fields["score"] = low + ".." + high
	case low != "":
		q.fields["score"] = ">=" + low
	case high != "":
		q.fields["score"] = "<=" + high
	}
	return q, true
}

// Field is what a field of the form shows.
func (q Query) Field(name string) string { return q.fields[name] }

// Words are what is not in a field.
func (q Query) Words() string {
	var out []string
	for _, w := range q.words {
		out = append(out, quote(w))
	}
	return strings.Join(out, " ")
}

// Low and High are the bounds of the score, as the form has them.
func (q Query) Low() string { low, _ := q.score(); return low }

// High is the other bound.
func (q Query) High() string { _, high := q.score(); return high }

func (q Query) score() (low, high string) {
	s := q.fields["score"]
	if a, b, ok := strings.Cut(s, ".."); ok {
		return a, b
	}
	switch bound := strings.TrimLeft(s, "<>="); {
	case strings.HasPrefix(s, ">"):
		return bound, ""
	case strings.HasPrefix(s, "<"):
		return "", bound
	default:
		return bound, bound
	}
}
