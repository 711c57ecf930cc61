package quarantine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"postern/filter"
	"postern/internal/said"
	"postern/internal/spool"
)

// Request asks for one recipient's copy of a message to be kept.
type Request struct {
	Message   *filter.Message
	Recipient filter.Recipient
	Verdict   filter.Verdict
	Class     string // a Class
	Key       string
	Reply     string // what the server behind said, class backend-refused
}

// Event is something a person or the clock did to a hold, for the audit.
type Event struct {
	Actor, Action, Object string
	Before, After         any // marshalled to JSON
	Note                  string
}

// ScanResult is what a second look for viruses found.
type ScanResult struct {
	Infected bool
	Name     string // the signature, or why it must not go out
}

// SendError is how Config.Send says that the server behind did not take a release. Any other
// error counts as temporary.
type SendError struct {
	Reply     string // sanitised answer, or plain words
	Permanent bool   // it will never be taken: no retry
	Ambiguous bool   // it was all sent and not answered: the server may have it
	Err       error
}

func (e *SendError) Error() string { return e.Reply }

// Unwrap returns the private cause.
func (e *SendError) Unwrap() error { return e.Err }

// Config is what a Quarantine is made of. Store, Spool and Now are needed. Without Rescan or
// Send nothing is released.
type Config struct {
	Store    Store
	Spool    *spool.Spool // where a body is unpacked for a release
	Node     string
	Cap      int64                             // bytes on disk; 0 = no cap
	Keep     func(policy string) time.Duration // how long a policy keeps holds; nil or 0 = 30 days
	Beside   time.Duration                     // class rejected-beside; 0 = 3 days
	Evidence time.Duration                     // class evidence; 0 = 90 days
	Remember time.Duration                     // records of ended holds; 0 = 90 days, at least KeyKept
	Now      func() time.Time
	// Elapsed is a clock that only runs forward, to tell a clock that was set from time
	// that passed; nil = the monotonic clock.
	Elapsed func() time.Duration
	Subject func(m *filter.Message) string // decoded subject of a message
	AV      func() string                  // version and signatures of the virus scanner
	Rescan  func(ctx context.Context, h Hold, body io.ReaderAt) (ScanResult, error)
	Send    func(ctx context.Context, h Hold, body io.ReaderAt) (reply string, err error)
	Audit   func(ctx context.Context, e Event) error
	Warn    func(u Usage)                 // at each change of level, once
	Jumped  func(expected, now time.Time) // the clock jumped: expiry waits; once per jump
	Log     *slog.Logger
}

// Quarantine keeps holds in a Store by the rules that need no store: caps, times, releases.
type Quarantine struct {
	cfg  Config
	life string // no other process has the same

	mu       sync.Mutex
	inFlight int64           // raw bytes of holds being written
	unsent   map[string]bool // holds that may stand as on their way out, of which nothing was sent
	level    Level
	jump     jump
}

const day = 24 * time.Hour

// New makes a Quarantine.
func New(cfg Config) *Quarantine {
	if cfg.Elapsed == nil {
		start := time.Now()
		cfg.Elapsed = func() time.Duration { return time.Since(start) }
	}
	cfg.Beside = orElse(cfg.Beside, 3*day)
	cfg.Evidence = orElse(cfg.Evidence, 90*day)
	cfg.Remember = max(orElse(cfg.Remember, 90*day), KeyKept)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Quarantine{cfg: cfg, life: rand.Text(), unsent: map[string]bool{}}
}

func orElse(d, other time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return other
}

// Provisional writes one copy, synced, and returns the ID of its hold: that of an earlier
// hold when the same key was kept before. Nobody sees it before Confirm. ErrFull and
// ErrReadOnly mean that it could not be kept: ask the sender to come again.
func (q *Quarantine) Provisional(ctx context.Context, r Request) (id string, err error) {
	h, err := q.record(r)
	if err != nil {
		return "", err
	}
	release, err := q.reserve(ctx, h.Size)
	if err != nil {
		return "", err
	}
	defer release()
	first := position(r)
	for n := first; n < first+maxNumbers; n++ {
		h.ID = fmt.Sprintf("%s-%02d", h.MessageID, n)
		kept, err := q.cfg.Store.Put(ctx, h, r.Message.Open())
		if errors.Is(err, ErrTaken) {
			continue
		}
		if errors.Is(err, ErrFull) {
			q.setLevel(Usage{Cap: q.cfg.Cap, Level: Full})
		}
		return kept.ID, err
	}
	return "", said.Errorf("hold.hold", "hold %s: %w", "messageid", h.MessageID, "kind", ErrTaken)
}

// maxNumbers bounds the search for a free number behind a message ID.
const maxNumbers = 1000

// position is where the recipient stands among the recipients.
func position(r Request) int {
	for i, to := range r.Message.To {
		if to.Address == r.Recipient.Address {
			return i
		}
	}
	return 0
}

// Keep writes one copy and confirms it: for what needs no answer to wait for, as an evidence
// copy or what the outbox gives up.
func (q *Quarantine) Keep(ctx context.Context, r Request) (id string, err error) {
	id, err = q.Provisional(ctx, r)
	if err != nil {
		return "", err
	}
	return id, q.Confirm(ctx, []string{id})
}

// Confirm makes provisional holds the only copies there are, all or none.
func (q *Quarantine) Confirm(ctx context.Context, ids []string) error {
	return q.cfg.Store.Confirm(ctx, ids)
}

