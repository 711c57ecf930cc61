package figures_test

import (
	"context"
	"html"
	"strings"
	"testing"
	"time"

	"postern/abuse/service/book"
	"postern/abuse/service/exclusion"
	"postern/abuse/service/month"
	"postern/internal/desk/words"
	"postern/internal/mailtest/entities"
)

// counted is a month in which nobody looked, with the figures that the gateway has.
func counted(t *testing.T) month.Report {
	t.Helper()
	store, zone, now := &entities.Memory{}, func() *time.Location { return time.UTC }, func() time.Time { return noon }
	r, err := month.Source{
		Book: &book.Book{Store: store, Node: "mx1", Zone: zone, Now: now}, Hostname: "mx1", Now: now, Zone: zone,
		Exclusions: &exclusion.Desk{Store: store, Now: now, Audit: func(context.Context, string, string, string, any, any, string) error { return nil }},
	}.Count(t.Context(), "2026-03")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestEveryFormulaIsSaid holds the words against the figures that the gateway really counts.
func TestEveryFormulaIsSaid(t *testing.T) {
	b, err := words.Open()
	if err != nil {
		t.Fatal(err)
	}
	base, _ := b.Language(words.Default)
	all := counted(t).Figures
	if len(all) < 25 {
		t.Fatalf("only %d figures", len(all))
	}
	for _, f := range all {
		key := "figures.formula-" + f.ID
		if base.Say(key) != f.Formula {
			t.Errorf("%s is said as %q, not %q", key, base.Say(key), f.Formula)
		}
		for _, name := range b.Languages() {
			l, _ := b.Language(name)
			if name != words.Default && l.Say(key) == f.Formula {
				t.Errorf("%s: %s is in English", name, key)
			}
			if f.Unit != "%" && !l.Has("figures.in-"+f.Unit) {
				t.Errorf("%s: the unit %q has no word", name, f.Unit)
			}
		}
	}
}

// TestReportInWords has formulas, notes, units and parts in the reader's language.
func TestReportInWords(t *testing.T) {
	value := 1.5
	month := counted(t)
	for i, f := range month.Figures {
		if f.ID == "send-delay-mean" {
			month.Figures[i].Value, month.Figures[i].Of, month.Figures[i].Note = &value, map[string]float64{"sum_s": 3, "own": 2}, "the mean of some domains is above the limit"
		}
	}
	w := newWorld(t, &gateway{month: &month})
	for lang, wants := range map[string][]string{
		"en":    {"sum, s = 3", "own = 2", "1.5 s", "to the start of its transfer / messages"},
		"zh-CN": {"合计，秒 = 3", "own = 2", "1.5 秒", "邮件完整收到至开始转发的时间之和", "部分域名的平均值超过限值", "本程序看不到账单"},
		"ru":    {"сумма, с = 3", "own = 2", "1.5 с", "до начала его передачи", "среднее некоторых доменов выше предела"},
		"el":    {"άθροισμα, δευτ. = 3", "own = 2", "1.5 δευτ.", "έως την έναρξη της μεταφοράς", "ο μέσος όρος ορισμένων τομέων"},
	} {
		for _, path := range []string{"/figures", "/figures/report"} {
			body := html.UnescapeString(w.ask(lang, "GET", path, nil).Body.String())
			for _, want := range wants {
				if !strings.Contains(body, want) {
					t.Errorf("%s %s lacks %q", lang, path, want)
				}
			}
			if lang != "en" && (strings.Contains(body, "full receipt") || strings.Contains(body, "no invoices")) {
				t.Errorf("%s %s has English in it", lang, path)
			}
		}
	}
}
