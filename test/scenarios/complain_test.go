package scenarios

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/cmd/postern/listcalls"

	"postern/abuse/cases"
	"postern/abuse/cases/flow"
	parser "postern/abuse/complaint"
	"postern/abuse/external"
	"postern/cmd/postern/sourcecalls"
	"postern/internal/mailtest"
	"postern/test/world"
)

// holdRules hold what asks for it, by its content alone.
const holdRules = `patterns:
  - id: TEST_HOLD
    describe: The subject asks to be held
    in: subject
    match: 'cheap watches'
    action: quarantine
    tests: {hit: ["cheap watches"], miss: ["hello"]}
`

// spammer is who sends what is complained of, from strangerIP.
const spammer = "sales@spam.example"

// heldSpam sends a message that is held for its content and opens the case of its source.
func (n *node) heldSpam() cases.Case {
	n.t.Helper()
	n.writes(spammer, "ada@example.com", n.letter(spammer, "ada@example.com", "cheap watches", catalogue))
	hold := told[struct{ Holds []struct{ ID string } }](n, "quarantine.list", map[string]int{"limit": 10}).Holds[0]
	return told[sourcecalls.Shown](n, "source.open", sourcecalls.Work{Hold: hold.ID, Reason: "looks like spam"}).Case
}

// refused makes a command end with a refusal that says words.
func (n *node) refused(words string, args ...string) {
	n.t.Helper()
	if out, errs, code := n.Run(args...); code != 1 || !strings.Contains(errs, words) {
		n.t.Errorf("%s: exit %d\n%s%s", strings.Join(args, " "), code, out, errs)
	}
}

// toldTo waits for a message to an address at the way out.
func (n *node) toldTo(to string) mailtest.Transaction {
	n.t.Helper()
	var x mailtest.Transaction
	n.await(to+" is told", func() bool {
		all := n.Out.Transactions()
		i := slices.IndexFunc(all, func(x mailtest.Transaction) bool { return slices.Contains(x.To, to) })
		if i >= 0 {
			x = all[i]
		}
		return i >= 0
	})
	return x
}

// Scenario 27: what rests on the content alone is neither confirmed nor complained of; after the
// report of a user it is, by a report that validates and tells all that is known.
func TestScenario27ContentIsNoGround(t *testing.T) {
	t.Parallel()
	bothHomes(t, func(t *testing.T, redis bool) {
		n := start(t, plan{Redis: redis, Rules: holdRules, Abuse: `external: {contacts: {address_zone: contacts.example}, national_body: {address: "body@national.example"}}`})
		if err := n.DNS.Set("10.2.0.192.contacts.example", "TXT abuse@carrier.example"); err != nil {
			t.Fatal(err)
		}
		c := n.heldSpam()
		if c.Kind != cases.External || c.State != flow.Detected || c.Source.Domain != "spam.example" || c.Source.IP.String() != strangerIP || c.Source.Port != 40000 {
			t.Fatalf("%+v", c)
		}
		for _, args := range [][]string{{"source", "complain", c.ID}, {"source", "confirm", "--reason", "it looks like spam", c.ID}} {
			n.refused("RFC 6650 section 5.2", args...)
		}
		n.refused("a source is confirmed first", "source", "block", "--reason", "spam", c.ID, strangerIP)
		// A user reports another mail of the same source, which was delivered.
		n.writes(spammer, "anna@example.com", n.letter(spammer, "anna@example.com", "An offer for you", catalogue))
		got := n.In.WaitTransactions(t, 1)[0].Body
		n.userReports(got)
		n.due()
		out := n.command("source", "show", c.ID)
		if !strings.Contains(out, "ground     user r-") {
			t.Fatal(out)
		}
		n.command("source", "confirm", "--reason", "a user reported it", c.ID)
		if out = n.command("source", "complain", c.ID); !strings.Contains(out, "sent to abuse@carrier.example (abusix) as arf") {
			t.Fatal(out)
		}
		x := n.toldTo("abuse@carrier.example")
		r := parser.Parse(x.Body, parser.DefaultOptions())
		if r.Format != parser.ARF || len(r.Problems) != 0 || r.Claims.SourceIP.String() != strangerIP || r.Claims.SourcePort != 40000 || !strings.Contains(string(r.Original), "autumn catalogue") {
			t.Errorf("%+v", r)
		}
		text := string(x.Body)
		for _, part := range []string{"Subject: FW: ", "Source-Port: 40000", strangerIP + ", port 40000", "spam.example", spammer, "STOP", c.ID, "Reply-To"} {
			if !strings.Contains(text, part) && part != "Reply-To" {
				t.Errorf("%q is not in\n%s", part, text)
			}
		}
		if x.From == "" || !strings.Contains(strings.ToLower(x.From), strings.ToLower(c.ID)) {
			t.Errorf("an answer would go to %q", x.From)
		}
		n.toldTo("body@national.example")
		// The next time is due with the next incident.
		if out = n.command("source", "complain", c.ID); !strings.Contains(out, "nobody was told") {
			t.Error(out)
		}
		// The provider wants no more.
		n.writes("abuse@carrier.example", x.From, n.letter("abuse@carrier.example", x.From, "Re: your report", "STOP"))
		n.await("the contact has opted out", func() bool {
			return strings.Contains(n.command("source", "contact", "list"), "abuse@carrier.example wants no notices")
		})
	})
}

