package abuse_test

import (
	"encoding/json"
	"strings"
	"testing"

	"postern/abuse"
	"postern/filter"
	"postern/internal/mailtest/accounts"
)

func TestEffective(t *testing.T) {
	for _, c := range []struct {
		a    abuse.Account
		want abuse.Level
	}{
		{abuse.Account{}, abuse.M0},
		{abuse.Account{State: abuse.Suspended}, abuse.M3},
		{abuse.Account{State: abuse.Suspended, Level: abuse.M1}, abuse.M3},
		{abuse.Account{State: abuse.Suspended, Level: abuse.M5}, abuse.M5},
		{abuse.Account{State: abuse.Active, Level: abuse.M2}, abuse.M2},
		{abuse.Account{State: abuse.Active, Level: abuse.M3}, abuse.M0}, // restored by a program that knows no levels
	} {
		if got := c.a.Effective(); got != c.want {
			t.Errorf("%s %s: %s, want %s", c.a.State, c.a.Level, got, c.want)
		}
	}
}

// A record as the version before writes it means what it meant, and what is written now tells
// that version the same where it matters.
func TestRecordsOfTheVersionBefore(t *testing.T) {
	var a abuse.Account
	old := `{"name":"a","state":"suspended","reason":"spam","by":"me","at":"2026-11-22T12:00:00Z","version":3}`
	if err := json.Unmarshal([]byte(old), &a); err != nil || a.Effective() != abuse.M3 {
		t.Fatalf("%+v, %v", a, err)
	}
	if out, err := json.Marshal(a); err != nil || string(out) != old {
		t.Errorf("%s, %v", out, err)
	}
}

func TestParseLevel(t *testing.T) {
	for _, l := range []abuse.Level{abuse.M0, abuse.M1, abuse.M2, abuse.M3, abuse.M4, abuse.M5, abuse.M6, abuse.M7} {
		for _, s := range []string{l.String(), strings.ToLower(l.String()), l.Word()} {
			if got, err := abuse.ParseLevel(s); err != nil || got != l {
				t.Errorf("%q: %s, %v", s, got, err)
			}
		}
	}
	if _, err := abuse.ParseLevel("M8"); err == nil || !strings.Contains(err.Error(), "M0 to M7") {
		t.Error(err)
	}
	if abuse.Level(9).Word() != "unknown" || abuse.Level(9).Valid() {
		t.Error("9 is no level")
	}
}

func put(t *testing.T, a *abuse.Accounts, acc abuse.Account) {
	t.Helper()
	if _, _, err := a.Set(t.Context(), acc, "test"); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsInForce(t *testing.T) {
	a := open(t, &accounts.Memory{}, nil)
	put(t, a, abuse.Account{Name: "held@example.com", State: abuse.Active, Level: abuse.M2, Measure: "m1", Case: "A-2026-000001"})
	put(t, a, abuse.Account{Name: "watched@example.com", State: abuse.Active, Measure: "m2", Reason: "new"})
	put(t, a, abuse.Account{Name: "off@example.com", State: abuse.Suspended, Level: abuse.M5})
	put(t, a, abuse.Account{Name: "@slow.example", State: abuse.Active, Level: abuse.M1, Measure: "m3"})
	put(t, a, abuse.Account{Name: "@out.example", State: abuse.Suspended, Level: abuse.M6, Reason: "the whole domain"})
	symbol := func(account string) string {
		m := &filter.Message{Direction: filter.Outbound, Account: account}
		found, err := a.Content().Check(t.Context(), m)
		if err != nil || len(found) > 1 {
			t.Fatal(found, err)
		}
		if len(found) == 0 {
			return ""
		}
		return found[0].Symbol + " " + found[0].Detail
	}
	for account, want := range map[string]string{
		"Held@example.com": "ACCOUNT_HELD case A-2026-000001", "watched@example.com": "ACCOUNT_WATCHED new", "free@example.com": "",
		"any@OUT.example": "ACCOUNT_SUSPENDED the whole domain", "any@slow.example": "",
	} {
		if got := symbol(account); got != want {
			t.Errorf("%s: %q, want %q", account, got, want)
		}
	}
	if !a.LoginOff("off@example.com") || !a.LoginOff("x@out.example") || a.LoginOff("held@example.com") {
		t.Error("login off is for M5 and more")
	}
	for account, want := range map[string]bool{"held@example.com": true, "Off@example.com": true, "x@out.example": true, "watched@example.com": false, "x@slow.example": false, "free@example.com": false} {
		if why, yes := a.Paused(account); yes != want || yes == (why == "") {
			t.Errorf("%s paused: %v %q", account, yes, why)
		}
	}
	if all := a.Throttles("x@slow.example"); len(all) != 1 || all[0].Name != "@slow.example" {
		t.Error(all)
	}
	if reason, yes := a.Suspended("bare"); yes {
		t.Error(reason)
	}
	a.SetHome("out.example")
	if _, yes := a.Suspended("bare"); !yes {
		t.Error("a login without a domain belongs to the only one")
	}
	if len(a.Known()) != 5 {
		t.Error(a.Known())
	}
}

func TestSetIsIdempotent(t *testing.T) {
	n := 0
	s := &accounts.Memory{}
	a := open(t, s, nil)
	want := abuse.Account{Name: "A@example.com", State: abuse.Active, Level: abuse.M1, Measure: "m1"}
	for range 3 {
		if _, changed, err := a.Set(t.Context(), want, "test"); err != nil {
			t.Fatal(err)
		} else if changed {
			n++
		}
	}
	if got, _ := s.Account(t.Context(), "a@example.com"); n != 1 || got.Version != 1 || got.Level != abuse.M1 {
		t.Errorf("%d changes, %+v", n, got)
	}
	if _, _, err := a.Set(t.Context(), abuse.Account{}, "test"); err == nil {
		t.Error("no name")
	}
	if acc, err := a.Stored(t.Context(), "nobody"); err != nil || acc.State != abuse.Active {
		t.Error(acc, err)
	}
}
