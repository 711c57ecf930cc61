package abusedesk

import (
	"context"
	"errors"
	"io"
	"net/mail"
	"net/textproto"
	"strings"
	"time"

	"postern/abuse/cases"
	"postern/abuse/cases/dossier"
	"postern/abuse/complaint"
	"postern/abuse/complaint/inner"
	"postern/abuse/intake"
	"postern/abuse/notice"
	"postern/abuse/notice/edition"
	"postern/internal/config"
	"postern/internal/entity"
)

// headBytes bounds what is read of a report to know its header.
const headBytes = 256 << 10

// AnswerParts are what letters are built from, besides the Parts of the desk.
type AnswerParts struct {
	Config  *config.Config
	Letters *edition.Desk
	Key     []byte // of this installation
	Own     func(address string) bool
	Submit  func(ctx context.Context, key string, at time.Time, to string, message []byte) error
}

// NewAnswers builds the letters on a desk of cases. Party of what it returns reads the reports
// of the intake that Reports is set to.
func NewAnswers(p Parts, d *Desk, a AnswerParts) (*notice.Desk, error) {
	c := a.Config.Abuse.Answers
	zone, err := time.LoadLocation(c.Zone)
	if err != nil {
		return nil, err
	}
	from, domain := deskAddress(a.Config)
	return &notice.Desk{
		Store: p.Entities, Cases: d.Cases, Book: a.Letters, Aliases: notice.Aliases{Key: a.Key, Domain: domain},
		From: from, Name: c.Name, Hours: c.Hours, Zone: zone, Own: a.Own, Audit: p.Audit, Now: p.Now, Log: p.Log,
		Link:   func(id string) string { return strings.ReplaceAll(c.Link, "{case}", id) },
		Submit: a.Submit,
	}, nil
}

// Address is who writes for the desk.
func Address(c *config.Config) string {
	from, _ := deskAddress(c)
	return from
}

// deskAddress is who writes the letters, and the domain of the aliases.
func deskAddress(c *config.Config) (from, domain string) {
	from = c.Abuse.Answers.From
	if from == "" {
		_, parent, ok := strings.Cut(c.Hostname, ".")
		if !ok || !strings.Contains(parent, ".") {
			parent = c.Hostname
		}
		from = intake.Role + "@" + parent
	}
	domain = c.Abuse.Answers.Aliases
	if domain == "" {
		_, domain, _ = strings.Cut(from, "@")
	}
	return from, domain
}

// Parties tells from the reports of an intake who handed them in. How far that one is proved
// stands with the case: the intake writes it down when it is done with the report.
type Parties struct {
	Desk  *intake.Desk
	Cases *cases.Desk
}

// Party reads who a letter about a report would go to.
func (p Parties) Party(ctx context.Context, report string) (notice.Party, error) {
	r, _, err := p.Desk.Get(ctx, report)
	if errors.Is(err, entity.ErrNotFound) { // swept, or of a drill: nobody to write to
		return notice.Party{}, nil
	}
	if err != nil {
		return notice.Party{}, err
	}
	l, err := p.Cases.Link(ctx, report)
	if err != nil {
		return notice.Party{}, err
	}
	out := notice.Party{To: r.From, Trust: l.Trust, Feed: l.Feed, Language: l.Language}
	if r.By != intake.ByMail && r.By != intake.ByPostmaster {
		out.To = l.Reporter // entered for somebody who was proved
		return out, nil
	}
	body, err := p.Desk.Bytes(ctx, r)
	if err != nil {
		return out, err
	}
	defer body.Close()
	head, err := io.ReadAll(io.LimitReader(body, headBytes))
	if err != nil {
		return out, err
	}
	h, _ := inner.Header(head)
	out.Header = mail.Header{}
	for _, f := range h.Fields {
		name := textproto.CanonicalMIMEHeaderKey(f.Name)
		out.Header[name] = append(out.Header[name], f.Value)
	}
	out.MessageID, out.Subject = h.Get("Message-ID"), h.Decoded("Subject")
	out.About = complaint.Parse(head, complaint.DefaultOptions()).Claims.From
	return out, nil
}

// Replies adds what is sent to the address of a case to its timeline, unless the case is done
// with: then it is a report like any other.
func Replies(d *Desk, aliases notice.Aliases) func(ctx context.Context, r intake.Report, text string) (string, error) {
	return func(ctx context.Context, r intake.Report, text string) (string, error) {
		for _, a := range r.To {
			id, ok := aliases.Case(a)
			if !ok {
				continue
			}
			c, err := d.Cases.Get(ctx, id)
			switch {
			case errors.Is(err, dossier.ErrNotFound):
				continue
			case err != nil:
				return "", err
			case !c.Open():
				continue
			}
			_, err = d.Cases.Note(ctx, id, cases.Event{Actor: "reporter", Action: "reply", Report: r.ID, Text: clip(text), Once: "reply " + r.ID})
			return id, err
		}
		return "", nil
	}
}
