package accountcalls

import (
	"cmp"
	"context"
	"slices"
	"sort"
	"strings"
	"time"

	"postern/abuse"
	"postern/abuse/engine"
	"postern/abuse/guarantee"
	"postern/internal/control"
	"postern/internal/said"
)

// Search asks for accounts. What is empty asks for all.
type Search struct {
	Text    string   `json:"text,omitempty"`    // of the name
	Domain  string   `json:"domain,omitempty"`  //
	Domains []string `json:"domains,omitempty"` // any of these
	Level   string   `json:"level,omitempty"`   // at least; "measure": whatever is in force
	Strikes int      `json:"strikes,omitempty"`
	Score   int      `json:"score,omitempty"` // at least
	Trial   bool     `json:"trial,omitempty"` // on probation
	Sort    string   `json:"sort,omitempty"`  // name, score, sends; "" = score
	After   string   `json:"after,omitempty"`
	Limit   int      `json:"limit,omitempty"`
}

// Row is one account, or with a name of "@example.com" the record of a domain.
type Row struct {
	Name       string     `json:"name"`
	Level      string     `json:"level,omitempty"` // in force; "" = nothing
	Word       string     `json:"word,omitempty"`
	Watched    bool       `json:"watched,omitempty"`
	Reason     string     `json:"reason,omitempty"`
	Said       said.Words `json:"said,omitzero"` // Reason by its code
	By         string     `json:"by,omitempty"`
	Auto       bool       `json:"auto,omitempty"`
	Until      time.Time  `json:"until,omitzero"`
	Case       string     `json:"case,omitempty"`
	Score      int        `json:"score"`
	Strikes    int        `json:"strikes"`
	TrialUntil time.Time  `json:"trial_until,omitzero"`
	Messages   int        `json:"messages"` // of the last hour
	Recipients int        `json:"recipients"`
	Usual      int        `json:"usual"` // recipients an hour
	Last       time.Time  `json:"last,omitzero"`
}

// Found is a page of accounts.
type Found struct {
	Accounts []Row  `json:"accounts"`
	Next     string `json:"next,omitempty"`
	Total    int    `json:"total"` // that match
}

// Bounds of a search.
const (
	maxFound   = 500
	perFound   = 50
	maxPattern = 320
	maxDomains = 1000
	guaranteed = 5000 // guarantees that are looked at
)

// index is every account that is known, as of a time.
type index struct {
	at   time.Time
	rows []Row // by name
}

// find searches what is known of all accounts; it is read anew at most each engine.Every. What
// is in force is always that of now.
func (c *calls) find(ctx context.Context, q Search) (Found, error) {
	level, err := q.check()
	if err != nil {
		return Found{}, err
	}
	rows, err := c.rows(ctx)
	if err != nil {
		return Found{}, err
	}
	match := make([]Row, 0, 256)
	text, domain := strings.ToLower(strings.TrimSpace(q.Text)), strings.ToLower(strings.TrimPrefix(strings.TrimSpace(q.Domain), "@"))
	for _, r := range rows {
		if text != "" && !strings.Contains(r.Name, text) || domain != "" && !strings.HasSuffix(r.Name, "@"+domain) || len(q.Domains) > 0 && !slices.Contains(q.Domains, domainOf(r.Name)) || r.Score < q.Score || r.Strikes < q.Strikes || q.Trial && r.TrialUntil.IsZero() {
			continue
		}
		c.force(&r)
		if level == anyLevel && r.Level == "" && !r.Watched || level > 0 && level < anyLevel && r.Level < q.Level {
			continue
		}
		match = append(match, r)
	}
	order(match, q.Sort)
	out := Found{Total: len(match)}
	from := 0
	if q.After != "" {
		from = 1 + slices.IndexFunc(match, func(r Row) bool { return r.Name == q.After }) // gone: from the start
	}
	to := min(from+cmp.Or(q.Limit, perFound), len(match))
	out.Accounts = match[from:to]
	if to < len(match) {
		out.Next = match[to-1].Name
	}
	return out, nil
}

func domainOf(name string) string { return name[strings.LastIndexByte(name, '@')+1:] }

// anyLevel stands for whatever is in force.
const anyLevel abuse.Level = 99

