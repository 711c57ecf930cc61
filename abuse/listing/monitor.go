package listing

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"postern/abuse/cases"
	"postern/abuse/cases/flow"
	"postern/abuse/listing/suspect"
	"postern/internal/entity"
	"postern/internal/said"
)

// Apart is how far two hits lie apart before a listing is believed.
const Apart = 10 * time.Minute

// Listing is one subject on one list.
type Listing struct {
	ID      string    `json:"id"`
	List    string    `json:"list"`
	Subject string    `json:"subject"`
	First   time.Time `json:"first"`          // of the hits in a row
	Last    time.Time `json:"last"`           // hit
	Hits    int       `json:"hits"`           // in a row
	Gone    time.Time `json:"gone,omitzero"`  // when it was found to be off the list
	Since   time.Time `json:"since,omitzero"` // believed since
	Codes   []string  `json:"codes,omitempty"`
	Text    string    `json:"text,omitempty"`
	Case    string    `json:"case,omitempty"`
	Cause   string    `json:"cause,omitempty"` // the case about what is behind it
	Named   string    `json:"named,omitempty"` // who said so; "" = Cause is only suspected, by Suspects
	// Suspects may be behind it, by what was written down before it; the most likely first.
	Suspects []suspect.Suspect `json:"suspects,omitempty"`
	Draft    string            `json:"draft,omitempty"` // notice to the national body, not sent
	Drafted  time.Time         `json:"drafted,omitzero"`
	Sent     time.Time         `json:"sent,omitzero"`  // the notice
	Asked    time.Time         `json:"asked,omitzero"` // for removal
	AskedBy  string            `json:"asked_by,omitempty"`
	Removal  string            `json:"removal,omitempty"`
}

// Open reports whether the subject is held to be listed.
func (l *Listing) Open() bool { return !l.Since.IsZero() && l.Gone.IsZero() }

// Cases is the desk of the cases.
type Cases interface {
	Get(ctx context.Context, id string) (cases.Case, error)
	Open(ctx context.Context, who cases.Actor, o cases.Opening) (cases.Case, error)
	Note(ctx context.Context, id string, v cases.Event) (cases.Case, error)
	AddEvidence(ctx context.Context, who cases.Actor, id string, v cases.Evidence) (cases.Case, error)
	SetSource(ctx context.Context, who cases.Actor, id string, s cases.Source, why said.Words) (cases.Case, error)
	Timeline(ctx context.Context, id, after string, limit int) ([]cases.Event, string, error)
}

// Health is how a list passed its last test.
type Health struct {
	List string    `json:"list"`
	At   time.Time `json:"at"`
	OK   bool      `json:"ok"`
	Why  string    `json:"why,omitempty"`
}

// Monitor watches.
type Monitor struct {
	Home     entity.Home
	Cases    Cases
	DNS      Resolver
	Lists    []List
	Subjects func() []string // own addresses and domains
	Domain   string          // that speaks for the gateway, in cases about addresses
	// Draft writes the notice to the national body; nil = there is none to tell.
	Draft func(ctx context.Context, c cases.Case, l Listing) string
	// Submit sends a drafted notice; the same id goes once.
	Submit func(ctx context.Context, id string, l Listing, text string) error
	// Suspect ranks who may be behind a listing, by what is written down at a time.
	Suspect func(ctx context.Context, subject string, at time.Time) ([]suspect.Suspect, error)
	Audit   func(ctx context.Context, actor, action, object string, before, after any, note string) error
	Alarm   func(ctx context.Context, key, text string, over bool)
	Now     func() time.Time
	Log     *slog.Logger
}

// Errors of a Monitor.
var (
	ErrNotFound = said.New("listing.listing-no-such-listing", "listing: no such listing")
	ErrNobody   = said.New("listing.listing-there-is-nobody-to-tell", "listing: there is nobody to tell")
	ErrNotice   = said.New("listing.listing-this-notice-is-not-sent", "listing: this notice is not sent")
)

func (m *Monitor) table() entity.Table[Listing] {
	return entity.Table[Listing]{Store: m.Home, Kind: "listing", ID: func(l *Listing) string { return l.ID }, Keys: func(l *Listing) []entity.Key {
		keys := []entity.Key{{Index: "all", At: l.First.UnixMilli()}}
		if l.Open() {
			keys = append(keys, entity.Key{Index: "open", At: l.First.UnixMilli()})
		}
		return keys
	}}
}

func (m *Monitor) tests() entity.Table[Health] {
	return entity.Table[Health]{Store: m.Home, Kind: "listing-test", ID: func(h *Health) string { return identify("", h.List) }, Keys: func(h *Health) []entity.Key {
		return []entity.Key{{Index: "all", At: h.At.UnixMilli()}}
	}}
}

