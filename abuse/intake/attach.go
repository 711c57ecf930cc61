package intake

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"postern/abuse/cases"
	"postern/abuse/complaint"
	"postern/abuse/intake/flood"
	"postern/abuse/intake/inert"
	"postern/abuse/intake/shelf"
	"postern/abuse/proof"
	"postern/internal/entity"
	"postern/internal/mime"
)

// person reports whether somebody is owed an answer: a human being who can be reached and is
// proved to have written. Robots, lists and feeds get none (RFC 3834, RFC 6650 section 5.5).
func person(r Report, who proof.Reporter, tree *mime.Tree) bool {
	if who.Trust < proof.T1 || who.Trust == proof.T3 || r.From == "" || tree == nil || tree.Root == nil {
		return false
	}
	h := tree.Root.Header
	if auto := strings.ToLower(strings.TrimSpace(h.Get("Auto-Submitted"))); auto != "" && auto != "no" {
		return false
	}
	for _, list := range []string{"List-Id", "List-Unsubscribe", "List-Post"} {
		if h.Get(list) != "" {
			return false
		}
	}
	switch strings.ToLower(strings.TrimSpace(h.Get("Precedence"))) {
	case "bulk", "list", "junk":
		return false
	}
	return !strings.HasPrefix(strings.ToLower(h.Get("Content-Type")), "multipart/report") || r.Account != ""
}

// prove grades each message of a report and hands it to the cases.
func (d *Desk) prove(ctx context.Context, r Report, w Work, rep complaint.Report, who proof.Reporter, sub Submission) error {
	w.Cases = nil
	for i, original := range append([][]byte{rep.Original}, rep.Others...) {
		one := rep
		if i > 0 {
			one.Original, one.Claims = original, complaint.Claims{RcptTo: rep.Claims.RcptTo}
			one.Whole = strings.Contains(string(original), "\r\n\r\n") || strings.Contains(string(original), "\n\n")
		}
		p, err := d.Ladder.Prove(ctx, one, who)
		if err != nil {
			return fmt.Errorf("report %s: %w", r.ID, err)
		}
		if p, err = d.once(ctx, r, p); err != nil {
			return err
		}
		if i == 0 {
			w.Proof = p
		}
		if err := d.observed(ctx, who, p); err != nil {
			return err
		}
		c, fold, err := d.complaint(ctx, r, w, one, p)
		if err != nil {
			return err
		}
		c.Drill = sub.Drill
		if fold != "" {
			return d.fold(ctx, r, w, fold)
		}
		if i > 0 {
			c.Report += "." + strconv.Itoa(i+1)
		}
		got, err := d.Cases.Attach(ctx, c)
		if err != nil {
			return fmt.Errorf("report %s: %w", r.ID, err)
		}
		w.Cases = append(w.Cases, got.ID)
	}
	if err := d.copyTo(ctx, r, &w, rep); err != nil {
		return err
	}
	return d.end(ctx, w, Done)
}

// once lets each delivered copy vote once, whoever reports it how often. A report that is
// worked on again is the first one still.
func (d *Desk) once(ctx context.Context, r Report, p proof.Proof) (proof.Proof, error) {
	if p.Class == proof.Replay {
		return p, d.replay(ctx, r, p)
	}
	if p.Votes == 0 || p.Copy == "" {
		return p, nil
	}
	_, err := shelf.Votes(d.Home).Create(ctx, shelf.Vote{Copy: p.Copy, Report: r.ID})
	if err == nil || !errors.Is(err, entity.ErrExists) {
		return p, err
	}
	first, err := shelf.Votes(d.Home).Get(ctx, p.Copy)
	if err != nil {
		return p, err
	}
	if first.Value.Report == r.ID {
		return p, nil
	}
	return p.Again(), nil
}

// replayed counts who says that a message was sent on.
type replayed struct {
	Serial  string   `json:"serial"`
	Reports []string `json:"reports"` // at most replaysMost
	Told    bool     `json:"told,omitempty"`
}

