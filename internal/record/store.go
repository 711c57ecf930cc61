package record

import (
	"context"
	"encoding/json"
	"net/netip"
	"time"
)

// Traffic is a home for traffic rows.
type Traffic interface {
	// Add takes a row without waiting for the disk; false = the buffer is full and the row
	// was dropped and counted.
	Add(r Row) bool
	// Find returns rows that match, newest first. A page may be short, or empty, and still
	// have a Next: the search goes on there.
	Find(ctx context.Context, q Trace) (Page, error)
	// Prune removes rows older than t; a home that keeps rows by the hour leaves the hour that
	// t lies in whole.
	Prune(ctx context.Context, t time.Time) (n int, err error)
}

// Trace asks what became of a message. Zero fields match all; fields are joined by AND.
type Trace struct {
	ID        string       `json:"id,omitempty"`         // the gateway's ID, or a hold's
	From      string       `json:"from,omitempty"`       // address or "@domain"; "<>" is the null sender
	To        string       `json:"to,omitempty"`         // address or "@domain"
	MessageID string       `json:"message_id,omitempty"` // with or without angle brackets
	Subject   string       `json:"subject,omitempty"`    // words; all must occur
	IP        netip.Prefix `json:"ip,omitzero"`
	Account   string       `json:"account,omitempty"`   // name of the account that sent it
	Direction string       `json:"direction,omitempty"` // inbound or outbound
	State     string       `json:"state,omitempty"`     // what became of one of the copies: see Fate
	Reply     string       `json:"reply,omitempty"`     // a word of a reply: what the server behind called it, see ReplyWords
	Since     time.Time    `json:"since,omitzero"`      // Time in [Since, Until)
	Until     time.Time    `json:"until,omitzero"`
	Limit     int          `json:"limit,omitempty"` // 0 = 50, at most 1000
	After     string       `json:"after,omitempty"` // Next of the page before
}

// Page is one page of rows. Next is "" on the last one.
type Page struct {
	Rows []Row  `json:"rows"`
	Next string `json:"next,omitempty"`
}

// Entry is one line of the audit. Hash chains each to the one before.
type Entry struct {
	Seq    int64           `json:"seq"` // 1, 2, 3 ... without a gap
	Time   time.Time       `json:"time"`
	Actor  string          `json:"actor"`
	Action string          `json:"action"` // release, delete, expire, suspend, restore, list-add, rules ...
	Object string          `json:"object"` // what it was done to: a hold, an account, a list entry
	Before json.RawMessage `json:"before,omitempty"`
	After  json.RawMessage `json:"after,omitempty"`
	Note   string          `json:"note,omitempty"`
	Prev   string          `json:"prev"` // hash of the entry before; "" of the first
	Hash   string          `json:"hash"`
}

// AuditStore is a home for the audit. It only ever appends.
type AuditStore interface {
	// Append numbers, chains and writes e durably, and returns it as written.
	Append(ctx context.Context, e Entry) (Entry, error)
	// Entries returns up to limit entries with a Seq above after, in order.
	Entries(ctx context.Context, after int64, limit int) ([]Entry, error)
}

// DefaultPage and MaxPage bound the size of a page.
const (
	DefaultPage = 50
	MaxPage     = 1000
)

// PageSize is the number of rows a page of this query has at most.
func (q Trace) PageSize() int {
	switch {
	case q.Limit <= 0:
		return DefaultPage
	case q.Limit > MaxPage:
		return MaxPage
	}
	return q.Limit
}
