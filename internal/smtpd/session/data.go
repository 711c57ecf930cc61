package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"

	"postern/filter"
	"postern/internal/mime"
	"postern/internal/smtpd/answer"
	"postern/internal/smtpd/command"
	"postern/internal/smtpd/contract"
	"postern/internal/smtpd/fate"
	"postern/internal/smtpd/received"
	"postern/internal/smtpd/wire"
)

// errInFlight says that all bodies together have reached their budget.
var errInFlight = errors.New("bytes in flight are used up")

// longLine is what RFC 5321 section 4.5.3.1.6 allows for a line without its end.
const longLine = 998

// Data takes the body, runs the checks and answers what the contract.Deliverer says. go-smtp's reader
// is not used: the wire reads bodies.
func (n *session) Data(io.Reader) error {
	err := n.guard(func() error { return n.told(n.data()) })
	if n.tx.outcome == nil || n.tx.outcome.Reply == "" {
		_ = n.ended(answer.TryLater()) // a panic cut it short
	}
	n.c.Recorded()
	return err
}

func (n *session) data() *contract.Reply {
	tx := n.tx
	tx.open = false // whatever comes of it, the transaction is over
	tx.times.Data = n.shared.Parts.Now()
	facts, err := n.take()
	tx.times.Received = n.shared.Parts.Now()
	if err != nil {
		return n.ended(n.refuse("DATA", err))
	}
	tx.hasty(n.c.Early())
	tx.note(facts)
	head := make([]byte, min(tx.msg.Size, received.HeadBytes))
	if _, err := tx.body.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return n.ended(n.refuse("DATA", err))
	}
	fields, count := received.Fields(head, received.MaxHops+1)
	if count > tx.cfg.Limits.Received {
		return n.ended(command.NewReply(554, 4, 6, "too many hops, this message is looping"))
	}
	if r := n.nameAccount(head); r != nil {
		return n.ended(r)
	}
	return n.judge(fields)
}

// take reads the body into the spool.
func (n *session) take() (wire.Body, error) {
	tx := n.tx
	w := n.shared.Parts.Spool.New()
	defer w.Discard()
	facts, err := n.c.ReadBody(writerFunc(func(p []byte) (int, error) {
		if !n.shared.Bytes.Take(int64(len(p)), tx.cfg.Limits.InFlight) {
			return 0, errInFlight
		}
		tx.booked += int64(len(p))
		return w.Write(p)
	}))
	if errors.Is(err, errInFlight) {
		return facts, command.NewReply(452, 3, 1, "not enough room now, try again later")
	}
	if err != nil {
		return facts, err
	}
	body, err := w.Finish()
	if err != nil {
		return facts, err
	}
	tx.body = body
	m := tx.msg
	m.Body, m.Size, m.SHA256 = body, body.Size(), body.SHA256()
	m.Parts = n.parts(body, body.Size())
	return facts, nil
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// parts walks the body on first use.
func (n *session) parts(r io.ReaderAt, size int64) func() (*mime.Tree, error) {
	parse := n.shared.Parts.ParseMail
	return sync.OnceValues(func() (t *mime.Tree, err error) {
		defer func() {
			if v := recover(); v != nil {
				err = fmt.Errorf("reading the message panicked: %v", v)
			}
		}()
		if parse == nil {
			return nil, errors.New("no reader of messages")
		}
		return parse(r, size)
	})
}

// find adds what the session itself observed.
func (tx *transaction) find(symbol, detail string) {
	tx.report.Findings = append(tx.report.Findings, filter.Finding{Symbol: symbol, Detail: detail, Step: "smtp"})
}

// hasty notes once that the client spoke before its turn; "" = it did not.
func (tx *transaction) hasty(early string) {
	if early != "" && !tx.early {
		tx.early = true
		tx.find("EARLY_TALKER", early)
	}
}

// note adds what the framing showed.
func (tx *transaction) note(b wire.Body) {
	if b.Longest > longLine {
		tx.find("LONG_LINE", strconv.Itoa(b.Longest)+" octets")
	}
	if b.Normalized {
		tx.find("BARE_NEWLINE", "bare CR, bare LF or NUL replaced")
	}
}

// judge runs the checks of the body and delivers, while it watches whether the client is
// still there.
func (n *session) judge(fields []string) *contract.Reply {
	tx := n.tx
	abort := make(chan struct{})
	ctx, cancel := context.WithCancel(n.ctx)
	defer cancel()
	stop := n.c.Watch(func() { close(abort); cancel() })
	defer stop()
	if tx.behind {
		n.lookBehind(ctx, fields)
	}
	tx.msg.Seen = tx.report.Findings
	tx.report.Join(tx.pipe.Run(ctx, filter.OnData, tx.msg))
	tx.times.Checked = n.shared.Parts.Now()
	select {
	case <-abort:
		return n.ended(command.NewReply(451, 4, 2, "the client left"))
	default:
	}
	o := n.shared.Parts.Deliverer.Deliver(n.ctx, contract.Delivery{
		Message: tx.msg, Report: tx.report, Times: tx.times, Login: n.login, Abort: abort,
	})
	tx.outcome = &o
	r, ok := command.ParseReply(o.Reply)
	if !ok {
		n.shared.Parts.Log.Error("delivery gave no reply", "message", tx.msg.ID, "reply", o.Reply)
		r = answer.TryLater()
	}
	o.Reply = r.String()
	if o.Times.Start.IsZero() {
		o.Times = tx.times
	}
	return r
}

// ended is the outcome of a message that did not reach the contract.Deliverer.
func (n *session) ended(r *contract.Reply) *contract.Reply {
	n.tx.outcome = fate.Ended(n.tx.msg, n.tx.report, r)
	n.tx.outcome.Times = n.tx.times
	return r
}