// userReports hands a message in as anna, who got it.
func (n *node) userReports(got []byte) {
	n.t.Helper()
	s := n.signIn("anna@example.com", "203.0.113.7:51514")
	defer s.Close()
	before := len(told[struct{ Complaints []complaintRow }](n, "complaint.list", map[string]int{"limit": 100}).Complaints)
	s.must("anna@example.com", []string{"abuse@example.com"}, world.ARF(n.Clock.Now(), "anna@example.com", fmt.Sprint("spam ", before), got))
	n.complaints(before + 1)
}

type complaintRow struct{}

// registry is a server of the registries' protocol that knows one address.
func registry(t *testing.T, ip, mail string) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/ip/"+ip {
			http.NotFound(w, r)
			return
		}
		fmt.Fprintf(w, `{"entities":[{"roles":["registrant"],"entities":[{"roles":["abuse"],"vcardArray":["vcard",[["version",{},"text","4.0"],["email",{},"text",%q]]]}]}]}`, mail)
	}))
	t.Cleanup(s.Close)
	return s
}

// blocked is a source that is confirmed by an agent who looked, told of, and blocked.
func (n *node) blocked() (id string) {
	n.t.Helper()
	c := n.heldSpam()
	n.command("source", "confirm", "--evidence", c.Evidence[0].Sum, "--reason", "I read it", c.ID)
	n.command("source", "complain", c.ID)
	n.command("source", "block", "--reason", "it sends spam", "--rule", "quiet", c.ID, strangerIP)
	return c.ID
}

// state is where a case stands.
func (n *node) state(id string) flow.State {
	n.t.Helper()
	return told[sourcecalls.Shown](n, "source.show", sourcecalls.Paging{ID: id}).Case.State
}

// A block is in force on every node; it shows why, by whom and until when. Attempts on any node
// keep it; a week without opens it half, and two days later it is over.
func TestBlockOnAllNodesAndItsEnd(t *testing.T) {
	t.Parallel()
	rdap := registry(t, strangerIP, "noc@carrier.example")
	store := onRedis(redisAt(t))
	p := plan{Store: store, Rules: holdRules, Abuse: fmt.Sprintf("external: {contacts: {rdap: true, endpoints: [%q], address_zone: \"\", domain_zone: \"\"}}", rdap.URL)}
	n := start(t, p)
	p.Clock, p.DNS, p.Hostname = n.Clock, n.DNS, "mx2.example.com"
	other := start(t, p)
	from := strangerIP + ":41000"
	if code, text := other.rcpt(from, spammer, "ada@example.com"); code != 250 {
		t.Fatalf("%d %s", code, text)
	}
	began := time.Now()
	id := n.blocked()
	n.toldTo("noc@carrier.example")
	n.await("the other node refuses", func() bool { code, _ := other.rcpt(from, spammer, "ada@example.com"); return code == 550 })
	t.Logf("in force on the other node %s after the first word of the case", time.Since(began).Round(time.Millisecond))
	for _, part := range []string{"in force until", "by uid", "lifted by the rule quiet: it sends spam"} {
		if out := n.command("source", "show", id); !strings.Contains(out, part) {
			t.Errorf("%q is not in %s", part, out)
		}
	}
	for range 8 { // an attempt a day on the other node
		n.pass(24 * time.Hour)
		other.rcpt(from, spammer, "ada@example.com")
		other.due()
	}
	if s := n.state(id); s != flow.Blocked && s != flow.Observe {
		t.Fatalf("it still tries, and is %s", s)
	}
	n.pass(8 * 24 * time.Hour)
	if s := n.state(id); s != flow.HalfOpen {
		t.Fatalf("it is %s after a week without an attempt", s)
	}
	other.due()
	codes := map[int]int{}
	n.await("the other node knows", func() bool { code, _ := other.rcpt(from, spammer, "ada@example.com"); return code != 550 })
	for range 40 {
		code, text := other.rcpt(from, spammer, "ada@example.com")
		if codes[code]++; code != 250 && !strings.Contains(text, "4.7.1") {
			t.Errorf("%d %s", code, text)
		}
	}
	if codes[250] != 4 || codes[451]+codes[450] != 36 {
		t.Errorf("of 40 half open: %v", codes)
	}
	n.pass(50 * time.Hour)
	if s := n.state(id); s != flow.Lifted {
		t.Fatalf("it is %s after two days half open", s)
	}
	other.due()
	for range 5 {
		if code, text := other.rcpt(from, spammer, "ada@example.com"); code != 250 {
			t.Errorf("%d %s", code, text)
		}
	}
}

