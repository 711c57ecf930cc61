package accountcalls_test

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/abuse"
	"postern/abuse/behaviour/logins"
	"postern/abuse/engine"
	"postern/abuse/guarantee"
	"postern/abuse/measure"
	"postern/abuse/signal"
	"postern/cmd/postern/accountcalls"
	"postern/internal/control"
)

// TestLogins has what several nodes saw of one network be one line, and the place stand in it.
func TestLogins(t *testing.T) {
	w := newWorld(t)
	for _, r := range []logins.Row{
		{ID: "a", Network: "198.51.100.0/24", Client: netip.MustParseAddr("198.51.100.7"), At: w.now.Add(-3 * time.Hour), Failed: 4},
		{ID: "b", Network: "198.51.100.0/24", Client: netip.MustParseAddr("198.51.100.8"), At: w.now.Add(-time.Hour)},
		{ID: "c", Network: "198.51.100.0/24", Client: netip.MustParseAddr("198.51.100.7"), At: w.now.Add(-2 * time.Hour), Failed: 5},
		{ID: "d", Network: "203.0.113.0/24", Client: netip.MustParseAddr("203.0.113.9"), At: w.now.Add(-4 * time.Hour), Failed: 3},
	} {
		r.Account = ann
		w.must(w.Logins.Put(t.Context(), r))
	}
	got := w.activity(ann)
	if len(got.Logins) != 2 || !got.Known {
		t.Fatalf("%+v", got.Logins)
	}
	if l := got.Logins[0]; l.Failed != 9 || !l.Worked || !l.Last.Equal(w.now.Add(-time.Hour)) || l.Country != "GR" || l.ASN != 8 {
		t.Errorf("%+v", l)
	}
	if l := got.Logins[1]; l.Failed != 3 || l.Worked || l.Network != "203.0.113.0/24" {
		t.Errorf("%+v", l)
	}
}

func TestVotes(t *testing.T) {
	day := 24 * time.Hour
	now := newWorld(t).now
	one := func(age time.Duration, votes int, of string) signal.Signal {
		return signal.Signal{At: now.Add(-age), Votes: votes, Copy: of}
	}
	for name, c := range map[string]struct {
		all                    []signal.Signal
		proven, unproven, last int
	}{
		"none":                    {nil, 0, 0, 0},
		"a copy votes once":       {[]signal.Signal{one(1, 100, "c"), one(2, 100, "c"), one(3, 50, "d")}, 150, 1, 3},
		"no copy is known":        {[]signal.Signal{one(1, 50, ""), one(2, 50, "")}, 100, 0, 2},
		"no vote":                 {[]signal.Signal{one(1, 0, "c"), one(2, -1, "d")}, 0, 2, 2},
		"too old":                 {[]signal.Signal{one(30*day+1, 100, "c"), one(30*day, 100, "d")}, 100, 0, 1},
		"a trap is no complaint":  {[]signal.Signal{{Family: signal.Traps, Votes: 100}}, 0, 0, 0},
		"more than can be looked": {make([]signal.Signal, 60), 0, 60, 50},
	} {
		w := newWorld(t)
		for i, s := range c.all {
			if s.Family == "" {
				s.Family = signal.Complaints
			}
			s.ID, s.Account = strings.Repeat("x", i+1), ann
			if s.At.IsZero() {
				s.At = now
			}
			w.must(w.Signals.Add(t.Context(), s))
		}
		if v := w.activity(ann).Votes; v.Proven != c.proven || v.Unproven != c.unproven || len(v.Last) != c.last {
			t.Errorf("%s: %d and %d, %d shown", name, v.Proven, v.Unproven, len(v.Last))
		}
	}
}

// TestTrial has the ramp that is shown be set back by what sets back the one that is enforced.
func TestTrial(t *testing.T) {
	day := 24 * time.Hour
	for name, c := range map[string]struct {
		s      signal.Signal // at days after the probation began
		at     int
		shares []int // of the steps
		share  int   // on day 17
	}{
		"nothing":                     {signal.Signal{Family: signal.Behaviour}, 9, []int{20, 40, 80, 100}, 100},
		"a trap of last week":         {signal.Signal{Family: signal.Traps}, 9, []int{20, 40, 80, 100, 20, 40, 80, 100}, 80},
		"a vote":                      {signal.Signal{Family: signal.Complaints, Votes: 100}, 16, []int{20, 40, 80, 100, 20, 40, 80, 100}, 20},
		"half a vote":                 {signal.Signal{Family: signal.Complaints, Votes: 50}, 16, []int{20, 40, 80, 100}, 100},
		"a vote about mail of before": {signal.Signal{Family: signal.Complaints, Votes: 100, Weight: -10, SentAt: time.Unix(1, 0)}, 16, []int{20, 40, 80, 100}, 100},
		"a trap of before":            {signal.Signal{Family: signal.Traps}, -1, []int{20, 40, 80, 100}, 100},
	} {
		w := newWorld(t)
		from := w.now.Add(-17 * day)
		w.pack(guarantee.Pack{ID: "G-1", Account: ann, State: guarantee.Approved, Decided: from, TrialUntil: from.Add(30 * day)})
		c.s.ID, c.s.Account, c.s.At = "s", ann, from.Add(time.Duration(c.at)*day)
		if c.s.SentAt.IsZero() {
			c.s.SentAt = c.s.At
		}
		w.must(w.Signals.Add(t.Context(), c.s))
		got := w.activity(ann)
		if got.Trial == nil || got.Strikes != 1 {
			t.Fatalf("%s: %+v", name, got)
		}
		var shares []int
		for _, s := range got.Trial.Steps {
			shares = append(shares, s.Share)
		}
		if x := got.Trial; x.Share != c.share || x.Messages != c.share || x.Recipients != max(3*c.share/100, 1) || !slices.Equal(shares, c.shares) {
			t.Errorf("%s: %d %%, %d messages, %d recipients, then %v", name, x.Share, x.Messages, x.Recipients, shares)
		}
	}
}

