package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"postern/cmd/postern/testinbox"
	"postern/internal/inbox"
	"postern/internal/mailtest"
	"postern/test/world"
)

// blockRules refuse a subject.
const blockRules = `patterns:
  - id: E2E_BLOCK
    describe: The subject asks to be refused
    in: subject
    match: 'please block'
    action: reject
    tests: {hit: ["please block this"], miss: ["hello"]}
`

// api makes calls over HTTP with a token.
type api struct {
	t          *testing.T
	url, token string
}

func (a api) call(name string, params, answer any) int {
	a.t.Helper()
	b, err := json.Marshal(params)
	if err != nil {
		a.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(a.t.Context(), http.MethodPost, a.url+"/api/v1/calls/"+name, bytes.NewReader(b))
	if err != nil {
		a.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+a.token)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	if res.StatusCode == http.StatusOK && answer != nil {
		if err := json.Unmarshal(text, answer); err != nil {
			a.t.Fatalf("%s: %v\n%s", name, err, text)
		}
	}
	return res.StatusCode
}

// tokenOf is the token of a new user with some scopes.
func (g *gateway) tokenOf(t *testing.T, user, role string, scopes ...string) api {
	t.Helper()
	g.run(t, 0, "user", "add", user, "--role", role)
	args := []string{"token", "add", user, "--json"}
	for _, s := range scopes {
		args = append(args, "--scope", s)
	}
	made := runJSON[map[string]any](t, g, 0, args...)
	for _, v := range made {
		if s, ok := v.(string); ok && len(s) > 30 {
			return api{t, "http://" + g.Addrs["api"], s}
		}
	}
	t.Fatalf("no token in %v", made)
	return api{}
}

const inboxYAML = `test_inbox: {domains: [ci.example], messages: 20, bytes: 5MB, keep: 1h}
api: {addr: "127.0.0.1:0"}
`

// A program under test mails to a test domain over SMTP, and its tests read what came over HTTP.
func TestInboxOverHTTP(t *testing.T) {
	t.Parallel()
	g, b := startBefore(t, mailtest.Script{}, plan{More: inboxYAML})
	ci := g.tokenOf(t, "ci", "abuse-agent", "inbox:read", "inbox:act")
	raw := letter("Your code", "code 4711\r\n.dot\r\nhttps://app.example/x")
	said := g.mustDeliver(t, 250, "Sign.Up@ci.example", raw)
	var got testinbox.Waited
	if code := ci.call("inbox.wait", testinbox.Wait{To: "sign.up@ci.example", Subject: "code"}, &got); code != 200 || !got.Found {
		t.Fatalf("%d %+v", code, got)
	}
	m := got.Message
	if m.Subject != "Your code" || m.From != "frank@friend.example" || !strings.Contains(m.Text, "code 4711") || !strings.Contains(m.Text, "\n.dot") || m.Client.IP != friendIP || !strings.Contains(said, m.ID) {
		t.Errorf("%s: %+v", said, m)
	}
	if m.Verdict.Action == "" || m.Verdict.Policy == "" || len(m.Links) != 1 {
		t.Errorf("verdict %+v, links %q", m.Verdict, m.Links)
	}
	var kept testinbox.Raw
	if code := ci.call("inbox.raw", testinbox.ID{ID: m.ID}, &kept); code != 200 || !strings.HasSuffix(string(kept.Body), raw) || !strings.Contains(string(kept.Body), "X-Postern-Verdict:") {
		t.Errorf("%d %q", code, kept.Body)
	}
	g.mustDeliver(t, 250, "b@ci.example", letter("please hold this", "x"))
	g.WriteFile("rules.d/block.yaml", blockRules)
	g.run(t, 0, "rules", "check")
	world.Await(t, "the rule is in effect", 30*time.Second, func() bool {
		code, _ := g.deliver(t, "c@ci.example", letter("please block this", "x"))
		return code == 550
	})
	var counts inbox.Counters
	world.Await(t, "the counters", 30*time.Second, func() bool {
		return ci.call("inbox.counts", struct{}{}, &counts) == 200 && counts.Held == 1 && counts.Blocked == 1 && counts.Kept >= 2
	})
	var page inbox.Page
	if code := ci.call("inbox.list", inbox.Query{To: "b@ci.example"}, &page); code != 200 || len(page.Messages) != 1 || page.Messages[0].Verdict.Action != "quarantine" {
		t.Errorf("what others would hold: %d %+v", code, page)
	}
	if n := len(holds(t, g, "")); n != 0 {
		t.Errorf("%d holds of test mail", n)
	}
	if n := len(b.Transactions()); n != 0 {
		t.Errorf("%d messages reached the server behind", n)
	}
	g.inboxRights(t, m.ID)
	if code := ci.call("inbox.delete", testinbox.ID{ID: m.ID}, nil); code != 200 {
		t.Error(code)
	}
	if code := ci.call("inbox.show", testinbox.ID{ID: m.ID}, nil); code != 404 {
		t.Errorf("a deleted one: %d", code)
	}
	if code := ci.call("inbox.wait", testinbox.Wait{To: "nobody@ci.example", Seconds: 1}, &got); code != 200 {
		t.Errorf("nothing came: %d", code)
	}
	if code := ci.call("inbox.wait", testinbox.Wait{Seconds: 1000}, nil); code != 400 {
		t.Errorf("too long: %d", code)
	}
}

// inboxRights: a token reads what it may, and a token of something else nothing.
func (g *gateway) inboxRights(t *testing.T, id string) {
	t.Helper()
	reads, other := g.tokenOf(t, "reader", "abuse-agent", "inbox:read"), g.tokenOf(t, "panel", "abuse-agent", "holds:read")
	if code := reads.call("inbox.show", testinbox.ID{ID: id}, nil); code != 200 {
		t.Errorf("reading: %d", code)
	}
	for _, name := range []string{"inbox.delete", "inbox.clear"} {
		if code := reads.call(name, testinbox.ID{ID: id}, nil); code != 403 {
			t.Errorf("%s by a reader: %d", name, code)
		}
	}
	for _, name := range []string{"inbox.list", "inbox.show", "inbox.raw", "inbox.wait", "inbox.counts"} {
		if code := other.call(name, testinbox.ID{ID: id}, nil); code != 403 {
			t.Errorf("%s by another: %d", name, code)
		}
	}
}

// One message to a mailbox and to a test address: each gets its copy, and no more.
func TestInboxBesideMailbox(t *testing.T) {
	t.Parallel()
	g, b := startBefore(t, mailtest.Script{}, plan{More: inboxYAML})
	c := dial(t, g.Addrs["mx"])
	c.comesFrom(friendIP)
	if code, said := c.transaction("frank@friend.example", []string{"ada@example.com", "t@ci.example"}, letter("both", "x")); code != 250 {
		t.Fatal(code, said)
	}
	got := b.WaitTransactions(t, 1)
	if len(got) != 1 || len(got[0].To) != 1 || got[0].To[0] != "ada@example.com" {
		t.Errorf("behind: %+v", got)
	}
	page := runJSON[inbox.Page](t, g, 0, "inbox", "list", "--json")
	if len(page.Messages) != 1 || strings.Join(page.Messages[0].To, " ") != "t@ci.example" {
		t.Errorf("%+v", page)
	}
	if out := g.run(t, 0, "inbox", "show", page.Messages[0].ID); !strings.Contains(out, "both") || !strings.Contains(out, "t@ci.example") {
		t.Error(out)
	}
	if out := g.run(t, 0, "inbox", "raw", page.Messages[0].ID); !strings.Contains(out, "Subject: both") {
		t.Error(out)
	}
	if out := g.run(t, 0, "inbox", "counts"); !strings.Contains(out, "ci.example") {
		t.Error(out)
	}
	g.run(t, 0, "inbox", "wait", "--subject", "BOTH")
	g.run(t, 1, "inbox", "wait", "--subject", "never", "--seconds", "1")
	g.run(t, 1, "inbox", "show", "01aaaaaaaaaaaaaaaaaaaaaaaa")
	if err := g.Stop(); err != nil { // what is kept is there after a restart, and without a server
		t.Fatal(err)
	}
	if out := g.run(t, 0, "inbox", "list"); !strings.Contains(out, "both") {
		t.Error(out)
	}
	if out := g.run(t, 0, "inbox", "clear", "--counters"); !strings.Contains(out, "1 messages are gone") {
		t.Error(out)
	}
}

// Of more than fit the oldest goes, and one that never fits is refused for good.
func TestInboxIsBounded(t *testing.T) {
	t.Parallel()
	g, _ := startBefore(t, mailtest.Script{}, plan{More: strings.Replace(inboxYAML, "messages: 20, bytes: 5MB", "messages: 3, bytes: 300kB", 1)})
	for _, s := range []string{"one", "two", "three", "four", "five"} {
		g.mustDeliver(t, 250, "a@ci.example", letter(s, "x"))
	}
	page := runJSON[inbox.Page](t, g, 0, "inbox", "list", "--json")
	if len(page.Messages) != 3 || page.Messages[0].Subject != "five" || page.Messages[2].Subject != "three" {
		t.Errorf("%+v", page)
	}
	if said := g.mustDeliver(t, 552, "a@ci.example", letter("large", strings.Repeat("large text\r\n", 30_000))); !strings.Contains(said, "larger than the test inbox") {
		t.Error(said)
	}
	if page = runJSON[inbox.Page](t, g, 0, "inbox", "list", "--json", "--limit", "1"); len(page.Messages) != 1 || page.Messages[0].Subject != "five" || page.Next == "" {
		t.Errorf("%+v", page)
	}
}
