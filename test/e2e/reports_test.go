package e2e

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"postern/cmd/postern/calls"
	"postern/internal/dns"
	"postern/internal/mailtest"
	"postern/internal/mime"
	"postern/internal/report"
	"postern/internal/report/aggregate"
	"postern/internal/report/received"
	"postern/test/world"
)

// reporting starts a gateway that sends and receives reports. It returns the server behind
// and the one that takes what goes out.
func reporting(t *testing.T) (g *gateway, mx, out *mailtest.Backend) {
	t.Helper()
	out = mailtest.NewBackend(t, mailtest.Script{})
	g, mx = startWith(t, "", plan{
		Backends: fmt.Sprintf("  out: [{addr: %q, tls: none}]", out.Addr()),
		More:     "egress: out\nreports: {send: true, from: dmarc@example.com, org: Example, receive: [reports@example.com]}\n",
	})
	return g, mx, out
}

// reportsAbout reads the reports that went out about a domain.
func reportsAbout(t *testing.T, out *mailtest.Backend, domain string) (all []*aggregate.Feedback) {
	t.Helper()
	for _, tx := range out.Transactions() {
		found, err := received.Read(t.Context(), mime.Bytes(tx.Body, mime.DefaultLimits()))
		if err != nil || len(found) != 1 {
			t.Fatalf("to %q went no report: %v\n%s", tx.To, err, tx.Body)
		}
		if found[0].Domain == domain {
			all = append(all, found[0].DMARC)
		}
	}
	return all
}

// seen adds up the messages of reports by what was done with them.
func seen(all []*aggregate.Feedback) map[string]int64 {
	sum := map[string]int64{}
	for _, f := range all {
		for _, r := range f.Records {
			e := r.Row.Evaluated
			sum[fmt.Sprintf("%s dkim=%s spf=%s -> %s", r.Row.Source, e.DKIM, e.SPF, e.Disposition)] += r.Row.Count
		}
	}
	return sum
}

// What comes in on one day is reported on a later one, signed, to whom the domains name and
// to nobody else.
func TestDailyReportsGoOut(t *testing.T) {
	t.Parallel()
	g, _, out := reporting(t)
	g.set(t, "_dmarc.friend.example", "TXT v=DMARC1; p=reject; rua=mailto:dmarc@friend.example")
	g.set(t, "_dmarc.other.example", "TXT v=DMARC1; p=none; rua=mailto:victim@bank.example")
	key := runJSON[calls.DKIMKey](t, g, 0, "dkim", "add", "--json", "--alg", "ed25519", "example.com")
	g.set(t, key.Record.Name, "TXT "+key.Record.Text)
	g.run(t, 0, "dkim", "dns", "example.com")

	g.mustDeliver(t, 250, "ada@example.com", letter("one", "x"))
	g.mustDeliver(t, 250, "ada@example.com,bob@example.com", letter("two", "x"))
	g.mustDeliver(t, 550, "ada@example.com", letter("spam from its own domain", "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"))
	g.mustDeliver(t, 250, "reports@example.com", letter("what comes to the address for reports", "x"))
	if code, text := g.deliverFrom(t, "198.51.100.7", "x@other.example", "ada@example.com", letter("forged", "x")); code != 550 || !strings.Contains(text, "asks") {
		t.Errorf("forged: %d %s", code, text)
	}
	if code, _ := g.deliverFrom(t, "198.51.100.7", "x@other.example", "ada@example.com", letterFrom("x@other.example", "its own", "x")); code != 250 {
		t.Errorf("its own: %d", code)
	}
	if err := g.Stop(); err != nil {
		t.Fatal(err)
	}
	log, end := g.startAt(t, func() time.Time { return time.Now().Add(50 * time.Hour) })
	defer end()
	world.Await(t, "the report went out", 20*time.Second, func() bool { return len(reportsAbout(t, out, "friend.example")) > 0 })
	world.Await(t, "all is reported", 5*time.Second, func() bool {
		got := seen(reportsAbout(t, out, "friend.example"))
		return got["192.0.2.10 dkim=fail spf=pass -> pass"] == 2 && got["198.51.100.7 dkim=fail spf=fail -> reject"] == 1 && len(got) == 2
	})
	for _, tx := range out.Transactions() {
		checkReportMail(t, g, tx)
	}
	sent := runJSON[[]report.Sent](t, g, 0, "reports", "sent", "--json")
	notes := map[string]string{}
	for _, s := range sent {
		notes[s.Domain] = strings.Join(s.To, " ") + s.Note
	}
	if len(notes) != 2 || notes["friend.example"] != "dmarc@friend.example" || !strings.Contains(notes["other.example"], "bank.example") {
		t.Errorf("reports sent: %q\n%s", notes, log)
	}
}

// checkReportMail looks at the mail that carries a report.
func checkReportMail(t *testing.T, g *gateway, tx mailtest.Transaction) {
	t.Helper()
	if tx.From != "" || len(tx.To) != 1 || tx.To[0] != "dmarc@friend.example" {
		t.Errorf("from <%s> to %q", tx.From, tx.To)
	}
	res := g.resolver(t)
	all, err := dkim.VerifyWithOptions(bytes.NewReader(tx.Body), &dkim.VerifyOptions{LookupTXT: func(name string) ([]string, error) { return res.TXT(dns.Fresh(t.Context()), name) }})
	if err != nil || len(all) != 1 || all[0].Err != nil || all[0].Domain != "example.com" {
		t.Errorf("signatures %+v, %v\n%s", all, err, tx.Body)
	}
	for _, want := range []string{"From: dmarc@example.com\r\n", "Subject: Report Domain: friend.example\r\n", "Submitter: example.com", "Auto-Submitted: auto-generated"} {
		if !strings.Contains(string(tx.Body), want) {
			t.Errorf("no %q in\n%s", want, tx.Body)
		}
	}
}

