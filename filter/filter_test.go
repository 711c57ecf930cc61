package filter_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"postern/filter"
	"postern/internal/dns"
)

func found(symbols ...string) filter.CheckFunc {
	return func(context.Context, *filter.Message) ([]filter.Finding, error) {
		var f []filter.Finding
		for _, s := range symbols {
			f = append(f, filter.Finding{Symbol: s})
		}
		return f, nil
	}
}

func after(d time.Duration, c filter.Check) filter.CheckFunc {
	return func(ctx context.Context, m *filter.Message) ([]filter.Finding, error) {
		time.Sleep(d)
		return c.Check(ctx, m)
	}
}

func symbols(r filter.Report) string {
	var s []string
	for _, f := range r.Findings {
		s = append(s, f.Symbol)
	}
	return strings.Join(s, " ")
}

func TestRunJoinsInStepOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &filter.Pipeline{Steps: []filter.Step{
			{Name: "slow", Stage: filter.OnData, Check: after(3*time.Second, found("A", "B"))},
			{Name: "other stage", Stage: filter.OnSender, Check: found("X")},
			{Name: "fast", Stage: filter.OnData, Check: found("C")},
			{Name: "middle", Stage: filter.OnData, Check: after(time.Second, found("D"))},
		}}
		start := time.Now()
		r := p.Run(t.Context(), filter.OnData, &filter.Message{})
		if got := symbols(r); got != "A B C D" {
			t.Errorf("findings %q, want step order", got)
		}
		if d := time.Since(start); d != 3*time.Second {
			t.Errorf("took %v: the steps did not run side by side", d)
		}
	})
}

func TestRunTurnsTroubleIntoFailures(t *testing.T) {
	cause := errors.New("secret cause")
	steps := []filter.Step{
		{Name: "late", Check: filter.CheckFunc(func(ctx context.Context, _ *filter.Message) ([]filter.Finding, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}), Timeout: time.Second, OnError: filter.Defer},
		{Name: "deaf", Check: after(time.Hour, found("NEVER")), Timeout: 2 * time.Second, OnError: filter.Tag},
		{Name: "broken", Check: filter.CheckFunc(func(context.Context, *filter.Message) ([]filter.Finding, error) {
			panic("boom")
		}), OnError: filter.Reject},
		{Name: "plain", Check: filter.CheckFunc(func(context.Context, *filter.Message) ([]filter.Finding, error) {
			return []filter.Finding{{Symbol: "HALF"}}, fmt.Errorf("wrapped: %w", &filter.CouldNot{Words: "the scanner is down", Cause: cause})
		})},
		{Name: "other", Check: filter.CheckFunc(func(context.Context, *filter.Message) ([]filter.Finding, error) {
			return nil, cause
		})},
	}
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		p := &filter.Pipeline{Steps: steps, Log: slog.New(slog.NewJSONHandler(&log, nil))}
		r := p.Run(t.Context(), filter.OnConnect, &filter.Message{ID: "m1"})
		got := map[string]string{}
		for _, f := range r.Failures {
			got[f.Step] = f.Reason + "/" + f.OnError.String()
		}
		want := map[string]string{
			"late": "timed out/defer", "deaf": "timed out/tag", "broken": "internal fault/defer",
			"plain": "the scanner is down/accept", "other": "could not be done/accept",
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
		if symbols(r) != "HALF" {
			t.Errorf("findings beside an error are kept: %q", symbols(r))
		}
		if !errors.Is(r.Failures[3].Err, cause) {
			t.Error("the cause stays in the process")
		}
		if !strings.Contains(log.String(), "boom") || !strings.Contains(log.String(), "m1") {
			t.Errorf("the panic is not in the log: %s", log.String())
		}
		time.Sleep(2 * time.Hour) // lets the deaf step end inside the bubble
	})
}

func TestBudgetCutsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &filter.Pipeline{Budget: time.Second, Steps: []filter.Step{
			{Name: "a", Check: after(5*time.Second, found("A"))},
			{Name: "b", Check: found("B")},
		}}
		r := p.Run(t.Context(), filter.OnConnect, &filter.Message{})
		if symbols(r) != "B" || len(r.Failures) != 1 || r.Failures[0].Step != "a" {
			t.Errorf("%+v", r)
		}
		time.Sleep(10 * time.Second)
	})
}

func TestFailureCauseStaysOutOfJSON(t *testing.T) {
	b, err := json.Marshal(filter.Failure{Step: "s", Reason: "timed out", Err: errors.New("private")})
	if err != nil || strings.Contains(string(b), "private") {
		t.Errorf("%s %v", b, err)
	}
}

type countingJudge struct{ calls int }

func (j *countingJudge) Judge(_ *filter.Message, r filter.Report, policy string) filter.Verdict {
	j.calls++
	return filter.Verdict{Policy: policy, Public: symbols(r)}
}

func TestVerdictsPerPolicyAndFindings(t *testing.T) {
	m := &filter.Message{To: []filter.Recipient{
		{Address: "a@x.example", Policy: "p"}, {Address: "b@x.example", Policy: "p"},
		{Address: "c@x.example", Policy: "q"}, {Address: "d@x.example", Policy: "p"},
	}}
	j := &countingJudge{}
	r := filter.Report{Findings: []filter.Finding{{Symbol: "ALL"}, {Symbol: "ONLY_B", For: "B@x.example"}}}
	got := filter.Verdicts(j, m, r)
	var s []string
	for _, v := range got {
		s = append(s, v.Policy+":"+v.Public)
	}
	if d := cmp.Diff([]string{"p:ALL", "p:ALL ONLY_B", "q:ALL", "p:ALL"}, s); d != "" {
		t.Error(d)
	}
	if j.calls != 3 {
		t.Errorf("judged %d times, want one per distinct policy and findings", j.calls)
	}
	j.calls = 0
	filter.Verdicts(j, m, filter.Report{Findings: []filter.Finding{{Symbol: "ALL"}}})
	if j.calls != 2 {
		t.Errorf("judged %d times for two policies", j.calls)
	}
}

