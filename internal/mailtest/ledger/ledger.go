// Package ledger proves that no mail is lost: a load client writes down every answer, whoever
// stands behind the gateway every body, and the report holds one against the other.
package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Field is the header field that carries a message's unique name.
const Field = "X-Ledger-Id"

// Copy is one recipient's copy of a message, known by the digest of its bytes: what a hold
// or an outbox entry says of itself.
type Copy struct{ SHA256, Recipient string }

// Ledger is the book. It is safe for concurrent use.
type Ledger struct {
	mu      sync.Mutex
	pages   map[string]*page // by the message's name
	byHash  map[string]*page
	strange []string
}

// page is what is known of one message.
type page struct {
	Message
	lines map[string]*line // by recipient
}

// line is what is known of one recipient's copy.
type line struct {
	taken, deferred, refused int // answers to the final dot
	silent                   int // tries whose final dot got no answer
	early                    int // 4xx before the final dot
	excused                  int // final dots of the gateway itself that got no answer
	copies                   int // bodies that arrived
	kept                     int // holds and outbox entries
	changed                  int // bodies that arrived with other bytes
}

// New makes an empty ledger.
func New() *Ledger { return &Ledger{pages: map[string]*page{}, byHash: map[string]*page{}} }

// Send notes that a message is about to be sent.
func (l *Ledger) Send(m Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pages[m.ID] != nil {
		return
	}
	p := &page{Message: m, lines: map[string]*line{}}
	for _, to := range m.To {
		p.lines[strings.ToLower(to)] = &line{}
	}
	p.Body = nil // only its digest is needed
	l.pages[m.ID], l.byHash[m.SHA256] = p, p
}

// Answer notes the answer to a final dot for the recipients that were taken at RCPT: a reply
// line, or "" when the connection ended without one.
func (l *Ledger) Answer(id string, to []string, reply string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range to {
		n := l.line(id, r)
		switch {
		case reply == "":
			n.silent++
		case reply[0] == '2':
			n.taken++
		case reply[0] == '5':
			n.refused++
		default:
			n.deferred++
		}
	}
}

// Refuse notes an answer before the final dot, for these recipients. A connection that ended
// says nothing ("").
func (l *Ledger) Refuse(id string, to []string, reply string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range to {
		n := l.line(id, r)
		switch {
		case strings.HasPrefix(reply, "5"):
			n.refused++
		case reply != "":
			n.early++
		}
	}
}

// Excuse notes that the gateway itself counted a connection lost after its own final dot, for
// this recipient: the server behind may have a copy nobody was told of.
func (l *Ledger) Excuse(id, to string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.line(id, to).excused++
}

// ExcuseCopy is Excuse for a copy that was kept and then sent.
func (l *Ledger) ExcuseCopy(c Copy) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p := l.byHash[c.SHA256]; p != nil {
		l.line(p.ID, c.Recipient).excused++
		return
	}
	l.strange = append(l.strange, fmt.Sprintf("released %s for %q", c.SHA256, c.Recipient))
}

// line finds a line; the lock is held.
func (l *Ledger) line(id, to string) *line {
	p := l.pages[id]
	if p == nil || p.lines[strings.ToLower(to)] == nil {
		l.strange = append(l.strange, fmt.Sprintf("%q for %q", id, to))
		return &line{}
	}
	return p.lines[strings.ToLower(to)]
}

// Arrived notes a body that a server behind took for these recipients. Only lines before the
// message may have been added: the last bytes must be those that were sent. A body whose
// lines end in LF alone, as files do, is read with CRLF.
func (l *Ledger) Arrived(to []string, body []byte) {
	if !bytes.Contains(body, []byte("\r\n")) {
		body = bytes.ReplaceAll(body, []byte("\n"), []byte("\r\n"))
	}
	id := ID(body)
	l.mu.Lock()
	defer l.mu.Unlock()
	whole := false
	if p := l.pages[id]; p != nil && int64(len(body)) >= p.Size {
		prefix, rest := body[:int64(len(body))-p.Size], body[int64(len(body))-p.Size:]
		sum := sha256.Sum256(rest)
		whole = hex.EncodeToString(sum[:]) == p.SHA256 && isHeader(prefix)
	}
	for _, r := range to {
		n := l.line(id, r)
		n.copies++
		if !whole {
			n.changed++
		}
	}
}

// isHeader reports whether text is whole header lines without an empty one.
func isHeader(text []byte) bool {
	return len(text) == 0 || bytes.HasSuffix(text, []byte("\r\n")) && !bytes.HasPrefix(text, []byte("\r\n")) && !bytes.Contains(text, []byte("\r\n\r\n"))
}

