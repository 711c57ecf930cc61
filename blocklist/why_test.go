package blocklist_test

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/blocklist"
	"postern/internal/dns"
	"postern/internal/mailtest"
)

func TestWhyOfLinks(t *testing.T) {
	l, _, _ := linkWorld(t)
	for of, want := range map[string]string{
		"spam.test":       "spam.test LISTED",
		"www.spam.test":   "spam.test LISTED",
		"a.b.spam.co.uk":  "a.b.spam.co.uk no, spam.co.uk LISTED",
		"bad.fine.test":   "bad.fine.test LISTED, fine.test no",
		"me@x.other.test": "other.test no, x.other.test no",
		"co.uk":           "co.uk no",
		"192.0.2.9":       "192.0.2.9 LISTED",
		"[192.0.2.77]":    "192.0.2.77 no",
	} {
		var got []string
		for _, a := range l.Why(t.Context(), of) {
			word := " no"
			if a.Listed {
				word = " LISTED"
			}
			got = append(got, a.Subject+word)
		}
		if s := strings.Join(got, ", "); s != want {
			t.Errorf("%s: %s, want %s", of, s, want)
		}
	}
}

// A list that is off still says what it would say, and that does not count; one that lists
// everything is found out although no test has run since.
func TestWhyOfListsThatAreNotWell(t *testing.T) {
	w := lists(t, 0)
	all := w.Why(t.Context(), "192.0.2.9") // no test has run: a command without a server
	if len(all) != 2 || !all[0].Listed || all[0].Off != "" {
		t.Errorf("%+v", all)
	}
	w.set(t, "*.bl.example.org", "A 127.0.0.4")
	a := w.Why(t.Context(), "192.0.2.200")[0]
	if a.Listed || a.Error != "lists everything" || len(a.Codes) != 1 || len(a.Symbols) != 0 {
		t.Errorf("%+v", a)
	}
	w.Test(t.Context())
	w.set(t, "*.bl.example.org")
	a = w.Why(t.Context(), "192.0.2.9")[0]
	if a.Listed || a.Off != "lists everything" || len(a.Codes) != 1 || len(a.Symbols) != 1 || a.Error != "" {
		t.Errorf("%+v", a)
	}
}

// The key of a private list stands in no answer, no error, no alert, no log and no state,
// whatever the list does.
func TestKeysAreShownNowhere(t *testing.T) {
	const key = "zk7secret42"
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	srv := mailtest.NewDNS(t, mailtest.Zone{})
	srv.SetTTL(0)
	r, err := dns.New(dns.Config{Servers: []string{srv.Addr()}, Timeout: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	var shown, logged strings.Builder // the log has a lock of its own
	var mu sync.Mutex
	note := func(v any) {
		mu.Lock()
		defer mu.Unlock()
		if err := json.NewEncoder(&shown).Encode(v); err != nil {
			t.Error(err)
		}
	}
	l, err := blocklist.NewLists([]blocklist.ListConfig{
		{Name: "ip", Zone: "zen.example.org", Of: blocklist.OfIP, KeyFile: file, Codes: map[string]string{"127.0.0.2": "RBL_A"}},
		{Name: "uri", Zone: "{key}.uri.example.org", Of: blocklist.OfLink, KeyFile: file, Codes: map[string]string{"127.0.0.2": "URI"}},
	}, blocklist.ListParts{Resolver: r, Alert: func(e blocklist.Event) { note(e) }, Log: slog.New(slog.NewJSONHandler(&logged, nil))})
	if err != nil {
		t.Fatal(err)
	}
	healthy := mailtest.Zone{
		"2.0.0.127." + key + ".zen.example.org": {"A 127.0.0.2", "TXT see https://zen.example.org/" + key}, "test." + key + ".uri.example.org": {"A 127.0.0.2"},
		"9.2.0.192." + key + ".zen.example.org": {"A 127.0.0.2", "TXT " + strings.ToUpper(key)}, "spam.test." + key + ".uri.example.org": {"A 127.0.0.2", "TXT " + key},
	}
	listed := 0
	for _, fault := range []string{"", "A 127.255.255.254", "A 127.0.0.2", "A 198.51.100.1", "!servfail", "!refused", "!silent", "!garbage", "!wrongname", ""} {
		for name, records := range healthy {
			if fault != "" {
				records = nil
			}
			if err := srv.Set(name, records...); err != nil {
				t.Fatal(err)
			}
		}
		var star []string
		if fault != "" {
			star = []string{fault}
		}
		for _, zone := range []string{"*.zen.example.org", "*.uri.example.org"} {
			if err := srv.Set(zone, star...); err != nil {
				t.Fatal(err)
			}
		}
		for _, c := range []func() (any, error){
			func() (any, error) { return l.Client().Check(t.Context(), message("192.0.2.9", "")) },
			func() (any, error) { return l.Links(nil).Check(t.Context(), body(anchors("spam.test"))) },
		} {
			f, err := c()
			note(f)
			if err != nil {
				note(err.Error())
			}
		}
		for _, of := range []string{"192.0.2.9", "spam.test"} {
			for _, a := range l.Why(t.Context(), of) {
				note(a)
				if a.Listed {
					listed++
				}
			}
		}
		note(l.Test(t.Context()))
	}
	all := strings.ToLower(shown.String() + logged.String())
	if listed == 0 || !strings.Contains(all, "switched off") || logged.Len() == 0 {
		t.Error("the test has seen no list at work", listed)
	}
	if i := strings.Index(all, key); i >= 0 {
		t.Errorf("the key is shown: %s", all[max(0, i-200):i])
	}
}
