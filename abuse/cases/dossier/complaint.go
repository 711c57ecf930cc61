package dossier

import (
	"cmp"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"

	"postern/abuse/calendar"
	"postern/abuse/cases/flow"
	"postern/internal/entity"
	"postern/internal/said"
)

// Complaint is what a case learns from one report: facts that were established, never what the
// report merely asserts.
type Complaint struct {
	Report string    `json:"report"` // ID of the report's record
	At     time.Time `json:"at"`     // received
	Raw    string    `json:"raw"`    // SHA-256 of the bytes as they arrived, class intake; "" = none kept
	Kind   Kind      `json:"kind"`   // "" is Local; External: a local user complains of what came in

	Grade    int        `json:"grade"`              // 0..4 for P0..P4
	Class    string     `json:"class,omitempty"`    // TRANSPLANT, REPLAY, DUPLICATE or ""
	Sentence string     `json:"sentence,omitempty"` // the proof in one sentence
	Said     said.Words `json:"said,omitzero"`      // the sentence by its code

	Account  string         `json:"account,omitempty"` // "" = none is named by the proof
	Serial   string         `json:"serial,omitempty"`  // of the message
	To       string         `json:"to,omitempty"`      // whose copy is reported, where that is proved
	Copy     string         `json:"copy,omitempty"`    // key of the delivered copy; one vote each
	Accepted int            `json:"accepted,omitempty"`
	Votes    int            `json:"votes,omitempty"` // hundredths; what the copy may be worth at most
	Client   netip.AddrPort `json:"client,omitzero"` // where the account sent from
	Login    string         `json:"login,omitempty"`
	SentAt   time.Time      `json:"sent_at,omitzero"`

	SourceIP     netip.Addr `json:"source_ip,omitzero"` // of an external source, as our own listener saw it
	SourcePort   uint16     `json:"source_port,omitempty"`
	SourceDomain string     `json:"source_domain,omitempty"` // d= of a signature that passed
	SourceHelo   string     `json:"source_helo,omitempty"`
	SourceTime   time.Time  `json:"source_time,omitzero"`

	Feedback string `json:"feedback,omitempty"` // Feedback-Type, folded
	Reporter string `json:"reporter,omitempty"`
	Trust    int    `json:"trust"`              // 0..3 for T0..T3
	Feed     bool   `json:"feed,omitempty"`     // a feedback loop: no answer, not in FRT
	Person   bool   `json:"person,omitempty"`   // is owed an answer
	Language string `json:"language,omitempty"` // zh, en, ru, el; "" = unknown
	Unparsed bool   `json:"unparsed,omitempty"`
	Drill    bool   `json:"drill,omitempty"`
	// Fold, if set, is the flood that the report belongs to: it is linked and counted, and
	// makes no line of its own.
	Fold string `json:"fold,omitempty"`
	// More is how many further reports of that flood this one stands for.
	More int `json:"more,omitempty"`
}

// Proved is the proof in one sentence.
func (c *Complaint) Proved() said.Words { return said.Kept(c.Sentence, c.Said) }

// Check says why a complaint cannot be taken, or nil.
func (c *Complaint) Check() error {
	switch {
	case c.Report == "" || c.At.IsZero():
		return Refuse(ErrInvalid, "case.a-complaint-needs-its-reports-id-and", "a complaint needs its report's ID and time")
	case c.Grade < 0 || c.Grade > 4 || c.Trust < 0 || c.Trust > 3:
		return Refuse(ErrInvalid, "case.report-proof-p-trust-t", "report %.40s: proof P%d, trust T%d", "report", c.Report, "grade", c.Grade, "trust", c.Trust)
	case c.More < 0 || c.More > 0 && c.Fold == "":
		return Refuse(ErrInvalid, "case.report-only-one-of-a-flood-stands", "report %.40s: only one of a flood stands for more", "report", c.Report)
	case c.Kind == External && !c.SourceIP.IsValid() && c.SourceDomain == "":
		return Refuse(ErrInvalid, "case.report-a-source-elsewhere-needs-its-ip", "report %.40s: a source elsewhere needs its IP or d=", "report", c.Report)
	}
	return nil
}

// Subject is what the reports about one problem have in common.
func (c *Complaint) Subject() string {
	prefix := ""
	if c.Drill {
		prefix = "drill "
	}
	switch {
	case c.Kind == External && c.SourceDomain != "":
		return prefix + "domain " + strings.ToLower(c.SourceDomain)
	case c.Kind == External:
		return prefix + "ip " + c.SourceIP.Unmap().String()
	case c.Account != "":
		return prefix + "account " + strings.ToLower(c.Account)
	case c.Fold != "":
		return prefix + "flood " + c.Fold
	case c.Copy != "" || c.Serial != "": // one reporter, one message, however it came
		return prefix + "message " + strings.ToLower(c.Reporter) + " " + cmp.Or(c.Copy, c.Serial)
	}
	return prefix + "report " + c.Report
}

