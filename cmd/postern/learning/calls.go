package learning

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"

	"postern/filter"
	"postern/filter/bayes"
	"postern/filter/bayes/train"
	"postern/internal/control"
	"postern/internal/mime"
	"postern/quarantine"
)

// Held is the held mail that can be learned.
type Held interface {
	Show(ctx context.Context, id string) (quarantine.Hold, error)
	Raw(ctx context.Context, id string) (io.ReadCloser, error)
}

// Letter is a message to learn.
type Letter struct {
	Ref  string `json:"ref,omitempty"` // where it is from
	Body []byte `json:"body"`
}

// Messages asks to learn messages.
type Messages struct {
	Class  string   `json:"class"`            // spam, ham, or forget
	Domain string   `json:"domain,omitempty"` // for this domain alone; empty: for all
	Run    string   `json:"run,omitempty"`    // of the answer before, where this goes on with it
	All    []Letter `json:"messages"`         // at most 64
}

// Holds asks to learn held messages.
type Holds struct {
	Class  string   `json:"class"` // or undo: as it was before the last change
	Domain string   `json:"domain,omitempty"`
	Run    string   `json:"run,omitempty"`
	IDs    []string `json:"ids"` // at most 64
}

// Of names holds.
type Of struct {
	IDs []string `json:"ids"` // at most 64
}

// Look asks what the words of a message say.
type Look struct {
	Body []byte   `json:"body"`
	To   []string `json:"to,omitempty"` // those of a domain that learns for itself are judged by that too
}

// Said is what they say.
type Said struct {
	Symbol string `json:"symbol"`
	Detail string `json:"detail"`
	For    string `json:"for,omitempty"` // the recipient, where it differs
}

// Taught is what became of messages.
type Taught struct {
	Run     string         `json:"run"` // takes them back
	States  map[string]int `json:"states"`
	Results []train.Result `json:"results"`
}

// Undone says how many messages count as before.
type Undone struct {
	Messages int `json:"messages"`
}

// MaxMessage bounds a message that is learned.
const MaxMessage = 64 << 20

// Handle adds the calls, and has those that release and delete held mail teach what the
// configuration says they do.
func (l *Learning) Handle(s *control.Server, held Held) {
	control.Handle(s, "learn.messages", l.messages)
	control.Handle(s, "learn.holds", func(ctx context.Context, p Holds) (Taught, error) { return l.holds(ctx, p, held) })
	control.Handle(s, "learn.of", l.of)
	control.Handle(s, "learn.undo", l.undo)
	control.Handle(s, "learn.judge", l.judge)
	control.Handle(s, "learn.status", func(ctx context.Context, _ struct{}) (train.Status, error) { return l.trainer.Status(ctx, l.scopes()) })
	l.wrap(s, held)
}

// of says what held messages were learned as.
func (l *Learning) of(ctx context.Context, p Of) ([]train.Known, error) {
	if len(p.IDs) > train.Batch {
		return nil, control.Refuse(control.Invalid, "learning.at-most-messages-at-once", "at most %d messages at once", "batch", train.Batch)
	}
	known, err := l.trainer.Known(ctx, p.IDs)
	if known == nil {
		known = []train.Known{}
	}
	return known, err
}

// judge judges a message that is not on its way, and learns nothing of it.
func (l *Learning) judge(ctx context.Context, p Look) ([]Said, error) {
	if len(p.Body) == 0 || len(p.Body) > MaxMessage {
		return nil, control.Refuse(control.Invalid, "learning.a-message-has-between-1-and-bytes", "%s: a message has between 1 and %d bytes", "ref", "message", "most", MaxMessage)
	}
	tree := mime.Bytes(crlf(p.Body), mime.DefaultLimits())
	m := &filter.Message{Parts: func() (*mime.Tree, error) { return tree, nil }}
	for _, to := range p.To {
		m.To = append(m.To, filter.Recipient{Address: to})
	}
	found, err := l.Check().Check(ctx, m)
	out := []Said{}
	for _, f := range found {
		out = append(out, Said{f.Symbol, f.Detail, f.For})
	}
	return out, err
}

// forget is the class of who takes a message out, back that of who takes back what was said last.
const (
	forget = "forget"
	back   = "undo"
)

func (l *Learning) begin(ctx context.Context, class, domain, run string, n int) (bayes.Class, train.Act, error) {
	act := train.Act{By: control.Actor(ctx), Run: run, Scope: domain}
	c, ok := bayes.ParseClass(class)
	switch {
	case class != forget && (!ok || c == bayes.None):
		return c, act, control.Refuse(control.Invalid, "learning.class-is-spam-ham-or-forget", "class is spam, ham or forget")
	case n > train.Batch || n == 0:
		return c, act, control.Refuse(control.Invalid, "learning.between-1-and-messages-at-once", "between 1 and %d messages at once", "batch", train.Batch)
	case !slices.Contains(l.scopes(), domain):
		return c, act, control.Refuse(control.Invalid, "learning.does-not-learn-for-itself-learning-domains", "%s does not learn for itself: learning.domains does not name it", "domain", domain)
	case run != "" && !filter.ValidID(run):
		return c, act, control.Refuse(control.Invalid, "learning.run-is-none-of-ours", "run is none of ours")
	}
	if run == "" {
		var err error
		if act.Run, err = filter.NewID(l.parts.Now(), rand.Reader); err != nil {
			return c, act, err
		}
	}
	return c, act, nil
}