func identify(list, subject string) string {
	sum := sha256.Sum256([]byte(list + "\x00" + subject))
	return "l-" + hex.EncodeToString(sum[:12])
}

// Tick asks all lists about all that is ours. One node calls it, each ten minutes: two hits so
// far apart are a listing. A list that does not pass its test, or refuses, says nothing.
func (m *Monitor) Tick(ctx context.Context) error {
	var errs []error
	for _, l := range m.Lists {
		err := l.SelfTest(ctx, m.DNS)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		errs = append(errs, m.health(ctx, l, err))
		if err != nil {
			continue
		}
		for _, subject := range m.Subjects() {
			errs = append(errs, m.look(ctx, l, subject))
		}
	}
	return errors.Join(append(errs, m.finish(ctx))...)
}

func (m *Monitor) health(ctx context.Context, l List, fault error) error {
	h := Health{List: l.Name, At: m.Now().UTC(), OK: fault == nil}
	if fault != nil {
		h.Why = fault.Error()
	}
	_, err := m.tests().Create(ctx, h)
	if errors.Is(err, entity.ErrExists) {
		_, err = m.tests().Change(ctx, identify("", l.Name), func(old *Health) error {
			if old.OK != h.OK {
				m.Log.Info("listing monitor", "list", l.Name, "ok", h.OK, "why", h.Why)
			}
			*old = h
			return nil
		})
	}
	return err
}

// look asks one list about one subject.
func (m *Monitor) look(ctx context.Context, l List, subject string) error {
	a, err := l.Ask(ctx, m.DNS, subject)
	if errors.Is(err, ErrKind) || errors.Is(err, ErrRefused) || errors.Is(err, ErrUnfit) {
		return nil // it says nothing, so nothing changes
	}
	if err != nil {
		return err
	}
	now := m.Now().UTC()
	id := identify(l.Name, subject)
	if _, err := m.table().Get(ctx, id); errors.Is(err, entity.ErrNotFound) {
		if !a.Listed {
			return nil
		}
		if _, err := m.table().Create(ctx, Listing{ID: id, List: l.Name, Subject: subject, First: now}); err != nil && !errors.Is(err, entity.ErrExists) {
			return err
		}
	}
	row, err := m.table().Change(ctx, id, func(x *Listing) error { return x.seen(a, now, l.Removal) })
	if err == nil && !row.Value.Open() && row.Value.Case != "" && row.Value.Gone.Equal(now) {
		m.Alarm(ctx, "listing-"+id, subject+" is off "+l.Name, true)
		_, err = m.Cases.Note(ctx, row.Value.Case, cases.Event{Actor: cases.Machine().Name, Action: "listing-over", Said: said.Say("note.listing-over", "%s is no longer on %s", "subject", subject, "list", l.Name)})
	}
	return err
}

// seen adds one answer. Believed is what was listed twice, far enough apart; and so is that it
// is over.
func (l *Listing) seen(a Answer, now time.Time, removal string) error {
	if !a.Listed {
		switch {
		case l.Since.IsZero() && l.Hits == 0, !l.Gone.IsZero():
			return entity.ErrUnchanged
		case l.Since.IsZero():
			l.Hits = 0
		case l.Hits > 0:
			l.Hits, l.Last = 0, now // the first answer that it is gone
		case now.Sub(l.Last) >= Apart:
			l.Gone = now
		default:
			return entity.ErrUnchanged
		}
		return nil
	}
	if !l.Gone.IsZero() { // it is there again: a new listing, with a case of its own
		*l = Listing{ID: l.ID, List: l.List, Subject: l.Subject}
	}
	if l.Hits == 0 && l.Since.IsZero() {
		l.First = now
	}
	l.Hits++
	l.Last, l.Codes, l.Text, l.Removal = now, a.Codes, a.Text, removal
	if l.Since.IsZero() && l.Hits >= 2 && now.Sub(l.First) >= Apart {
		l.Since = now
	}
	return nil
}

// finish opens the case of each listing that has none, and writes the draft.
func (m *Monitor) finish(ctx context.Context) error {
	var open []Listing
	err := m.table().Each(ctx, entity.Query{Index: "open", Rising: true, Limit: 500}, func(r entity.Row[Listing]) error {
		if r.Value.Case == "" || r.Value.Draft == "" && m.Draft != nil {
			open = append(open, r.Value)
		}
		return nil
	})
	errs := []error{err}
	for _, l := range open {
		errs = append(errs, m.open(ctx, l))
	}
	return errors.Join(errs...)
}

