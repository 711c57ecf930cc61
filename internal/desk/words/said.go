package words

import (
	"strings"
	"time"

	"postern/internal/said"
)

// saidPart is the part with the sentences of the program that have codes.
const saidPart = "said."

// Said is a sentence of the program in a language; ok is false, and the text its English, where
// it has no code or the words do not know that. Sentences in it are said in the language too,
// and so are states, roles, clocks, grounds and times.
func (l *Language) Said(w said.Words) (text string, ok bool) {
	if w.Code == "" || !l.Has(saidPart+w.Code) {
		return w.English, false
	}
	var pairs []any
	for name, v := range w.Values {
		switch one := v.(type) {
		case said.Words:
			v, _ = l.Said(one)
		case string:
			v = l.named(w.Code, name, one)
		}
		pairs = append(pairs, name, v)
	}
	return l.Say(saidPart+w.Code, pairs...), true
}

// named is a value of a sentence as the pages name it.
func (l *Language) named(code, name, value string) string {
	if l.Name == Default {
		return value
	}
	var keys []string
	switch name {
	case "state", "to", "resolved":
		if room, _, _ := strings.Cut(code, "."); room == "guarantee" {
			keys = append(keys, "guarantees.state-")
		}
		keys = append(keys, "cases.state-", "held.state-", saidPart+"state-")
	case "role":
		keys = append(keys, "people.role-")
	case "clock":
		keys = append(keys, "cases.clock-")
	case "word":
		keys = append(keys, saidPart+"word-")
	case "ground":
		keys = append(keys, "outside.ground-")
	case "due", "from", "until":
		if at, err := time.Parse(time.RFC3339, value); err == nil {
			return l.Time(at)
		}
	}
	for _, key := range keys {
		if l.Has(key + value) {
			return l.Say(key + value)
		}
	}
	return value
}
