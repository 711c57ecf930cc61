package scenarios

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/cmd/postern/listcalls"

	"postern/abuse/cases"
	"postern/abuse/cases/flow"
	"postern/abuse/external/published"
	"postern/cmd/postern/sourcecalls"
	"postern/internal/alert"
	"postern/internal/mailtest"
)

// spamList is a published file of n addresses, one of ours and a network of the first octet.
func spamList(n int, more ...string) string {
	var b strings.Builder
	a := netip.MustParseAddr("198.51.100.1")
	for range n {
		fmt.Fprintf(&b, "%s ; spam server\r\n", a)
		a = a.Next()
	}
	return b.String() + strings.Join(append(more, ""), "\r\n")
}

// rcpt is the answer to RCPT for a client "ip:port".
func (n *node) rcpt(client, from, to string) (int, string) {
	n.t.Helper()
	s := n.dial("mx", client)
	defer s.Close()
	if err := s.Hello("host.unproved.example"); err != nil {
		n.t.Fatal(err)
	}
	if code, text := s.say("MAIL FROM:<%s>", from); code != 250 {
		return code, text
	}
	return s.say("RCPT TO:<%s>", to)
}

// Scenario 28: a published list of 295 addresses, one of ours and a /8 among them: those two
// are refused by line, what it would have done is shown, the rest is in force within a business
// day of its publication, each entry with the rule by which it ends.
func TestScenario28PublishedList(t *testing.T) {
	t.Parallel()
	bothHomes(t, func(t *testing.T, redis bool) {
		n := start(t, plan{Redis: redis, Abuse: "listings: {addresses: [203.0.113.25]}"})
		n.writes("frank@friend.example", "ada@example.com", n.letter("frank@friend.example", "ada@example.com", "Hello", catalogue))
		if code, text := n.rcpt("198.51.100.7:4000", "x@spam.example", "ada@example.com"); code != 250 {
			t.Fatalf("before the list: %d %s", code, text)
		}
		path := filepath.Join(n.Dir, "list.txt")
		if err := os.WriteFile(path, []byte(spamList(293, "203.0.113.25", "58.0.0.0/8 # all of it")), 0o600); err != nil {
			t.Fatal(err)
		}
		at := n.Clock.Now().Add(-time.Hour).UTC().Truncate(time.Second)
		var e published.Edition
		n.await("the mail of before is in the records", func() bool {
			e = told[published.Edition](n, "published.import", sourcecalls.Edition{List: "trial", File: []byte(spamList(1)), Published: at})
			n.call("published.drop", sourcecalls.Edition{ID: e.ID, Reason: "a trial"}, nil)
			at = at.Add(time.Second)
			return e.Trial.Mails > 0
		})
		out := n.command("published", "import", "national", path, "--published", at.Format(time.RFC3339))
		for _, want := range []string{"293 entries, 293 new, 0 gone, 2 lines refused", "line 294", "our own or a partner's", "line 295", "larger than /16", "of 7 days: it hits 0"} {
			if !strings.Contains(out, want) {
				t.Errorf("%q is not in\n%s", want, out)
			}
		}
		n.due()
		all := told[sourcecalls.Editions](n, "published.list", sourcecalls.Paging{}).Editions
		i := slices.IndexFunc(all, func(e published.Edition) bool { return e.List == "national" })
		if i < 0 || all[i].State != published.Applied || all[i].Late || all[i].Applied.After(all[i].Due) || !all[i].Published.Equal(at) || all[i].Imported.IsZero() {
			t.Fatalf("%+v", all)
		}
		entries := told[listcalls.Entries](n, "blocklist.list", listcalls.Search{Limit: 1000}).Entries
		if len(entries) != 293 {
			t.Fatalf("%d entries", len(entries))
		}
		for _, e := range entries {
			if e.Expires.IsZero() || !strings.Contains(e.Reason, "lifted by the rule dropped") || !strings.Contains(e.Author, "list national: ") {
				t.Fatalf("%+v", e)
			}
		}
		if code, text := n.rcpt("198.51.100.7:4001", "x@spam.example", "ada@example.com"); code != 550 {
			t.Errorf("%d %s", code, text)
		}
		for _, ip := range []string{"203.0.113.25", "58.1.2.3"} {
			if code, text := n.rcpt(ip+":4000", "x@other.example", "ada@example.com"); code != 250 {
				t.Errorf("%s: %d %s", ip, code, text)
			}
		}
		// The next edition without it lifts the block, and a shrunken one waits for a person.
		n.pass(24 * time.Hour)
		n.call("published.import", sourcecalls.Edition{List: "national", File: []byte(strings.Replace(spamList(250), "198.51.100.7 ", "198.51.100.251 ", 1)), Published: n.Clock.Now().Add(-time.Hour)}, nil)
		n.pass(2 * time.Minute)
		if code, text := n.rcpt("198.51.100.7:4002", "x@spam.example", "ada@example.com"); code != 250 {
			t.Errorf("after it was dropped: %d %s", code, text)
		}
		e = told[published.Edition](n, "published.import", sourcecalls.Edition{List: "national", File: []byte(spamList(9)), Published: n.Clock.Now()})
		n.pass(2 * time.Minute)
		if e = told[published.Edition](n, "published.show", sourcecalls.Edition{ID: e.ID}); e.State != published.Previewed || len(e.Person) != 1 {
			t.Errorf("%+v", e)
		}
		n.command("published", "apply", "--reason", "the publisher cleaned up", e.ID)
		if left := told[listcalls.Entries](n, "blocklist.list", nil); left.Total != 9 {
			t.Errorf("%d entries", left.Total)
		}
	})
}

