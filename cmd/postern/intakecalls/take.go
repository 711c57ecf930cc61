package intakecalls

import (
	"context"
	"errors"
	"fmt"

	"postern/abuse/intake"
	"postern/abuse/intake/verdict"
	"postern/abuse/proof"
	"postern/internal/control"
	"postern/internal/people"
)

// Take hands in a complaint that does not come as mail: a whole report, or its parts.
type Take struct {
	Key      string `json:"key,omitempty"`      // the same for the same complaint; "" = by what it says
	Document []byte `json:"document,omitempty"` // ARF, XARF or a mail, as it is
	Text     string `json:"text,omitempty"`
	Original []byte `json:"original,omitempty"` // the reported message, or its header
	Feedback string `json:"feedback,omitempty"` // abuse, fraud, virus, ...
	Language string `json:"language,omitempty"`
	Reporter string `json:"reporter,omitempty"` // of a call by phone: an address that was given
	Phone    string `json:"phone,omitempty"`    // of a call by phone
	Drill    bool   `json:"drill,omitempty"`
}

// Taken names the report.
type Taken struct {
	ID string `json:"id"`
}

// take keeps a complaint. Whoever calls is its reporter, as far as what people found of the
// reports before lets that one be believed; what came by phone is believed of nobody.
func (p Parts) take(ctx context.Context, t Take) (Taken, error) {
	s := intake.Submission{
		Source: intake.ByAPI, Key: t.Key, Language: t.Language, Feedback: t.Feedback, Text: t.Text, Original: t.Original, Document: t.Document, Actor: control.Actor(ctx), Drill: t.Drill,
	}
	who, known := people.From(ctx)
	switch {
	case t.Phone != "" || t.Reporter != "":
		if known && !who.Can(people.CasesAct) {
			return Taken{}, control.Refuse(control.Invalid, "intake.reporter-phone-an-agent-writes-down-what", "reporter, phone: an agent writes down what others say")
		}
		s.Source, s.Reporter, s.Phone = intake.ByPhone, t.Reporter, t.Phone
	case known && who.Email != "":
		trust, err := verdict.Book{Store: p.Desk.Home}.Trust(ctx, who.Email)
		if err != nil {
			return Taken{}, err
		}
		s.Reporter, s.Trust = who.Email, min(trust, proof.T2)
	case known:
		s.From = "user " + who.Name
	}
	if known {
		s.Key = fmt.Sprintf("%s\x00%s", who.Name, s.Key) // a key is its user's own
		if t.Key == "" {
			s.Key = ""
		}
	}
	id, err := p.Desk.Take(ctx, s)
	if errors.Is(err, intake.ErrFull) {
		return Taken{}, control.Because(control.Full, intake.ErrFull)
	}
	return Taken{ID: id}, refused(err)
}
