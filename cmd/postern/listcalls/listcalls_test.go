package listcalls_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/blocklist"
	"postern/cmd/postern/listcalls"
	"postern/internal/control"
	"postern/internal/store/local"
)

func newOwn(t *testing.T, entries ...blocklist.Entry) *blocklist.Own {
	t.Helper()
	home, err := local.Open(t.Context(), local.Options{Dir: filepath.Join(t.TempDir(), "s"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { home.Close() })
	own := blocklist.NewOwn(blocklist.OwnParts{Store: home.Lists()})
	for _, e := range entries {
		if _, err := own.Add(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	return own
}

// TestEntriesHaveTheirKey: what blocklist.remove takes stands beside each entry, and who wrote it.
func TestEntriesHaveTheirKey(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 0, 0, 0, time.UTC)
	own := newOwn(t,
		blocklist.Entry{Value: "crook.example", Author: "case A-2026-000001: olga", Created: at},
		blocklist.Entry{Value: "192.0.2.0/24", Author: "list cn: lea", Created: at.Add(-time.Minute)},
		blocklist.Entry{Allow: true, Value: "Friend@Example.org", Scope: "domain:example.com", Author: "olga", Created: at.Add(-time.Hour)},
	)
	got, err := listcalls.List(t.Context(), own, listcalls.Search{})
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, e := range got.Entries {
		said = append(said, strings.Join([]string{e.Key, e.Origin, e.Of}, "|"))
	}
	want := "block crook.example all|case|A-2026-000001, block 192.0.2.0/24 all|list|cn, allow friend@example.org domain:example.com|hand|olga"
	if strings.Join(said, ", ") != want || got.Total != 3 || got.Next != "" {
		t.Errorf("%q, %d, %q", said, got.Total, got.Next)
	}
	for _, e := range got.Entries {
		if err := own.Remove(t.Context(), e.Key); err != nil {
			t.Errorf("%s: %v", e.Key, err)
		}
	}
	empty, err := listcalls.List(t.Context(), own, listcalls.Search{})
	text, _ := json.Marshal(empty)
	if err != nil || string(text) != `{"entries":[],"total":0}` {
		t.Errorf("%s, %v", text, err)
	}
}

// TestPagesOfTheCall go on where the one before ended, and say what is wrong with a search.
func TestPagesOfTheCall(t *testing.T) {
	var all []blocklist.Entry
	for i := range 7 {
		all = append(all, blocklist.Entry{Value: fmt.Sprintf("h%d.example", i), Reason: "seen", Created: time.Unix(int64(1_700_000_000+i), 5)})
	}
	own := newOwn(t, all...)
	ask, seen := listcalls.Search{Limit: 3, Text: "SEEN"}, ""
	for n := range 3 {
		got, err := listcalls.List(t.Context(), own, ask)
		if err != nil || got.Total != 7 || (got.Next == "") != (n == 2) {
			t.Fatalf("page %d: %+v, %v", n, got, err)
		}
		for _, e := range got.Entries {
			seen += " " + e.Value
		}
		ask.After = got.Next
	}
	if seen != " h6.example h5.example h4.example h3.example h2.example h1.example h0.example" {
		t.Errorf("the pages have%s", seen)
	}
	for words, ask := range map[string]listcalls.Search{"kind": {Kind: "both"}, "origin": {Origin: "elsewhere"}, "after": {After: "block h0.example all"}} {
		e := new(control.Error)
		if _, err := listcalls.List(t.Context(), own, ask); !errors.As(err, &e) || e.Kind != control.Invalid || !strings.Contains(e.Message, words) {
			t.Errorf("%s: %v", words, err)
		}
	}
}