// Promise stands for provisional holds that cannot be confirmed now, where the store can: a
// server behind has the message for others, and it must not come again.
func (q *Quarantine) Promise(ctx context.Context, ids []string) error {
	if s, ok := q.cfg.Store.(Promiser); ok {
		return s.Promise(ctx, ids)
	}
	return errors.ErrUnsupported
}

// Drop gives provisional holds up.
func (q *Quarantine) Drop(ctx context.Context, ids []string) error {
	return q.cfg.Store.Drop(ctx, ids)
}

// Ended returns the hold that answers for a retry of the same mail: a confirmed one with
// this key that is open, or ended less than KeyKept ago.
func (q *Quarantine) Ended(ctx context.Context, key string) (id string, ok bool, err error) {
	h, ok, err := q.cfg.Store.FindKey(ctx, key, q.cfg.Now().Add(-KeyKept))
	return h.ID, ok, err
}

// maxSubject bounds a stored subject in bytes.
const maxSubject = 998

func (q *Quarantine) record(r Request) (Hold, error) {
	class := Class(r.Class)
	if !class.Valid() {
		return Hold{}, fmt.Errorf("no class %q of holds", r.Class)
	}
	m, v, now := r.Message, r.Verdict, q.cfg.Now().UTC().Truncate(time.Millisecond)
	h := Hold{
		V: RecordVersion, MessageID: m.ID, Node: q.cfg.Node, At: now, Keep: q.keep(class, r.Recipient.Policy),
		Direction: m.Direction.String(), State: Provisional, Class: class,
		Policy: r.Recipient.Policy, Backend: r.Recipient.Backend, Listener: m.Listener,
		From: m.From, To: []string{r.Recipient.Address}, SMTPUTF8: m.SMTPUTF8,
		Client: Client{Port: m.Client.Port, Name: m.Client.Name, Helo: m.Client.Helo, Account: m.Account},
		Size:   m.Size, SHA256: m.SHA256, Action: v.Action.String(), Score: v.Score, RulesRev: v.Rules,
		Evidence: class == Evidence, Reply: r.Reply, Key: r.Key, Reasons: []Reason{}, Unchecked: []Unchecked{},
	}
	h.Expires = now.Add(h.Keep)
	if class == Evidence && h.Key != "" {
		// A copy beside a refusal must never answer for the retry of what was refused.
		h.Key = "evidence " + h.Key
	}
	if m.Client.IP.IsValid() {
		h.Client.IP = m.Client.IP.String()
	}
	if q.cfg.Subject != nil {
		h.Subject = clip(q.cfg.Subject(m), maxSubject)
	}
	if q.cfg.AV != nil {
		h.AV = q.cfg.AV()
	}
	for _, s := range v.Reasons {
		h.Reasons = append(h.Reasons, Reason(s))
	}
	decided := slices.ContainsFunc(h.Reasons, func(r Reason) bool { return r.Decides })
	for _, f := range v.Failures {
		decides := !decided && v.Action > filter.Accept && f.OnError == v.Action
		decided = decided || decides
		h.Unchecked = append(h.Unchecked, Unchecked{Step: f.Step, Reason: f.Reason, Decides: decides})
	}
	return h, nil
}

func clip(s string, limit int) string {
	return strings.ToValidUTF8(s[:min(len(s), limit)], "\uFFFD")
}

func (q *Quarantine) keep(class Class, policy string) time.Duration {
	switch class {
	case RejectedBeside:
		return q.cfg.Beside
	case Evidence:
		return q.cfg.Evidence
	}
	if q.cfg.Keep == nil {
		return 30 * day
	}
	return orElse(q.cfg.Keep(policy), 30*day)
}

// List returns holds that match, newest first.
func (q *Quarantine) List(ctx context.Context, query Query) (Page, error) {
	return q.cfg.Store.List(ctx, query)
}

// Count counts up to limit holds that match.
func (q *Quarantine) Count(ctx context.Context, query Query, limit int) (n int, err error) {
	if c, ok := q.cfg.Store.(Counter); ok {
		return c.Count(ctx, query, limit)
	}
	for query.Limit, query.After = MaxPage, ""; n < limit; {
		page, err := q.cfg.Store.List(ctx, query)
		if err != nil {
			return n, err
		}
		n += len(page.Holds)
		if query.After = page.Next; page.Next == "" {
			break
		}
	}
	return min(n, limit), nil
}

// Show returns one hold; a provisional one is not there.
func (q *Quarantine) Show(ctx context.Context, id string) (Hold, error) {
	h, err := q.cfg.Store.Get(ctx, id)
	if err == nil && h.State == Provisional {
		return Hold{}, said.Errorf("detail", "%w: %s", "kind", ErrNotFound, "what", id)
	}
	return h, err
}

// Raw opens the bytes of a hold, exactly as they came in. Reading to the end verifies them.
func (q *Quarantine) Raw(ctx context.Context, id string) (io.ReadCloser, error) {
	if _, err := q.Show(ctx, id); err != nil {
		return nil, err
	}
	return q.cfg.Store.Body(ctx, id)
}

func (q *Quarantine) audit(ctx context.Context, e Event) error {
	if q.cfg.Audit == nil {
		return nil
	}
	return q.cfg.Audit(ctx, e)
}
