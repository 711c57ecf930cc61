package tracecalls

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"postern/filter"
	"postern/internal/address"
	"postern/internal/control"
	"postern/internal/record"
	"postern/internal/said"
)

// Bounds of what is typed.
const (
	MaxText    = 500
	maxQueries = 24 // searches that one text may mean
	maxTokens  = 20
)

// Reading is how a part of the text was understood: as one of the fields, or as several of
// which one suffices.
type Reading struct {
	Text   string   `json:"text"`
	Fields []string `json:"fields"`
}

// one sets a field of a query.
type one struct {
	field string
	set   func(q *record.Trace)
}

// Fields are what a text may name, as "from:ada@example.com".
func Fields() []string {
	return []string{"id", "from", "to", "subject", "message-id", "ip", "account", "direction", "state", "reply", "since", "until"}
}

// States are what may become of a copy.
func States() []string {
	return []string{"delivered", "held", "rejected", "deferred", "outbox", "aborted"}
}

// Read understands what somebody remembers of a message. It returns all searches that the text
// may mean, each starting from base.
func Read(text string, base record.Trace, now time.Time) (all []record.Trace, read []Reading, err error) {
	if len(text) > MaxText {
		return nil, nil, control.Refuse(control.Invalid, "trace.a-search-has-at-most-bytes", "a search has at most %d bytes", "most", MaxText)
	}
	tokens, err := cut(text)
	if err != nil {
		return nil, nil, err
	}
	all = []record.Trace{base}
	var words []string
	for _, t := range tokens {
		var ways []one
		if t.field != "" {
			w, err := named(t.field, t.text, now)
			if err != nil {
				return nil, nil, err
			}
			ways = []one{w}
		} else {
			ways = guess(t)
		}
		if len(ways) == 0 {
			words = append(words, t.text)
			continue
		}
		if len(all)*len(ways) > maxQueries {
			return nil, nil, control.Refuse(control.Invalid, "trace.this-may-mean-too-much-say-what", "this may mean too much: say what is what, for example from:%s", "text", t.text)
		}
		all = spread(all, ways)
		r := Reading{Text: t.text}
		for _, w := range ways {
			r.Fields = append(r.Fields, w.field)
		}
		read = append(read, r)
	}
	if len(words) > 0 {
		for i := range all {
			all[i].Subject = strings.TrimSpace(all[i].Subject + " " + strings.Join(words, " "))
		}
		read = append(read, Reading{Text: strings.Join(words, " "), Fields: []string{"subject"}})
	}
	return all, read, nil
}

func spread(all []record.Trace, ways []one) (out []record.Trace) {
	for _, q := range all {
		for _, w := range ways {
			next := q
			w.set(&next)
			out = append(out, next)
		}
	}
	return out
}

// token is a word of the text, or what stood in quotes.
type token struct {
	field, text string
	quoted      bool
}

func cut(text string) (out []token, err error) {
	rest := strings.TrimSpace(text)
	for rest != "" {
		var t token
		if name, after, ok := strings.Cut(rest, ":"); ok && slices.Contains(Fields(), strings.ToLower(name)) {
			t.field, rest = strings.ToLower(name), after
		}
		if strings.HasPrefix(rest, `"`) {
			inside, after, ok := strings.Cut(rest[1:], `"`)
			if !ok {
				return nil, control.Refuse(control.Invalid, "trace.a-quotation-mark-is-not-closed", "a quotation mark is not closed")
			}
			t.text, t.quoted, rest = inside, true, after
		} else {
			end := strings.IndexFunc(rest, unicode.IsSpace)
			if end < 0 {
				end = len(rest)
			}
			t.text, rest = rest[:end], rest[end:]
		}
		if t.field != "" && t.text == "" {
			return nil, control.Refuse(control.Invalid, "trace.nothing-stands-behind-it", "%s: nothing stands behind it", "field", t.field)
		}
		if out = append(out, t); len(out) > maxTokens {
			return nil, control.Refuse(control.Invalid, "trace.at-most-words", "at most %d words", "most", maxTokens)
		}
		rest = strings.TrimSpace(rest)
	}
	return out, nil
}

