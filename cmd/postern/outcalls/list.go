package outcalls

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"postern/abuse/external/told"
	"postern/abuse/notice"
	"postern/internal/entity"
	"postern/internal/said"
)

// lookMost bounds how many records one page looks at for those that fit.
const lookMost = 4000

// mark is where a page ended: at this time, with this one.
type mark struct {
	at int64
	id string
}

func (m mark) String() string { return strconv.FormatInt(m.at, 10) + ":" + m.id }

// before reports whether s comes behind the mark, the youngest first.
func (m mark) before(s Sent) bool {
	at := s.At.UnixMilli()
	return m.id == "" || at < m.at || at == m.at && s.ID < m.id
}

func markOf(after string) (m mark, err error) {
	if after == "" {
		return m, nil
	}
	at, id, ok := strings.Cut(after, ":")
	if m.at, err = strconv.ParseInt(at, 10, 64); err != nil || !ok || id == "" || m.at <= 0 {
		return m, said.Errorf("outbox.after-is-no-place-in-this-list", "after: %.60q is no place in this list: %w", "after", after, "kind", entity.ErrInvalid)
	}
	m.id = id
	return m, nil
}

// list merges letters and reports by time.
func (p Parts) list(ctx context.Context, q Query) (Page, error) {
	from, err := markOf(q.After)
	if err != nil {
		return Page{}, err
	}
	if q.Limit <= 0 || q.Limit > entity.MaxPage {
		q.Limit = entity.DefaultPer
	}
	all, ends := []Sent{}, mark{}
	for _, shelf := range p.shelves(q) {
		some, end, err := shelf(ctx, from)
		if err != nil {
			return Page{}, err
		}
		all = append(all, some...)
		if end.at > ends.at { // what was not looked at there may come before what was found elsewhere
			ends = end
		}
	}
	slices.SortFunc(all, func(a, b Sent) int {
		return cmp.Or(cmp.Compare(b.At.UnixMilli(), a.At.UnixMilli()), cmp.Compare(b.ID, a.ID))
	})
	if ends.id != "" {
		all = slices.DeleteFunc(all, ends.before)
	}
	out := Page{Sent: all}
	if len(all) > q.Limit {
		last := all[q.Limit-1]
		out.Sent, out.Next = all[:q.Limit], mark{last.At.UnixMilli(), last.ID}.String()
	} else if ends.id != "" {
		out.Next = ends.String()
	}
	return out, nil
}

// shelf reads what fits behind a mark, and where it stopped before its end.
type shelf func(ctx context.Context, from mark) ([]Sent, mark, error)

// shelves are those that can have what is asked for.
func (p Parts) shelves(q Query) (out []shelf) {
	if p.Letters != nil && (q.Sort == "" || q.Sort == Letter) {
		out = append(out, func(ctx context.Context, from mark) ([]Sent, mark, error) {
			return read(ctx, entity.Table[notice.Notice]{Store: p.Home, Kind: notice.Kind}, q, from, p.ofLetter)
		})
	}
	if q.Sort == "" || q.Sort == Report || q.Sort == Body {
		out = append(out, func(ctx context.Context, from mark) ([]Sent, mark, error) {
			return read(ctx, told.Table(p.Home), q, from, p.ofReport)
		})
	}
	return out
}

// read looks through one shelf for a page and one more.
func read[T any](ctx context.Context, t entity.Table[T], q Query, from mark, of func(context.Context, T) (Sent, error)) (out []Sent, end mark, err error) {
	find := entity.Query{Index: "all", To: from.at, Limit: min(q.Limit+1, entity.MaxPage)}
	switch {
	case q.Case != "":
		find.Index, find.Value = "case", strings.ToUpper(strings.TrimSpace(q.Case))
	case q.State == Bounced || q.State == Barred: // these are kept under that name
		find.Index, find.Value = "state", map[string]string{Bounced: notice.Failed, Barred: notice.Barred}[q.State]
	}
	to := strings.ToLower(strings.TrimSpace(q.To))
	for looked := 0; ; {
		rows, next, err := t.Find(ctx, find)
		if err != nil {
			return nil, end, err
		}
		for _, r := range rows {
			s, err := of(ctx, r.Value)
			if err != nil {
				return nil, end, err
			}
			looked++
			if end = (mark{s.At.UnixMilli(), s.ID}); !from.before(s) || !fits(q, s, to) {
				continue
			}
			if out = append(out, s); len(out) > q.Limit {
				return out, end, nil
			}
		}
		if next == "" {
			return out, mark{}, nil
		}
		if looked >= lookMost {
			return out, end, nil
		}
		find.After = next
	}
}

// fits reports whether s is asked for. Drafts have not gone out.
func fits(q Query, s Sent, to string) bool {
	return s.State != "" && (q.Sort == "" || q.Sort == s.Sort) && (q.State == "" || q.State == s.State) && (to == "" || strings.Contains(strings.ToLower(s.To), to))
}

// state is what people call a state; "" for what has not gone out.
func (p Parts) state(ctx context.Context, kept, key string, at time.Time) (string, error) {
	switch kept {
	case notice.Queued:
		return Waiting, nil
	case notice.Failed:
		return Bounced, nil
	case notice.Barred:
		return Barred, nil
	case notice.Sent:
		waits, err := p.Waits(ctx, key, at)
		if waits {
			return Waiting, err
		}
		return Delivered, err
	}
	return "", nil
}

func (p Parts) ofLetter(ctx context.Context, n notice.Notice) (Sent, error) {
	s := Sent{ID: n.ID, Sort: Letter, Kind: string(n.Kind), Case: n.Case, To: n.To, Language: n.Language, Subject: n.Subject, Why: n.Why, Said: n.Said, By: n.By, At: n.At, Again: n.Again, AgainBy: n.AgainBy}
	var err error
	s.State, err = p.state(ctx, n.State, n.Key(), n.At)
	s.may(n.MayResend(p.Now()))
	return s, err
}

func (p Parts) ofReport(ctx context.Context, n told.Notice) (Sent, error) {
	s := Sent{ID: n.ID, Sort: Report, Kind: n.Form, Case: n.Case, To: n.To, Way: n.Way, Language: n.Language, Why: n.Why, Said: n.Said, By: n.By, At: n.At, Again: n.Again, AgainBy: n.AgainBy}
	if n.Way == told.ToBody {
		s.Sort = Body
	}
	key, at := n.Entry()
	var err error
	s.State, err = p.state(ctx, n.State, key, at)
	s.may(n.MayResend(p.Now()))
	return s, err
}

// may notes whether it may be sent again; why not is said of what came back alone.
func (s *Sent) may(err error) {
	if s.State != Bounced {
		return
	}
	if s.Resend = err == nil; err != nil {
		said.Of(err).Put(&s.WhyNot, &s.Not)
	}
}