// replaysMost is how many reports of a replay make it one.
const replaysMost = 10

// replay tells once that a signature of ours is being sent around.
func (d *Desk) replay(ctx context.Context, r Report, p proof.Proof) error {
	t := entity.Table[replayed]{Store: d.Home, Kind: shelf.KindReplay, ID: func(v *replayed) string { return v.Serial }}
	if _, err := t.Create(ctx, replayed{Serial: p.Serial}); err != nil && !errors.Is(err, entity.ErrExists) {
		return err
	}
	tell := false
	_, err := t.Change(ctx, p.Serial, func(v *replayed) error {
		tell = false
		if len(v.Reports) >= replaysMost || contains(v.Reports, r.ID) {
			return entity.ErrUnchanged
		}
		v.Reports = append(v.Reports, r.ID)
		tell = len(v.Reports) == replaysMost && !v.Told
		v.Told = v.Told || tell
		return nil
	})
	if err == nil && tell && d.Replayed != nil {
		d.Replayed(ctx, p.Serial, p.Account, replaysMost)
	}
	return err
}

func contains(all []string, s string) bool {
	for _, a := range all {
		if a == s {
			return true
		}
	}
	return false
}

// complaint is what the cases learn: facts, never what the report asserts. fold is set where
// too many without a vote are about the same account.
func (d *Desk) complaint(ctx context.Context, r Report, w Work, rep complaint.Report, p proof.Proof) (c cases.Complaint, fold string, err error) {
	c = cases.Complaint{
		Report: r.ID, At: r.At, Raw: r.SHA256, Kind: cases.Local, Grade: int(p.Grade), Class: string(p.Class), Sentence: p.Sentence, Said: p.Said,
		Account: p.Account, Serial: p.Serial, To: p.Recipient, Copy: p.Copy, Accepted: p.Accepted, Votes: p.Votes, Client: p.Client, Login: p.Login, SentAt: p.SentAt,
		Feedback: rep.Feedback, Reporter: w.Reporter, Trust: int(w.Trust), Feed: w.Feed != "", Person: w.Person, Language: rep.Language,
		Unparsed: rep.Format == complaint.Unparsed,
	}
	if p.Grade == proof.P0 && w.Trust >= proof.T1 && w.Feed == "" && d.Came != nil && rep.Original != nil {
		s, ok, err := d.Came(ctx, rep.Original)
		if err != nil {
			return c, "", fmt.Errorf("report %s: %w", r.ID, err)
		}
		if ok && d.Reported != nil {
			d.Reported(ctx, w.Reporter, r.ID, rep.Original)
		}
		if ok {
			c.Kind, c.SourceIP, c.SourcePort, c.SourceHelo, c.SourceTime, c.SourceDomain = cases.External, s.Client.IP, s.Client.Port, s.Client.Helo, s.At, s.Domain
		}
	}
	if target := p.Account + p.Hint; p.Votes == 0 && target != "" && p.Class != proof.Duplicate && !d.rates.Take("target "+target, d.limit().Target, r.At) {
		if w.Trust < proof.T1 { // who repeats an ID from a real message makes no line of their own
			return c, flood.Name("unproved", "", r.At), nil
		}
		return c, flood.Name("target", target, r.At), nil
	}
	return c, "", nil
}

// copyTo sends people a copy that can do no harm.
func (d *Desk) copyTo(ctx context.Context, r Report, w *Work, rep complaint.Report) error {
	if d.Copy == nil || w.Copied {
		return nil
	}
	if err := d.Copy(ctx, inert.Copy(d.Hostname, d.Now(), r, *w, rep)); err != nil {
		return fmt.Errorf("copy of report %s: %w", r.ID, err)
	}
	w.Copied = true
	_, err := shelf.Works(d.Home).Change(ctx, r.ID, func(x *Work) error {
		if x.Copied {
			return entity.ErrUnchanged
		}
		x.Copied = true
		return nil
	})
	return err
}
