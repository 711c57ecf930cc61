package proof

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"postern/abuse/complaint"
	"postern/abuse/proof/token"
	"postern/abuse/sent"
)

// Tokens opens trace tokens; *token.Ring is one.
type Tokens interface {
	Find(value string) (token.Trace, error)
	Names(t token.Trace, account string) bool
}

// Log is what the ladder asks the send log; a sent.Store is one.
type Log interface {
	BySerial(ctx context.Context, serial string) (sent.Row, error)
	ByMessageID(ctx context.Context, id string) ([]sent.Row, error)
	ByQueueID(ctx context.Context, id string) ([]sent.Row, error)
	ByClient(ctx context.Context, ip netip.Addr, port uint16, from, to time.Time) ([]sent.Row, error)
}

// Signature is what came of one signature of ours.
type Signature struct {
	Domain, Selector string
	Pass             bool
	Reason           string // why not, in plain words
}

// Verify verifies the signatures of our own domains over a message that was sent at about that
// time, with our own public keys, those that retired included. Signatures of others are left
// out.
type Verify func(ctx context.Context, message []byte, sent time.Time) ([]Signature, error)

// Trust is how far a reporter is believed, T0 to T3.
type Trust int

// The levels of trust.
const (
	T0 Trust = iota // not authenticated: a case, no votes, no answer
	T1              // a stranger whose domain is proved by DMARC, or one of our own accounts
	T2              // known: at least five confirmed reports and at most a tenth wrong
	T3              // a registered feedback loop at its own alias, signed by its own domain
)

// String is "T0" to "T3".
func (t Trust) String() string { return "T" + string('0'+rune(min(max(t, T0), T3))) }

// Reporter is who reports, as far as that is established.
type Reporter struct {
	Trust     Trust
	Address   string    // proved by DMARC or a login; "" where nothing is
	Feed      string    // name of the registered feed; "" = none
	Observing time.Time // a new feed only observes until then; zero or past = it counts
}

// Ladder grades complaints.
type Ladder struct {
	Tokens Tokens
	Log    Log
	Verify Verify        // nil: signatures prove nothing, and no report gets above P3
	Field  string        // name of the header field of trace tokens, where it does not end in "-Trace"
	Keep   time.Duration // how old a message may be; 0 = sent.DefaultKeep
	Now    func() time.Time
}

// Prove says what a report proves. It believes the reported message, held against the send
// log, and nothing that the report says about it. An error means that a store did not answer:
// ask again.
func (l *Ladder) Prove(ctx context.Context, r complaint.Report, who Reporter) (Proof, error) {
	a := &attempt{Ladder: l, report: r, who: who}
	a.read()
	err := a.climb(ctx)
	if err != nil {
		return Proof{}, err
	}
	a.vote()
	a.sentence().Put(&a.proof.Sentence, &a.proof.Said)
	return a.proof, nil
}

func (l *Ladder) keep() time.Duration {
	if l.Keep > 0 {
		return l.Keep
	}
	return sent.DefaultKeep
}

// attempt is one report on the ladder.
type attempt struct {
	*Ladder
	report complaint.Report
	who    Reporter
	proof  Proof
	msg    message
	row    sent.Row
	signed Signature // the signature that verified
}

func (a *attempt) note(format string, args ...any) {
	a.proof.Transcript = append(a.proof.Transcript, fmt.Sprintf(format, args...))
}

// climb tries the grades. Without a token only IDs are left, which anybody can copy.
func (a *attempt) climb(ctx context.Context) error {
	traces := a.traces()
	switch {
	case len(traces) == 0:
		a.note("no trace token of ours")
		return a.byID(ctx)
	case len(traces) > 1:
		a.note("tokens of %d different messages of ours in one: put together by somebody", len(traces))
		a.transplanted(traces[0].Serial)
		return nil
	}
	t := traces[0]
	a.note("trace token of message %s opens (key %s)", t.Serial, t.Key)
	row, err := a.Log.BySerial(ctx, t.Serial)
	switch {
	case errors.Is(err, sent.ErrNotFound):
		a.missing(t)
		return nil
	case err != nil:
		return fmt.Errorf("send log: %w", err)
	case !a.Tokens.Names(t, row.Account):
		a.note("the token names another account than the send log: neither is believed")
		a.proof.Grade = P1
		return nil
	case a.Now().Sub(row.At) > a.keep():
		a.missing(t)
		return nil
	}
	a.row = row
	a.note("send log: %s from %s, account %s, client %s", row.Serial, row.At.UTC().Format(time.RFC3339), row.Account, row.Client)
	return a.byToken(ctx)
}

