package history_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/filter"
	"postern/filter/history"
	"postern/internal/mime"
)

const day = 24 * time.Hour

// errStore is what a broken store says.
var errStore = errors.New("disk on fire")

// memory is a store that keeps every mark.
type memory struct {
	mu    sync.Mutex
	marks []history.Mark
	asked int // calls of Past
	fails bool
}

func (s *memory) Past(_ context.Context, questions []history.Question, now time.Time) ([]history.Past, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if s.fails {
		return nil, errStore
	}
	out := make([]history.Past, len(questions))
	for i, q := range questions {
		days := map[int64]bool{}
		for _, m := range s.marks {
			n := m.At.Unix() / 86400
			switch {
			case m.Key != q.Key || n < q.Since.Unix()/86400 || n > now.Unix()/86400+1:
			case m.Bad:
				out[i].Bad++
			default:
				out[i].Good++
				days[n] = true
			}
		}
		out[i].Days = len(days)
	}
	return out, nil
}

func (s *memory) Mark(_ context.Context, marks []history.Mark) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fails {
		return errStore
	}
	s.marks = append(s.marks, marks...)
	return nil
}

func (s *memory) Prune(context.Context, time.Time) (int, error) { return 0, nil }

// world is a History on a clock of its own.
type world struct {
	t     testing.TB
	store *memory
	now   time.Time
	h     *history.History
	auth  []filter.Finding // what authentication at OnData finds
	err   error            // and what it could not
	sent  int              // mails that ended
}

func newWorld(t testing.TB, forwarders ...history.Forwarder) *world {
	w := &world{t: t, store: &memory{}, now: time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)}
	w.h = history.New(history.Parts{
		Store: w.store, Now: func() time.Time { return w.now }, Forwarders: forwarders,
		Results: func(context.Context, *filter.Message) ([]filter.Finding, error) { return w.auth, w.err },
	})
	return w
}

// mail is one message with what is found about it.
type mail struct {
	ip, name, helo string
	from           string // MAIL FROM
	to             []string
	header         string   // whole, without From
	author         string   // From:
	spf            string   // result for MAIL FROM or HELO
	dkim           []string // d= of valid signatures
	b              string   // b= of all of them
	dmarc          string   // result for the author's domain
	out            bool
	account        string
}

func (l mail) message() *filter.Message {
	raw := "From: " + l.author + "\r\n" + strings.ReplaceAll(l.header, "\n", "\r\n") + "\r\n\r\nhello\r\n"
	tree := mime.Bytes([]byte(raw), mime.DefaultLimits())
	m := &filter.Message{
		ID: "m", Client: filter.Client{Name: l.name, Helo: l.helo}, From: l.from, Account: l.account,
		Body: strings.NewReader(raw), Size: int64(len(raw)), SHA256: "x",
		Parts: func() (*mime.Tree, error) { return tree, nil },
	}
	if l.ip != "" {
		m.Client.IP = netip.MustParseAddr(l.ip)
	}
	if l.out {
		m.Direction = filter.Outbound
	}
	for _, to := range l.to {
		m.To = append(m.To, filter.Recipient{Address: to})
	}
	return m
}

func result(method, word, kind, name, value string) filter.Finding {
	return filter.Finding{Symbol: strings.ToUpper(method + "_" + word), Auth: &filter.AuthResult{
		Method: method, Result: word, Props: []filter.AuthProp{{Type: kind, Name: name, Value: value}}}}
}

// seen are the findings of OnSender, found those of OnData.
func (l mail) seen() (found []filter.Finding) {
	if l.spf != "" && l.from != "" {
		found = append(found, result("spf", l.spf, "smtp", "mailfrom", l.from))
	} else if l.spf != "" {
		found = append(found, result("spf", l.spf, "smtp", "helo", l.helo))
	}
	return found
}

func (l mail) found() (found []filter.Finding) {
	for i, d := range l.dkim {
		f := result("dkim", "pass", "header", "d", d)
		b := l.b
		if b == "" {
			b = fmt.Sprintf("b%d", i)
		}
		f.Auth.Props = append(f.Auth.Props, filter.AuthProp{Type: "header", Name: "b", Value: b})
		found = append(found, f)
	}
	if l.dmarc != "" {
		at := strings.LastIndexByte(l.author, '@')
		found = append(found, result("dmarc", l.dmarc, "header", "from", strings.Trim(l.author[at+1:], "> ")))
	}
	return found
}

// check returns the findings as "SYMBOL" or "SYMBOL for RECIPIENT".
func (w *world) check(l mail) []string {
	w.t.Helper()
	found, err := w.run(l)
	if err != nil {
		w.t.Fatal(err)
	}
	return symbols(found)
}

func symbols(found []filter.Finding) []string {
	var out []string
	for _, f := range found {
		if f.For != "" {
			f.Symbol += " for " + f.For
		}
		out = append(out, f.Symbol)
	}
	return out
}

func (w *world) run(l mail) ([]filter.Finding, error) {
	w.auth = l.found()
	m := l.message()
	m.Seen = l.seen()
	return w.h.Check(w.t.Context(), m)
}

func (w *world) has(l mail, symbol string) bool {
	w.t.Helper()
	return slices.Contains(w.check(l), symbol)
}

// ends tells the observer that all recipients got the same verdict and fate.
func (w *world) ends(l mail, action filter.Action, state filter.FateState) {
	w.t.Helper()
	if l.b == "" {
		w.sent++
		l.b = fmt.Sprintf("m%d", w.sent) // every mail is signed for itself
	}
	found, err := w.run(l)
	if err != nil {
		w.t.Fatal(err)
	}
	w.done(l, outcome(l, found, action, state))
}

func outcome(l mail, found []filter.Finding, action filter.Action, state filter.FateState) filter.Outcome {
	var o filter.Outcome
	o.Report.Findings = append(append(l.seen(), l.found()...), found...)
	for _, to := range l.to {
		o.Verdicts = append(o.Verdicts, filter.Verdict{Action: action})
		o.Fates = append(o.Fates, filter.Fate{Recipient: to, State: state})
	}
	return o
}

func (w *world) done(l mail, o filter.Outcome) {
	w.t.Helper()
	if err := w.h.Done(w.t.Context(), l.message(), o); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) delivered(l mail) { w.t.Helper(); w.ends(l, filter.Accept, filter.Delivered) }
func (w *world) refused(l mail)   { w.t.Helper(); w.ends(l, filter.Reject, filter.Rejected) }

// often delivers a mail n times a day on several days, the last of them today.
func (w *world) often(l mail, n, days int) {
	w.t.Helper()
	for d := range days {
		if d > 0 {
			w.now = w.now.Add(day)
		}
		for range n {
			w.delivered(l)
		}
	}
}
