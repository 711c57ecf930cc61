package abuse_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"postern/abuse"
	"postern/filter"
	"postern/internal/mailtest/accounts"
)

// holding is a store with one record.
func holding(a abuse.Account) *accounts.Memory {
	s := &accounts.Memory{}
	s.Set(a)
	return s
}

func open(t *testing.T, s abuse.Store, audit func(context.Context, abuse.Change) error) *abuse.Accounts {
	t.Helper()
	a, err := abuse.NewAccounts(t.Context(), s, time.Now, slog.New(slog.DiscardHandler), audit)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestSuspendAndRestore(t *testing.T) {
	var changes []abuse.Change
	s := &accounts.Memory{}
	a := open(t, s, func(_ context.Context, c abuse.Change) error { changes = append(changes, c); return nil })
	if _, yes := a.Suspended("ada@example.com"); yes {
		t.Fatal("an account no record names is active")
	}
	if _, err := a.Restore(t.Context(), "ada@example.com", "x", "root"); !errors.Is(err, abuse.ErrNotFound) {
		t.Errorf("restoring what never was suspended: %v", err)
	}
	if _, err := a.Suspend(t.Context(), "  ", "x", "root"); err == nil {
		t.Error("a name is needed")
	}
	if _, err := a.Suspend(t.Context(), " Ada@Example.com ", "sends spam", "root"); err != nil {
		t.Fatal(err)
	}
	if reason, yes := a.Suspended("ADA@example.com"); !yes || reason != "sends spam" {
		t.Errorf("%q %v", reason, yes)
	}
	acc, err := a.Restore(t.Context(), "ada@example.com", "guarantee received", "lead")
	if err != nil || acc.State != abuse.Active || acc.Version != 2 {
		t.Errorf("%+v %v", acc, err)
	}
	if _, yes := a.Suspended("ada@example.com"); yes {
		t.Error("still suspended")
	}
	if len(changes) != 2 || changes[0].Action != "suspend" || changes[1].Before.Reason != "sends spam" || changes[1].Actor != "lead" {
		t.Errorf("%+v", changes)
	}
}

func TestCheckFindsOutboundMailOfASuspendedAccount(t *testing.T) {
	a := open(t, holding(abuse.Account{Name: "ada", State: abuse.Suspended, Reason: "spam", Version: 1}), nil)
	for _, c := range []struct {
		m    filter.Message
		want int
	}{
		{filter.Message{Direction: filter.Outbound, Account: "Ada"}, 1},
		{filter.Message{Direction: filter.Outbound, Account: "bob"}, 0},
		{filter.Message{Direction: filter.Outbound}, 0},
		{filter.Message{Direction: filter.Inbound, Account: "ada"}, 0},
	} {
		f, err := a.Check(t.Context(), &c.m)
		if err != nil || len(f) != c.want || c.want == 1 && (f[0].Symbol != abuse.SymbolSuspended || f[0].Detail != "spam") {
			t.Errorf("%+v: %v %v", c.m, f, err)
		}
	}
}

func TestAChangeElsewhereCountsWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &accounts.Memory{}
		a := open(t, s, nil)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- a.Run(ctx) }()
		other := open(t, s, nil)
		if _, err := other.Suspend(t.Context(), "ada", "spam", "root"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if _, yes := a.Suspended("ada"); !yes {
			t.Error("not seen after a second")
		}
		s.Break(errors.New("the store is away"))
		time.Sleep(10 * time.Second)
		if _, yes := a.Suspended("ada"); !yes {
			t.Error("a store that is away lifted a suspension")
		}
		if _, err := a.Suspend(t.Context(), "bob", "x", "root"); err == nil {
			t.Error("a change that was not stored is an error")
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestConflict(t *testing.T) {
	s := holding(abuse.Account{Name: "ada", Version: 3})
	if err := s.PutAccount(t.Context(), abuse.Account{Name: "ada", Version: 3}); !errors.Is(err, abuse.ErrConflict) {
		t.Error(err)
	}
	away := &accounts.Memory{}
	away.Break(errors.New("away"))
	if _, err := abuse.NewAccounts(t.Context(), away, time.Now, slog.Default(), nil); err == nil {
		t.Error("a store that cannot be read at the start is an error")
	}
}