// listed makes a block list answer for names; a name without codes is not listed.
func (n *node) listed(zone string, names map[string]string) {
	n.t.Helper()
	for name, code := range names {
		var records []string
		if code != "" {
			records = []string{"A " + code, "TXT spam was seen"}
		}
		if err := n.DNS.Set(name+"."+zone, records...); err != nil {
			n.t.Fatal(err)
		}
	}
}

// ourListings are the listings that are believed.
func (n *node) ourListings() sourcecalls.Listings {
	n.t.Helper()
	return told[sourcecalls.Listings](n, "listing.list", sourcecalls.Paging{Open: true})
}

const watchedLists = `external: {national_body: {address: "body@national.example", form: text, language: zh}}, listings: {addresses: [192.0.2.1], lists: [{name: all, zone: all.example}, {name: refuses, zone: refuses.example},
  {name: healthy, zone: bl.example, major: true, removal: "https://bl.example/remove"}, {name: names, zone: names.example, of: domains}]}`

// Scenario 29: a list that lists everything, or refuses to answer, is not believed. A healthy one
// is, the second time: a case, a draft within four hours, and no request for removal before the
// cause is resolved.
func TestScenario29OwnAddressListed(t *testing.T) {
	t.Parallel()
	bothHomes(t, func(t *testing.T, redis bool) {
		n := prepare(t, plan{Redis: redis, Abuse: watchedLists})
		const ours, yes, no = "1.2.0.192", "2.0.0.127", "1.0.0.127"
		n.listed("all.example", map[string]string{yes: "127.0.0.2", no: "127.0.0.2", ours: "127.0.0.2"})
		n.listed("refuses.example", map[string]string{yes: "127.255.255.254", ours: "127.255.255.254"})
		n.listed("bl.example", map[string]string{yes: "127.0.0.2", ours: "127.0.0.3"})
		n.listed("names.example", map[string]string{"test": "127.0.0.2", ours: "127.0.0.2", "192.0.2.1": "127.0.0.2"}) // of domains: never asked about an address
		n.Start()
		n.Ready()
		n.verifiedCase("bert@example.com") // whose mail did not leave
		n.goes(n.signIn("anna@example.com", "203.0.113.7:51514"), "anna@example.com", []string{"rcpt@isp.example"}, n.letter("anna@example.com", "rcpt@isp.example", "Our catalogue", catalogue))
		cause := n.verifiedCase("anna@example.com")
		began := n.Clock.Now()
		n.due()
		if got := n.ourListings(); len(got.Listings) != 0 || len(got.Tests) != 4 {
			t.Fatalf("believed at the first sight: %+v", got)
		}
		n.pass(11 * time.Minute)
		got := n.ourListings()
		for _, h := range got.Tests {
			if want := map[string]string{"all": "it lists 1.0.0.127", "refuses": "it answers 127.255.255.254"}[h.List]; h.OK != (want == "") || !strings.Contains(h.Why, want) {
				t.Errorf("%+v", h)
			}
		}
		if len(got.Listings) != 1 {
			t.Fatalf("%+v", got)
		}
		l := got.Listings[0]
		if l.List != "healthy" || l.Subject != "192.0.2.1" || l.Case == "" || l.Cause != cause || l.Drafted.Sub(began) > 4*time.Hour || !strings.Contains(l.Draft, "192.0.2.1") || !strings.Contains(l.Draft, "黑名单") {
			t.Fatalf("%+v, the cause is %s", l, cause)
		}
		if len(l.Suspects) != 1 || l.Suspects[0].Account != "anna@example.com" || l.Suspects[0].Messages != 1 || l.Named != "" {
			t.Errorf("suspected: %+v", l.Suspects)
		}
		if out := n.command("listing", "show", l.ID); !strings.Contains(out, "suspected cause "+cause) || !strings.Contains(out, "1 messages, 1 copies left through our servers") {
			t.Error(out)
		}
		if n.DNS.Count(ours+".names.example")+n.DNS.Count("192.0.2.1.names.example") != 0 {
			t.Error("a list of domains was asked about an address")
		}
		all := n.cases()
		i := slices.IndexFunc(all, func(c cases.Case) bool { return c.ID == l.Case })
		if i < 0 || len(all) != 3 || all[i].Kind != cases.External || all[i].Priority != 1 || len(all[i].Evidence) == 0 || !all[i].Source.IP.IsValid() {
			t.Errorf("%+v", all)
		}
		if !slices.ContainsFunc(n.alerts(), func(a alert.Alert) bool { return strings.HasPrefix(a.Key, "listing-") }) {
			t.Errorf("%+v", n.alerts())
		}
		out, errs, code := n.Run("listing", "removal", l.ID)
		if code != 1 || !strings.Contains(errs, "the cause is not resolved") {
			t.Errorf("exit %d %s%s", code, out, errs)
		}
		if out = n.command("listing", "show", l.ID); !strings.Contains(out, "removal is not asked for yet") {
			t.Error(out)
		}
		n.command("listing", "send", l.ID)
		n.due()
		n.await("the body is told", func() bool {
			return slices.ContainsFunc(n.Out.Transactions(), func(x mailtest.Transaction) bool {
				return slices.Contains(x.To, "body@national.example") && x.From != ""
			})
		})
		for _, to := range []flow.State{flow.Warned, flow.Resolved} {
			n.command("case", "state", cause, strings.ToLower(string(to)), "--reason", "the customer closed the hole")
		}
		if out = n.command("listing", "removal", l.ID); !strings.Contains(out, "https://bl.example/remove") {
			t.Error(out)
		}
		n.listed("bl.example", map[string]string{ours: ""})
		n.await("the listing is over", func() bool { // what the list answered before is kept for some seconds
			n.pass(11 * time.Minute)
			return len(n.ourListings().Listings) == 0
		})
		shown := told[sourcecalls.ListingShown](n, "listing.show", sourcecalls.Listing{ID: l.ID}).Listing
		if shown.Gone.IsZero() || shown.Asked.IsZero() || shown.Sent.IsZero() || shown.Open() {
			t.Errorf("%+v", shown)
		}
	})
}

// verifiedCase is the case of an account whose guilt is settled.
func (n *node) verifiedCase(account string) string {
	n.t.Helper()
	c := told[cases.Case](n, "case.open", cases.Opening{Account: account, Reason: "it sends spam"})
	n.call("case.category", map[string]any{"id": c.ID, "categories": []string{"S1"}}, nil)
	n.call("case.source", map[string]any{"id": c.ID, "reason": "our log", "source": cases.Source{IP: netip.MustParseAddr("203.0.113.7"), Port: 51514, Time: n.Clock.Now(), Login: account}}, nil)
	n.call("case.evidence", map[string]any{"id": c.ID, "name": "log", "bytes": []byte("a line of the log")}, nil)
	n.call("case.state", map[string]any{"id": c.ID, "to": "VERIFIED", "reason": "it was proved"}, nil)
	return c.ID
}
