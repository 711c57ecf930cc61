package glue_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"net/mail"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/filter"
	"postern/internal/mailtest"
	gomime "postern/internal/mime"
	"postern/internal/relay"
	"postern/internal/relay/backend"
	"postern/internal/relay/client"
	"postern/internal/smtpd"
	"postern/internal/stamp"
)

// filesOf reads the attachments of a mixed mail as others do.
func filesOf(t *testing.T, text []byte) (files map[string]string, texts []string) {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	files = map[string]string{}
	for r := multipart.NewReader(m.Body, params["boundary"]); ; {
		p, err := r.NextPart()
		if errors.Is(err, io.EOF) {
			return files, texts
		}
		if err != nil {
			t.Fatal(err)
		}
		var body io.Reader = p
		if p.Header.Get("Content-Transfer-Encoding") == "base64" {
			body = base64.NewDecoder(base64.StdEncoding, p)
		}
		content, err := io.ReadAll(body)
		if err != nil {
			t.Fatal(err)
		}
		if p.FileName() == "" {
			texts = append(texts, string(content))
			continue
		}
		files[p.FileName()] = string(content)
	}
}

// TestRealClamdStrips sends EICAR in a zip through a real clamd and over the wire: who strips
// gets the other file whole and a notice, who tags gets all of it, and the original is kept.
func TestRealClamdStrips(t *testing.T) {
	clamd := mailtest.StartRealClamd(t, mailtest.ClamdOptions{})
	check := scanner(t, clamd.Endpoint)
	p := lookingIntoFiles(check)
	_, set := antivirusPolicies(t)
	w, d := newMailroom(set, p)
	server := mailtest.NewBackend(t, mailtest.Script{})
	pools := backend.New(backend.Config{LocalName: "mx1.example.com", Pools: map[string][]backend.Server{"x": {{Addr: server.Addr(), Protocol: client.SMTP}}}},
		time.Now, slog.New(slog.DiscardHandler))
	defer pools.Close()
	d.Relay.Backends = relay.Pools{Pools: pools}

	report := bytes.Repeat([]byte("all numbers are well\x00\xff\r\n.\r\n"), 4000)
	text := mixedMail("", hello, attached("bill.zip", zippedUp(t, "e.com", mailtest.EICAR())), attached("report.pdf", report))
	m := messageOf(text, policyName(true, "strip", true), policyName(true, "tag", false), policyName(true, "strip", true))
	o := d.Deliver(t.Context(), smtpd.Delivery{Message: m, Report: p.Run(t.Context(), filter.OnData, m)})
	if o.Reply[:3] != "250" {
		t.Fatal(o.Reply)
	}
	txs := server.WaitTransactions(t, 2)
	slices.SortFunc(txs, func(a, b mailtest.Transaction) int { return len(b.To) - len(a.To) })
	stripped, whole := txs[0], txs[1]
	if len(stripped.To) != 2 || len(whole.To) != 1 || !bytes.HasSuffix(whole.Body, []byte(text)) {
		t.Errorf("%v and %v", stripped.To, whole.To)
	}
	files, texts := filesOf(t, stripped.Body)
	if len(files) != 1 || files["report.pdf"] != string(report) || len(texts) != 2 || !strings.HasPrefix(texts[0], "hello") {
		t.Errorf("%d files, texts %q", len(files), texts)
	}
	if n := texts[1]; !strings.Contains(n, "bill.zip") || !strings.Contains(n, "Found: Test.Eicar") || !strings.Contains(n, reference) {
		t.Errorf("notice %q", n)
	}
	if r, err := check.Scan(t.Context(), bytes.NewReader(stripped.Body), int64(len(stripped.Body))); err != nil || !r.Clean() {
		t.Errorf("what went out: %+v %v", r, err)
	}
	if r, err := check.Scan(t.Context(), bytes.NewReader(whole.Body), int64(len(whole.Body))); err != nil || r.Signature == "" {
		t.Errorf("what was only tagged: %+v %v", r, err)
	}
	if len(w.holds) != 1 {
		t.Fatalf("%d holds", len(w.holds))
	}
	for _, h := range w.holds {
		if h.class != relay.ClassEvidence || !h.confirmed || h.body != text {
			t.Errorf("%s %v", h.class, h.confirmed)
		}
	}
}

// second is a check that answers the first look at a message and then the next ones.
type second struct {
	first, then []filter.Finding
	err         error
}

func (s second) Check(_ context.Context, m *filter.Message) ([]filter.Finding, error) {
	if m.SHA256 == "of-the-original" {
		return s.first, nil
	}
	return s.then, s.err
}

