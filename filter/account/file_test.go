package account_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"postern/filter"
	"postern/filter/account"
)

// A file that was out of reach for a while comes back with the times it had.
func TestAFileThatComesBackUnchangedIsNoFault(t *testing.T) {
	path := filepath.Join(t.TempDir(), "senders")
	write(t, path, "sales@example.org anna@example.com\n", start)
	c := &clock{start}
	var over []bool
	s, err := account.New(account.Config{File: path}, account.Parts{
		Now: c.now, Log: slog.New(slog.DiscardHandler), Alert: func(_ string, o bool) { over = append(over, o) },
	})
	if err != nil {
		t.Fatal(err)
	}
	look := func() {
		t.Helper()
		c.t = c.t.Add(2 * time.Second)
		m := &filter.Message{Direction: filter.Outbound, Account: "anna@example.com", From: "sales@example.org"}
		if found := run(t, s.Sender(), m); found != nil {
			t.Error(found)
		}
	}
	for range 2 {
		if err := os.Rename(path, path+".away"); err != nil {
			t.Fatal(err)
		}
		look()
		if err := os.Rename(path+".away", path); err != nil {
			t.Fatal(err)
		}
		look()
	}
	if len(over) != 4 || over[0] || !over[1] || over[2] || !over[3] {
		t.Errorf("alerts that are over: %v", over)
	}
}