// reportMail is a mail with one attachment.
func reportMail(kind, name string, content []byte) string {
	raw := withFile("Report "+name, name, nil)
	raw = strings.Replace(raw, "Content-Type: application/octet-stream", "Content-Type: "+kind, 1)
	return strings.Replace(raw, "\r\n\r\n\r\n--=_e2e--", "\r\n\r\n"+base64.StdEncoding.EncodeToString(content)+"\r\n--=_e2e--", 1)
}

const foreignReport = `<?xml version="1.0"?><feedback><report_metadata><org_name>Far Mail</org_name><email>d@friend.example</email><report_id>77</report_id>
<date_range><begin>1795219200</begin><end>1795305599</end></date_range></report_metadata><policy_published><domain>example.com</domain><p>none</p></policy_published>
<record><row><source_ip>203.0.113.4</source_ip><count>4</count><policy_evaluated><disposition>none</disposition><dkim>fail</dkim><spf>fail</spf></policy_evaluated></row>
<identifiers><header_from>example.com</header_from></identifiers><auth_results><spf><domain>other.example</domain><result>pass</result></spf></auth_results></record></feedback>`

const foreignTLS = `{"organization-name":"Far Mail","report-id":"t-5","contact-info":"tls@friend.example","date-range":{"start-datetime":"2026-11-21T00:00:00Z","end-datetime":"2026-11-22T00:00:00Z"},` +
	`"policies":[{"policy":{"policy-type":"sts","policy-domain":"example.com"},"summary":{"total-successful-session-count":3,"total-failure-session-count":1},` +
	`"failure-details":[{"result-type":"certificate-expired","failed-session-count":1,"receiving-mx-hostname":"mx1.example.com"}]}]}`

func gzipped(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// The reports of others are read into the table once each, and their mail goes on.
func TestReportsOfOthersAreRead(t *testing.T) {
	t.Parallel()
	g, mx, _ := reporting(t)
	listed := func() []report.Received {
		return runJSON[[]report.Received](t, g, 0, "reports", "list", "--json")
	}
	if got := listed(); len(got) != 0 {
		t.Fatalf("before any came: %+v", got)
	}
	dmarc := reportMail("application/gzip", "friend.example!example.com!1795219200!1795305599.xml.gz", gzipped(t, foreignReport))
	g.mustDeliver(t, 250, "reports@example.com", dmarc)
	g.mustDeliver(t, 250, "reports@example.com", reportMail("application/tlsrpt+gzip", "tls.json.gz", gzipped(t, foreignTLS)))
	g.mustDeliver(t, 250, "reports@example.com", dmarc)                                                          // sent twice
	g.mustDeliver(t, 250, "ada@example.com", strings.Replace(dmarc, "Subject: ", "Subject: Fwd: ", 1))           // not for the table
	g.mustDeliver(t, 250, "reports@example.com", reportMail("application/gzip", "x.xml.gz", []byte("\x1f\x8b"))) // broken
	world.Await(t, "both are in the table", 10*time.Second, func() bool { return len(listed()) == 2 })
	if n := len(mx.Transactions()); n != 5 {
		t.Errorf("%d of 5 mails arrived", n)
	}
	kinds := map[string]report.Received{}
	for _, r := range listed() {
		kinds[r.Kind] = r
	}
	d, s := kinds[report.KindDMARC], kinds[report.KindTLS]
	if d.Org != "Far Mail" || d.Domain != "example.com" || d.Messages != 4 || d.Failed != 4 || s.Messages != 4 || s.Failed != 1 || d.From != "frank@friend.example" {
		t.Errorf("%+v\n%+v", d, s)
	}
	whole := runJSON[report.Received](t, g, 0, "reports", "show", "--json", d.Key)
	if whole.DMARC == nil || len(whole.DMARC.Records) != 1 || whole.DMARC.Records[0].Row.Source != "203.0.113.4" {
		t.Errorf("%+v", whole)
	}
	for key, wants := range map[string][]string{
		d.Key: {"DMARC report of Far Mail about example.com", "203.0.113.4", "4 from"},
		s.Key: {"TLS report of Far Mail about example.com", "3 sessions succeeded, 1 failed", "certificate-expired"},
	} {
		out := g.run(t, 0, "reports", "show", key)
		for _, want := range wants {
			if !strings.Contains(out, want) {
				t.Errorf("show lacks %q:\n%s", want, out)
			}
		}
	}
	if tls := runJSON[report.Received](t, g, 0, "reports", "show", "--json", s.Key); !json.Valid(tls.TLS) {
		t.Errorf("%+v", tls)
	}
	for args, n := range map[string]int{"--kind dmarc": 1, "--kind tls": 1, "--domain example.com": 2, "--domain other.example": 0, "--limit 1": 1} {
		if got := runJSON[[]report.Received](t, g, 0, append([]string{"reports", "list", "--json"}, strings.Fields(args)...)...); len(got) != n {
			t.Errorf("%s lists %d", args, len(got))
		}
	}
	g.run(t, 2, "reports", "list", "--kind", "spam")
	g.run(t, 1, "reports", "show", "nosuchkey")
}
