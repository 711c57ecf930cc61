package sent

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Bounds on the text of a row, in octets.
const (
	maxAddress = 400
	maxName    = 255
	maxReply   = 500
	maxID      = 400
)

// Fit brings a row within its bounds.
func (r Row) Fit() Row {
	for _, f := range []struct {
		text *string
		max  int
	}{{&r.Node, maxName}, {&r.Listener, maxName}, {&r.Account, maxAddress}, {&r.Login, maxAddress}, {&r.From, maxAddress},
		{&r.MessageID, maxID}, {&r.QueueID, maxID}} {
		*f.text = cut(*f.text, f.max)
	}
	r.At = r.At.UTC().Truncate(time.Millisecond)
	r.Symbols = slices.Clone(r.Symbols[:min(len(r.Symbols), MaxSymbols)])
	copies := r.Copies[:min(len(r.Copies), MaxCopies)]
	r.Copies = make([]Copy, len(copies))
	for i, c := range copies {
		r.Copies[i] = c.fit()
	}
	return r.named()
}

func (c Copy) fit() Copy {
	c.Recipient, c.Reply, c.QueueID = cut(c.Recipient, maxAddress), cut(c.Reply, maxReply), cut(c.QueueID, maxID)
	c.Bounced = cut(c.Bounced, 20)
	c.At = c.At.UTC().Truncate(time.Millisecond)
	return c
}

func cut(s string, n int) string { return strings.ToValidUTF8(s[:min(len(s), n)], "?") }

// Joined is the row with another of the same serial, as Begin joins them.
func (r Row) Joined(next Row) (Row, error) {
	if r.Serial != next.Serial || r.Account != next.Account {
		return r, fmt.Errorf("%w: %s", ErrExists, r.Serial)
	}
	r, _ = r.Settled(next.Copies)
	for _, c := range next.Copies {
		if r.index(c.Recipient) < 0 && len(r.Copies) < MaxCopies {
			r.Copies = append(r.Copies, c.fit())
		}
	}
	return r.named(), nil
}

// Settled is the row with what became of some copies; changed is false where that says nothing
// new.
func (r Row) Settled(copies []Copy) (out Row, changed bool) {
	out = r
	out.Copies = slices.Clone(r.Copies)
	for _, c := range copies {
		at := out.index(c.Recipient)
		if at < 0 {
			continue
		}
		was := out.Copies[at]
		out.Copies[at] = was.with(c.fit())
		changed = changed || out.Copies[at] != was
	}
	return out.named(), changed
}

// with takes over what next says. What is over is not begun again by a late word from an
// earlier try, nor what is newer undone by what is older.
func (c Copy) with(next Copy) Copy {
	stale := !next.At.IsZero() && next.At.Before(c.At)
	if stale || c.State == Delivered && next.State != "" && next.State != Delivered {
		next.State, next.Reply, next.QueueID = "", "", ""
	}
	for _, f := range []struct{ to, from *string }{
		{&c.State, &next.State}, {&c.Reply, &next.Reply}, {&c.QueueID, &next.QueueID}, {&c.Bounced, &next.Bounced},
		{&c.BodyHash, &next.BodyHash}, {&c.Fuzzy, &next.Fuzzy},
	} {
		if *f.from != "" {
			*f.to = *f.from
		}
	}
	if next.At.After(c.At) {
		c.At = next.At
	}
	return c
}

// named gives the row the queue ID of its first copy that has one.
func (r Row) named() Row {
	for _, c := range r.Copies {
		if r.QueueID == "" {
			r.QueueID = c.QueueID
		}
	}
	return r
}

func (r Row) index(recipient string) int {
	return slices.IndexFunc(r.Copies, func(c Copy) bool { return strings.EqualFold(c.Recipient, recipient) })
}

// QueueIDs are the queue IDs of the row, each once.
func (r Row) QueueIDs() []string {
	var out []string
	for _, id := range append([]string{r.QueueID}, r.queues()...) {
		if id != "" && !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out
}

func (r Row) queues() []string {
	out := make([]string, len(r.Copies))
	for i, c := range r.Copies {
		out[i] = c.QueueID
	}
	return out
}

// QueueID reads the name that a server gave a message out of its reply, as the common ones
// write it; "" where it names none.
func QueueID(reply string) string {
	words := strings.Fields(cut(reply, maxReply))
	for i, w := range words {
		w = strings.ToLower(strings.TrimRight(w, ":"))
		switch {
		case i+2 < len(words) && w == "queued" && strings.EqualFold(words[i+1], "as"): // Postfix, Haraka, Postern
			return queueID(words[i+2])
		case i+1 < len(words) && strings.HasPrefix(w, "id=") && len(w) > 3: // Exim
			return queueID(words[i][3:])
		case strings.HasPrefix(w, "id="):
			return queueID(words[i][3:])
		case i > 0 && i+2 < len(words) && w == "message" && strings.EqualFold(words[i+1], "accepted"): // Sendmail: "2.0.0 ID Message accepted for delivery"
			return queueID(words[i-1])
		}
	}
	return ""
}

// queueID is a word that can be a queue ID, or "".
func queueID(w string) string {
	w = strings.Trim(w, "<>()[],;.\"'")
	if len(w) < 4 || len(w) > 100 || strings.IndexFunc(w, func(r rune) bool {
		return r != '-' && r != '_' && r != '.' && r != '/' && r != '@' && r != '+' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}) >= 0 {
		return ""
	}
	return w
}