// plain sets one of the fields that take the text as it is.
func plain(field, text string) one {
	sets := map[string]func(q *record.Trace){
		"id":         func(q *record.Trace) { q.ID = strings.ToLower(text) },
		"from":       func(q *record.Trace) { q.From = text },
		"to":         func(q *record.Trace) { q.To = text },
		"subject":    func(q *record.Trace) { q.Subject = strings.TrimSpace(q.Subject + " " + text) },
		"message-id": func(q *record.Trace) { q.MessageID = text },
		"account":    func(q *record.Trace) { q.Account = text },
		"reply":      func(q *record.Trace) { q.Reply = text },
	}
	return one{field, sets[field]}
}

// named reads a field by its name.
func named(field, text string, now time.Time) (one, error) {
	bad := func(want said.Words) (one, error) {
		return one{}, control.Refuse(control.Invalid, "trace.field", "%s:%s: %s", "field", field, "text", text, "want", want)
	}
	switch field {
	case "ip":
		p, err := network(text)
		if err != nil {
			return bad(said.Say("trace.want-address", "wanted is an address, or a network such as 192.0.2.0/24"))
		}
		return one{field, func(q *record.Trace) { q.IP = p }}, nil
	case "direction":
		way, ok := map[string]string{"in": "inbound", "inbound": "inbound", "out": "outbound", "outbound": "outbound"}[strings.ToLower(text)]
		if !ok {
			return bad(said.Say("trace.want-way", "wanted is in or out"))
		}
		return one{field, func(q *record.Trace) { q.Direction = way }}, nil
	case "state":
		state := strings.ToLower(text)
		if !slices.Contains(States(), state) {
			return bad(said.Say("trace.want-state", "wanted is one of %s", "states", strings.Join(States(), ", ")))
		}
		return one{field, func(q *record.Trace) { q.State = state }}, nil
	case "since", "until":
		at, err := moment(text, now)
		if err != nil {
			return bad(said.Say("trace.want-time", "wanted is an age such as 36h or 7d, or a time such as 2026-01-31 or 2026-01-31T14:00"))
		}
		if field == "since" {
			return one{field, func(q *record.Trace) { q.Since = at }}, nil
		}
		return one{field, func(q *record.Trace) { q.Until = at }}, nil
	case "reply":
		if record.ReplyWord(text) == "" {
			return bad(said.Say("trace.want-reply", "wanted is one word of a reply, of six characters at least"))
		}
	}
	return plain(field, text), nil // only these are left
}

func network(text string) (netip.Prefix, error) {
	if ip, err := netip.ParseAddr(text); err == nil {
		ip = ip.Unmap()
		return netip.PrefixFrom(ip, ip.BitLen()), nil
	}
	return netip.ParsePrefix(text)
}

// moment is an age, a day or a time.
func moment(text string, now time.Time) (time.Time, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 && n < 10000 {
			return now.AddDate(0, 0, -n), nil
		}
	}
	if age, err := time.ParseDuration(text); err == nil && age >= 0 {
		return now.Add(-age), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateOnly} {
		if at, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time", text)
}

// guess is what a word without a field may be; none: a word of the subject.
func guess(t token) (ways []one) {
	add := func(text string, fields ...string) []one {
		for _, f := range fields {
			ways = append(ways, plain(f, text))
		}
		return ways
	}
	text := t.text
	inside, angled := strings.CutPrefix(text, "<")
	inside, closed := strings.CutSuffix(inside, ">")
	switch {
	case t.quoted:
		return nil
	case text == "<>":
		return add(text, "from")
	case angled && closed && strings.Contains(inside, "@"):
		return add(inside, "message-id", "from", "to")
	case strings.HasPrefix(text, "@"):
		return add(text, "to", "from")
	case strings.Contains(text, "@"):
		return add(strings.Trim(text, ",;"), "to", "from", "message-id")
	}
	if id, _, _ := strings.Cut(strings.ToLower(text), "-"); filter.ValidID(id) {
		return add(text, "id")
	}
	if p, err := network(text); err == nil {
		return []one{{"ip", func(q *record.Trace) { q.IP = p }}}
	}
	if strings.Contains(text, ".") && address.ValidDomain(text) && strings.IndexFunc(text, unicode.IsLetter) >= 0 {
		return add("@"+strings.ToLower(text), "to", "from")
	}
	if record.ReplyWord(text) != "" && strings.ContainsAny(text, "0123456789") && strings.IndexFunc(text, unicode.IsLetter) >= 0 {
		return add(text, "reply", "subject")
	}
	return nil
}
