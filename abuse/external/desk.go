package external

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"time"

	"postern/abuse/cases"
	"postern/abuse/cases/dossier"
	"postern/abuse/cases/flow"
	"postern/abuse/complaint/redact"
	"postern/abuse/external/contact"
	"postern/abuse/external/order"
	"postern/abuse/external/wording"
	"postern/abuse/external/writing"
	"postern/internal/entity"
	"postern/internal/said"
)

// Cases is the desk of the cases.
type Cases interface {
	Get(ctx context.Context, id string) (cases.Case, error)
	Open(ctx context.Context, who cases.Actor, o cases.Opening) (cases.Case, error)
	Move(ctx context.Context, who cases.Actor, id string, r cases.Request) (cases.Case, error)
	Note(ctx context.Context, id string, v cases.Event) (cases.Case, error)
	AddEvidence(ctx context.Context, who cases.Actor, id string, v cases.Evidence) (cases.Case, error)
	Link(ctx context.Context, report string) (cases.Link, error)
}

// Lists is where blocks take effect: on all nodes when Block returns, or within seconds. Both
// may be called again for what is done already. Unblock leaves alone what others wrote: only an
// entry of this case goes.
type Lists interface {
	Block(ctx context.Context, b order.Block, caseID string) error
	Unblock(ctx context.Context, b order.Block, caseID string) error
}

// Message is one that came from a source.
type Message = writing.Message

// Body is one that is told of every confirmed source besides its provider: a national body.
type Body struct {
	Address  string
	Form     string // arf or text
	Language string // of the text: en, zh, ru, el
}

// Desk works on sources elsewhere.
type Desk struct {
	Home      entity.Home
	Cases     Cases
	Lists     Lists
	Contacts  *contact.Finder
	Protected func() order.Protected
	// Message finds a message that a case is about; ErrMessage if none is kept.
	Message func(ctx context.Context, c cases.Case) (Message, error)
	// Alias is the address under which a case is answered.
	Alias func(caseID string) string
	Name  string // of the desk, which signs
	Hours string // at which people read there, as letters say it
	// Letters word what people read above the facts of a report; nil: the program does.
	Letters wording.Letters
	Host    string // of the gateway
	Agent   string // name and version of the program
	Body    Body   // Address "" = none
	// Redact hides the recipients in reports; nil names them.
	Redact *redact.Redactor
	// Automatic confirms sources that users reported or that hit traps, tells their providers
	// and blocks them; else people do.
	Automatic bool
	// Trial marks reports that go by a call as tests.
	Trial bool
	// Submit hands a message to the outbox. The same id and time are the same message.
	Submit   func(ctx context.Context, id string, at time.Time, from, to string, message []byte) error
	Audit    func(ctx context.Context, actor, action, object string, before, after any, note string) error
	Now      func() time.Time
	Log      *slog.Logger
	Observer *Observer
}

// Sighting is abuse that our own eyes saw: a trap, an agent, our filters.
type Sighting struct {
	IP       netip.Addr
	Port     uint16
	Helo     string
	Domain   string // d= of a signature that passed
	Account  string // envelope sender
	At       time.Time
	Ground   Ground
	Evidence cases.Evidence // bytes that the home keeps already
}

// Sight opens a case about a source, or adds to the one there is.
func (d *Desk) Sight(ctx context.Context, who cases.Actor, s Sighting, why said.Words) (cases.Case, error) {
	c, err := d.Cases.Open(ctx, who, cases.Opening{
		Kind: cases.External, Source: cases.Source{IP: s.IP, Port: s.Port, Time: s.At.UTC(), Helo: s.Helo, Domain: s.Domain}, Said: why,
	})
	if err != nil {
		return c, err
	}
	if len(c.Evidence) < dossier.MaxEvidence { // what comes later is counted, and kept where it was kept
		if c, err = d.Cases.AddEvidence(ctx, who, c.ID, s.Evidence); err != nil {
			return c, err
		}
	}
	return d.signed(ctx, c, s.Account, Sign{Ground: s.Ground, Ref: s.Evidence.Sum, By: who.Name, At: d.Now().UTC()})
}

// signed writes a ground down and acts on it.
func (d *Desk) signed(ctx context.Context, c cases.Case, account string, g Sign) (cases.Case, error) {
	fresh := false
	src, err := d.upsert(ctx, c, func(s *Source) error {
		if fresh = s.sign(g); !fresh {
			return entity.ErrUnchanged
		}
		if s.Account == "" {
			s.Account = account
		}
		return nil
	})
	// Twice the same sign blocks again all the same: the first try may not have come so far.
	if err != nil || !g.Ground.Good() || c.State != flow.HalfOpen || g.At.Before(c.Since) {
		return c, err
	}
	return d.again(ctx, src, said.Say("note.abuse-half-open", "abuse came while it was half open: %s %s", "ground", g.Ground, "ref", g.Ref))
}

