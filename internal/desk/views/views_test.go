package views_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"postern/internal/desk/views"
	"postern/internal/mailtest/entities"
)

func TestViews(t *testing.T) {
	b := views.New(&entities.Memory{})
	save := func(owner, name, query string) []views.View {
		t.Helper()
		all, err := b.Save(t.Context(), owner, views.View{Room: "held", Name: name, Query: query})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	if all, err := b.List(t.Context(), "olga"); err != nil || len(all) != 0 {
		t.Fatal(all, err)
	}
	save("olga", "Viruses", "symbol:VIRUS")
	save("olga", " big ", "score:>20")
	save("Olga_", "of another", "x")
	all := save("olga", "Viruses", "symbol:VIRUS since:7d")
	want := []views.View{{Room: "held", Name: "big", Query: "score:>20"}, {Room: "held", Name: "Viruses", Query: "symbol:VIRUS since:7d"}}
	if d := cmp.Diff(want, all); d != "" {
		t.Error(d)
	}
	if all, err := b.Remove(t.Context(), "olga", want[0]); err != nil || len(all) != 1 {
		t.Error(all, err)
	}
	if all, err := b.Remove(t.Context(), "nobody", want[0]); err != nil || len(all) != 0 {
		t.Error(all, err)
	}
	if all, err := b.List(t.Context(), "olga"); err != nil || len(all) != 1 || all[0].Name != "Viruses" {
		t.Error(all, err)
	}
	if all, err := b.List(t.Context(), "Olga_"); err != nil || len(all) != 1 || all[0].Name != "of another" {
		t.Error(all, err)
	}
}

func TestRefused(t *testing.T) {
	b := views.New(&entities.Memory{})
	for _, v := range []views.View{
		{Name: "x"}, {Room: "held"}, {Room: "held", Name: strings.Repeat("ä", views.MaxName+1)}, {Room: "held", Name: "a\u202eb"}, {Room: "held", Name: "\xff"},
		{Room: "held", Name: "x", Query: strings.Repeat("x", views.MaxQuery+1)}, {Room: strings.Repeat("x", 21), Name: "x"},
	} {
		if _, err := b.Save(t.Context(), "olga", v); !errors.Is(err, views.ErrInvalid) {
			t.Errorf("%.60v: %v", v, err)
		}
	}
	for n := range views.MaxViews {
		if _, err := b.Save(t.Context(), "olga", views.View{Room: "held", Name: fmt.Sprint(n)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.Save(t.Context(), "olga", views.View{Room: "held", Name: "more"}); !errors.Is(err, views.ErrInvalid) {
		t.Error(err)
	}
	if _, err := b.Save(t.Context(), "olga", views.View{Room: "held", Name: "3", Query: "changed"}); err != nil {
		t.Error("one that is there cannot be changed:", err)
	}
}