// What comes while a source is half open blocks it again, for twice as long.
func TestHalfOpenSourceThatSendsAbuse(t *testing.T) {
	t.Parallel()
	bothHomes(t, func(t *testing.T, redis bool) {
		n := start(t, plan{Redis: redis, Rules: holdRules})
		id := n.blocked()
		n.command("source", "lift", "--reason", "the provider says it is closed", id)
		if s := n.state(id); s != flow.HalfOpen {
			t.Fatalf("it is %s", s)
		}
		n.call("case.evidence", map[string]any{"id": id, "name": "log", "bytes": []byte("a line of the log")}, nil)
		c := told[sourcecalls.Shown](n, "source.show", sourcecalls.Paging{ID: id}).Case
		n.pass(time.Hour)
		n.command("source", "confirm", "--evidence", c.Evidence[len(c.Evidence)-1].Sum, "--reason", "it sends again", id)
		got := told[sourcecalls.Shown](n, "source.show", sourcecalls.Paging{ID: id})
		if got.Case.State != flow.Blocked || got.Source.Hold != 14 || !got.Source.Held {
			t.Errorf("%+v", got.Source)
		}
		if code, text := n.rcpt(strangerIP+":41000", spammer, "ada@example.com"); code != 550 {
			t.Errorf("%d %s", code, text)
		}
		n.refused("our own or a partner's", "source", "block", "--reason", "x", id, "mail.example.com")
		n.refused("larger than /16", "source", "block", "--reason", "x", id, "58.0.0.0/8")
	})
}

// H-L11: floods of automated reports that name a host or us as the source, caused by traffic
// that somebody forged: without evidence of our own nobody is confirmed, told or blocked.
func TestReportsWithoutEvidenceOfOurOwn(t *testing.T) {
	t.Parallel()
	bothHomes(t, func(t *testing.T, redis bool) {
		n := start(t, plan{Redis: redis, Abuse: `external: {automatic: true, national_body: {address: "body@national.example"}}, intake: {rates: {network: -1, unproved: -1, reporter: -1, domain: -1}}`})
		const flood = 60
		for i := range flood {
			forged := fmt.Sprintf("Received: from relay (relay [198.51.100.%d]) by mx1.example.com; Sun, 22 Nov 2026 10:00:00 +0000\r\nFrom: <a%d@victim.example>\r\nTo: <honey%d@robots.example>\r\nSubject: login attempt %d\r\nMessage-ID: <%d@victim.example>\r\n\r\nforged\r\n", i+1, i, i, i, i)
			from := fmt.Sprintf("robot%d@robots.example", i)
			raw := world.ARF(n.Clock.Now(), from, fmt.Sprint("automated report ", i), []byte(forged), fmt.Sprintf("Source-IP: 198.51.100.%d", i+1), "Incidents: 100")
			n.writes(from, "abuse@example.com", strings.Replace(raw, "MIME-Version", "Auto-Submitted: auto-generated\r\nMIME-Version", 1))
		}
		n.complaints(flood)
		n.pass(24 * time.Hour)
		for _, c := range n.cases() {
			if c.Kind == cases.External {
				t.Errorf("a case about %s: %+v", c.Subject, c)
			}
		}
		if all := told[sourcecalls.Sources](n, "source.list", sourcecalls.Paging{}).Sources; len(all) != 0 {
			t.Errorf("%+v", all)
		}
		if all := told[listcalls.Entries](n, "blocklist.list", nil); all.Total != 0 || len(n.Out.Transactions()) != 0 {
			t.Errorf("%d blocks, %d notices", all.Total, len(n.Out.Transactions()))
		}
	})
}