func (l *Learning) messages(ctx context.Context, p Messages) (Taught, error) {
	class, act, err := l.begin(ctx, p.Class, p.Domain, p.Run, len(p.All))
	if err != nil {
		return Taught{}, err
	}
	act.Via = train.ViaCommand
	var items []train.Item
	for _, m := range p.All {
		if len(m.Body) == 0 || len(m.Body) > MaxMessage {
			return Taught{}, control.Refuse(control.Invalid, "learning.a-message-has-between-1-and-bytes", "%s: a message has between 1 and %d bytes", "ref", m.Ref, "most", MaxMessage)
		}
		items = append(items, train.Item{Tree: mime.Bytes(crlf(m.Body), mime.DefaultLimits()), Class: class, Ref: m.Ref})
	}
	return l.learn(ctx, items, act, p.Class)
}

// crlf gives a message the line ends it has on the wire.
func crlf(b []byte) []byte {
	return bytes.ReplaceAll(bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
}

func (l *Learning) holds(ctx context.Context, p Holds, held Held) (Taught, error) {
	if p.Class == back {
		return l.holdsBack(ctx, p)
	}
	class, act, err := l.begin(ctx, p.Class, p.Domain, p.Run, len(p.IDs))
	if err != nil {
		return Taught{}, err
	}
	act.Via = train.ViaDesk
	var items []train.Item
	for _, id := range p.IDs {
		body, err := read(ctx, held, id)
		if err != nil {
			return Taught{}, gone(err)
		}
		items = append(items, train.Item{Tree: mime.Bytes(body, mime.DefaultLimits()), Class: class, Ref: id})
	}
	return l.learn(ctx, items, act, p.Class)
}

func read(ctx context.Context, held Held, id string) ([]byte, error) {
	r, err := held.Raw(ctx, id)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(r, MaxMessage))
	return body, errors.Join(err, r.Close())
}

// holdsBack takes back what was said last of held messages, also of those that are held no more.
func (l *Learning) holdsBack(ctx context.Context, p Holds) (Taught, error) {
	if len(p.IDs) == 0 || len(p.IDs) > train.Batch {
		return Taught{}, control.Refuse(control.Invalid, "learning.between-1-and-messages-at-once", "between 1 and %d messages at once", "batch", train.Batch)
	}
	out := Taught{States: map[string]int{}}
	known, err := l.trainer.Known(ctx, p.IDs)
	if err != nil {
		return out, err
	}
	if len(known) == 0 {
		return out, control.Refuse(control.NotFound, "learning.nothing-was-learned-of-them", "nothing was learned of them")
	}
	for _, k := range known {
		n, err := l.trainer.Undo(ctx, train.Back{ID: k.ID}, control.Actor(ctx))
		if err == nil && n > 0 {
			err = l.parts.Audit(ctx, control.Actor(ctx), "learn-undo", k.ID, k, nil, k.Ref)
			out.Results = append(out.Results, train.Result{ID: k.ID, State: undone, Ref: k.Ref})
			out.States[undone]++
		}
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

// undone is what became of a message of which the last change was taken back.
const undone = "undone"

func gone(err error) error {
	if errors.Is(err, quarantine.ErrNotFound) {
		return control.Because(control.NotFound, err)
	}
	if errors.Is(err, quarantine.ErrEnded) {
		return control.Because(control.Conflict, err)
	}
	return err
}

func (l *Learning) learn(ctx context.Context, items []train.Item, act train.Act, class string) (Taught, error) {
	results, err := l.trainer.Learn(ctx, items, act)
	out := Taught{Run: act.Run, States: map[string]int{}, Results: results}
	for _, r := range results {
		out.States[r.State]++
	}
	if len(results) > 0 {
		err = errors.Join(err, l.parts.Audit(ctx, act.By, "learn", act.Run, nil, out.States, class+" "+act.Scope))
	}
	return out, err
}

func (l *Learning) undo(ctx context.Context, what train.Back) (Undone, error) {
	n, err := l.trainer.Undo(ctx, what, control.Actor(ctx))
	switch {
	case errors.Is(err, train.ErrWhat):
		return Undone{}, control.Because(control.Invalid, err)
	case errors.Is(err, train.ErrNotFound):
		return Undone{}, control.Because(control.NotFound, err)
	}
	if n > 0 {
		err = errors.Join(err, l.parts.Audit(ctx, control.Actor(ctx), "learn-undo", what.ID+what.Run, nil, fmt.Sprint(n, " messages"), ""))
	}
	return Undone{n}, err
}
