package desk_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/blocklist"
	"postern/cmd/postern/app"
	"postern/cmd/postern/desk"
	"postern/internal/mailtest"
)

// lists are two DNS lists of a gateway that does not run: of hosts and of linked domains.
func lists(t *testing.T) (*app.App, *bytes.Buffer, *mailtest.DNS) {
	t.Helper()
	srv := mailtest.NewDNS(t, mailtest.Zone{
		"2.0.0.127.bl.example.org": {"A 127.0.0.2"}, "9.2.0.192.bl.example.org": {"A 127.0.0.2", "TXT sends spam"},
		"test.uri.example.org": {"A 127.0.0.2"}, "spam.test.uri.example.org": {"A 127.0.0.6"},
	})
	srv.SetTTL(0)
	dir := t.TempDir()
	text := fmt.Sprintf(`hostname: mx1.example.com
state: %s
listeners: [{name: mx, addr: '127.0.0.1:0', kind: inbound}]
backends: {mail: [{addr: '127.0.0.1:1'}]}
routes: {example.com: {backend: mail}}
dns: {servers: ['%s'], timeout: 200ms}
lists:
  - {name: bl, zone: bl.example.org, of: ip, codes: {127.0.0.2: RBL_SBL}}
  - {name: uri, zone: uri.example.org, of: link, codes: {'127.0.0.&2': DBL_SPAM, '127.0.0.&4': DBL_PHISH}}
`, filepath.Join(dir, "state"), srv.Addr())
	path := filepath.Join(dir, "postern.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out := new(bytes.Buffer)
	return &app.App{Ctx: t.Context(), Stdin: strings.NewReader(""), Stdout: out, Stderr: new(bytes.Buffer), Now: time.Now, Config: path}, out, srv
}

// code is the exit code of a command that ended so.
func code(err error) int {
	var e *app.Exit
	switch {
	case err == nil:
		return app.Fine
	case errors.As(err, &e):
		return e.Code
	}
	return app.Fault
}

func TestBlocklistTest(t *testing.T) {
	a, out, srv := lists(t)
	c := desk.Blocklist{}
	if err := c.Test.Run(a); err != nil || strings.Count(out.String(), "works") != 2 {
		t.Errorf("%v\n%s", err, out)
	}
	if err := srv.Set("*.uri.example.org", "A 127.255.255.254"); err != nil {
		t.Fatal(err)
	}
	out.Reset()
	if err := c.Test.Run(a); code(err) != app.Finding || !strings.Contains(out.String(), "OFF") || !strings.Contains(out.String(), "refuses to answer us (127.255.255.254)") {
		t.Errorf("%v\n%s", err, out)
	}
	out.Reset()
	c.Test.JSON = true
	err := c.Test.Run(a)
	var all []blocklist.ListHealth
	if bad := json.Unmarshal(out.Bytes(), &all); bad != nil || code(err) != app.Finding || len(all) != 2 || !all[0].On || all[1].On || all[1].Fault == "" || all[1].Of != "link" {
		t.Errorf("%v %v %+v", err, bad, all)
	}
}

func TestBlocklistWhyAsksEveryList(t *testing.T) {
	a, out, srv := lists(t)
	unasked := ""
	why := func(of string) []blocklist.Answer {
		t.Helper()
		out.Reset()
		c := desk.Blocklist{}
		c.Why.Of, c.Why.JSON = of, true
		if err := c.Why.Run(a); err != nil {
			t.Fatal(err)
		}
		var all []blocklist.Answer
		if err := json.Unmarshal(out.Bytes(), &all); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		unasked = ""
		return slices.DeleteFunc(all, func(x blocklist.Answer) bool {
			if x.Unasked != "" {
				unasked += x.List + ": " + x.Unasked
			}
			return x.Unasked != ""
		})
	}
	if all := why("192.0.2.9"); unasked != "uri: it lists domains of links" || len(all) != 1 || !all[0].Listed || all[0].Text != "sends spam" || all[0].Symbols[0] != "RBL_SBL" {
		t.Errorf("%+v", all)
	}
	for _, of := range []string{"spam.test", "me@spam.test"} {
		if all := why(of); len(all) != 1 || !all[0].Listed || len(all[0].Symbols) != 2 {
			t.Errorf("%s: %+v", of, all)
		}
	}
	if all := why("x.fine.test"); len(all) != 2 || all[0].Listed || all[1].Listed {
		t.Errorf("%+v", all)
	}
	if err := srv.Set("*.bl.example.org", "A 127.0.0.2"); err != nil {
		t.Fatal(err)
	}
	if all := why("198.51.100.9"); len(all) != 1 || all[0].Listed || all[0].Off != "lists everything" {
		t.Errorf("%+v", all)
	}
	out.Reset()
	c := desk.Blocklist{}
	c.Why.Of = "198.51.100.9"
	if err := c.Why.Run(a); err != nil || !strings.Contains(out.String(), "OFF: lists everything") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestBlocklistList shows the own lists page by page, or all of them, and what of them is asked for.
func TestBlocklistList(t *testing.T) {
	a, out, _ := lists(t)
	c := desk.Blocklist{}
	for i := range 5 {
		c.Add.Value, c.Add.Scope, c.Add.Reason, c.Add.Allow = fmt.Sprintf("h%d.example", i), "all", fmt.Sprint("reason ", i), i == 3
		if err := c.Add.Run(a); err != nil {
			t.Fatal(err)
		}
	}
	list := func(ask func()) string {
		t.Helper()
		c.List.Limit, c.List.After, c.List.All, c.List.Text, c.List.Kind, c.List.About = 2, "", false, "", "", nil
		ask()
		out.Reset()
		if err := c.List.Run(a); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	first := list(func() {})
	_, rest, more := strings.Cut(first, "2 of 5, more: --after \"")
	if !more || !strings.HasPrefix(first, "block h4.example all") || strings.Count(first, "\n") != 3 {
		t.Errorf("the first page:\n%s", first)
	}
	after, _, _ := strings.Cut(rest, "\"")
	if got := list(func() { c.List.After = after }); !strings.HasPrefix(got, "block h2.example all") || strings.Count(got, "\n") != 3 {
		t.Errorf("the second page:\n%s", got)
	}
	if got := list(func() { c.List.All = true }); strings.Count(got, "\n") != 5 || strings.Contains(got, "more:") {
		t.Errorf("all:\n%s", got)
	}
	for want, ask := range map[string]func(){
		"allow h3.example all": func() { c.List.Kind = "allow" }, "block h1.example all": func() { c.List.Text = "REASON 1" }, "block h2.example all": func() { c.List.About = []string{"a@x.h2.example"} },
	} {
		if got := list(ask); !strings.HasPrefix(got, want) || strings.Count(got, "\n") != 1 {
			t.Errorf("want %s:\n%s", want, got)
		}
	}
	c.List.After = "nonsense"
	if err := c.List.Run(a); code(err) == app.Fine {
		t.Error("a mark that is none")
	}
}