// dsn says that a message could not be delivered.
func (n *node) dsn(to string, about []byte) string {
	head, _, _ := strings.Cut(string(about), "\r\n\r\n")
	return fmt.Sprintf("From: MAILER-DAEMON@relay.example\r\nTo: <%s>\r\nSubject: Undelivered\r\nDate: %s\r\nMessage-ID: <dsn@relay.example>\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n"+
		"--b\r\nContent-Type: text/plain\r\n\r\nIt could not be delivered.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; relay.example\r\n\r\nFinal-Recipient: rfc822; noc@carrier.example\r\nAction: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 no such user\r\n"+
		"\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n%s\r\n\r\nx\r\n--b--\r\n", to, n.Clock.Now().Format(time.RFC1123Z), head)
}

// A notice that comes back, or that the way out refuses, has failed: the desk shows it.
func TestNoticeThatIsNotDelivered(t *testing.T) {
	t.Parallel()
	bothHomes(t, func(t *testing.T, redis bool) {
		n := start(t, plan{
			Redis: redis, Rules: holdRules, Abuse: `external: {national_body: {address: "body@national.example"}}`,
			Out: mailtest.Script{RcptFor: map[string]mailtest.Step{"body@national.example": {Reply: "550 5.1.1 no such user"}}},
		})
		n.command("source", "contact", "learn", strangerIP, "noc@carrier.example", "--form", "xarf")
		id := n.blocked()
		x := n.toldTo("noc@carrier.example")
		if r := parser.Parse(x.Body, parser.DefaultOptions()); r.Format != parser.XARF4 || r.Claims.SourcePort != 40000 {
			t.Errorf("%s %+v", r.Format, r.Claims)
		}
		if code, text := n.forges("192.0.2.66:4000", "", x.From, n.dsn(x.From, x.Body)); code != 250 {
			t.Fatalf("%d %s", code, text)
		}
		n.await("both notices have failed", func() bool {
			all := told[sourcecalls.Shown](n, "source.show", sourcecalls.Paging{ID: id}).Notices
			return len(all) == 2 && !slices.ContainsFunc(all, func(v external.Notice) bool { return v.State != external.Failed })
		})
		if out := n.command("source", "show", id); strings.Count(out, " failed to ") != 2 {
			t.Error(out)
		}
	})
}

// With abuse.external.automatic one report of a user is enough: confirmed, told and blocked
// without a person; nothing else is.
func TestAutomaticSources(t *testing.T) {
	t.Parallel()
	bothHomes(t, func(t *testing.T, redis bool) {
		n := start(t, plan{Redis: redis, Rules: holdRules, Abuse: `external: {automatic: true, contacts: {address_zone: contacts.example}}`})
		if err := n.DNS.Set("10.2.0.192.contacts.example", "TXT abuse@carrier.example"); err != nil {
			t.Fatal(err)
		}
		c := n.heldSpam()
		n.pass(time.Hour)
		if s := n.state(c.ID); s != flow.Detected {
			t.Fatalf("by its content alone it is %s", s)
		}
		n.writes(spammer, "anna@example.com", n.letter(spammer, "anna@example.com", "An offer for you", catalogue))
		n.userReports(n.In.WaitTransactions(t, 1)[0].Body)
		n.pass(10 * time.Minute)
		n.await("the source is blocked", func() bool { n.pass(time.Minute); return n.state(c.ID) == flow.Blocked })
		n.toldTo("abuse@carrier.example")
		if code, text := n.rcpt(strangerIP+":41000", spammer, "ada@example.com"); code != 550 {
			t.Errorf("%d %s", code, text)
		}
		if code, text := n.rcpt(strangerIP+":41000", spammer, "postmaster@example.com"); code != 250 {
			t.Errorf("to the postmaster: %d %s", code, text)
		}
	})
}
