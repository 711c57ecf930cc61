package dossier_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"postern/abuse/cases/dossier"
	"postern/abuse/cases/flow"
	"postern/internal/entity"
	"postern/internal/mailtest/entities"
)

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