// Fresh is a new case for a report.
func Fresh(id string, r *Complaint, now time.Time, cal *calendar.Calendar) (Case, error) {
	now = now.UTC()
	c := Case{
		ID: id, Kind: cmp.Or(r.Kind, Local), Subject: r.Subject(), Opened: r.At.UTC(), Changed: now,
		Account: r.Account, Priority: 4, Language: r.Language, Drill: r.Drill, Class: r.Class,
	}
	state := flow.Triage
	switch {
	case c.Kind == External:
		state = flow.Detected
	case r.Unparsed:
		state = flow.Unparsed
	case r.Grade == 0:
		state = flow.NotOurs
	}
	if err := errors.Join(c.Run(flow.First, c.Opened, cal), c.Run(flow.Result, c.Opened, cal)); err != nil {
		return c, err
	}
	if err := c.Enter(state, Machine(), now, cal); err != nil {
		return c, err
	}
	e := Event{Case: id, Seq: 1, At: now, Actor: Machine().Name, Action: "opened", To: state, Report: r.Report, Next: now}
	e.Tell(r.Proved())
	c.Seq, c.Pending = 1, []Event{e}
	return c, nil
}

// Sum adds what a report says to its case.
func (c *Case) Sum(l *Link, e *Event, cal *calendar.Calendar) error {
	c.Reports += 1 + l.More
	if l.Fold != "" {
		c.Folded += 1 + l.More
	}
	c.Votes += l.Counts
	if l.Grade > c.Grade || c.Sentence == "" {
		l.Proved().Map(Clip).Put(&c.Sentence, &c.Said)
	}
	c.Grade, c.Trust = max(c.Grade, l.Grade), max(c.Trust, l.Trust)
	c.Language = cmp.Or(c.Language, l.Language)
	c.Source.learn(&l.Complaint)
	if l.Raw != "" && l.Fold == "" && len(c.Evidence) < MaxEvidence && !c.Has(l.Raw) {
		c.Evidence = append(c.Evidence, Evidence{Class: entity.Intake, Sum: l.Raw, Name: "report " + l.Report, By: Machine().Name, At: e.At})
	}
	if l.Person {
		c.Person = true
		if err := c.owe(l, cal); err != nil {
			return err
		}
	}
	if p := l.priority(); p < c.Priority {
		return c.Raise(p, l.At.UTC(), cal)
	}
	return nil
}

// owe starts the clocks of what a person is owed: to hear that the report arrived, unless
// nobody knows who that person is, and to hear what came of it.
func (c *Case) owe(l *Link, cal *calendar.Calendar) error {
	at := l.At.UTC()
	if l.Trust > 0 {
		if err := c.Run(flow.Ack, at, cal); err != nil {
			return err
		}
	}
	if !c.Open() || !c.ResultAt.IsZero() && l.Grade == 0 { // it was told already
		return nil
	}
	return c.Run(flow.Result, at, cal)
}

// Has reports whether a case has evidence by its hash.
func (c *Case) Has(sum string) bool {
	return slices.ContainsFunc(c.Evidence, func(e Evidence) bool { return e.Sum == sum })
}

// learn takes over what a report proves about the source.
func (s *Source) learn(c *Complaint) {
	switch {
	case c.Kind == External:
		if !s.IP.IsValid() && s.Time.IsZero() {
			s.IP, s.Port, s.Helo, s.Time = c.SourceIP, c.SourcePort, Clip(c.SourceHelo), c.SourceTime.UTC()
		}
		s.Domain = cmp.Or(s.Domain, strings.ToLower(c.SourceDomain))
	case c.Grade >= 2 && s.Time.IsZero():
		s.IP, s.Port, s.Time = c.Client.Addr(), c.Client.Port(), c.SentAt.UTC()
		s.Login, s.Serial = c.Login, c.Serial
	}
}

// priority is what one report asks for.
func (c *Complaint) priority() int {
	bad := c.Feedback == "virus" || c.Feedback == "fraud" || c.Feedback == "phishing" || c.Feedback == "malware"
	switch {
	case c.Feedback == "not-spam":
		return 4
	case bad && c.Grade >= 2:
		return 1
	case c.Grade >= 1 && (c.Person || bad || c.Trust == 3), c.Kind == External && c.Person:
		return 3
	}
	return 4
}

// First remembers a line, and reports whether it was not known among the last ones.
func (c *Case) First(line string) bool {
	line = Hashed(line)
	if slices.Contains(c.Noted, line) {
		return false
	}
	c.Noted = append(c.Noted[max(0, len(c.Noted)+1-MaxNoted):], line)
	return true
}
