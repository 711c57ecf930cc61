package abusedesk

import (
	"context"
	"errors"
	"fmt"
	"time"

	"postern/abuse"
	"postern/abuse/behaviour/logins"
	"postern/abuse/cases"
	"postern/abuse/cases/dossier"
	"postern/abuse/cases/flow"
	"postern/abuse/guarantee"
	"postern/abuse/intake/shelf"
	"postern/abuse/sent"
	"postern/abuse/signal"
	"postern/internal/entity"
	"postern/quarantine"
)

// PurgeParts are what is kept of an account. All but Holds are needed.
type PurgeParts struct {
	Entities entity.Home
	Cases    *cases.Desk
	Sent     sent.Store
	Holds    Holds
	Traffic  time.Duration // how long the traffic of messages is kept
}

// Holds is the part of the quarantine that is needed.
type Holds interface {
	List(ctx context.Context, q quarantine.Query) (quarantine.Page, error)
	Delete(ctx context.Context, id, actor, note string) (quarantine.Hold, error)
}

// purger is one of them.
type purger func(ctx context.Context, account string, before time.Time) (string, error)

// Purge implements guarantee.Purger.
func (p purger) Purge(ctx context.Context, account string, before time.Time) (string, error) {
	return p(ctx, abuse.Name(account), before)
}

// Purgers forget what is kept of an account besides the papers of its guarantee. Each can be
// asked again where it was cut short.
func (p PurgeParts) Purgers() []guarantee.Purger {
	out := []guarantee.Purger{purger(p.reports), purger(p.sendLog), purger(p.traces)}
	if p.Holds != nil {
		out = append(out, purger(p.holds))
	}
	return append(out, purger(p.traffic))
}

func (p PurgeParts) sendLog(ctx context.Context, account string, before time.Time) (string, error) {
	n := 0
	for {
		rows, _, err := p.Sent.ByAccount(ctx, account, time.Unix(0, 0), before, "", sent.DefaultPer)
		if err != nil {
			return "", err
		}
		if len(rows) == 0 {
			return fmt.Sprintf("%d messages of the send log", n), nil
		}
		serials := make([]string, len(rows))
		for i, r := range rows {
			serials[i] = r.Serial
		}
		if err := p.Sent.Forget(ctx, serials); err != nil {
			return "", err
		}
		n += len(rows)
	}
}

// reports forgets what was reported of an account, and the bytes that no other report has. What
// the case of another account or a legal hold rests on stays.
func (p PurgeParts) reports(ctx context.Context, account string, before time.Time) (string, error) {
	var rows []entity.Row[shelf.Work]
	err := shelf.Works(p.Entities).Each(ctx, entity.Query{Index: "account", Value: shelf.Value(account), To: before.UnixMilli(), Limit: 200, From: 1}, func(r entity.Row[shelf.Work]) error {
		rows = append(rows, r)
		return nil
	})
	if err != nil {
		return "", err
	}
	n, stay := 0, 0
	for _, w := range rows {
		needed, err := p.needed(ctx, w.Value, account)
		if err != nil {
			return "", err
		}
		if needed {
			stay++
			continue
		}
		if err := p.forget(ctx, w); err != nil {
			return "", err
		}
		n++
	}
	return fmt.Sprintf("%d reports with their bytes; %d stay that other cases rest on", n, stay), nil
}

func (p PurgeParts) needed(ctx context.Context, w shelf.Work, account string) (bool, error) {
	if w.State == shelf.New {
		return true, nil
	}
	for _, id := range w.Cases {
		c, err := p.Cases.Get(ctx, id)
		switch {
		case errors.Is(err, dossier.ErrNotFound):
		case err != nil:
			return true, err
		case c.LegalHold, abuse.Name(c.Account) != account && c.State != flow.Closed:
			return true, nil
		}
	}
	return false, nil
}

func (p PurgeParts) forget(ctx context.Context, w entity.Row[shelf.Work]) error {
	r, err := shelf.Reports(p.Entities).Get(ctx, w.Value.Report)
	switch {
	case errors.Is(err, entity.ErrNotFound):
		return shelf.Works(p.Entities).Remove(ctx, w)
	case err != nil:
		return err
	}
	n, err := shelf.Reports(p.Entities).Count(ctx, entity.Query{Index: "sum", Value: r.Value.SHA256}, 2)
	if err == nil && n < 2 {
		err = p.Entities.RemoveBlob(ctx, entity.Intake, r.Value.SHA256)
	}
	if err != nil {
		return err
	}
	return errors.Join(shelf.Reports(p.Entities).Remove(ctx, r), shelf.Works(p.Entities).Remove(ctx, w))
}

// traces forgets logins and signals.
func (p PurgeParts) traces(ctx context.Context, account string, _ time.Time) (string, error) {
	in, err := logins.NewLog(p.Entities).Forget(ctx, account)
	if err != nil {
		return "", err
	}
	n, err := signal.NewLog(p.Entities).Forget(ctx, account)
	return fmt.Sprintf("%d logins and %d signals", in, n), err
}

// holdPages bounds how much of the quarantine is looked through.
const holdPages = 2000

func (p PurgeParts) holds(ctx context.Context, account string, before time.Time) (string, error) {
	var ids []string
	q := quarantine.Query{Until: before, Limit: quarantine.MaxPage}
	for range holdPages {
		page, err := p.Holds.List(ctx, q)
		if err != nil {
			return "", err
		}
		for _, h := range page.Holds {
			if abuse.Name(h.Client.Account) == account {
				ids = append(ids, h.ID)
			}
		}
		if q.After = page.Next; page.Next == "" {
			break
		}
	}
	if q.After != "" {
		return "", errors.New("the quarantine has more holds than a purge looks through")
	}
	for _, id := range ids {
		if _, err := p.Holds.Delete(ctx, id, cases.Machine().Name, "purge of "+account); err != nil && !errors.Is(err, quarantine.ErrEnded) {
			return "", err
		}
	}
	return fmt.Sprintf("%d holds", len(ids)), nil
}

// traffic says why nothing has to be done: where messages went is kept for a time that is over.
func (p PurgeParts) traffic(_ context.Context, _ string, before time.Time) (string, error) {
	if p.Traffic > guarantee.KeepFor {
		return fmt.Sprintf("traffic: what is older than %s goes by itself, the last by %s", p.Traffic, before.Add(p.Traffic-guarantee.KeepFor).UTC().Format(time.DateOnly)), nil
	}
	return fmt.Sprintf("traffic: kept for %s, none is left", p.Traffic), nil
}