func (q *Search) check() (level abuse.Level, err error) {
	switch {
	case len(q.Text) > maxPattern || len(q.Domain) > maxPattern:
		return 0, control.Refuse(control.Invalid, "account.text-and-domain-at-most-octets", "text and domain: at most %d octets", "most", maxPattern)
	case len(q.Domains) > maxDomains:
		return 0, control.Refuse(control.Invalid, "account.domains-at-most", "domains: at most %d", "most", maxDomains)
	case q.Limit < 0 || q.Limit > maxFound:
		return 0, control.Refuse(control.Invalid, "account.limit-at-most", "limit: at most %d", "most", maxFound)
	case !slices.Contains([]string{"", "name", "score", "sends"}, q.Sort):
		return 0, control.Refuse(control.Invalid, "account.sort-name-score-or-sends-not", "sort: name, score or sends, not %.20q", "sort", q.Sort)
	case q.Level == "":
		return 0, nil
	case q.Level == "measure":
		return anyLevel, nil
	}
	if level, err = abuse.ParseLevel(q.Level); err != nil {
		return 0, control.Because(control.Invalid, err)
	}
	q.Level = level.String()
	return level, nil
}

func order(rows []Row, by string) {
	slices.SortStableFunc(rows, func(a, b Row) int {
		switch by {
		case "name":
			return cmp.Compare(a.Name, b.Name)
		case "sends":
			return cmp.Or(b.Recipients-a.Recipients, cmp.Compare(a.Name, b.Name))
		}
		return cmp.Or(b.Score-a.Score, cmp.Compare(b.Level, a.Level), b.Strikes-a.Strikes, b.Recipients-a.Recipients, cmp.Compare(a.Name, b.Name))
	})
}

// force says what is in force against an account now, its own record or that of its domain.
func (c *calls) force(r *Row) {
	acc := c.Accounts.Force(r.Name)
	if n := acc.Effective(); n > 0 {
		r.Level, r.Word = n.String(), n.Word()
	}
	r.Watched = acc.Watched()
	r.Reason, r.Said, r.By, r.Auto, r.Until, r.Case = acc.Reason, acc.Said, acc.By, acc.Auto, acc.Until, acc.Case
}

// rows are all accounts, read anew when they are old.
func (c *calls) rows(ctx context.Context) ([]Row, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.Now()
	if c.index != nil {
		if d := now.Sub(c.index.at); d >= 0 && d < engine.Every {
			return c.index.rows, nil
		}
	}
	all, err := c.Engine.Standings(ctx)
	if err != nil {
		return nil, err
	}
	rows := make([]Row, 0, len(all))
	for _, s := range all {
		rows = append(rows, Row{Name: s.Account, Score: s.Score, Messages: s.Messages, Recipients: s.Recipients, Usual: s.Usual, Last: s.Last})
	}
	at := func(name string) *Row {
		i := sort.Search(len(rows), func(i int) bool { return rows[i].Name >= name })
		if i == len(rows) || rows[i].Name != name {
			rows = slices.Insert(rows, i, Row{Name: name})
		}
		return &rows[i]
	}
	for _, acc := range c.Accounts.Known() {
		at(acc.Name)
	}
	if err := c.given(ctx, at); err != nil {
		return nil, err
	}
	c.index = &index{at: now, rows: rows}
	return rows, nil
}

// given adds what guarantees say: strikes, and who is on probation.
func (c *calls) given(ctx context.Context, at func(name string) *Row) error {
	for _, state := range []guarantee.State{guarantee.Approved, guarantee.Broken} {
		for after, n := "", 0; n < guaranteed; {
			packs, next, err := c.Office.List(ctx, guarantee.Search{State: state, After: after, Limit: 200})
			if err != nil {
				return err
			}
			for _, p := range packs {
				r := at(abuse.Name(p.Account))
				r.Strikes = max(r.Strikes, p.Strike)
				if state == guarantee.Approved {
					r.Strikes = max(r.Strikes, 1) // what the guarantee was given for
					r.TrialUntil = p.TrialUntil
				}
			}
			n += len(packs)
			if after = next; next == "" {
				break
			}
		}
	}
	return nil
}
