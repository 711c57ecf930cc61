package history_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"postern/abuse/behaviour"
	"postern/abuse/history"
	"postern/abuse/sent"
)

func clock() time.Time { return time.Date(2030, 5, 6, 7, 30, 0, 0, time.UTC) }

// log is a send log of one account, in pages.
type log struct {
	rows []sent.Row // oldest first
	err  error
}

func (l *log) ByAccount(_ context.Context, account string, from, to time.Time, cursor string, limit int) (out []sent.Row, next string, err error) {
	n := 0
	_, _ = fmt.Sscan(cursor, &n)
	all := slices.Clone(l.rows)
	slices.Reverse(all)
	all = slices.DeleteFunc(all, func(r sent.Row) bool { return r.Account != account || r.At.Before(from) || r.At.After(to) })
	end := min(n+limit, len(all))
	if end < len(all) {
		next = fmt.Sprint(end)
	}
	return all[n:end], next, l.err
}

func (l *log) send(age time.Duration, to ...sent.Copy) *sent.Row {
	l.rows = append(l.rows, sent.Row{Serial: fmt.Sprint(len(l.rows)), Account: "anna@example.com", At: clock().Add(-age), Client: netip.MustParseAddrPort("198.51.100.7:4000"), Copies: to})
	slices.SortStableFunc(l.rows, func(a, b sent.Row) int { return a.At.Compare(b.At) })
	return &l.rows[slices.IndexFunc(l.rows, func(r sent.Row) bool { return r.Serial == fmt.Sprint(len(l.rows)-1) })]
}

func to(names ...string) (out []sent.Copy) {
	for _, n := range names {
		out = append(out, sent.Copy{Recipient: n, State: sent.Delivered})
	}
	return out
}

// greece is where everything comes from.
type greece struct{}

func (greece) Where(netip.Addr) behaviour.Place { return behaviour.Place{Country: "GR", ASN: 64500} }

func TestOf(t *testing.T) {
	l := &log{}
	l.send(20*24*time.Hour, to("a@one.test", "b@one.test")...)
	l.send(10*24*time.Hour, to("A@one.test", "c@two.test")...)
	l.send(3*time.Hour, to("c@two.test")...)
	r := l.send(20*time.Minute, append(to("d@one.test", "e@one.test"), sent.Copy{Recipient: "gone@two.test", State: sent.Refused, Reply: "550 5.1.1 no such user"}, sent.Copy{Recipient: "late@two.test", State: sent.Waiting}, sent.Copy{Recipient: "kept@two.test", State: sent.Held})...)
	r.Action = "quarantine"
	l.rows = append(l.rows, sent.Row{Serial: "x", Account: "bob@example.com", At: clock(), Copies: to("z@three.test")})
	l.send(40*24*time.Hour, to("old@four.test")...) // before what is counted

	h, err := history.Of(t.Context(), l, " Anna@example.com", clock(), greece{})
	if err != nil {
		t.Fatal(err)
	}
	if want := (history.Hour{Messages: 1, Recipients: 5, Fresh: 5, Gone: 1, Bad: 1}); h.Hour != want {
		t.Errorf("the last hour: %+v", h.Hour)
	}
	if h.Day.Messages != 2 || h.Day.Recipients != 6 || h.Day.Fresh != 5 {
		t.Errorf("the last day: %+v", h.Day)
	}
	if h.Month.Messages != 4 || h.Month.Recipients != 10 || h.Month.Fresh != 8 || h.Month.Gone != 1 {
		t.Errorf("the month: %+v", h.Month)
	}
	if h.Waiting != 1 || h.Held != 1 || h.Cut || h.Usual != 2 {
		t.Errorf("%d waiting, %d held, usual %d", h.Waiting, h.Held, h.Usual)
	}
	if len(h.Hours) != 48 || len(h.Days) != history.Days || h.Hours[47].Recipients != 5 || h.Hours[44].Recipients != 1 || h.Days[27].Recipients != 6 || h.Days[17].Recipients != 2 || h.Days[7].Recipients != 2 {
		t.Errorf("%+v %+v", h.Hours, h.Days)
	}
	if len(h.Domains) != 2 || h.Domains[0].Name != "one.test" || h.Domains[0].Count != 5 || h.Domains[1].Count != 5 {
		t.Errorf("%+v", h.Domains)
	}
	if len(h.Networks) != 1 || h.Networks[0].Count != 4 || h.Networks[0].Country != "GR" || h.Networks[0].ASN != 64500 || !h.Networks[0].Last.Equal(clock().Add(-20*time.Minute)) {
		t.Errorf("%+v", h.Networks)
	}
	l.err = errors.New("away")
	if _, err := history.Of(t.Context(), l, "anna@example.com", clock(), nil); err == nil {
		t.Error("a store that is away")
	}
}

func TestNothing(t *testing.T) {
	h, err := history.Of(t.Context(), &log{}, "nobody", clock(), nil)
	if err != nil || len(h.Hours) != 48 || len(h.Days) != history.Days || h.Domains == nil || h.Networks == nil || h.Usual != 0 {
		t.Errorf("%+v %v", h, err)
	}
}

// TestBounds has an account that sends more than is read: the figures say where they begin.
func TestBounds(t *testing.T) {
	l := &log{}
	for i := range history.MaxRows + 2000 {
		l.rows = append(l.rows, sent.Row{Serial: fmt.Sprint(i), Account: "anna@example.com", At: clock().Add(-time.Duration(history.MaxRows+2000-i) * 20 * time.Second), Copies: to("a@one.test")})
	}
	h, err := history.Of(t.Context(), big{l}, "anna@example.com", clock(), nil)
	if err != nil || !h.Cut || h.Month.Messages != history.MaxRows || !h.From.After(clock().AddDate(0, 0, -history.Days)) {
		t.Error(h.Cut, h.Month.Messages, h.From, err)
	}
	if h.Usual != 180 {
		t.Error(h.Usual)
	}
}

// big reads its rows without a search.
type big struct{ *log }

func (b big) ByAccount(_ context.Context, _ string, _, _ time.Time, cursor string, limit int) ([]sent.Row, string, error) {
	n := 0
	_, _ = fmt.Sscan(cursor, &n)
	out := slices.Clone(b.rows[len(b.rows)-n-limit : len(b.rows)-n])
	slices.Reverse(out)
	return out, fmt.Sprint(n + limit), nil
}
