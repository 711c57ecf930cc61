// Package report counts what DMARC made of the mail that came in, sends what was counted to
// the owners of the domains (RFC 9990), and keeps the reports that others send us.
package report

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"

	"postern/internal/report/aggregate"
)

// Row is what was seen of one source with one result on one day (UTC), and how often.
type Row struct {
	Day    string           `json:"day"`    // "2026-11-22"
	Domain string           `json:"domain"` // the policy domain, where the record was found
	DMARC  string           `json:"dmarc"`  // the record as published
	Record aggregate.Record `json:"record"` // its Row.Count is not part of what tells rows apart
}

// Key tells rows apart: two with the same key are counted together.
func (r Row) Key() string {
	r.Record.Row.Count = 0
	b, err := json.Marshal(r)
	if err != nil {
		return "" // strings and numbers alone: it cannot be
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}

// DayOf is the day a moment belongs to.
func DayOf(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// Sent is what became of the report about one domain and one day.
type Sent struct {
	Day      string    `json:"day"`
	Domain   string    `json:"domain"`
	At       time.Time `json:"at"`
	ID       string    `json:"id,omitempty"` // Report-ID
	To       []string  `json:"to,omitempty"`
	Messages int64     `json:"messages"`
	Note     string    `json:"note,omitempty"` // why nothing was sent, or not to everybody
}

// The kinds of received reports.
const (
	KindDMARC = "dmarc"
	KindTLS   = "tls"
)

// Received is a report that somebody sent us.
type Received struct {
	Key      string              `json:"key"`  // tells reports apart; the same report sent twice has the same
	Kind     string              `json:"kind"` // KindDMARC or KindTLS
	At       time.Time           `json:"at"`   // when it came
	Message  string              `json:"message"`
	From     string              `json:"from"`   // MAIL FROM or author of the mail
	Proven   bool                `json:"proven"` // DMARC passed for its author
	Org      string              `json:"org"`
	ID       string              `json:"id"`
	Domain   string              `json:"domain"` // of ours
	Begin    time.Time           `json:"begin"`
	End      time.Time           `json:"end"`
	Messages int64               `json:"messages"` // messages, or TLS sessions
	Failed   int64               `json:"failed"`   // that nothing proved, or that failed
	DMARC    *aggregate.Feedback `json:"report,omitempty"`
	TLS      json.RawMessage     `json:"tls,omitempty"`
	Left     int                 `json:"left,omitempty"` // records that were too many to keep
}

// Query chooses received reports.
type Query struct {
	Kind, Domain string    // "" = all
	Since        time.Time // by the end of their period; zero = all
	After        string    // key of the last one seen; "" = from the newest
	Limit        int       // 0 = 100
}

// Store keeps counts and reports. Nothing here is in the way of mail.
type Store interface {
	// Count adds the Count of each row to the row with the same key.
	Count(ctx context.Context, rows ...Row) error
	// Domains are the policy domains with rows on days before the given one that no Sent
	// names, oldest day first.
	Domains(ctx context.Context, before string, limit int) ([]Sent, error)
	// Rows are up to limit rows of one domain and day, those seen most often first.
	Rows(ctx context.Context, day, domain string, limit int) ([]Row, error)
	// Done notes what became of a report, in place of an earlier note.
	Done(ctx context.Context, s Sent) error
	// Sent lists notes, newest first.
	Sent(ctx context.Context, domain string, limit int) ([]Sent, error)
	// Add keeps a received report; false: it is there already.
	Add(ctx context.Context, r Received) (bool, error)
	// Received lists reports without their content, newest period first.
	Received(ctx context.Context, q Query) ([]Received, error)
	// Report is one received report whole; ok is false when there is none.
	Report(ctx context.Context, key string) (r Received, ok bool, err error)
	// Prune drops rows and notes of days before the given time, and reports that came before it.
	Prune(ctx context.Context, before time.Time) error
}
