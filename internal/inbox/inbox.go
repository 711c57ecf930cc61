// Package inbox keeps the mail of some domains for tests of other programs: judged like any
// other mail, relayed nowhere, readable for a while, the oldest gone first.
package inbox

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"postern/filter"
	"postern/internal/entity"
	"postern/internal/said"
)

// Kinds of the records.
const (
	KindMessage entity.Kind = "inbox-message"
	KindCount   entity.Kind = "inbox-count"
)

// Bounds that are not configured.
const (
	MaxTo      = 50  // recipients that a message is found by
	MaxSubject = 998 // octets
	MaxReasons = 100 // reasons, and as many unchecked steps, of a verdict
	MaxText    = 500 // octets of a text within a verdict
	MaxPage    = 200 // messages of a page
	MaxWaiting = 100 // who waits for a message, on one node
	MaxWait    = 90 * time.Second
	every      = time.Minute
	orphaned   = time.Hour // bytes without a record are forgotten after that
)

// Errors, wrapped: use errors.Is.
var (
	ErrTooLarge = said.New("inbox.the-message-is-larger-than-the-test", "the message is larger than the test inbox")
	ErrBusy     = said.New("inbox.too-many-wait-for-a-message-just", "too many wait for a message just now")
	ErrInvalid  = said.New("inbox.it-cannot-be-asked-like-this", "it cannot be asked like this")
)

// Limits bound what is kept.
type Limits struct {
	Messages int
	Bytes    int64
	Keep     time.Duration
}

// Message is one kept message: its envelope and its verdict. Text fields hold what strangers
// wrote.
type Message struct {
	ID        string    `json:"id"`
	At        time.Time `json:"at"`
	Reference string    `json:"reference"` // the gateway's ID of it: of its log line, trace and headers
	Node      string    `json:"node"`
	From      string    `json:"from"` // of the envelope; "" is the null sender
	To        []string  `json:"to"`   // of the envelope
	Client    Client    `json:"client"`
	Subject   string    `json:"subject"`
	Size      int64     `json:"size"`
	SHA256    string    `json:"sha256"` // of the bytes kept, the gateway's own header fields included
	Verdict   Verdict   `json:"verdict"`
}

// Client is who sent a message.
type Client struct {
	IP      string `json:"ip,omitempty"`
	Name    string `json:"name,omitempty"` // confirmed reverse name
	Helo    string `json:"helo,omitempty"`
	TLS     string `json:"tls,omitempty"`     // version; "" is clear text
	Account string `json:"account,omitempty"` // who signed in
}

// Verdict is what was decided about a message.
type Verdict struct {
	Action    string      `json:"action" jsonschema:"enum=accept,enum=tag,enum=quarantine"` // quarantine: anybody else's would have been held
	Score     float64     `json:"score"`                                                    // points
	Policy    string      `json:"policy,omitempty"`
	Rules     string      `json:"rules,omitempty"` // revision
	Reasons   []Reason    `json:"reasons"`
	Unchecked []Unchecked `json:"unchecked"`
}

// Reason is one line of a verdict.
type Reason struct {
	Symbol   string  `json:"symbol"`
	Score    float64 `json:"score"` // points
	Describe string  `json:"describe,omitempty"`
	Detail   string  `json:"detail,omitempty"`
}

// Unchecked is a step that could not tell.
type Unchecked struct {
	Step   string `json:"step"`
	Reason string `json:"reason"`
}

// Box is the test inbox of a node; all nodes of a home share what is in it.
type Box struct {
	Home   entity.Home
	Node   string
	Now    func() time.Time
	Random io.Reader
	Log    *slog.Logger
	Limits func() Limits
	Has    func(domain string) bool // which domains are kept for tests

	mu      sync.Mutex
	pending map[string]Counts // by domain, not written yet
	wake    chan struct{}
	waiting chan struct{}
}

