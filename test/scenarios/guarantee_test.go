package scenarios

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/abuse"
	"postern/abuse/cases"
	"postern/abuse/cases/flow"
	"postern/abuse/guarantee"
	"postern/abuse/measure"
	"postern/abuse/second"
	"postern/cmd/postern/access"
	"postern/cmd/postern/calls"
	"postern/cmd/postern/casecalls"
	"postern/cmd/postern/home"
	"postern/cmd/postern/secondcalls"
	"postern/internal/people"
	"postern/test/world"
)

// person is somebody who works at the desk, over the API.
type person struct {
	n      *node
	bearer string
}

// hire lets a person of a role work at the desk.
func (n *node) hire(name string, role people.Role) person {
	n.t.Helper()
	n.command("user", "add", name, "--role", string(role))
	made := told[access.Made](n, "token.add", access.NewToken{User: name, Name: "desk", Hours: 24 * 90})
	return person{n, made.Secret}
}

// call makes a call over the API and returns its status and what it said.
func (p person) call(name string, params, result any) (status int, words string) {
	p.n.t.Helper()
	body, err := json.Marshal(params)
	if err != nil {
		p.n.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(p.n.t.Context(), http.MethodPost, "http://"+p.n.Addrs["api"]+"/api/v1/calls/"+name, bytes.NewReader(body))
	if err != nil {
		p.n.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+p.bearer)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		p.n.t.Fatal(err)
	}
	defer res.Body.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(res.Body); err != nil {
		p.n.t.Fatal(err)
	}
	if res.StatusCode == http.StatusOK && result != nil {
		if err := json.Unmarshal(text.Bytes(), result); err != nil {
			p.n.t.Fatalf("%s: %v\n%s", name, err, text.String())
		}
	}
	return res.StatusCode, text.String()
}

// must makes a call that must be answered.
func (p person) must(name string, params, result any) {
	p.n.t.Helper()
	if status, words := p.call(name, params, result); status != http.StatusOK {
		p.n.t.Fatalf("%s: %d %s", name, status, words)
	}
}

// suspended brings an account as far as SUSPENDED, as an agent does, and returns its case.
func (p person) suspended(account string) cases.Case {
	p.n.t.Helper()
	var c cases.Case
	p.must("case.open", cases.Opening{Kind: cases.Local, Account: account, Reason: "it sends spam"}, &c)
	p.must("case.category", casecalls.Work{ID: c.ID, Categories: []cases.Category{"S1"}}, nil)
	if p.n.shown(c.ID).Case.State != flow.Triage {
		for _, to := range []flow.State{flow.Matching, flow.Triage} {
			p.call("case.state", casecalls.Move{ID: c.ID, Request: cases.Request{To: to, Reason: "looked at"}}, nil)
		}
	}
	p.must("case.evidence", casecalls.Work{ID: c.ID, Name: "log.txt", Bytes: []byte("what was sent")}, nil)
	p.must("case.source", casecalls.Work{ID: c.ID, Source: &cases.Source{IP: netip.MustParseAddr("203.0.113.7"), Port: 51514, Time: p.n.Clock.Now()}, Reason: "the log"}, nil)
	p.must("case.state", casecalls.Move{ID: c.ID, Request: cases.Request{To: flow.Verified, Reason: "the log shows it"}}, nil)
	var m measure.Measure
	p.must("measure.apply", calls.MeasureAsk{Account: account, Level: "M3", Reason: "spam was proved", Case: c.ID}, &m)
	p.must("case.state", casecalls.Move{ID: c.ID, Request: cases.Request{To: flow.Suspended, Reason: "it is suspended", Measure: m.ID, Level: 3}}, &c)
	return c
}

// probation is a node with a suspended account, two people, and a pack that is complete but for
// what a test leaves out.
func probation(t *testing.T, p plan, account string) (n *node, agent, lead person, c cases.Case, page *pager) {
	t.Helper()
	p.More += fmt.Sprintf("api: {addr: \"127.0.0.1:%d\"}\n", world.FreePort(t))
	n, page = senders(t, p, account, "other@example.com")
	n.before(func(s *home.Home, now time.Time) { enabled(t, s, now) })
	n.serve()
	agent, lead = n.hire("anna", people.Agent), n.hire("boris", people.Lead)
	return n, agent, lead, agent.suspended(account), page
}

