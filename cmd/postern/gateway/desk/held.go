package desk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"postern/abuse"
	"postern/cmd/postern/glue"
	"postern/filter"
	"postern/internal/control"
	"postern/internal/entity"
	"postern/internal/spool"
	"postern/quarantine"
)

// Held is the mail that measures hold, in the quarantine.
type Held struct {
	Quarantine *quarantine.Quarantine
	Pipeline   func() *filter.Pipeline
	Spool      *spool.Spool
	Store      entity.Store
}

// Bounds of a look at what is held.
const (
	heldPages = 50
	heldPage  = 1000
)

// Bytes are the first limit octets of a hold, infected or not, for the case that it is evidence of.
func (h *Held) Bytes(ctx context.Context, id string, limit int64) ([]byte, error) {
	r, err := h.Quarantine.Raw(ctx, id)
	if errors.Is(err, quarantine.ErrNotFound) {
		return nil, control.Because(control.NotFound, err)
	}
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, limit))
}

// keptMark notes a hold that was looked at again and stays for what it is.
type keptMark struct {
	Hold string `json:"hold"`
	Why  string `json:"why"`
}

func (h *Held) kept() entity.Table[keptMark] {
	return entity.Table[keptMark]{Store: h.Store, Kind: "measure-kept", ID: func(k *keptMark) string { return k.Hold }}
}

// Held implements measure.Held.
func (h *Held) Held(ctx context.Context, target string, limit int) ([]string, error) {
	var all []string
	q := quarantine.Query{Class: quarantine.ByMeasure, Limit: heldPage}
	for range heldPages {
		page, err := h.Quarantine.List(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, hold := range page.Holds {
			if ofTarget(hold.Client.Account, target) {
				all = append(all, hold.ID)
			}
		}
		if q.After = page.Next; page.Next == "" {
			break
		}
	}
	slices.Reverse(all) // the list comes newest first
	var out []string
	for _, id := range all {
		if len(out) >= limit {
			break
		}
		switch _, err := h.kept().Get(ctx, id); {
		case errors.Is(err, entity.ErrNotFound):
			out = append(out, id)
		case err != nil:
			return nil, err
		}
	}
	return out, nil
}

func ofTarget(account, target string) bool {
	account = abuse.Name(account)
	if abuse.Scope(target) == "domain" {
		return strings.HasSuffix(account, target)
	}
	return account == target
}

// Rescan implements measure.Held: the checks of content look again, those of the account do not
// count.
func (h *Held) Rescan(ctx context.Context, id string) (clean bool, why string, err error) {
	hold, err := h.Quarantine.Show(ctx, id)
	if err != nil {
		return false, "", err
	}
	if hold.State.Ended() {
		return true, "", nil
	}
	raw, err := h.Quarantine.Raw(ctx, id)
	if err != nil {
		return false, "", err
	}
	defer raw.Close()
	w := h.Spool.New()
	if _, err := io.Copy(w, raw); err != nil {
		return false, "", err
	}
	body, err := w.Finish()
	if err != nil {
		return false, "", err
	}
	defer func() { _ = body.Close() }()
	p := h.Pipeline()
	m := glue.MessageOf(hold, body)
	r := p.Run(ctx, filter.OnData, m)
	if len(r.Failures) > 0 {
		return false, "", fmt.Errorf("%s could not look at %s: %s", r.Failures[0].Step, id, r.Failures[0].Reason)
	}
	r.Findings = slices.DeleteFunc(r.Findings, func(f filter.Finding) bool {
		return strings.HasPrefix(f.Symbol, "ACCOUNT_") || strings.HasPrefix(f.Symbol, "RATE_")
	})
	v := p.Judge.Judge(m, r, hold.Policy)
	if v.Action <= filter.Tag {
		return true, "", nil
	}
	why = v.Action.String()
	if len(v.Reasons) > 0 {
		why += ": " + v.Reasons[0].Describe
	}
	return false, why, nil
}

// Release implements measure.Held.
func (h *Held) Release(ctx context.Context, id, actor string) error {
	_, err := h.Quarantine.Release(ctx, id, actor)
	if errors.Is(err, quarantine.ErrEnded) {
		return nil
	}
	return err
}

// Keep implements measure.Held: the hold stays until a person decides or its time is over.
func (h *Held) Keep(ctx context.Context, id, why string) error {
	_, err := h.kept().Create(ctx, keptMark{Hold: id, Why: why})
	if errors.Is(err, entity.ErrExists) {
		return nil
	}
	return err
}
