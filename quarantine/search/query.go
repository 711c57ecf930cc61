package search

import (
	"fmt"
	"math"
	"net/mail"
	"strconv"
	"strings"
	"time"

	"postern/filter"
	"postern/internal/said"
	"postern/quarantine"
)

// Parse reads a search as people write it: words of the subject, and fields as
// name:value with the names from, to, subject, symbol, state, class, policy, direction, score,
// since, until. A score is 7.5, >=7.5, <7.5 or 5..10 in points.
// A time is 2026-11-22, 2026-11-22T15:04 or an age as 90m, 36h, 7d; zone and now say what
// they mean. Values with spaces stand in double quotes. The error names the word.
func Parse(text string, now time.Time) (quarantine.Query, error) {
	var q quarantine.Query
	words, err := cutWords(text)
	if err != nil {
		return quarantine.Query{}, err
	}
	for _, w := range words {
		name, value, isField := strings.Cut(w, ":")
		if !isField {
			q.Words = append(q.Words, w)
			continue
		}
		if err := field(&q, strings.ToLower(name), value, now); err != nil {
			return quarantine.Query{}, fmt.Errorf("%q: %w", w, err)
		}
	}
	return q, nil
}

// maxQuery bounds a search in bytes.
const maxQuery = 2000

// cutWords cuts at spaces outside double quotes.
func cutWords(text string) ([]string, error) {
	if len(text) > maxQuery {
		return nil, said.Errorf("search.a-search-has-at-most-bytes", "a search has at most %d bytes", "most", maxQuery)
	}
	var out []string
	var word strings.Builder
	quoted, some := false, false
	flush := func() {
		if some {
			out = append(out, word.String())
		}
		word.Reset()
		some = false
	}
	for _, r := range text {
		switch {
		case r == '"':
			quoted, some = !quoted, true
		case !quoted && strings.ContainsRune(" \t\r\n", r):
			flush()
		default:
			word.WriteRune(r)
			some = true
		}
	}
	if quoted {
		return nil, said.Errorf("search.a-double-quote-is-not-closed", "a double quote is not closed")
	}
	flush()
	return out, nil
}

func field(q *quarantine.Query, name, value string, now time.Time) error {
	if value == "" {
		return said.Errorf("search.nothing-stands-after-the-colon", "nothing stands after the colon")
	}
	var err error
	switch name {
	case "from":
		q.From, err = address(value)
	case "to":
		q.To, err = address(value)
	case "subject":
		q.Words = append(q.Words, strings.Fields(value)...)
	case "symbol":
		q.Symbol = strings.ToUpper(value)
	case "policy":
		q.Policy = value
	case "class":
		if q.Class = quarantine.Class(strings.ToLower(value)); !q.Class.Valid() {
			err = said.Errorf("search.no-such-class", "no such class")
		}
	case "state":
		for s := range strings.SplitSeq(strings.ToLower(value), ",") {
			if !quarantine.State(s).Valid() || quarantine.State(s) == quarantine.Provisional {
				return said.Errorf("search.no-state", "no state %q", "s", s)
			}
			q.States = append(q.States, quarantine.State(s))
		}
	case "direction":
		if q.Direction = strings.ToLower(value); q.Direction != filter.Inbound.String() && q.Direction != filter.Outbound.String() {
			err = said.Errorf("search.a-direction-is-inbound-or-outbound", "a direction is inbound or outbound")
		}
	case "score":
		q.AtLeast, q.AtMost, err = scores(value)
	case "since":
		q.Since, err = moment(value, now)
	case "until":
		q.Until, err = moment(value, now)
	default:
		err = said.Errorf("search.no-such-field", "no such field")
	}
	return err
}

// address reads an address, "@domain", "*@domain", "<>" or "Name <address>".
func address(s string) (string, error) {
	s = strings.ToLower(strings.TrimPrefix(s, "*"))
	if s == "<>" || strings.HasPrefix(s, "@") && len(s) > 1 {
		return s, nil
	}
	if a, err := mail.ParseAddress(s); err == nil {
		return a.Address, nil
	}
	if !strings.Contains(s, "@") || strings.ContainsAny(s, "<> ") {
		return "", said.Errorf("search.no-address-and-no-domain", "no address and no @domain")
	}
	return s, nil
}

// scores reads bounds of a score; those that are named belong to it but for < and >.
func scores(s string) (low, high *filter.Score, err error) {
	read := func(text string, off filter.Score) *filter.Score {
		points, wrong := strconv.ParseFloat(text, 64)
		if wrong != nil || math.Abs(points) > maxPoints || math.IsNaN(points) {
			err = said.Errorf("search.no-score-write-7-5-7-5", "no score: write 7.5, >=7.5, <7.5 or 5..10")
		}
		out := filter.Score(math.Round(points*100)) + off
		return &out
	}
	if from, to, both := strings.Cut(s, ".."); both {
		return read(from, 0), read(to, 0), err
	}
	for sign, bound := range map[string]func(string){
		">": func(v string) { low = read(v, 1) }, "<": func(v string) { high = read(v, -1) },
		">=": func(v string) { low = read(v, 0) }, "<=": func(v string) { high = read(v, 0) },
		"": func(v string) { low = read(v, 0); high = low },
	} {
		if rest := strings.TrimLeft(s, "<>="); s[:len(s)-len(rest)] == sign {
			bound(rest)
			return low, high, err
		}
	}
	return nil, nil, said.Errorf("search.no-score-write-7-5-7-5", "no score: write 7.5, >=7.5, <7.5 or 5..10")
}

// maxPoints bounds the scores that can be asked for, either way.
const maxPoints = 1_000_000

func moment(s string, now time.Time) (time.Time, error) {
	if n, ok := strings.CutSuffix(s, "d"); ok {
		if days, err := strconv.ParseUint(n, 10, 16); err == nil {
			return now.Add(-time.Duration(days) * 24 * time.Hour), nil
		}
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.DateOnly, "2006-01-02T15:04", time.RFC3339} {
		if t, err := time.ParseInLocation(layout, s, now.Location()); err == nil {
			return t, nil
		}
	}
	return time.Time{}, said.Errorf("search.no-time-write-2026-11-22-2026", "no time: write 2026-11-22, 2026-11-22T15:04 or an age as 36h or 7d")
}
