package sources

import (
	"context"
	"strings"

	"postern/abuse/cases"
	"postern/abuse/complaint"
	"postern/abuse/external"
	"postern/abuse/intake"
	"postern/internal/address"
	"postern/internal/said"
)

// noticesMost is how many notices of a case are looked at for whom an answer is from.
const noticesMost = 200

// Bounced notes that a notice of ours came back; false: the report is about something else.
func (d *Desk) Bounced(ctx context.Context, r complaint.Report) (bool, error) {
	if r.Claims.MessageID == "" {
		return false, nil
	}
	why := ""
	for _, b := range r.Bounced {
		why = strings.TrimSpace(b.Status + " " + b.Diagnostic)
	}
	return d.External.Bounced(ctx, r.Claims.MessageID, why)
}

// Replied wraps what takes answers to cases: the word STOP as all that somebody writes to a
// notice ends the notices to him. Nobody else knows the address of a case.
func (d *Desk) Replied(next func(ctx context.Context, r intake.Report, text string) (string, error)) func(ctx context.Context, r intake.Report, text string) (string, error) {
	return func(ctx context.Context, r intake.Report, text string) (string, error) {
		id, err := next(ctx, r, text)
		if err != nil || id == "" || !stops(text) {
			return id, err
		}
		told, _, err := d.External.Notices(ctx, id, "", noticesMost)
		if err != nil {
			return id, err
		}
		for _, n := range told {
			if n.To == "" || n.Way == external.ToBody || !sameDomain(n.To, r.From) {
				continue
			}
			if _, err := d.Contacts.OptOut(ctx, r.From, n.To, "answered STOP to "+id); err != nil {
				return id, err
			}
			_, err := d.p.Cases.Note(ctx, id, cases.Event{Actor: cases.Machine().Name, Action: "opt-out", Said: said.Say("note.opted-out", "%s wants no more notices", "who", n.To), Report: r.ID})
			return id, err
		}
		return id, nil
	}
}

// stops reports whether the first line that somebody wrote is the word STOP.
func stops(text string) bool {
	for line := range strings.Lines(text) {
		line = strings.Trim(line, " \t\r\n.!\"'")
		if line == "" || strings.HasPrefix(line, ">") {
			continue
		}
		return strings.EqualFold(line, "stop")
	}
	return false
}

func sameDomain(a, b string) bool {
	x, y := strings.ToLower(address.DomainOf(a)), strings.ToLower(address.DomainOf(b))
	return x != "" && (x == y || strings.HasSuffix(x, "."+y) && strings.Contains(y, ".") || strings.HasSuffix(y, "."+x))
}

// Undelivered notes that the way out refused a notice of ours for good, or that its time is over.
func (d *Desk) Undelivered(ctx context.Context, caseID, to, reply string) error {
	told, _, err := d.External.Notices(ctx, caseID, "", noticesMost)
	if err != nil {
		return err
	}
	for _, n := range told { // the youngest first
		if n.State == external.Sent && strings.EqualFold(n.To, to) {
			_, err := d.External.Bounced(ctx, n.MessageID, reply)
			return err
		}
	}
	return nil
}