// form is what a letter says.
func (n *node) form(account string) guarantee.Form {
	return guarantee.Form{
		Company: "Shop Ltd", Scope: guarantee.Mailbox, Covers: account, Signer: "Wang Wei", Contact: "wang@partner.example", Phone: "+86 10 1234567", Date: n.Clock.Now().UTC().Truncate(24 * time.Hour),
	}
}

// An account comes back by a whole pack and a second person alone, and then at a fifth of what it
// may send.
func TestScenario25GuaranteePack(t *testing.T) {
	t.Parallel()
	const shop = "shop@example.com"
	bothHomes(t, func(t *testing.T, redis bool) {
		n, agent, lead, c, _ := probation(t, plan{Redis: redis, Abuse: acting}, shop)
		var pack guarantee.Pack
		form := n.form(shop)
		form.Scope, form.Covers = "", ""
		agent.must("guarantee.new", casecalls.Pack{Case: c.ID, Form: form}, &pack)
		upload := func(part guarantee.Part) {
			agent.must("guarantee.upload", casecalls.Pack{ID: pack.ID, Part: part, Name: "paper.pdf", Bytes: []byte("%PDF-1.4 " + string(part))}, &pack)
		}
		upload(guarantee.Letter)
		upload(guarantee.Suspension)
		refused := func(missing ...string) {
			t.Helper()
			status, words := agent.call("guarantee.submit", casecalls.Pack{ID: pack.ID}, nil)
			for _, m := range missing {
				if status == http.StatusOK || !strings.Contains(words, m) {
					t.Errorf("without %s: %d %s", m, status, words)
				}
			}
			if status, words := lead.call("guarantee.approve", casecalls.Pack{ID: pack.ID, Reason: "fine"}, nil); status == http.StatusOK {
				t.Errorf("it is approved: %s", words)
			}
			if got := n.shown(c.ID).Case; got.State != flow.Suspended || n.level(shop) != abuse.M3 {
				t.Errorf("%s at %s", got.State, n.level(shop))
			}
		}
		refused("licence copy", "scope")
		upload(guarantee.Licence)
		refused("scope")
		agent.must("guarantee.fill", casecalls.Pack{ID: pack.ID, Form: n.form(shop)}, nil)
		agent.must("guarantee.submit", casecalls.Pack{ID: pack.ID}, nil)
		if status, words := agent.call("guarantee.approve", casecalls.Pack{ID: pack.ID, Reason: "I know them"}, nil); status == http.StatusOK {
			t.Errorf("who brought it in approves it: %s", words)
		}
		if got := n.shown(c.ID).Case.State; got != flow.GuaranteeIn {
			t.Errorf("%s", got)
		}
		lead.must("guarantee.approve", casecalls.Pack{ID: pack.ID, Reason: "the papers are in order"}, &pack)
		if got := n.shown(c.ID).Case.State; got != flow.Probation || pack.Approver == pack.Proposer {
			t.Errorf("%s, proposed by %s, approved by %s", got, pack.Proposer, pack.Approver)
		}
		n.due()
		why := n.why(shop)
		if why.Account.Effective() != abuse.M1 || why.Account.Messages != 100000*20/100 || why.Account.Recipients != 100000*20/100 {
			t.Errorf("not at 20 %% of the normal rate: %+v", why.Account)
		}
		if code, text := n.tries(shop, "friend@far.example"); code != 250 {
			t.Errorf("it cannot send: %d %s", code, text)
		}
		n.pass(3*24*time.Hour + time.Minute)
		if why := n.why(shop); why.Account.Messages != 100000*40/100 {
			t.Errorf("after three clean days: %+v", why.Account)
		}
	})
}

