package dossier

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"postern/abuse/cases/flow"
	"postern/internal/entity"
	"postern/internal/said"
)

// Bounds of a case.
const (
	MaxPending  = 500  // changes whose followers have not all answered
	MaxEvidence = 200  // items
	MaxText     = 4000 // octets of a comment or a reason
	MaxClocks   = 60   // clocks kept; of those that stopped the oldest go first
	MaxDepth    = 20   // cases merged into one another
	MaxNoted    = 100  // lines that are known not to be noted twice
)

// Kind says what a case is about.
type Kind string

// The kinds.
const (
	Local    Kind = "local"    // one of our accounts
	External Kind = "external" // a source elsewhere
)

// Category is a class of spam in the service contract.
type Category string

// The categories.
const (
	Unsolicited  Category = "S1"
	NoRefusal    Category = "S2" // cannot be refused
	HiddenSender Category = "S3"
	FalseRoute   Category = "S4" // false source or route
	Illegal      Category = "S5" // virus, porn, crime
)

// Source is where the mail came from: what a case needs before it can be confirmed.
type Source struct {
	IP     netip.Addr `json:"ip,omitzero"`
	Port   uint16     `json:"port,omitempty"`
	Time   time.Time  `json:"time,omitzero"`
	Helo   string     `json:"helo,omitempty"`
	Domain string     `json:"domain,omitempty"` // d=
	Login  string     `json:"login,omitempty"`
	Serial string     `json:"serial,omitempty"`
}

// whole reports whether the source is known well enough to confirm a case of the kind.
func (s Source) whole(kind Kind, account string) bool {
	address := s.IP.IsValid() && s.Port > 0
	if kind == External {
		return !s.Time.IsZero() && (address || s.Domain != "")
	}
	return account != "" && !s.Time.IsZero() && (address || s.Serial != "")
}

// Evidence is one thing that a case rests on.
type Evidence struct {
	Class entity.Class `json:"class"`
	Sum   string       `json:"sha256"`
	Size  int64        `json:"size,omitempty"`
	Name  string       `json:"name"`
	By    string       `json:"by"`
	At    time.Time    `json:"at"`
}

// Seal is the hash of everything that a case rested on when it was confirmed.
type Seal struct {
	Sum   string    `json:"sha256"` // of the list, class evidence
	Items int       `json:"items"`
	At    time.Time `json:"at"`
	By    string    `json:"by"`
}

// Ending is a permanent end that one person proposed and another has to confirm.
type Ending struct {
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
	Order  string    `json:"order,omitempty"` // a written order, where strikes do not allow it
}

// Case is one problem: an account of ours, or a source elsewhere.
type Case struct {
	ID      string     `json:"id"` // A-2026-000042
	Kind    Kind       `json:"kind"`
	Subject string     `json:"subject"` // what other reports are recognised by
	Team    string     `json:"team,omitempty"`
	State   flow.State `json:"state"`
	Since   time.Time  `json:"since"`
	Opened  time.Time  `json:"opened"` // the first report's receipt
	Changed time.Time  `json:"changed"`
	Closed  time.Time  `json:"closed,omitzero"`

	Account    string     `json:"account,omitempty"`
	Source     Source     `json:"source"`
	Owner      string     `json:"owner,omitempty"` // a person; "" = nobody took it
	Categories []Category `json:"categories,omitempty"`
	Priority   int        `json:"priority"` // 1..4 for U1..U4
	Grade      int        `json:"grade"`    // the best proof
	Sentence   string     `json:"sentence,omitempty"`
	Said       said.Words `json:"said,omitzero"` // the sentence by its code
	Trust      int        `json:"trust"`
	Language   string     `json:"language,omitempty"`
	Person     bool       `json:"person,omitempty"` // somebody is owed an answer
	Drill      bool       `json:"drill,omitempty"`
	LegalHold  bool       `json:"legal_hold,omitempty"`
	Class      string     `json:"class,omitempty"`

	Votes   int `json:"votes"`   // hundredths
	Reports int `json:"reports"` // all, those folded included
	Folded  int `json:"folded,omitempty"`

	Clocks     []flow.Clock `json:"clocks,omitempty"`
	Evidence   []Evidence   `json:"evidence,omitempty"`
	Seals      []Seal       `json:"seals,omitempty"`
	MergedInto string       `json:"merged_into,omitempty"`

	Measure  string  `json:"measure,omitempty"` // the last one's ID
	Level    int     `json:"level,omitempty"`   // of it
	Pack     string  `json:"pack,omitempty"`    // guarantee
	Strikes  int     `json:"strikes,omitempty"`
	Ending   *Ending `json:"ending,omitempty"`
	NoAbuse  bool    `json:"no_abuse,omitempty"` // released because nothing was wrong
	Reopened int     `json:"reopened,omitempty"`

	Acked      time.Time `json:"acked,omitzero"`
	Decided    time.Time `json:"decided,omitzero"` // the first decision or human answer
	DecidedBy  string    `json:"decided_by,omitempty"`
	ResultAt   time.Time `json:"result_at,omitzero"` // the first result, sent or barred
	ResultNote string    `json:"result_note,omitempty"`
	Barred     bool      `json:"barred,omitempty"`
	Contained  time.Time `json:"contained,omitzero"`

	Seq      int      `json:"seq"`                // of the last event
	Pending  []Event  `json:"pending,omitempty"`  // events whose followers have not all answered
	Counting []string `json:"counting,omitempty"` // reports that are counted above and not yet marked as such
	Noted    []string `json:"noted,omitempty"`    // the last lines that are not noted twice
}

