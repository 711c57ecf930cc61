package dossier

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"

	"postern/abuse/cases/flow"
	"postern/abuse/cases/terms"
	"postern/internal/entity"
)

// The indexes of cases. Those named after a queue hold open cases that stand alone, ordered by
// their next deadline.
const (
	IndexQueue    = "queue"    // value "": all
	IndexOwner    = "owner"    // "-" = Nobody
	IndexState    = "state"    //
	IndexPriority = "priority" // U1..U4
	IndexCategory = "category" //
	IndexGrade    = "grade"    // P0..P4
	IndexView     = "view"     // guarantee
	IndexAccount  = "account"  // all cases, by when they were opened
	IndexSource   = "source"   // the same
	IndexDomain   = "domain"   // of the account: the same
	IndexOpened   = "opened"   // the same
	IndexWord     = "word"     // a word of Terms: the same
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
		keys = append(keys, entity.Key{Index: IndexAccount, Value: Bounded(c.Account), At: opened})
		if d := c.Domain(); d != "" {
			keys = append(keys, entity.Key{Index: IndexDomain, Value: Bounded(d), At: opened})
		}
	}
	for _, source := range c.Sources() {
		keys = append(keys, entity.Key{Index: IndexSource, Value: Bounded(source), At: opened})
	}
	for _, w := range terms.Of(c.Searched()) {
		keys = append(keys, entity.Key{Index: IndexWord, Value: w, At: opened})
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
		{Index: IndexQueue, At: due},
		{Index: IndexOwner, Value: Bounded(owner), At: due},
		{Index: IndexState, Value: string(c.State), At: due},
		{Index: IndexPriority, Value: fmt.Sprintf("U%d", c.Priority), At: due},
		{Index: IndexGrade, Value: fmt.Sprintf("P%d", c.Grade), At: due},
	}
	for _, cat := range c.Categories {
		keys = append(keys, entity.Key{Index: IndexCategory, Value: string(cat), At: due})
	}
	if c.State == flow.Suspended || c.State == flow.GuaranteeIn {
		keys = append(keys, entity.Key{Index: IndexView, Value: "guarantee", At: due})
	}
	return keys
}

// Domain is that of the case's account, or "".
func (c *Case) Domain() string {
	_, domain, _ := strings.Cut(c.Account, "@")
	return strings.ToLower(domain)
}

// Sources are the names of a source elsewhere.
func (c *Case) Sources() []string {
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

// At is where a case stands in the order of a query.
func At(c *Case, q entity.Query) int64 {
	for _, k := range caseKeys(c) {
		if k.Index == q.Index && k.Value == q.Value {
			return k.At
		}
	}
	return c.Opened.UnixMilli() // it is of the same list by another query
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

// Subject says which case the reports about one thing go to.
type Subject struct {
	Name string `json:"name"`
	Case string `json:"case"`
}

// Subjects is the table of subjects.
func Subjects(s entity.Store) entity.Table[Subject] {
	return entity.Table[Subject]{Store: s, Kind: "case-subject", ID: func(s *Subject) string { return Hashed(s.Name) }}
}

// Hashed makes an ID of any text.
func Hashed(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Bounded makes a text fit for a key's value.
func Bounded(s string) string {
	s = strings.ToValidUTF8(s, "?")
	if len(s) > entity.MaxValue {
		return "#" + Hashed(s)
	}
	return s
}