// Who breaks the guarantee during probation is suspended again, by a vote that proves itself and a
// spam trap; that is the second strike, after which a permanent end is offered to a lead and never
// done by itself.
func TestScenario26GuaranteeThatWasBroken(t *testing.T) {
	t.Parallel()
	const shop, trap = "shop@example.com", "trap@far.example"
	bothHomes(t, func(t *testing.T, redis bool) {
		n, agent, lead, c, page := probation(t, plan{Redis: redis, Abuse: acting + ", signals: {traps: [" + trap + "]}"}, shop)
		n.publishes("example.com", "one")
		var pack guarantee.Pack
		agent.must("guarantee.new", casecalls.Pack{Case: c.ID, Form: n.form(shop)}, &pack)
		for _, part := range guarantee.Parts() {
			agent.must("guarantee.upload", casecalls.Pack{ID: pack.ID, Part: part, Name: "paper.pdf", Bytes: []byte("%PDF-1.4 " + string(part))}, nil)
		}
		agent.must("guarantee.submit", casecalls.Pack{ID: pack.ID}, nil)
		lead.must("guarantee.approve", casecalls.Pack{ID: pack.ID, Reason: "the papers are in order"}, nil)
		n.pass(24 * time.Hour)
		if got := n.shown(c.ID).Case; got.State != flow.Probation || n.level(shop) != abuse.M1 {
			t.Fatalf("%s, %d strikes, %s", got.State, got.Strikes, n.level(shop))
		}

		s := n.signIn(shop, ownIP)
		copyOf := n.goes(s, shop, []string{"reader@isp.example"}, n.letter("<"+shop+">", "reader@isp.example", "Our catalogue", catalogue))
		got := n.reports(0, "reader@isp.example", n.forwardOf("reader@isp.example", copyOf))
		if p := got.Work.Proof; p.Grade != 4 || p.Votes != 100 {
			t.Fatalf("%+v", p)
		}
		n.due()
		if state := n.shown(c.ID).Case.State; state != flow.Probation {
			t.Errorf("one vote alone: %s", state)
		}
		s.must(shop, []string{trap}, n.letter("<"+shop+">", trap, "Our catalogue", catalogue))
		n.await("the account is suspended again", func() bool { n.due(); return n.level(shop) == abuse.M3 })

		now := n.shown(c.ID)
		if now.Case.State != flow.Suspended || now.Case.Strikes != 2 || n.level(shop) != abuse.M3 {
			t.Errorf("%s, %d strikes, %s: %+v", now.Case.State, now.Case.Strikes, n.level(shop), n.why(shop).Judged)
		}
		if code, text := n.tries(shop, "friend@far.example"); code < 500 {
			t.Errorf("it sends: %d %s", code, text)
		}
		offered := slices.ContainsFunc(now.Timeline, func(e cases.Event) bool { return strings.Contains(e.Text, "permanent end permitted by the letter") })
		if !offered {
			t.Error("the case has no offer of a permanent end")
		}
		n.await("a lead is told", func() bool { return len(page.pages("guarantee-"+c.ID)) > 0 })
		n.pass(7 * 24 * time.Hour)
		if state := n.shown(c.ID).Case.State; state != flow.Suspended {
			t.Errorf("by itself it became %s", state)
		}
		lead.must("case.end", casecalls.Work{ID: c.ID, Reason: "the second strike"}, nil)
		var waiting second.Page
		lead.must("approval.list", secondcalls.Query{State: second.Open}, &waiting)
		if len(waiting.Proposals) != 1 || waiting.Proposals[0].Object != c.ID {
			t.Fatalf("%+v", waiting.Proposals)
		}
		yes := secondcalls.Decision{ID: waiting.Proposals[0].ID, Reason: "twice is enough"}
		if status, words := lead.call("approval.approve", yes, nil); status == http.StatusOK {
			t.Errorf("one person ended it alone: %s", words)
		}
		if status, words := lead.call("case.state", casecalls.Move{ID: c.ID, Request: cases.Request{To: flow.Terminated, Reason: "the second strike"}}, nil); status == http.StatusOK {
			t.Errorf("one person ended it past the other: %s", words)
		}
		n.hire("clara", people.Lead).must("approval.approve", yes, nil)
		if state := n.shown(c.ID).Case.State; state != flow.Terminated {
			t.Errorf("two persons: %s", state)
		}
	})
}