// Event is one line of a case's timeline.
type Event struct {
	Case   string            `json:"case"`
	Seq    int               `json:"seq"`
	At     time.Time         `json:"at"`
	Actor  string            `json:"actor"`
	Action string            `json:"action"`
	From   flow.State        `json:"from,omitempty"`
	To     flow.State        `json:"to,omitempty"`
	Text   string            `json:"text,omitempty"`
	Said   said.Words        `json:"said,omitzero"` // Text by its code; what people wrote has none
	Report string            `json:"report,omitempty"`
	Data   map[string]string `json:"data,omitempty"`
	// Once names a line that stands in the timeline once, however often it is noted.
	Once string `json:"-"`
	// Stopped are the clocks that this change has stopped.
	Stopped []flow.Name `json:"stopped,omitempty"`

	Answered []string  `json:"answered,omitempty"` // followers that are done with it
	Tries    int       `json:"tries,omitempty"`
	Next     time.Time `json:"next,omitzero"` // when followers are asked again
}

// Tell sets what is said of a change.
func (e *Event) Tell(w said.Words) { w.Map(Clip).Put(&e.Text, &e.Said) }

// Words is what is said of a change: as it is kept, or as a room hands it in, with Said whole.
func (e *Event) Words() said.Words {
	if e.Said.English != "" {
		return e.Said
	}
	return said.Kept(e.Text, e.Said)
}

// Link ties a report to its case.
type Link struct {
	Complaint
	Case      string `json:"case"` // "" = not placed yet
	Counts    int    `json:"counts"`
	Duplicate bool   `json:"duplicate,omitempty"`
	Counted   bool   `json:"counted,omitempty"`
}

// Clock finds the last clock of a name, or nil.
func (c *Case) Clock(n flow.Name) *flow.Clock {
	for i := len(c.Clocks) - 1; i >= 0; i-- {
		if c.Clocks[i].Name == n {
			return &c.Clocks[i]
		}
	}
	return nil
}

// Running finds the running clock of a name, or nil.
func (c *Case) Running(n flow.Name) *flow.Clock {
	if k := c.Clock(n); k != nil && k.Running() {
		return k
	}
	return nil
}

// Open reports whether something is still to be done.
func (c *Case) Open() bool { return c.State != flow.Closed }

// Deadline is the next one: what the case has to be ordered by.
func (c *Case) Deadline() (at time.Time, name flow.Name, ok bool) {
	for _, k := range c.Clocks {
		if k.Ticking() && k.Name != flow.Data && k.Name != flow.Purge && k.Name != flow.Reminder && (!ok || k.Due().Before(at)) {
			at, name, ok = k.Due(), k.Name, true
		}
	}
	if !ok {
		for _, k := range c.Clocks {
			if k.Ticking() && (!ok || k.Due().Before(at)) {
				at, name, ok = k.Due(), k.Name, true
			}
		}
	}
	return at, name, ok
}

// NextMark is when somebody is told of a clock next. Of a merged case only the clocks that run
// over states are told: the others wait until it stands alone again.
func (c *Case) NextMark() (at time.Time, ok bool) {
	for _, k := range c.Clocks {
		if c.MergedInto != "" && !k.Name.Life() {
			continue
		}
		if next, has := k.Next(); has && (!ok || next.Before(at)) {
			at, ok = next, true
		}
	}
	return at, ok
}

// Audited is what the audit trail keeps of a case.
func (c *Case) Audited() map[string]any {
	return map[string]any{
		"state": c.State, "owner": c.Owner, "priority": fmt.Sprintf("U%d", c.Priority), "categories": c.Categories,
		"votes": c.Votes, "reports": c.Reports, "merged_into": c.MergedInto, "legal_hold": c.LegalHold, "account": c.Account,
	}
}

// Valid holds what no case may lack, whoever writes it.
func (c *Case) Valid() error {
	def, ok := flow.Of(c.State)
	switch {
	case !ok:
		return Refuse(ErrInvalid, "case.there-is-no-state", "there is no state %q", "state", c.State)
	case def.Proven && len(c.Evidence) == 0:
		return Refuse(ErrNeeds, "case.cannot-be-it-has-no-evidence", "%s cannot be %s: it has no evidence", "id", c.ID, "state", c.State)
	case def.Proven && !c.Source.whole(c.Kind, c.Account):
		return Refuse(ErrNeeds, "case.cannot-be-its-source-is-not-known", "%s cannot be %s: its source is not known; an account needs its client's IP and port or the message's serial, a source elsewhere IP and port or d=, each with the time", "id", c.ID, "state", c.State)
	case def.Proven && len(c.Seals) == 0:
		return Refuse(ErrNeeds, "case.cannot-be-its-evidence-is-not-sealed", "%s cannot be %s: its evidence is not sealed", "id", c.ID, "state", c.State)
	case def.Proven && c.Kind == Local && len(c.Categories) == 0:
		return Refuse(ErrNeeds, "case.cannot-be-it-has-no-category", "%s cannot be %s: it has no category", "id", c.ID, "state", c.State)
	case c.Votes < 0 || c.Reports < 0 || c.Priority < 1 || c.Priority > 4:
		return Refuse(ErrInvalid, "case.votes-reports-priority", "%s: votes %d, reports %d, priority %d", "id", c.ID, "votes", c.Votes, "reports", c.Reports, "priority", c.Priority)
	}
	return nil
}

// start sets a clock going, and forgets old ones that stopped.
func (c *Case) start(k flow.Clock) {
	for len(c.Clocks) >= MaxClocks {
		i := slices.IndexFunc(c.Clocks, func(k flow.Clock) bool { return !k.Running() })
		c.Clocks = slices.Delete(c.Clocks, max(i, 0), max(i, 0)+1)
	}
	c.Clocks = append(c.Clocks, k)
}