// TestOfItsDomain has an account be shown under what is in force against its domain.
func TestOfItsDomain(t *testing.T) {
	w := newWorld(t)
	_, err := w.Desk.Apply(t.Context(), measure.Request{Domain: "x.example", Level: abuse.M2, Reason: "a flood", Actor: "anna"})
	w.must(err)
	if got := w.activity(ann); !got.Domain || got.Level != "M2" || got.Account.Name != "@x.example" || len(got.Measures) != 0 {
		t.Errorf("%+v", got)
	}
	if got := w.activity("@X.example"); got.Domain || got.Level != "M2" || len(got.Measures) != 1 {
		t.Errorf("%+v", got)
	}
}

func TestCarried(t *testing.T) {
	w := newWorld(t,
		system{name: "mail", can: measure.Capabilities{Levels: []abuse.Level{abuse.M1, abuse.M3}, Sessions: true, Required: true}},
		system{name: "web", can: measure.Capabilities{Levels: []abuse.Level{abuse.M3}, Domains: true}})
	for name, c := range map[string]struct {
		q    accountcalls.PreviewAsk
		want []accountcalls.System
	}{
		"a throttle ends no session": {accountcalls.PreviewAsk{Account: ann, Level: "M1"}, []accountcalls.System{{Name: "mail", Required: true}}},
		"nobody carries it":          {accountcalls.PreviewAsk{Account: ann, Level: "M2"}, nil},
		"both":                       {accountcalls.PreviewAsk{Account: ann, Level: "M3"}, []accountcalls.System{{"mail", true, true}, {"web", false, false}}},
		"a domain":                   {accountcalls.PreviewAsk{Domain: "x.example", Level: "M3"}, []accountcalls.System{{Name: "web"}}},
	} {
		got := w.preview(c.q)
		if !slices.Equal(got.Systems, c.want) || got.Systems == nil {
			t.Errorf("%s: %+v", name, got.Systems)
		}
	}
}

func TestHeldIsBounded(t *testing.T) {
	w := newWorld(t)
	for n, more := range map[int]bool{0: false, 999: false, 1000: true, 5000: true} {
		w.held.n = n
		if got := w.preview(accountcalls.PreviewAsk{Account: ann, Level: "M2"}); got.Held != min(n, 1000) || got.More != more {
			t.Errorf("%d: %d, more %v", n, got.Held, got.More)
		}
	}
}

// TestFindReadsAnew has a search see new mail once what was read is old, and tell what strikes
// guarantees gave.
func TestFindReadsAnew(t *testing.T) {
	w := newWorld(t)
	w.send(ann, 3)
	w.pack(guarantee.Pack{ID: "G-1", Account: "bob@x.example", State: guarantee.Broken, Strike: 2})
	w.pack(guarantee.Pack{ID: "G-2", Account: "bob@x.example", State: guarantee.Refused, Strike: 7})
	find := func(q accountcalls.Search) (out accountcalls.Found) {
		t.Helper()
		w.must(w.Call(t.Context(), "account.find", q, &out))
		return out
	}
	if got := find(accountcalls.Search{Sort: "name"}); got.Total != 2 || got.Accounts[1].Strikes != 2 || !got.Accounts[1].TrialUntil.IsZero() {
		t.Errorf("%+v", got)
	}
	w.send("carl@x.example", 1)
	w.now = w.now.Add(engine.Every - 1)
	if got := find(accountcalls.Search{}); got.Total != 2 {
		t.Errorf("read anew too soon: %+v", got)
	}
	w.now = w.now.Add(1)
	if got := find(accountcalls.Search{After: "gone@x.example", Sort: "name"}); got.Total != 3 || got.Accounts[0].Name != ann {
		t.Errorf("%+v", got)
	}
}

func TestRefusals(t *testing.T) {
	w := newWorld(t)
	long := strings.Repeat("a", 321)
	for call, all := range map[string][]any{
		"account.activity": {accountcalls.Named{}, accountcalls.Named{Name: " "}, accountcalls.Named{Name: long}},
		"account.find":     {accountcalls.Search{Domain: long}},
		"measure.preview":  {accountcalls.PreviewAsk{Account: long, Level: "M1"}, accountcalls.PreviewAsk{Account: ann, Domain: "x.example", Level: "M1"}, accountcalls.PreviewAsk{Account: ann, Level: "M1", Hours: 24*3650 + 1}},
	} {
		for i, q := range all {
			var e *control.Error
			if err := w.Call(t.Context(), call, q, &struct{}{}); !errors.As(err, &e) || e.Kind != control.Invalid {
				t.Errorf("%s %d: %v", call, i, err)
			}
		}
	}
	w.log.fail = errors.New("away")
	for call, q := range map[string]any{"account.activity": accountcalls.Named{Name: ann}, "account.find": accountcalls.Search{}, "measure.preview": accountcalls.PreviewAsk{Account: ann, Level: "M1"}} {
		if err := w.Call(t.Context(), call, q, &struct{}{}); err == nil {
			t.Errorf("%s: a log that is away is not said", call)
		}
	}
}
