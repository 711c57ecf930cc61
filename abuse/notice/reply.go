package notice

import (
	"context"
	"strings"
	"time"
	"unicode/utf8"

	"postern/abuse/cases"
	"postern/abuse/cases/flow"
	"postern/abuse/notice/letter"
	"postern/internal/said"
)

// What a letter of a person is to its case.
const (
	tellsAnswer = "answer" // the first answer of a person, or a further one
	tellsResult = "result"
)

// Draft is the letter of a kind as it would go to the reporter of a case now, for a person to
// look at and change.
func (d *Desk) Draft(ctx context.Context, caseID, report, language string, kind letter.Kind) (letter.Text, error) {
	c, err := d.Cases.Get(ctx, caseID)
	if err != nil {
		return letter.Text{}, err
	}
	p, err := d.Party(ctx, report)
	if err != nil {
		return letter.Text{}, err
	}
	return d.compose(ctx, c, p, language, kind)
}

func (d *Desk) compose(ctx context.Context, c cases.Case, p Party, language string, kind letter.Kind) (letter.Text, error) {
	if language == "" {
		language = d.language(c, p)
	}
	v := d.vars(c, language, p, cases.Event{To: c.State})
	switch {
	case kind == letter.Rejected:
		v.Measure = letter.Measure(language, string(flow.Rejected), 0)
	case v.Measure == "":
		v.Measure = letter.Measure(language, string(flow.Resolved), 0)
	}
	if kind == letter.NeedInfo {
		v.Missing = "…" // the person's own words
		if v.Deadline.IsZero() {
			v.Deadline = d.when(d.Now().Add(7 * 24 * time.Hour))
		}
	}
	return d.Book.Write(ctx, language, kind, v)
}

// Reply is what a person writes to a reporter.
type Reply struct {
	Report   string      `json:"report"`
	Kind     letter.Kind `json:"kind"` // what it is; "" = an answer in the person's own words
	Language string      `json:"language,omitempty"`
	Text     letter.Text `json:"text"`
	Result   bool        `json:"result,omitempty"` // it is the result of the case
}

// Answer sends a person's words to a reporter. Errors: ErrBarred says why nobody is written to.
func (d *Desk) Answer(ctx context.Context, who cases.Actor, caseID string, r Reply) (Notice, error) {
	c, err := d.Cases.Get(ctx, caseID)
	if err != nil {
		return Notice{}, err
	}
	t := r.Text
	if err := fit(c, t); err != nil {
		return Notice{}, err
	}
	p, err := d.Party(ctx, r.Report)
	if err != nil {
		return Notice{}, err
	}
	if why := WhyNot(p, d.Own); why.Code != "" {
		return Notice{}, said.Errorf("detail", "%w: %s", "kind", ErrBarred, "what", why)
	}
	if r.Kind == "" {
		r.Kind = Own
	}
	if r.Language == "" {
		r.Language = d.language(c, p)
	}
	n := Notice{ID: hashed("answer", c.ID, p.To, who.Name, t.Subject, t.Body), Case: c.ID, Report: r.Report, Kind: r.Kind, To: p.To, Language: r.Language, InReplyTo: p.MessageID,
		State: Queued, By: who.Name, At: d.Now().UTC(), Tells: tells(r.Result), Round: c.Reopened}
	n.say(c, t)
	return d.keep(ctx, n)
}

func tells(result bool) string {
	if result {
		return tellsResult
	}
	return tellsAnswer
}

// say takes over a person's words.
func (n *Notice) say(c cases.Case, t letter.Text) {
	if !strings.Contains(t.Subject, c.ID) {
		t.Subject = "[" + c.ID + "] " + t.Subject
	}
	n.Subject, n.Body = strings.Join(strings.Fields(t.Subject), " "), strings.ReplaceAll(t.Body, "\r\n", "\n")
}

// fit refuses what is no letter, and what says of a customer what stays here.
func fit(c cases.Case, t letter.Text) error {
	if strings.TrimSpace(t.Subject) == "" || strings.TrimSpace(t.Body) == "" || !utf8.ValidString(t.Subject+t.Body) || len(t.Body) > letter.MaxBody || len(t.Subject) > 300 {
		return said.Errorf("notice.a-letter-has-a-subject-and-a", "%w: a letter has a subject and a text of at most %d octets", "kind", letter.ErrLetter, "most", letter.MaxBody)
	}
	if c.Kind == cases.External {
		return nil
	}
	ip := ""
	if c.Source.IP.IsValid() {
		ip = c.Source.IP.String()
	}
	text := strings.ToLower(t.Subject + "\n" + t.Body)
	for _, known := range []struct {
		what said.Words
		is   string
	}{
		{said.Say("notice.the-account", "the account"), c.Account}, {said.Say("notice.the-login", "the login"), c.Source.Login},
		{said.Say("notice.the-machine", "the address of the customer's machine"), ip},
	} {
		if len(known.is) > 3 && strings.Contains(text, strings.ToLower(known.is)) {
			return said.Errorf("notice.it-names-and-what-is-known-of", "%w: it names %s, %s, and what is known of a customer stays here", "kind", letter.ErrLetter, "what", known.what, "is", known.is)
		}
	}
	return nil
}

// tell says to its case what a person's letter is; after that it may go out.
func (d *Desk) tell(ctx context.Context, n Notice) error {
	who := cases.Actor{Name: n.By, Role: flow.Agent}
	var err error
	switch n.Tells {
	case tellsResult:
		_, err = d.Cases.Result(ctx, who, n.Case, n.ID, said.Words{})
	case tellsAnswer:
		_, err = d.Cases.Answered(ctx, who, n.Case, n.ID)
	}
	return err
}