// TestSecondLook: whatever the second scan leaves in doubt is held whole, with words for it.
func TestSecondLook(t *testing.T) {
	virus := filter.Finding{Symbol: "VIRUS", Detail: "Evil", Part: "1.2"}
	odd := filter.Finding{Symbol: "ATTACH_ODD", Detail: "odd"}
	policy := policyName(true, "strip", true)
	_, set := antivirusPolicies(t)
	step := func(name string, c filter.Check) filter.Step {
		return filter.Step{Name: name, Stage: filter.OnData, Check: c, OnError: filter.Accept}
	}
	attach, quiet := second{first: []filter.Finding{odd}, then: []filter.Finding{odd}}, second{first: []filter.Finding{virus}}
	for _, c := range []struct {
		name  string
		steps []filter.Step
		why   string // "" = stripped
	}{
		{"clean", []filter.Step{step("attachments", attach), step("clamav", quiet)}, ""},
		{"other steps are not asked", []filter.Step{step("clamav", quiet), step("patterns", second{err: errors.New("no")})}, ""},
		{"infected", []filter.Step{step("clamav", second{first: quiet.first, then: []filter.Finding{virus}})}, "what was left shows VIRUS"},
		{"unreadable", []filter.Step{step("clamav", quiet), step("attachments", second{then: []filter.Finding{{Symbol: "UNSCANNABLE", Detail: "deep"}}})}, "what was left shows UNSCANNABLE"},
		{"unreadable as before", []filter.Step{step("clamav", quiet), step("attachments", second{
			first: []filter.Finding{{Symbol: "UNSCANNABLE", Detail: "deep"}}, then: []filter.Finding{{Symbol: "UNSCANNABLE", Detail: "deep"}}})}, "what was left shows UNSCANNABLE"},
		{"something new", []filter.Step{step("clamav", second{first: quiet.first, then: []filter.Finding{{Symbol: "ENCRYPTED", Detail: "x"}}})}, "what was left shows ENCRYPTED"},
		{"a step that fails", []filter.Step{step("clamav", second{first: quiet.first, err: &filter.CouldNot{Words: "clamd was busy"}})}, "what was left could not be checked: clamav clamd was busy"},
		{"another that fails", []filter.Step{step("clamav", quiet), step("attachments", second{err: errors.New("private")})}, "what was left could not be checked: attachments could not be done"},
	} {
		p := &filter.Pipeline{Steps: c.steps}
		w, d := newMailroom(set, p)
		m := messageOf(mixedMail("", hello, attached("a.dat", []byte("a"))), policy)
		o := d.Deliver(t.Context(), smtpd.Delivery{Message: m, Report: p.Run(t.Context(), filter.OnData, m)})
		checkWhy(t, c.name, c.why, w, o)
	}
	p := &filter.Pipeline{Steps: []filter.Step{step("clamav", quiet)}}
	for name, c := range map[string]struct {
		now    *filter.Pipeline
		change func(m *filter.Message)
		why    string
	}{
		"no scanner any more": {&filter.Pipeline{Steps: []filter.Step{step("attachments", attach)}}, func(*filter.Message) {}, "nothing is there to scan what was left"},
		"no steps":            {nil, func(*filter.Message) {}, "nothing is there to scan what was left"},
		"no parts":            {p, func(m *filter.Message) { m.Parts = nil }, "its parts are not known"},
		"parts unreadable": {p, func(m *filter.Message) {
			m.Parts = func() (*gomime.Tree, error) { return nil, errors.New("disk") }
		}, "it could not be read again"},
		"a body that ends early": {p, func(m *filter.Message) {
			m.Body = io.NewSectionReader(m.Body, 0, m.Size-3)
		}, "it could not be read again"},
	} {
		w, d := newMailroom(set, c.now)
		if c.now == nil {
			d.Pipeline = nil
		}
		m := messageOf(mixedMail("", hello, attached("a.dat", []byte("a"))), policy)
		r := p.Run(t.Context(), filter.OnData, m)
		c.change(m)
		checkWhy(t, name, c.why, w, d.Deliver(t.Context(), smtpd.Delivery{Message: m, Report: r}))
	}
}

// checkWhy holds what became of a mail to one recipient against the words it should be held
// with.
func checkWhy(t *testing.T, name, why string, w *mailroom, o filter.Outcome) {
	t.Helper()
	want, class := filter.Delivered, relay.ClassEvidence
	if why != "" {
		want, class = filter.Held, relay.ClassQuarantine
	}
	v := o.Verdicts[0]
	if o.Fates[0].State != want || len(w.holds) != 1 || o.Reply[:3] != "250" {
		t.Fatalf("%s: %+v, %d holds", name, o.Fates, len(w.holds))
	}
	for _, h := range w.holds {
		if h.class != class || h.verdict.Action != v.Action {
			t.Errorf("%s: hold %+v", name, h)
		}
	}
	if why == "" {
		return
	}
	sum := filter.Score(0)
	for _, r := range v.Reasons {
		sum += r.Score
	}
	if v.Reasons[0].Symbol != "STRIP_FAILED" || v.Reasons[0].Detail != why || v.Action != filter.Quarantine || sum != v.Score || len(v.Strip) != 0 {
		t.Errorf("%s: %+v", name, v)
	}
}

// signing writes down what it is given to sign.
type signing struct{ got []byte }

func (s *signing) Sign(_ *filter.Message, open func() (io.Reader, error)) ([]byte, error) {
	r, err := open()
	if err == nil {
		s.got, err = io.ReadAll(r)
	}
	return []byte("DKIM-Signature: here\r\n"), err
}

// What goes out is signed as it goes out, without the part.
func TestSignedAfterwards(t *testing.T) {
	clamd := startScanning(t)
	p := lookingIntoFiles(scanner(t, clamd.endpoint))
	_, set := antivirusPolicies(t)
	w, d := newMailroom(set, p)
	key := &signing{}
	names := stamp.DefaultNames("mx1.example.com")
	d.Relay.Stamper = &stamp.Stamper{Names: names, Key: []byte("k"), Signer: key}
	k := infectedMails(t)[0]
	policy := policyName(true, "strip", false)
	m := messageOf(k.original(), policy, policy)
	m.Direction, m.Account = filter.Outbound, "joe"
	o := d.Deliver(t.Context(), smtpd.Delivery{Message: m, Report: p.Run(t.Context(), filter.OnData, m)})
	if o.Reply[:3] != "250" || w.backends != 1 || !bytes.HasSuffix(key.got, []byte(k.stripped(false))) {
		t.Errorf("%s, %d transactions, signed %q", o.Reply, w.backends, key.got)
	}
	for _, f := range o.Fates {
		if got := w.sent[f.Recipient]; len(got) != 1 || !strings.HasPrefix(got[0].block, "DKIM-Signature: here\r\n") || got[0].body != k.stripped(false) {
			t.Errorf("%s got %q", f.Recipient, got)
		}
	}
}