func TestNewID(t *testing.T) {
	now := time.UnixMilli(1_700_000_000_000)
	id, err := filter.NewID(now, bytes.NewReader(make([]byte, 10)))
	if err != nil {
		t.Fatal(err)
	}
	// 1.7e12 ms in 48 bits, then zeros: 1.7e12*2^80 in base 32.
	if id != "01hf7yat000000000000000000" {
		t.Errorf("id %q", id)
	}
	if !filter.ValidID(id) || filter.ValidID(id[1:]) || filter.ValidID("u"+id[1:]) {
		t.Error("ValidID")
	}
	if _, err := filter.NewID(now, strings.NewReader("short")); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a short random source: %v", err)
	}
	last, err := filter.NewID(now, bytes.NewReader(bytes.Repeat([]byte{0xff}, 10)))
	if err != nil || last != "01hf7yat00zzzzzzzzzzzzzzzz" {
		t.Errorf("id %q %v", last, err)
	}
}

func TestIDsSortByTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.Int64Range(0, 1<<47).Draw(t, "a")
		b := a + rapid.Int64Range(1, 1<<40).Draw(t, "d")
		r := rapid.SliceOfN(rapid.Byte(), 20, 20).Draw(t, "r")
		ia, _ := filter.NewID(time.UnixMilli(a), bytes.NewReader(r[:10]))
		ib, _ := filter.NewID(time.UnixMilli(b), bytes.NewReader(r[10:]))
		if ia >= ib || !filter.ValidID(ia) {
			t.Fatalf("%s >= %s", ia, ib)
		}
	})
}

func TestScore(t *testing.T) {
	for s, want := range map[filter.Score]string{450: "4.50", -25: "-0.25", 0: "0.00", 1500: "15.00", -10000: "-100.00", 7: "0.07"} {
		if s.String() != want {
			t.Errorf("%d is %s, want %s", s, s, want)
		}
	}
	if filter.Score(250).Points() != 2.5 {
		t.Error("Points")
	}
}

func TestActions(t *testing.T) {
	if filter.Accept >= filter.Tag || filter.Tag >= filter.Quarantine || filter.Quarantine >= filter.Defer || filter.Defer >= filter.Reject {
		t.Error("the order of actions")
	}
	for a := filter.Accept; a <= filter.Reject; a++ {
		if got, ok := filter.ParseAction(a.String()); !ok || got != a {
			t.Errorf("%v", a)
		}
	}
	if _, ok := filter.ParseAction("discard"); ok {
		t.Error("discard is no action")
	}
	if filter.Action(9).String() != "unknown" {
		t.Error("unknown action")
	}
}

func TestMessage(t *testing.T) {
	m := &filter.Message{From: `"a@b"@Example.ORG`}
	if (&filter.Message{}).Subject() != "" {
		t.Error("a subject of nothing")
	}
	if m.FromDomain() != "example.org" || (&filter.Message{}).FromDomain() != "" {
		t.Error("FromDomain")
	}
	if b, _ := io.ReadAll(m.Open()); len(b) != 0 {
		t.Error("no body before OnData")
	}
	m.Body, m.Size = strings.NewReader("hello"), 5
	if b, _ := io.ReadAll(m.Open()); string(b) != "hello" {
		t.Errorf("%q", b)
	}
	if filter.Inbound.String() != "inbound" || filter.Outbound.String() != "outbound" {
		t.Error("directions")
	}
	if filter.OnConnect.String()+filter.OnSender.String()+filter.OnRecipient.String()+filter.OnData.String() != "connectsenderrcptdata" {
		t.Error("stages")
	}
}

func TestOneDNSBudgetForAllStages(t *testing.T) {
	made := 0
	p := &filter.Pipeline{
		Steps:   []filter.Step{{Name: "a", Check: found("A")}, {Name: "b", Stage: filter.OnData, Check: found("B")}},
		Lookups: func() *dns.Budget { made++; return dns.NewBudget(1, time.Second) },
	}
	m := &filter.Message{}
	p.Run(t.Context(), filter.OnConnect, m)
	p.Run(t.Context(), filter.OnData, m)
	if made != 1 || m.DNS == nil {
		t.Errorf("%d budgets for one message", made)
	}
}

func TestIDAndBack(t *testing.T) {
	for n := range 500 {
		at := time.UnixMilli(int64(n) * 86_400_000 * 37)
		id, err := filter.NewID(at, rand.NewChaCha8([32]byte{byte(n), byte(n >> 8)}))
		if err != nil {
			t.Fatal(err)
		}
		raw, ok := filter.IDBytes(id)
		if !ok {
			t.Fatalf("%s is no ID", id)
		}
		back, made := filter.IDOf(raw)
		if back != id || !made.Equal(at) {
			t.Fatalf("%s at %v became %s at %v", id, at, back, made)
		}
	}
	for _, bad := range []string{"", "8" + strings.Repeat("0", 25), strings.Repeat("u", 26), strings.Repeat("0", 27)} {
		if _, ok := filter.IDBytes(bad); ok {
			t.Errorf("%q was taken", bad)
		}
	}
}
