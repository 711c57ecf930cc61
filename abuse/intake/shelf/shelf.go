// Package shelf keeps what the intake writes down: reports as they came, what became of them, and
// which report voted for a delivered copy.
package shelf

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"postern/abuse/complaint"
	"postern/abuse/proof"
	"postern/internal/entity"
)

// The kinds of records that this room keeps.
const (
	KindReport entity.Kind = "report"        // what came, never changed
	KindWork   entity.Kind = "report-work"   // what became of it
	KindCopy   entity.Kind = "report-copy"   // the first report with a vote of each delivered copy
	KindReplay entity.Kind = "report-replay" // messages that are replayed
)

// The ways a report comes in.
const (
	ByMail       = "mail"       // at an address of the desk
	ByPostmaster = "postmaster" // among the mail of a postmaster
	ByForm       = "form"
	ByAPI        = "api"
	ByPhone      = "phone"
	ByCSV        = "csv"
)

// Report is one report as it came in. Its record never changes.
type Report struct {
	ID     string    `json:"id"`
	At     time.Time `json:"at"`
	By     string    `json:"by"` // mail, postmaster, form, api, phone, csv
	SHA256 string    `json:"sha256"`
	Size   int64     `json:"size"`

	MessageID string     `json:"message_id,omitempty"` // the gateway's own ID of the mail
	Listener  string     `json:"listener,omitempty"`
	Client    netip.Addr `json:"client,omitzero"`
	Port      uint16     `json:"port,omitempty"`
	Name      string     `json:"name,omitempty"` // confirmed reverse name
	Helo      string     `json:"helo,omitempty"`
	TLS       string     `json:"tls,omitempty"` // version and cipher; "" = clear text
	Account   string     `json:"account,omitempty"`
	From      string     `json:"from"` // MAIL FROM; "" is the null sender
	To        []string   `json:"to,omitempty"`
	Auth      Auth       `json:"auth"`
	Actor     string     `json:"actor,omitempty"` // who entered it; "" = a stranger
	// Traced: amid a flood, and yet a trace token of ours is in it: it is worked on in full.
	Traced bool `json:"traced,omitempty"`
}

// Auth is what SPF, DKIM and DMARC said of the report itself.
type Auth struct {
	SPF    string   `json:"spf,omitempty"`
	DKIM   []string `json:"dkim,omitempty"` // domains whose signature passed
	DMARC  string   `json:"dmarc,omitempty"`
	Author string   `json:"author,omitempty"` // domain that DMARC was asked about
}

// The states of the work on a report.
const (
	New    = "new"
	Done   = "done"
	Folded = "folded" // one of a flood: stored and linked, not read
	Failed = "failed" // could not be worked on; people got it as it is
)

// Work is what became of a report.
type Work struct {
	Report   string           `json:"report"`
	At       time.Time        `json:"at"` // the report's
	State    string           `json:"state"`
	Hurry    bool             `json:"hurry,omitempty"` // of somebody who is proved: before the others
	Tries    int              `json:"tries,omitempty"`
	Ended    time.Time        `json:"ended,omitzero"`
	Format   complaint.Format `json:"format,omitempty"`
	Feedback string           `json:"feedback,omitempty"`
	Language string           `json:"language,omitempty"`
	Reporter string           `json:"reporter,omitempty"` // proved address, or the source it is counted under
	Trust    proof.Trust      `json:"trust"`
	Feed     string           `json:"feed,omitempty"`
	Person   bool             `json:"person,omitempty"`
	Proof    proof.Proof      `json:"proof,omitzero"`
	Fold     string           `json:"fold,omitempty"`
	Cases    []string         `json:"cases,omitempty"`
	Copied   bool             `json:"copied,omitempty"` // a safe copy went to the mailbox for them
	Judged   string           `json:"judged,omitempty"` // right, wrong or abusive, as people found
	JudgedBy string           `json:"judged_by,omitempty"`
	// JudgedWith is the case whose state said it; "" = by hand.
	JudgedWith string   `json:"judged_with,omitempty"`
	Problems   []string `json:"problems,omitempty"`
	SHA256     string   `json:"sha256"`
}

// Milli is the At of a key for a time.
func Milli(t time.Time) int64 { return t.UnixMilli() }

// Value fits text into the value of a key.
func Value(s string) string {
	s = strings.ToValidUTF8(strings.ToLower(s), "?")
	for len(s) > 200 {
		s = strings.ToValidUTF8(s[:200], "")
	}
	return s
}

// Reports are the reports.
func Reports(s entity.Store) entity.Table[Report] {
	return entity.Table[Report]{Store: s, Kind: KindReport, ID: func(r *Report) string { return r.ID }, Keys: func(r *Report) []entity.Key {
		return []entity.Key{{Index: "all", At: Milli(r.At)}, {Index: "sum", Value: r.SHA256, At: Milli(r.At)}}
	}}
}

// queue is the index value under which waiting work stands: the proved come first.
func (w *Work) queue() string {
	if w.State == New && w.Hurry {
		return "new-first"
	}
	return w.State
}

// Works are what became of them.
func Works(s entity.Store) entity.Table[Work] {
	return entity.Table[Work]{Store: s, Kind: KindWork, ID: func(w *Work) string { return w.Report }, Keys: func(w *Work) []entity.Key {
		at := Milli(w.At)
		keys := []entity.Key{{Index: "state", Value: w.queue(), At: at}, {Index: "all", At: at}}
		for index, v := range map[string]string{"reporter": w.Reporter, "fold": w.Fold, "feed": w.Feed, "account": w.Proof.Account, "format": string(w.Format)} {
			if v != "" {
				keys = append(keys, entity.Key{Index: index, Value: Value(v), At: at})
			}
		}
		if w.Judged != "" {
			keys = append(keys, entity.Key{Index: "judged", Value: w.Judged + " " + Value(w.Reporter), At: at})
		}
		for _, c := range w.Cases {
			keys = append(keys, entity.Key{Index: "case", Value: Value(c), At: at})
		}
		return keys
	}}
}

// Vote is the record of a copy that a report has voted for.
type Vote struct {
	Copy   string `json:"copy"`
	Report string `json:"report"`
}

// Votes are the copies that were voted for.
func Votes(s entity.Store) entity.Table[Vote] {
	return entity.Table[Vote]{Store: s, Kind: KindCopy, ID: func(v *Vote) string { return v.Copy }}
}

// Proved reports whether somebody stands behind a report: a login, or DMARC.
func (r *Report) Proved() bool { return r.Account != "" || r.Actor != "" || r.Auth.DMARC == "pass" }

// SignedBy reports whether a domain that passed DKIM stands for an author's domain.
func (a Auth) SignedBy(author string) bool {
	author = strings.ToLower(author)
	return author != "" && slices.ContainsFunc(a.DKIM, func(d string) bool {
		return d == author || strings.HasSuffix(author, "."+d) || strings.HasSuffix(d, "."+author)
	})
}
