package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"postern/filter"
)

// Result is what one try did for one recipient. Neither Done nor Refused: try again.
type Result struct {
	Reply     string
	Done      bool // the server has it
	Refused   bool // the server will never have it
	Ambiguous bool // the connection was lost after the final dot
}

// Courier does the sending; *relay.Relay is one.
type Courier interface {
	// Send tries once and returns one result per recipient of e, in their order.
	Send(ctx context.Context, e Entry, body Body) []Result
	// Refuse makes a recipient's copy a hold, durably, and raises the alert. Doing it again
	// for the same entry gives the same hold.
	Refuse(ctx context.Context, e Entry, to filter.Recipient, reply string, body Body) (hold string, err error)
	// Kept finds the hold that Refuse made for this entry before.
	Kept(ctx context.Context, e Entry, to filter.Recipient) (hold string, ok bool, err error)
}

// Defaults of Worker.
const (
	DefaultLease    = 10 * time.Minute
	DefaultParallel = 4
	DefaultPoll     = 30 * time.Second
)

// Worker sends what the outbox owes. Store, Courier and Now are needed.
type Worker struct {
	Store    Store
	Courier  Courier
	Now      func() time.Time
	Log      *slog.Logger
	Alert    func(ctx context.Context, key, text string)
	Ended    func(ctx context.Context, e Entry, f filter.Fate) // told each recipient's end
	Lease    time.Duration                                     // longer than any try; 0 = 10 min
	Parallel int                                               // tries at once; 0 = 4
	Poll     time.Duration                                     // longest sleep; 0 = 30 s
	// Paused says why an account's mail does not go on now; nil: it always does. What waits so
	// is not tried, and becomes a hold when its time is over.
	Paused func(account string) (why string, yes bool)

	once sync.Once
	wake chan struct{}
}

// Backoff is how long to wait after the given number of tries: 1, 2, 4 ... minutes, at most
// an hour.
func Backoff(tries int) time.Duration {
	return min(time.Minute<<min(max(tries-1, 0), 10), time.Hour)
}

// Each tells several about an end, one after the other.
func Each(all ...func(context.Context, Entry, filter.Fate)) func(context.Context, Entry, filter.Fate) {
	return func(ctx context.Context, e Entry, f filter.Fate) {
		for _, tell := range all {
			tell(ctx, e, f)
		}
	}
}

func (w *Worker) bell() chan struct{} {
	w.once.Do(func() { w.wake = make(chan struct{}, 1) })
	return w.wake
}

// Wake makes the worker look for due entries now.
func (w *Worker) Wake() {
	select {
	case w.bell() <- struct{}{}:
	default:
	}
}

// Run works until ctx ends and then waits for the tries under way, which stop where nothing
// has been sent yet.
func (w *Worker) Run(ctx context.Context) {
	free := make(chan struct{}, orDefault(w.Parallel, DefaultParallel))
	var wg sync.WaitGroup
	defer wg.Wait()
	for ctx.Err() == nil {
		select {
		case free <- struct{}{}:
		case <-ctx.Done():
			return
		}
		e, crashed, ok, err := w.Store.Claim(ctx, w.Now(), orDefault(w.Lease, DefaultLease))
		if err == nil && ok {
			wg.Go(func() {
				defer func() { <-free }()
				w.process(ctx, e, crashed)
			})
			continue
		}
		<-free
		if err != nil && ctx.Err() == nil {
			w.log().Error("outbox not readable", "error", err)
		}
		w.sleep(ctx)
	}
}

// sleep waits for a bell, the next due entry, or the poll.
func (w *Worker) sleep(ctx context.Context) {
	d := orDefault(w.Poll, DefaultPoll)
	if next, ok, err := w.Store.Due(ctx); err == nil && ok {
		d = min(d, max(next.Sub(w.Now()), time.Second))
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-w.bell():
	case <-t.C:
	}
}

func orDefault[T int | time.Duration](v, byDefault T) T {
	if v <= 0 {
		return byDefault
	}
	return v
}

func (w *Worker) log() *slog.Logger {
	if w.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return w.Log
}