func (m *Monitor) open(ctx context.Context, l Listing) error {
	who := cases.Machine()
	priority := 2
	for _, one := range m.Lists {
		if one.Name == l.List && one.Major {
			priority = 1
		}
	}
	words := said.Say("note.listed", "%s is on the list %s: %v %s", "subject", l.Subject, "list", l.List, "codes", l.Codes, "text", l.Text)
	c, err := m.Cases.Open(ctx, who, cases.Opening{Kind: cases.External, About: "listing " + l.List + " " + l.Subject, Priority: priority, Said: words})
	if err != nil {
		return err
	}
	if err := m.evidence(ctx, who, c, l, words.English); err != nil {
		return err
	}
	cause, suspects := m.suspects(ctx, l)
	draft := ""
	if m.Draft != nil {
		draft = m.Draft(ctx, c, l)
	}
	if _, err := m.table().Change(ctx, l.ID, func(x *Listing) error {
		x.Case, x.Suspects = c.ID, suspects
		if x.Named == "" {
			x.Cause = cause
		}
		if x.Draft == "" && draft != "" {
			x.Draft, x.Drafted = draft, m.Now().UTC()
		}
		return nil
	}); err != nil {
		return err
	}
	m.Alarm(ctx, "listing-"+l.ID, words.English, false)
	_, err = m.Cases.Note(ctx, c.ID, cases.Event{Actor: who.Name, Action: "listing", Said: suspected(suspects), Data: map[string]string{"listing": l.ID, "cause": cause}})
	return err
}

// suspected says what is done about a listing, and who may be behind it.
func suspected(all []suspect.Suspect) said.Words {
	w := said.Say("note.listing-drafted", "a notice to the national body is drafted; removal may be asked for when the cause is resolved")
	for _, s := range all {
		w = said.Say("note.suspected", "%s\nsuspected: %s", "before", w, "account", s.Account)
		for _, f := range s.Facts {
			w = said.Join(w, f.Words())
		}
	}
	return w
}

// suspects ranks who may be behind a listing; the case of the first of them is its suspected cause.
// When that cannot be looked for the listing is worked on all the same.
func (m *Monitor) suspects(ctx context.Context, l Listing) (cause string, all []suspect.Suspect) {
	if m.Suspect == nil || l.Named != "" {
		return l.Cause, l.Suspects
	}
	all, err := m.Suspect(ctx, l.Subject, m.Now().UTC())
	if err != nil {
		m.Log.Warn("the cause of a listing was not looked for", "subject", l.Subject, "error", err)
	}
	for _, s := range all {
		if s.Case != "" {
			return s.Case, all
		}
	}
	return l.Cause, all
}

// evidence keeps what the list answered, and says which of ours it is about.
func (m *Monitor) evidence(ctx context.Context, who cases.Actor, c cases.Case, l Listing, words string) error {
	text := fmt.Sprintf("%s\nfirst seen %s, believed %s\n", words, l.First.Format(time.RFC3339), l.Since.Format(time.RFC3339))
	sum, _, err := m.Home.PutBlob(ctx, entity.Evidence, bytes.NewReader([]byte(text)))
	if err != nil {
		return err
	}
	if _, err = m.Cases.AddEvidence(ctx, who, c.ID, cases.Evidence{Class: entity.Evidence, Sum: sum, Name: "answers of " + l.List}); err != nil || len(c.Seals) > 0 {
		return err
	}
	s := cases.Source{Domain: l.Subject, Time: l.First}
	if ip, err := netip.ParseAddr(l.Subject); err == nil {
		s.IP, s.Domain = ip, m.Domain
	}
	_, err = m.Cases.SetSource(ctx, who, c.ID, s, said.Say("note.ours-listed", "ours, which is listed"))
	return err
}

// resolved reports whether the cause of a listing was resolved, by its case's last such word.
func (m *Monitor) resolved(ctx context.Context, id string) (bool, error) {
	c, err := m.Cases.Get(ctx, id)
	if err != nil {
		return false, err
	}
	switch c.State {
	case flow.Resolved, flow.Lifted:
		return true, nil
	case flow.ResultSent, flow.Closed:
	default:
		return false, nil
	}
	ok, after := false, ""
	for {
		events, next, err := m.Cases.Timeline(ctx, id, after, 200)
		if err != nil {
			return false, err
		}
		for _, e := range events { // in the order of time
			switch e.To {
			case flow.Resolved, flow.Lifted, flow.Terminated:
				ok = true
			case flow.Reopened, flow.Rejected, flow.NotOurs, flow.Released:
				ok = false
			}
		}
		if next == "" {
			return ok, nil
		}
		after = next
	}
}