// ID reads a message's name from its header.
func ID(body []byte) string {
	for l := range bytes.SplitSeq(body, []byte("\n")) {
		l = bytes.TrimSuffix(l, []byte("\r"))
		if len(l) == 0 {
			return ""
		}
		if name, value, ok := bytes.Cut(l, []byte(":")); ok && strings.EqualFold(string(name), Field) {
			return strings.TrimSpace(string(value))
		}
	}
	return ""
}

// Report is the balance. Each list has a line of text for each recipient's copy.
type Report struct {
	Messages, Copies                 int      // sent, and recipients of all
	Taken, Deferred, Refused, Silent int      // answers to final dots, per copy
	Delivered, Kept                  int      // bodies that arrived, and copies held or owed
	Lost                             []string // answered 250, neither behind nor kept
	Duplicates                       []string // more copies than one, by a final dot without an answer
	Ambiguous                        []string // more copies than one, by a 4xx after a final dot
	Unexplained                      []string // more copies than answers can explain
	Changed                          []string // arrived with other bytes than were sent
	Strange                          []string // nobody sent this
	Unfinished                       []string // never taken nor refused for good
}

// OK reports whether nothing was lost, changed or delivered without a reason. Ambiguous is for
// the caller to compare with what the gateway counted.
func (r Report) OK() bool {
	return len(r.Lost) == 0 && len(r.Unexplained) == 0 && len(r.Changed) == 0 && len(r.Strange) == 0
}

// String is the balance in one line, and one line more for each thing that is wrong.
func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "messages %d, copies %d: taken %d, deferred %d, refused %d, unanswered %d; delivered %d, kept %d; lost %d, duplicates %d, ambiguous %d, unexplained %d, changed %d, strange %d, unfinished %d",
		r.Messages, r.Copies, r.Taken, r.Deferred, r.Refused, r.Silent, r.Delivered, r.Kept,
		len(r.Lost), len(r.Duplicates), len(r.Ambiguous), len(r.Unexplained), len(r.Changed), len(r.Strange), len(r.Unfinished))
	for _, wrong := range []struct {
		what string
		list []string
	}{{"lost", r.Lost}, {"unexplained", r.Unexplained}, {"changed", r.Changed}, {"strange", r.Strange}} {
		for _, s := range wrong.list[:min(20, len(wrong.list))] {
			fmt.Fprintf(&b, "\n%s: %s", wrong.what, s)
		}
	}
	return b.String()
}

// Report balances the book, with what is held or still owed by the gateway.
//
// A copy is lost when its message was answered 250 and it is neither behind nor kept. A
// second copy is a duplicate where a try got no answer or was excused, and ambiguous where one
// got a 4xx after its final dot: that is right only as often as the gateway itself counted a
// lost connection. More copies than that, or a copy of what was answered 5xx alone, nothing
// explains.
func (l *Ledger) Report(kept ...Copy) Report {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := Report{Messages: len(l.pages), Strange: slices.Clone(l.strange)}
	for _, p := range l.pages {
		for _, n := range p.lines {
			n.kept = 0
		}
	}
	for _, c := range kept {
		p := l.byHash[c.SHA256]
		if p == nil || p.lines[strings.ToLower(c.Recipient)] == nil {
			r.Strange = append(r.Strange, fmt.Sprintf("kept %s for %q", c.SHA256, c.Recipient))
			continue
		}
		p.lines[strings.ToLower(c.Recipient)].kept++
	}
	for id, p := range l.pages {
		for to, n := range p.lines {
			r.add(fmt.Sprintf("%s for %s: taken %d, deferred %d and %d before the dot, refused %d, unanswered %d, excused %d, copies %d, kept %d", id, to, n.taken, n.deferred, n.early, n.refused, n.silent, n.excused, n.copies, n.kept), n)
		}
	}
	for _, list := range [][]string{r.Lost, r.Duplicates, r.Ambiguous, r.Unexplained, r.Changed, r.Unfinished} {
		slices.Sort(list)
	}
	return r
}

func (r *Report) add(text string, n *line) {
	r.Copies++
	r.Taken += n.taken
	r.Deferred += n.deferred + n.early
	r.Refused += n.refused
	r.Silent += n.silent
	r.Delivered += n.copies
	r.Kept += n.kept
	there := n.copies + n.kept
	switch {
	case n.taken > 0 && there == 0:
		r.Lost = append(r.Lost, text)
	case there > n.taken+n.silent+n.excused+n.deferred:
		r.Unexplained = append(r.Unexplained, text)
	case there > n.taken+n.silent+n.excused:
		r.Ambiguous = append(r.Ambiguous, text)
	case there > 1:
		r.Duplicates = append(r.Duplicates, text)
	}
	if n.changed > 0 {
		r.Changed = append(r.Changed, text)
	}
	if n.taken+n.refused == 0 {
		r.Unfinished = append(r.Unfinished, text)
	}
}