// missing ends with a token whose message the log does not have.
func (a *attempt) missing(t token.Trace) {
	a.proof.Serial = t.Serial
	if a.Now().Sub(t.Minute) > a.keep() {
		a.note("the message is of %s: older than complaints are heard about", t.Minute.Format(time.DateOnly))
		a.proof.Class = Stale
		return
	}
	a.note("the send log has no such message")
	a.proof.Grade = P1
}

// byToken is P2 to P4: the content decides, never the token alone.
func (a *attempt) byToken(ctx context.Context) error {
	a.proof.Serial = a.row.Serial
	switch got := a.content(); got {
	case differs:
		a.transplanted(a.row.Serial)
		return nil
	case absent:
		a.name(P2)
		a.copyOf()
		return nil
	}
	a.name(P3)
	if err := a.signature(ctx); err != nil {
		return err
	}
	a.copyOf()
	switch {
	case a.proof.Class == Replay:
	case a.signed.Pass && a.proof.Recipient != "":
		a.proof.Grade = P4
	case a.signed.Pass:
		a.note("our signature verifies, yet which recipient's copy it is cannot be told: no P4")
	}
	return nil
}

// name gives the account that the log names.
func (a *attempt) name(g Grade) {
	p, r := &a.proof, a.row
	p.Grade, p.Account, p.Serial, p.Login, p.Client, p.QueueID, p.SentAt, p.Accepted = g, r.Account, r.Serial, r.Login, r.Client, r.QueueID, r.At, r.Accepted()
}

func (a *attempt) transplanted(serial string) {
	a.proof.Class, a.proof.Grade, a.proof.Serial = Transplant, P1, serial
}

// signature looks for one of ours that verifies.
func (a *attempt) signature(ctx context.Context) error {
	if a.Verify == nil || !a.report.Whole {
		return nil
	}
	all, err := a.Verify(ctx, a.msg.raw, a.row.At)
	if err != nil {
		return fmt.Errorf("signature: %w", err)
	}
	for _, s := range all {
		if s.Pass {
			a.signed = s
			a.note("DKIM d=%s s=%s verifies", s.Domain, s.Selector)
			return nil
		}
		a.note("DKIM d=%s s=%s does not verify: %s", s.Domain, s.Selector, s.Reason)
	}
	if len(all) == 0 {
		a.note("no DKIM signature of ours")
	}
	return nil
}

// around is how far the time of a claim and that in the log may lie apart.
const around = 10 * time.Minute

// byID is P1 at most: a Message-ID, a queue ID, or address, port and time. Whoever has seen a
// message can copy them.
func (a *attempt) byID(ctx context.Context) error {
	var found []sent.Row
	look := func(what string, rows []sent.Row, err error) error {
		if err != nil && !errors.Is(err, sent.ErrNotFound) {
			return fmt.Errorf("send log: %w", err)
		}
		if len(rows) > 0 {
			a.note("%s stands in the send log", what)
			found = append(found, rows...)
		}
		return nil
	}
	if id := a.msg.id; id != "" {
		rows, err := a.Log.ByMessageID(ctx, id)
		if err := look("Message-ID <"+id+">", rows, err); err != nil {
			return err
		}
	}
	for _, id := range a.msg.queueIDs {
		rows, err := a.Log.ByQueueID(ctx, id)
		if err := look("queue ID "+id, rows, err); err != nil {
			return err
		}
	}
	if c := a.report.Claims; c.SourceIP.IsValid() && c.SourcePort != 0 && !c.Arrival.IsZero() {
		rows, err := a.Log.ByClient(ctx, c.SourceIP.Unmap(), c.SourcePort, c.Arrival.Add(-around), c.Arrival.Add(around))
		if err := look("the claimed address, port and time", rows, err); err != nil {
			return err
		}
	}
	a.hint(found)
	return nil
}

// hint tells people where to look: an ID names no account by itself.
func (a *attempt) hint(rows []sent.Row) {
	if len(rows) == 0 {
		a.note("nothing in it stands in the send log")
		return
	}
	a.proof.Grade = P1
	accounts := map[string]bool{}
	for _, r := range rows {
		accounts[r.Account] = true
	}
	if len(accounts) == 1 {
		a.proof.Hint, a.proof.Serial = rows[0].Account, rows[0].Serial
		return
	}
	a.note("%d accounts have sent such a message", len(accounts))
}

// traces are the tokens in the reported message, each message of ours once.
func (a *attempt) traces() []token.Trace {
	var out []token.Trace
	seen := map[string]bool{}
	for _, value := range append(a.msg.marks, a.report.Claims.FeedbackID) {
		if !strings.Contains(value, ".") {
			continue
		}
		if t, err := a.Tokens.Find(value); err == nil && !seen[t.Serial] {
			seen[t.Serial] = true
			out = append(out, t)
		}
	}
	return out
}