// Open makes b ready.
func (b *Box) Open() *Box {
	b.pending, b.wake, b.waiting = map[string]Counts{}, make(chan struct{}, 1), make(chan struct{}, MaxWaiting)
	return b
}

func (b *Box) messages() entity.Table[Message] {
	return entity.Table[Message]{
		Store: b.Home, Kind: KindMessage, ID: func(m *Message) string { return m.ID },
		Keys: func(m *Message) []entity.Key {
			at := m.At.UnixMilli()
			keys := []entity.Key{{Index: "all", At: at}, {Index: "sum", Value: m.SHA256, At: at}}
			for _, to := range m.To {
				keys = append(keys, entity.Key{Index: "to", Value: fold(to), At: at})
			}
			return keys
		},
	}
}

// fold is how addresses are compared here.
func fold(address string) string {
	address = strings.ToLower(strings.TrimSpace(address))
	return clip(address, entity.MaxValue)
}

// clip shortens text to n octets and leaves it UTF-8.
func clip(s string, n int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// Fits reports whether a message of that size can be kept at all.
func (b *Box) Fits(size int64) bool { return size <= min(b.Limits().Bytes, entity.MaxBlob) }

// Put keeps the bytes of a message of at most size octets, durably, and returns their name.
// Nobody sees them before Add.
func (b *Box) Put(ctx context.Context, size int64, r io.Reader) (sum string, n int64, err error) {
	if !b.Fits(size) {
		return "", 0, ErrTooLarge
	}
	if err := b.makeRoom(ctx, size, 1); err != nil {
		return "", 0, err
	}
	return b.Home.PutBlob(ctx, entity.Inbox, r)
}

// Forget gives bytes up that no message became of.
func (b *Box) Forget(ctx context.Context, sum string) error {
	n, err := b.messages().Count(ctx, entity.Query{Index: "sum", Value: sum}, 1)
	if err != nil || n > 0 {
		return err
	}
	return b.Home.RemoveBlob(ctx, entity.Inbox, sum)
}

// Add makes a message of bytes that were put: from now on it is there, on every node.
func (b *Box) Add(ctx context.Context, m Message, v filter.Verdict) (Message, error) {
	id, err := filter.NewID(b.Now(), b.Random)
	if err != nil {
		return m, err
	}
	m.ID, m.At, m.Node, m.Verdict = id, b.Now().UTC(), b.Node, told(v)
	m.To = slices.Clone(m.To[:min(len(m.To), MaxTo)])
	m.Subject, m.From = clip(m.Subject, MaxSubject), clip(m.From, MaxSubject)
	m.Client.Helo = clip(m.Client.Helo, MaxText)
	row, err := b.messages().Create(ctx, m)
	return row.Value, err
}

// told is a verdict as programs read it.
func told(v filter.Verdict) Verdict {
	out := Verdict{Action: v.Action.String(), Score: v.Score.Points(), Policy: v.Policy, Rules: v.Rules, Reasons: []Reason{}, Unchecked: []Unchecked{}}
	for _, r := range v.Reasons[:min(len(v.Reasons), MaxReasons)] {
		out.Reasons = append(out.Reasons, Reason{Symbol: r.Symbol, Score: r.Score.Points(), Describe: clip(r.Describe, MaxText), Detail: clip(r.Detail, MaxText)})
	}
	for _, f := range v.Failures[:min(len(v.Failures), MaxReasons)] {
		out.Unchecked = append(out.Unchecked, Unchecked{Step: f.Step, Reason: clip(f.Reason, MaxText)})
	}
	return out
}

// Run forgets what is too old, writes the counters, and ends with ctx.
func (b *Box) Run(ctx context.Context) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	defer func() { b.flush(context.WithoutCancel(ctx)) }()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-b.wake:
			b.flush(ctx)
		case <-tick.C:
			b.flush(ctx)
			if err := b.Tend(ctx); err != nil && ctx.Err() == nil {
				b.Log.Warn("test inbox", "err", err)
			}
		}
	}
}
