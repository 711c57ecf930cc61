package notice

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"postern/abuse/cases"
	"postern/abuse/notice/letter"
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
	if language == "" {
		language = d.language(c)
	}
	v := d.vars(c, language, p, cases.Event{To: c.State})
	if v.Measure == "" {
		v.Measure = letter.Measure(language, "RESOLVED", 0)
	}
	return d.Book.Write(language, kind, v)
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
	if strings.TrimSpace(t.Subject) == "" || strings.TrimSpace(t.Body) == "" || !utf8.ValidString(t.Subject+t.Body) || len(t.Body) > letter.MaxBody || len(t.Subject) > 300 {
		return Notice{}, fmt.Errorf("%w: a letter has a subject and a text of at most %d octets", letter.ErrLetter, letter.MaxBody)
	}
	if c.Account != "" && strings.Contains(strings.ToLower(t.Subject+t.Body), strings.ToLower(c.Account)) {
		return Notice{}, fmt.Errorf("%w: it names the account %s, and what is known of a customer stays here", letter.ErrLetter, c.Account)
	}
	p, err := d.Party(ctx, r.Report)
	if err != nil {
		return Notice{}, err
	}
	if why := WhyNot(p, d.Own); why != "" {
		return Notice{}, fmt.Errorf("%w: %s", ErrBarred, why)
	}
	if !strings.Contains(t.Subject, c.ID) {
		t.Subject = "[" + c.ID + "] " + t.Subject
	}
	if r.Kind == "" {
		r.Kind = "answer"
	}
	if r.Language == "" {
		r.Language = d.language(c)
	}
	now := d.Now().UTC()
	n := Notice{ID: hashed("answer", c.ID, p.To, who.Name, t.Subject, t.Body), Case: c.ID, Report: r.Report, Kind: r.Kind, To: p.To, Language: r.Language, InReplyTo: p.MessageID,
		Subject: strings.Join(strings.Fields(t.Subject), " "), Body: strings.ReplaceAll(t.Body, "\r\n", "\n"), State: Queued, By: who.Name, At: now}
	if n, err = d.keep(ctx, n); err != nil {
		return n, err
	}
	if r.Result {
		_, err = d.Cases.Result(ctx, who, c.ID, n.ID, "")
		return n, err
	}
	_, err = d.Cases.Answered(ctx, who, c.ID, n.ID)
	return n, err
}