// upsert changes the record of a case, making it first where there is none.
func (d *Desk) upsert(ctx context.Context, c cases.Case, f func(*Source) error) (Source, error) {
	fresh := Source{Case: c.ID, State: c.State, Since: c.Since, IP: c.Source.IP, Domain: c.Source.Domain, Hold: firstHold}
	if _, err := d.sources().Create(ctx, fresh); err != nil && !errors.Is(err, entity.ErrExists) {
		return fresh, err
	}
	row, err := d.sources().Change(ctx, c.ID, f)
	return row.Value, err
}

// Get returns what is kept of a case.
func (d *Desk) Get(ctx context.Context, id string) (Source, error) {
	row, err := d.sources().Get(ctx, id)
	return row.Value, err
}

// Query asks for sources: in a state, or those whose block is in force, or all.
type Query struct {
	State flow.State
	Held  bool
	About string // an address, a network or a domain that they belong to
	After string
	Limit int
}

// seekMost bounds how many sources are looked at for those about something.
const seekMost = 5000

// List returns a page of sources, the youngest first.
func (d *Desk) List(ctx context.Context, q Query) ([]Source, string, error) {
	find, out := entity.Query{Index: "all", After: q.After, Limit: q.Limit}, []Source{}
	switch {
	case q.Held:
		find.Index = "held"
	case q.State != "":
		find.Index, find.Value = "state", string(q.State)
	}
	for seen := 0; ; {
		rows, next, err := d.sources().Find(ctx, find)
		for _, r := range rows {
			if (q.State == "" || r.Value.State == q.State) && (q.About == "" || r.Value.about(q.About)) {
				out = append(out, r.Value)
			}
		}
		seen += len(rows)
		if err != nil || next == "" || q.About == "" || len(out) > 0 || seen >= seekMost {
			return out, next, err
		}
		find.After = next
	}
}

// Confirm confirms a source. A machine needs a user's report or a trap; a person looked at the
// evidence, which is named by its hash and belongs to the case.
func (d *Desk) Confirm(ctx context.Context, who cases.Actor, id, evidence string, why said.Words) (cases.Case, error) {
	c, err := d.external(ctx, id)
	if err != nil {
		return c, err
	}
	if evidence != "" && who.Role != flow.System {
		if !c.Has(evidence) {
			return c, said.Errorf("external.the-evidence-does-not-belong-to", "%w: the evidence %.64q does not belong to %s", "kind", ErrGround, "evidence", evidence, "id", id)
		}
		if c, err = d.signed(ctx, c, "", Sign{Ground: Agent, Ref: evidence, By: who.Name, At: d.Now().UTC()}); err != nil {
			return c, err
		}
	}
	src, err := d.upsert(ctx, c, func(*Source) error { return entity.ErrUnchanged })
	if err == nil {
		err = src.grounded("confirmed")
	}
	if def, _ := flow.Of(c.State); err != nil || def.Proven { // it was before; what was named counts all the same
		return c, err
	}
	return d.Cases.Move(ctx, who, id, cases.Request{To: flow.Confirmed, Said: why})
}

func (d *Desk) external(ctx context.Context, id string) (cases.Case, error) {
	c, err := d.Cases.Get(ctx, id)
	if err == nil && c.Kind != cases.External {
		err = said.Errorf("external.is-about-an-account-of-ours", "%w: %s is about an account of ours", "kind", ErrGround, "id", id)
	}
	return c, err
}

// grounded refuses what rests on our own filters alone: RFC 6650 section 5.2 asks that nobody
// is troubled with reports that rest on an inspection of content, or on SPF.
func (s *Source) grounded(what string) error {
	if s.Incidents > 0 {
		return nil
	}
	has := said.Say("external.on-nothing", "nothing")
	for _, g := range s.Signs {
		has = map[Ground]said.Words{Content: said.Say("external.on-content", "the score of its content"), SPF: said.Say("external.on-spf", "a failed SPF")}[g.Ground]
	}
	return said.Errorf("external.rests-on-alone-it-is-by-a", "%w: %s rests on %s alone; it is %s by a user's report, a trap, or an agent who names the evidence", "kind", ErrGround, "case", s.Case, "has", has, "what", what)
}
