package dossier

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"

	"postern/abuse/cases/flow"
	"postern/internal/entity"
)

// The indexes of cases. Those named after a queue hold open cases that stand alone, ordered by
// their next deadline.
const (
	indexQueue    = "queue"    // value "": all
	indexOwner    = "owner"    // "-" = Nobody
	indexState    = "state"    //
	indexPriority = "priority" // U1..U4
	indexCategory = "category" //
	indexGrade    = "grade"    // P0..P4
	indexView     = "view"     // guarantee
	indexAccount  = "account"  // all cases, by when they were opened
	indexSource   = "source"   // the same
	IndexOpened   = "opened"   // the same
	IndexMerged   = "merged"   // the cases merged into one
	IndexDue      = "due"      // by the next mark of a clock
	IndexPending  = "pending"  // by when followers are asked again
)

// never is the deadline of a case that has none, in Unix milliseconds: the end of the year 9999.
const never int64 = 253402300799999

// Nobody is how the index of owners calls a case that Nobody took.
const Nobody = "-"

// Cases is the table of cases.
func Cases(s entity.Store) entity.Table[Case] {
	return entity.Table[Case]{Store: s, Kind: "case", ID: func(c *Case) string { return c.ID }, Keys: caseKeys}
}

func caseKeys(c *Case) []entity.Key {
	opened := c.Opened.UnixMilli()
	keys := []entity.Key{{Index: IndexOpened, At: opened}}
	if c.Account != "" {
		keys = append(keys, entity.Key{Index: indexAccount, Value: bounded(c.Account), At: opened})
	}
	for _, source := range c.sources() {
		keys = append(keys, entity.Key{Index: indexSource, Value: bounded(source), At: opened})
	}
	if len(c.Pending) > 0 {
		keys = append(keys, entity.Key{Index: IndexPending, At: c.Pending[0].Next.UnixMilli()})
	}
	if at, ok := c.NextMark(); ok {
		keys = append(keys, entity.Key{Index: IndexDue, At: at.UnixMilli()})
	}
	switch {
	case c.MergedInto != "":
		keys = append(keys, entity.Key{Index: IndexMerged, Value: c.MergedInto, At: opened})
	case c.Open():
		keys = append(keys, queueKeys(c)...)
	}
	return keys
}

func queueKeys(c *Case) []entity.Key {
	due := never
	if at, _, ok := c.Deadline(); ok {
		due = at.UnixMilli()
	}
	owner := c.Owner
	if owner == "" {
		owner = Nobody
	}
	keys := []entity.Key{
		{Index: indexQueue, At: due},
		{Index: indexOwner, Value: bounded(owner), At: due},
		{Index: indexState, Value: string(c.State), At: due},
		{Index: indexPriority, Value: fmt.Sprintf("U%d", c.Priority), At: due},
		{Index: indexGrade, Value: fmt.Sprintf("P%d", c.Grade), At: due},
	}
	for _, cat := range c.Categories {
		keys = append(keys, entity.Key{Index: indexCategory, Value: string(cat), At: due})
	}
	if c.State == flow.Suspended || c.State == flow.GuaranteeIn {
		keys = append(keys, entity.Key{Index: indexView, Value: "guarantee", At: due})
	}
	return keys
}

// sources are the names of a source elsewhere.
func (c *Case) sources() []string {
	if c.Kind != External {
		return nil
	}
	var out []string
	if c.Source.IP.IsValid() {
		out = append(out, c.Source.IP.String())
	}
	if c.Source.Domain != "" {
		out = append(out, strings.ToLower(c.Source.Domain))
	}
	return out
}

// Events is the table of the timelines.
func Events(s entity.Store) entity.Table[Event] {
	return entity.Table[Event]{
		Store: s, Kind: "case-event",
		ID:   func(e *Event) string { return fmt.Sprintf("%s:%06d", e.Case, e.Seq) },
		Keys: func(e *Event) []entity.Key { return []entity.Key{{Index: "case", Value: e.Case, At: int64(e.Seq)}} },
	}
}

// Links is the table of reports and their cases.
func Links(s entity.Store) entity.Table[Link] {
	return entity.Table[Link]{
		Store: s, Kind: "case-report",
		ID: func(l *Link) string { return Hashed(l.Report) },
		Keys: func(l *Link) []entity.Key {
			var keys []entity.Key
			if l.Case != "" {
				keys = append(keys, entity.Key{Index: "case", Value: l.Case, At: l.At.UnixMilli()})
			}
			if !l.Counted {
				keys = append(keys, entity.Key{Index: "loose", At: l.At.UnixMilli()})
			}
			return keys
		},
	}
}

// Hashed makes an ID of any text.
func Hashed(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// bounded makes a text fit for a key's value.
func bounded(s string) string {
	s = strings.ToValidUTF8(s, "?")
	if len(s) > entity.MaxValue {
		return "#" + Hashed(s)
	}
	return s
}
