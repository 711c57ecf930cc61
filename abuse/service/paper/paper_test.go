package paper_test

import (
	"encoding/csv"
	"errors"
	"strings"
	"testing"
	"time"

	"postern/abuse/service/book"
	"postern/abuse/service/credit"
	"postern/abuse/service/exclusion"
	"postern/abuse/service/month"
	"postern/abuse/service/paper"
)

func report() month.Report {
	value, limit := 44.123456, 44.0
	at := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	return month.Report{
		Month: "2026-06", Hostname: "mx1.example", Zone: "Asia/Shanghai", From: at, To: at.AddDate(0, 1, 0), At: at.AddDate(0, 1, 1),
		Figures: []month.Figure{
			{ID: "unreached-minutes", Clause: "1", Formula: "minutes", Unit: "min", Value: &value, Bound: month.AtMost, Limit: &limit, State: month.Broken, Remedy: "double service time", Of: map[string]float64{"b": 2, "a": 1}},
			{ID: "billing-error", Clause: "3", Formula: "invoices", Unit: "share", State: month.NoData},
		},
		Outages:    []month.Outage{{Group: "smtp-in", From: at, To: at.Add(3 * time.Minute), Minutes: 3, Why: "<script>alert(1)</script>", Counted: true}},
		Faults:     []book.Fault{{Node: "mx1", Key: "store", Begin: at, Seen: at, Summary: `a "fault" & more`}},
		Exclusions: []exclusion.Exclusion{{ID: "x-1", Class: "a", From: at, To: at.Add(time.Hour), Reason: "=cmd|' /C calc'!A0", State: exclusion.Approved, By: "lea", Decided: "lee"}},
		Tenants:    []month.Tenant{{Domain: "held.example", Way: "receive", Delay: book.Delay{Held: 1}, State: month.NoData}},
		Lists:      []month.List{{ID: "l", List: "national", Published: at}},
		Credits: []credit.Credit{{ID: "c-2026-06-unreached-minutes", Month: "2026-06", State: credit.Approved, Decided: "lou<b>", Why: "=1", Result: credit.Result{Figure: "unreached-minutes", Clause: "1", Kind: credit.Double, Value: &value, Bound: month.AtMost, Limit: &limit, Exclusions: []string{"x-1"}},
			Contradicted: &credit.Contradiction{At: at, Value: &limit}}},
		Proofs: []month.Proof{{ID: "p", Run: "r", At: at, OK: true, Records: 3}},
	}
}

// The page is whole in each language, loads nothing, and takes no text for markup.
func TestPage(t *testing.T) {
	for _, language := range paper.Languages() {
		var b strings.Builder
		if err := paper.HTML(&b, report(), language); err != nil {
			t.Fatal(err)
		}
		page := b.String()
		for _, bad := range []string{"<script", "http://", "https://", "src=", "<no value>", "%!"} {
			if strings.Contains(page, bad) {
				t.Errorf("%s: it has %q", language, bad)
			}
		}
		for _, want := range []string{"&lt;script&gt;", "44.12346", "2026-06-01 08:00:00", "held.example", "@media print", "lee", "lou&lt;b&gt;"} {
			if !strings.Contains(page, want) {
				t.Errorf("%s: it lacks %q", language, want)
			}
		}
	}
	for language, want := range map[string][]string{
		"en": {"Minutes not reached", "no data", "broken", "contradicted, now: 44 "}, "zh": {"不可达分钟数", "无数据", "未达标", "双倍服务时间", "已批准"},
		"ru": {"Минут недоступности", "нет данных", "нарушено", "двойной срок услуги", "утверждено"}, "el": {"Λεπτά χωρίς πρόσβαση", "χωρίς στοιχεία", "παραβιάστηκε", "διπλός χρόνος υπηρεσίας", "εγκρίθηκε"},
	} {
		var b strings.Builder
		if err := paper.HTML(&b, report(), language); err != nil {
			t.Fatal(err)
		}
		for _, w := range want {
			if !strings.Contains(b.String(), w) {
				t.Errorf("%s lacks %q", language, w)
			}
		}
	}
	if err := paper.HTML(&strings.Builder{}, report(), "xx"); !errors.Is(err, paper.ErrUnknown) {
		t.Errorf("%v", err)
	}
}

func read(t *testing.T, text string) [][]string {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// What has no data is an empty cell, and nothing in a cell is a formula.
func TestSpreadsheet(t *testing.T) {
	var b strings.Builder
	if err := paper.CSV(&b, report()); err != nil {
		t.Fatal(err)
	}
	rows := read(t, b.String())
	if len(rows) != 3 || rows[1][3] != "44.123456" || rows[1][10] != "a=1 b=2" || rows[2][3] != "" || rows[2][7] != "no data" || rows[2][8] != "" || rows[1][12] != "c-2026-06-unreached-minutes approved, contradicted" || rows[2][12] != "" {
		t.Errorf("%q", rows)
	}
	for _, kind := range paper.Kinds() {
		b.Reset()
		if err := paper.Rows(&b, report(), kind); err != nil {
			t.Fatal(err)
		}
		want := 2
		if kind == "minutes" {
			want = 1 + report().Outages[0].Minutes
		}
		if rows := read(t, b.String()); len(rows) != want {
			t.Errorf("%s: %q", kind, rows)
		}
		if strings.Contains(b.String(), ",=cmd") {
			t.Errorf("%s: %s", kind, b.String())
		}
	}
	if err := paper.Rows(&b, report(), "nonsense"); !errors.Is(err, paper.ErrUnknown) {
		t.Errorf("%v", err)
	}
}
