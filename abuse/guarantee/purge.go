package guarantee

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"postern/abuse/cases"
	"postern/abuse/cases/dossier"
	"postern/abuse/cases/flow"
	"postern/internal/entity"
)

// KeepFor is how long the data and logs of an account are kept after it was locked or ended.
const KeepFor = 90 * 24 * time.Hour

// Purger forgets what other rooms keep of an account, and says in words what that was. It may
// be asked twice.
type Purger interface {
	Purge(ctx context.Context, account string, before time.Time) (what string, err error)
}

// Certificate says what was purged, when and by whom.
type Certificate struct {
	ID      string    `json:"id"`
	Account string    `json:"account"`
	Case    string    `json:"case"`
	Locked  time.Time `json:"locked"` // since when the account was locked or ended
	Purged  time.Time `json:"purged"`
	By      string    `json:"by"`
	What    []string  `json:"what"`
	Sum     string    `json:"sha256"` // of the certificate without this line
}

func (o *Office) certificates() entity.Table[Certificate] {
	return entity.Table[Certificate]{
		Store: o.Entities, Kind: "purge-certificate", ID: func(c *Certificate) string { return c.ID },
		Keys: func(c *Certificate) []entity.Key {
			return []entity.Key{{Index: "account", Value: value(c.Account), At: c.Purged.UnixMilli()}, {Index: "all", At: c.Purged.UnixMilli()}}
		},
	}
}

// PurgeFrom is when the data of a case's account may go.
func PurgeFrom(c cases.Case) (time.Time, error) {
	if c.LegalHold {
		return time.Time{}, dossier.Refuse(dossier.ErrState, "guarantee.is-under-legal-hold-nothing-of-it", "%s is under legal hold: nothing of it is purged", "id", c.ID)
	}
	if c.State != flow.Suspended && c.State != flow.Terminated && c.State != flow.Closed {
		return time.Time{}, dossier.Refuse(dossier.ErrState, "guarantee.is-only-a-locked-or-ended-account", "%s is %s: only a locked or ended account is purged", "id", c.ID, "state", c.State)
	}
	var last time.Time
	for _, k := range c.Clocks { // an account that was suspended and then ended is kept from its end on
		if (k.Name == flow.Data || k.Name == flow.Purge) && k.Start.After(last) {
			last = k.Start
		}
	}
	if last.IsZero() {
		return time.Time{}, dossier.Refuse(dossier.ErrState, "guarantee.its-account-was-never-locked", "%s: its account was never locked", "id", c.ID)
	}
	return last.Add(KeepFor), nil
}

// Purge forgets what is kept of an account, 90 days after it was locked or ended, and leaves a
// certificate. It is for a lead.
func (o *Office) Purge(ctx context.Context, who cases.Actor, caseID, reason string, rooms ...Purger) (Certificate, error) {
	if who.Role != flow.Lead {
		return Certificate{}, dossier.Refuse(dossier.ErrRole, "guarantee.a-purge-is-for-a-lead", "a purge is for a lead")
	}
	if err := dossier.Reason(who, reason); err != nil {
		return Certificate{}, err
	}
	c, err := o.Desk.Get(ctx, caseID)
	if err != nil {
		return Certificate{}, err
	}
	from, err := PurgeFrom(c)
	if err != nil {
		return Certificate{}, err
	}
	now := o.Now().UTC()
	if now.Before(from) {
		return Certificate{}, dossier.Refuse(dossier.ErrState, "guarantee.the-data-of-is-kept-until", "%s: the data of %s is kept until %s", "caseid", caseID, "account", c.Account, "utc", from.UTC().Format(time.RFC3339))
	}
	other, err := o.held(ctx, c.Account)
	if err != nil {
		return Certificate{}, err
	}
	if other != "" {
		return Certificate{}, dossier.Refuse(dossier.ErrState, "guarantee.is-under-legal-hold-by", "%s is under legal hold by %s", "account", c.Account, "other", other)
	}
	cert := Certificate{ID: "PC-" + strings.TrimPrefix(caseID, "A-"), Account: c.Account, Case: caseID, Locked: from.Add(-KeepFor), Purged: now, By: who.Name}
	if old, err := o.certificates().Get(ctx, cert.ID); err == nil {
		return old.Value, nil
	}
	what, err := o.removePapers(ctx, c)
	if err != nil {
		return cert, err
	}
	cert.What = append(cert.What, what...)
	for _, r := range rooms {
		what, err := r.Purge(ctx, c.Account, from)
		if err != nil {
			return cert, err
		}
		cert.What = append(cert.What, dossier.Clip(what))
	}
	if cert.Sum, err = cert.hash(); err != nil {
		return cert, err
	}
	if _, err := o.certificates().Create(ctx, cert); err != nil && !errors.Is(err, entity.ErrExists) {
		return cert, err
	}
	return cert, errors.Join(
		o.Audit(ctx, who.Name, "purge", c.Account, nil, cert, reason),
		second(o.Desk.Note(ctx, caseID, cases.Event{Actor: who.Name, Action: "purge", Text: reason, Data: map[string]string{"certificate": cert.ID, "sha256": cert.Sum}})),
	)
}

func second[T any](_ T, err error) error { return err }

// held names a case of the account that is under legal hold, or "".
func (o *Office) held(ctx context.Context, account string) (string, error) {
	for after := ""; ; {
		all, next, err := o.Desk.Find(ctx, cases.Search{Account: account, After: after, Limit: 200})
		if err != nil {
			return "", err
		}
		for _, c := range all {
			if c.LegalHold {
				return c.ID, nil
			}
		}
		if after = next; next == "" {
			return "", nil
		}
	}
}

// removePapers forgets the papers of a case's packs that no other pack has; their hashes stay.
func (o *Office) removePapers(ctx context.Context, c cases.Case) ([]string, error) {
	packs, _, err := o.List(ctx, Search{Case: c.ID, Limit: entity.MaxPage})
	if err != nil {
		return nil, err
	}
	var out []string
	for _, p := range packs {
		for _, part := range Parts() {
			f, ok := p.Files[part]
			if !ok {
				continue
			}
			shared, err := o.shared(ctx, c.ID, f.Sum)
			if err != nil {
				return out, err
			}
			if shared {
				continue
			}
			if err := o.Entities.RemoveBlob(ctx, entity.Papers, f.Sum); err != nil {
				return out, err
			}
			out = append(out, p.ID+" "+string(part)+" "+f.Sum)
		}
	}
	return out, nil
}

// shared reports whether the pack of another case rests on the same bytes.
func (o *Office) shared(ctx context.Context, caseID, sum string) (bool, error) {
	rows, _, err := o.packs().Find(ctx, entity.Query{Index: "paper", Value: sum, Limit: entity.MaxPage})
	for _, r := range rows {
		if r.Value.Case != caseID {
			return true, nil
		}
	}
	return false, err
}

func (c Certificate) hash() (string, error) {
	c.Sum = ""
	text, err := json.Marshal(c)
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), err
}

// Valid reports whether a certificate is as it was written.
func (c Certificate) Valid() bool {
	sum, err := c.hash()
	return err == nil && sum == c.Sum
}

// Certificates lists the certificates of an account, all with "".
func (o *Office) Certificates(ctx context.Context, account, after string, limit int) ([]Certificate, string, error) {
	q := entity.Query{Index: "all", After: after, Limit: limit}
	if account != "" {
		q.Index, q.Value = "account", value(account)
	}
	rows, next, err := o.certificates().Find(ctx, q)
	out := make([]Certificate, 0, len(rows))
	for _, r := range rows {
		out = append(out, r.Value)
	}
	return out, next, err
}