// process is one try of a claimed entry. Whatever is not certainly delivered or held stays
// in the entry.
func (w *Worker) process(ctx context.Context, e Entry, crashed bool) {
	if crashed {
		e.Ambiguous = true
		w.dropKept(ctx, &e)
	}
	keep := context.WithoutCancel(ctx)
	if len(e.To) == 0 {
		w.save(keep, e)
		return
	}
	body, err := w.Store.Body(ctx, e.ID)
	if err != nil {
		w.log().Error("outbox body unreadable", "entry", e.ID, "error", err)
		if w.Alert != nil {
			w.Alert(keep, "outbox", fmt.Sprintf("outbox entry %s cannot be read; it stays", e.ID))
		}
		w.again(keep, e, e.LastReply)
		return
	}
	defer body.Close()
	if why, yes := w.paused(e); yes {
		w.wait(keep, e, why, body)
		return
	}
	results := w.Courier.Send(ctx, e, body)
	last, left := e.LastReply, e.To[:0:0]
	for i, to := range e.To {
		var res Result
		if i < len(results) {
			res = results[i]
			last = res.Reply
		}
		e.Ambiguous = e.Ambiguous || res.Ambiguous
		if !w.settle(keep, e, to, res, body) {
			left = append(left, to)
		}
	}
	e.To = left
	w.again(keep, e, last)
}

// lookAgain is when mail of a paused account is looked at again.
const lookAgain = time.Minute

// paused: what a person released goes out all the same.
func (w *Worker) paused(e Entry) (why string, yes bool) {
	if w.Paused == nil || e.Account == "" || e.Origin != OriginRelay || e.Direction != filter.Outbound {
		return "", false
	}
	return w.Paused(e.Account)
}

// wait keeps an entry back without a try.
func (w *Worker) wait(ctx context.Context, e Entry, why string, body Body) {
	left := e.To[:0:0]
	for _, to := range e.To {
		if !w.settle(ctx, e, to, Result{Reply: why}, body) {
			left = append(left, to)
		}
	}
	e.To, e.LastReply, e.Next = left, why, w.Now().Add(lookAgain)
	w.save(ctx, e)
}

// dropKept leaves out the recipients whose copies an interrupted try had made holds of.
func (w *Worker) dropKept(ctx context.Context, e *Entry) {
	left := e.To[:0:0]
	for _, to := range e.To {
		if _, ok, err := w.Courier.Kept(ctx, *e, to); err != nil || !ok {
			left = append(left, to)
		}
	}
	e.To = left
}

// settle reports whether a recipient's copy has come to its end: delivered, or a hold since
// it was refused or its time is over.
func (w *Worker) settle(ctx context.Context, e Entry, to filter.Recipient, res Result, body Body) bool {
	fate := filter.Fate{Recipient: to.Address, Backend: e.Backend, Reply: res.Reply, Ambiguous: e.Ambiguous}
	switch {
	case res.Done:
		fate.State = filter.Delivered
	case res.Refused || !w.Now().Before(e.Expires):
		hold, err := w.Courier.Refuse(ctx, e, to, res.Reply, body)
		if err != nil {
			w.log().Error("outbox entry could not become a hold", "entry", e.ID, "error", err)
			return false
		}
		fate.State, fate.Hold = filter.Held, hold
	default:
		return false
	}
	if w.Ended != nil {
		w.Ended(ctx, e, fate)
	}
	return true
}

// again gives the entry back for its next try, or ends it when nobody is owed any more.
func (w *Worker) again(ctx context.Context, e Entry, last string) {
	e.Attempts++
	e.LastReply = last
	e.Next = w.Now().Add(Backoff(e.Attempts))
	w.save(ctx, e)
}

func (w *Worker) save(ctx context.Context, e Entry) {
	write := w.Store.Retry
	if len(e.To) == 0 {
		write = w.Store.End
	}
	if err := write(ctx, e); err != nil {
		w.log().Error("outbox entry not written", "entry", e.ID, "error", err)
	}
}

// ErrKept says that an entry could not become a hold in whole; the rest stays in the outbox.
var ErrKept = errors.New("the entry could not become a hold; it stays in the outbox")

// Hold makes holds of all an entry still owes and ends it: the operator's way out.
func (w *Worker) Hold(ctx context.Context, id string) error {
	e, crashed, err := w.Store.ClaimID(ctx, id, w.Now(), orDefault(w.Lease, DefaultLease))
	if err != nil {
		return fmt.Errorf("outbox entry %s: %w", id, err)
	}
	e.Ambiguous = e.Ambiguous || crashed
	body, err := w.Store.Body(ctx, id)
	if err != nil {
		w.save(ctx, e)
		return fmt.Errorf("outbox entry %s: %w", id, err)
	}
	defer body.Close()
	left := e.To[:0:0]
	for _, to := range e.To {
		if !w.settle(ctx, e, to, Result{Reply: e.LastReply, Refused: true}, body) {
			left = append(left, to)
		}
	}
	e.To = left
	w.save(ctx, e)
	if len(left) > 0 {
		return ErrKept
	}
	return nil
}

// Retry makes an entry due now.
func (w *Worker) Retry(ctx context.Context, id string) error {
	if err := w.Store.Hurry(ctx, id, w.Now()); err != nil {
		return fmt.Errorf("outbox entry %s: %w", id, err)
	}
	w.Wake()
	return nil
}
