package dossier_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/abuse/cases/dossier"
	"postern/abuse/cases/flow"
	"postern/internal/entity"
	"postern/internal/mailtest/entities"
)

func TestTerms(t *testing.T) {
	for text, want := range map[string][]string{
		"":                                  nil,
		"User7@D7.example":                  {"user7", "d7", "example"},
		"A-2026-000042, twice twice":        {"a", "2026", "000042", "twice"},
		"Ärger\xff\x00über 東京":              {"ärger", "über", "東京"},
		strings.Repeat("a", 100) + " b":     {strings.Repeat("a", 64), "b"},
		strings.Repeat("é", 50) + " \n- __": {strings.Repeat("é", 32)},
	} {
		if got := dossier.Terms(text); !slices.Equal(got, want) {
			t.Errorf("%q: %q, not %q", text, got, want)
		}
	}
	long := ""
	for i := range 100 {
		long += fmt.Sprint(" w", i)
	}
	if n := len(dossier.Terms(long)); n != 30 {
		t.Errorf("%d words", n)
	}
}

func TestRarest(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "@ .": "", "verified of the": "verified", "user12@example.com": "user12", "A-2026-000042": "000042", "s1 message": "message",
	} {
		if got := dossier.Rarest(text); got != want {
			t.Errorf("%q: %q, not %q", text, got, want)
		}
	}
}

// TestKeysFit: the longest case there can be is still taken by a store.
func TestKeysFit(t *testing.T) {
	words := ""
	for i := range 300 {
		words += fmt.Sprint(" word", i)
	}
	c := dossier.Case{
		ID: "A-2026-000042", Kind: dossier.External, Subject: words, State: flow.Suspended, Opened: time.Unix(1_900_000_000, 0), Account: "a@example.com", Owner: words, Priority: 1, Sentence: words,
		Source: dossier.Source{IP: netip.MustParseAddr("2001:db8::1"), Domain: "d.example", Helo: words, Login: words}, Categories: []dossier.Category{"S1", "S2", "S3", "S4", "S5"}, Pending: []dossier.Event{{}},
	}
	all := dossier.Cases(&entities.Memory{})
	if _, err := all.Create(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	var found int
	err := all.Each(t.Context(), entity.Query{Index: dossier.IndexWord, Value: "word9"}, func(entity.Row[dossier.Case]) error { found++; return nil })
	if err != nil || found != 1 {
		t.Error(found, err)
	}
}
