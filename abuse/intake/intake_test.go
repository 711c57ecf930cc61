package intake_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/abuse/cases"
	"postern/abuse/complaint"
	"postern/abuse/intake"
	"postern/abuse/intake/bundle"
	"postern/abuse/intake/feeds"
	"postern/abuse/intake/flood"
	"postern/abuse/intake/verdict"
	"postern/abuse/proof"
	"postern/filter"
	"postern/internal/entity"
	"postern/internal/mailtest"
	"postern/internal/mailtest/entities"
)

const text = "Dear customer, our autumn catalogue is here: forty pages of lamps, chairs and tables at prices that we have not seen for years.\r\n"

// What comes is kept byte for byte with its circumstances before it is real, whatever it is.
func TestKeptBeforeTheAnswer(t *testing.T) {
	w := newWorld(t)
	raw := "From: bob@else.example\r\nSubject: virus\r\n\r\n" + string(mailtest.EICAR()) + "\r\n\xff\xfe\x00 no text\r\n"
	m := w.message(bob, raw)
	a := intake.Arrival{Message: m, Report: bob.report(), To: []string{"aBuSe@x.test"}, Key: "k", By: intake.ByMail}
	id, err := w.desk.Provisional(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.desk.Get(t.Context(), id); !errors.Is(err, entity.ErrNotFound) {
		t.Errorf("a provisional report is seen: %v", err)
	}
	if again, err := w.desk.Provisional(t.Context(), a); again != id || err != nil {
		t.Errorf("the retry is %s, %v", again, err)
	}
	for range 2 {
		if err := w.desk.Confirm(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.desk.Drop(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	r, x := w.get(id)
	if w.bytes(r) != raw || r.SHA256 != m.SHA256 || r.Size != int64(len(raw)) {
		t.Errorf("kept %d bytes, %s", r.Size, r.SHA256)
	}
	if r.Client.String() != "192.0.2.7" || r.Port != 4711 || r.Helo != "mail.else.example" || r.TLS != "TLS 1.3 AES" || r.From != "bob@else.example" || r.To[0] != "aBuSe@x.test" ||
		r.Listener != "mx" || !r.At.Equal(start) || r.Auth.SPF != "pass" || r.Auth.DMARC != "pass" || r.Auth.Author != "else.example" || !slices.Equal(r.Auth.DKIM, []string{"else.example"}) {
		t.Errorf("%+v", r)
	}
	if x.State != intake.New {
		t.Errorf("%+v", x)
	}
	for s, want := range map[intake.Search]int{{}: 1, {State: "new-first"}: 1, {State: intake.Done}: 0, {SHA256: r.SHA256}: 1, {From: start.Add(time.Second)}: 0, {From: start, To: start}: 1} {
		if all, _, err := w.desk.Find(t.Context(), s); len(all) != want || err != nil {
			t.Errorf("%+v: %d, %v", s, len(all), err)
		}
	}
}

func TestNotKept(t *testing.T) {
	w := newWorld(t)
	w.home.Cap = map[entity.Class]int64{entity.Intake: 10}
	a := intake.Arrival{Message: w.message(bob, strings.Repeat("x", 100)), To: []string{"abuse@x.test"}, Key: "k", By: intake.ByMail}
	if _, err := w.desk.Provisional(t.Context(), a); !errors.Is(err, intake.ErrFull) {
		t.Errorf("a full cap: %v", err)
	}
	w.home.Cap = nil
	w.home.Fail = func() error { return errors.New("disk") }
	if _, err := w.desk.Provisional(t.Context(), a); err == nil || errors.Is(err, intake.ErrFull) {
		t.Errorf("a broken store: %v", err)
	}
	w.home.Fail = nil
	id, err := w.desk.Provisional(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.desk.Drop(t.Context(), id), w.desk.Drop(t.Context(), id)); err != nil {
		t.Error(err)
	}
	if err := w.desk.Confirm(t.Context(), id); !errors.Is(err, entity.ErrNotFound) {
		t.Errorf("what was dropped became real: %v", err)
	}
}

// A proved report of a real message: one vote, the account named, and the same after a crash
// at any write.
func TestAProvedReportWhateverBreaks(t *testing.T) {
	for at := range 20 {
		w := newWorld(t)
		raw := w.send("anna", text, "bob@else.example", "eve@else.example")
		id := w.arrive(bob, arf("bob@else.example", raw))
		n := 0
		w.home.Fail = func() error {
			if n++; n > at {
				return errors.New("killed")
			}
			return nil
		}
		_, err := w.desk.Round(t.Context())
		w.home.Fail = nil
		w.desk = w.reopen()
		w.round()
		_, x := w.get(id)
		if x.State != intake.Done || x.Proof.Grade != proof.P3 || x.Trust != proof.T1 || x.Person || x.Format != complaint.ARF || len(x.Cases) != 1 {
			t.Fatalf("killed at write %d: %+v", at, x)
		}
		if len(w.book.all) != 1 || w.book.votes() != 100 || w.book.all[0].Account != "anna" || w.book.all[0].Reporter != "bob@else.example" {
			t.Fatalf("killed at write %d: %+v", at, w.book.all)
		}
		if err == nil {
			return
		}
	}
	t.Error("it never got through")
}

// Scenario 6 and H-L03: one copy, one vote, however often and by whomever it is reported.
func TestAThousandReportsOfOneCopy(t *testing.T) {
	w := newWorld(t)
	w.desk.Rates = intake.Rates{Reporter: -1, Domain: -1, Target: -1}
	raw := w.send("anna", text, "bob@else.example", "eve@else.example", "zoe@third.example")
	for i := range 300 {
		a := fmt.Sprintf("r%d@else.example", i)
		w.arrive(from{mailFrom: a, dmarc: "else.example"}, arf(a, raw, "Original-Rcpt-To: bob@else.example", fmt.Sprint("X-N: ", i)))
	}
	w.round()
	if len(w.book.all) != 300 || w.book.votes() != 100 {
		t.Errorf("%d reports, %d votes", len(w.book.all), w.book.votes())
	}
	dup := 0
	for _, c := range w.book.all {
		if c.Class == string(proof.Duplicate) && c.Account == "anna" {
			dup++
		}
	}
	if dup != 299 {
		t.Errorf("%d duplicates", dup)
	}
}

// Scenario 8: a replayed signature punishes nobody, and is told once.
func TestReplayIsTold(t *testing.T) {
	w := newWorld(t)
	raw := w.send("anna", text, "seed@else.example")
	for i := range 30 {
		to := fmt.Sprintf("v%d@crowd.example", i)
		w.arrive(from{mailFrom: to, dmarc: "crowd.example"}, arf(to, raw, "Original-Rcpt-To: "+to))
	}
	w.round()
	if w.book.votes() != 0 || len(w.replays) != 1 || !strings.Contains(w.replays[0], "anna") || w.book.all[0].Class != string(proof.Replay) {
		t.Errorf("%d votes, told %q", w.book.votes(), w.replays)
	}
}

// Scenario 12, H-L06, H-L08, H-L11: a flood of what nobody stands behind is one line, and who
// is proved goes first.
func TestFloodIsOneLine(t *testing.T) {
	w := newWorld(t)
	raw := w.send("anna", text, "bob@else.example")
	const n = 2000
	for i := range n {
		w.arrive(from{mailFrom: fmt.Sprintf("f%d@isp%d.example", i, i%50), ip: fmt.Sprintf("198.51.%d.%d", i%200, i%250)},
			arf("fbl@bigisp.example", []byte(fmt.Sprintf("From: u%d@x.test\r\nMessage-ID: <%d@x>\r\n\r\nSpam %d\r\n", i%200, i, i))))
		w.now = w.now.Add(10 * time.Minute / n)
	}
	real := w.arrive(bob, arf("bob@else.example", raw))
	if _, err := w.desk.Round(t.Context()); err != nil {
		t.Fatal(err)
	}
	if w.book.all[0].Report != real {
		t.Error("who is proved waits behind the flood")
	}
	lines, folded := map[string]int{}, 0
	for _, c := range w.book.all {
		if c.Fold != "" {
			lines[c.Fold] += 1 + c.More
			folded += 1 + c.More
		}
		if c.Report != real && c.Votes != 0 {
			t.Fatalf("%+v", c)
		}
	}
	if len(lines) != 1 || folded < n-flood.DefaultRates().Unproved*2 || w.book.reports() != n+1 || len(w.book.all) > n/5 {
		t.Errorf("%d lines, %d folded, %d in all, told in %d times", len(lines), folded, w.book.reports(), len(w.book.all))
	}
	for fold, count := range lines {
		if got, err := w.desk.Folded(t.Context(), fold); got != count || err != nil {
			t.Errorf("%s: %d more like this, want %d (%v)", fold, got, count, err)
		}
	}
}

// Whatever write a crash interrupts, each report of a flood is counted once and linked to its
// case.
func TestAFloodIsCountedOnceWhateverBreaks(t *testing.T) {
	for at := 0; ; at++ {
		w := newWorld(t)
		w.desk.Rates = intake.Rates{Network: 1, Unproved: 1}
		var ids []string
		for i := range 12 {
			ids = append(ids, w.arrive(unknown, fmt.Sprintf("From: x@y.example\r\n\r\nSpam %d\r\n", i)))
		}
		n := 0
		w.home.Fail = func() error {
			if n++; n > at {
				return errors.New("killed")
			}
			return nil
		}
		_, err := w.desk.Round(t.Context())
		w.home.Fail = nil
		w.desk = w.reopen()
		w.arrive(unknown, "From: x@y.example\r\n\r\nAnd one more\r\n")
		w.round()
		if got := w.book.reports(); got != 13 {
			t.Fatalf("killed at write %d: %d reports are counted", at, got)
		}
		for _, id := range ids {
			if _, x := w.get(id); x.State == intake.New || len(x.Cases) != 1 {
				t.Fatalf("killed at write %d: %+v", at, x)
			}
		}
		if err == nil {
			break
		}
	}
	w := newWorld(t)
	w.desk.Rates = intake.Rates{Network: 1, Unproved: 1}
	for i := range 3 {
		w.arrive(unknown, fmt.Sprintf("From: x@y.example\r\n\r\nSpam %d\r\n", i))
	}
	w.round()
	w.now = w.now.Add(200 * 24 * time.Hour)
	if _, err := w.desk.Sweep(t.Context(), w.now.Add(-24*time.Hour), nil); err != nil {
		t.Fatal(err)
	}
	if rows, _, err := bundle.Shelf(w.home).Find(t.Context(), entity.Query{Index: "all"}); len(rows) != 0 || err != nil {
		t.Errorf("%d bundles are left: %v", len(rows), err)
	}
}

func TestRates(t *testing.T) {
	w := newWorld(t)
	w.desk.Rates = intake.Rates{Reporter: 5, Domain: 8, Target: 3}
	plain := func(i int) string { return fmt.Sprintf("From: bob@else.example\r\n\r\nI complain, number %d.\r\n", i) }
	for i := range 10 {
		w.arrive(bob, plain(i))
	}
	eve := bob
	eve.mailFrom = "eve@else.example"
	for i := range 10 {
		w.arrive(eve, "From: eve@else.example\r\n\r\nAs does Eve, number "+fmt.Sprint(i)+".\r\n")
	}
	w.round()
	kinds := map[string]int{}
	for _, c := range w.book.all {
		kind, _, _ := strings.Cut(strings.TrimPrefix(c.Fold, "f-"), "-")
		kinds[kind]++
	}
	if kinds[""] != 8 || kinds["reporter"] < 5 || kinds["domain"] == 0 {
		t.Errorf("%v", kinds)
	}
	w.now = w.now.Add(time.Hour)
	w.arrive(bob, plain(99))
	w.round()
	if last := w.book.all[len(w.book.all)-1]; last.Fold != "" {
		t.Errorf("an hour later: %+v", last)
	}
}

// What nothing proves names nobody; T0 has no vote, whatever address is in From (H-L01).
func TestWhoReports(t *testing.T) {
	w := newWorld(t)
	w.desk.Rates = intake.Rates{Network: -1, Unproved: -1, Reporter: -1, Domain: -1, Target: -1}
	if _, err := w.desk.Feeds.Register(t.Context(), intake.Feed{Name: "bigisp", Alias: "fbl-7@x.test", Domain: "bigisp.example", By: "root"}); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(feeds.Observe + time.Hour)
	raw := w.send("anna", text, "bob@else.example")
	cfbl := "From: bob@else.example\r\nTo: abuse@x.test\r\nContent-Type: multipart/report; report-type=feedback-report; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b\r\nContent-Type: message/feedback-report\r\n\r\n" +
		"Feedback-Type: abuse\r\nVersion: 1\r\nCFBL-Feedback-ID: v1." + fmt.Sprintf("%026d", w.n) + "\r\n\r\n--b\r\nContent-Type: text/rfc822-headers\r\n\r\nCFBL-Feedback-ID: v1." + fmt.Sprintf("%026d", w.n) + "\r\nCFBL-Address: abuse@x.test; report=arf\r\nMessage-ID: <" + fmt.Sprintf("%026d", w.n) + "@x.test>\r\n\r\n--b--\r\n"
	for name, c := range map[string]struct {
		f      from
		raw    string
		trust  proof.Trust
		feed   string
		person bool
	}{
		"a stranger":                     {bob, arf("bob@else.example", raw), proof.T1, "", false}, // no machine answers a multipart/report
		"a person":                       {bob, "From: bob@else.example\r\n\r\nYour anna sends spam.\r\n", proof.T1, "", true},
		"DMARC of another":               {from{mailFrom: "bob@else.example", dmarc: "other.example"}, arf("bob@else.example", raw), proof.T0, "", false},
		"nothing":                        {from{mailFrom: "fbl@bigisp.example"}, arf("fbl@bigisp.example", raw), proof.T0, "", false},
		"a feed":                         {from{mailFrom: "fbl@bigisp.example", to: "FBL-7+x@x.test", dkim: []string{"bigisp.example"}}, arf("fbl@bigisp.example", raw), proof.T3, "bigisp", false},
		"a feed's alias, not signed":     {from{mailFrom: "fbl@bigisp.example", to: "fbl-7@x.test"}, arf("fbl@bigisp.example", raw, "X: 1"), proof.T0, "", false},
		"a feed's alias, another signer": {from{mailFrom: "fbl@bigisp.example", to: "fbl-7@x.test", dkim: []string{"evil.example"}}, arf("fbl@bigisp.example", raw, "X: 2"), proof.T0, "", false},
		"a feed at abuse@":               {from{mailFrom: "fbl@bigisp.example", dkim: []string{"bigisp.example"}}, arf("fbl@bigisp.example", raw, "X: 3"), proof.T0, "", false},
		"an account of ours":             {from{mailFrom: "carl@x.test", account: "carl"}, arf("carl@x.test", raw), proof.T1, "", true},
		"a robot":                        {bob, "Auto-Submitted: auto-generated\r\n" + arf("bob@else.example", raw), proof.T1, "", false},
		"a list":                         {bob, "List-Id: <l.else.example>\r\n" + arf("bob@else.example", raw), proof.T1, "", false},
		"the null sender":                {from{dmarc: "else.example"}, arf("bob@else.example", raw), proof.T1, "", false},
		"CFBL, aligned signature":        {bob, cfbl, proof.T1, "", false},
		"CFBL, DMARC by SPF alone":       {from{mailFrom: "bob@else.example", dmarc: "else.example"}, cfbl + " ", proof.T0, "", false},
	} {
		id := w.arrive(c.f, "X-Case: "+name+"\r\n"+c.raw)
		w.round()
		_, x := w.get(id)
		if x.Trust != c.trust || x.Feed != c.feed || !strings.HasPrefix(name, "CFBL") && x.Person != c.person {
			t.Errorf("%s: %s, feed %q, person %t\n%+v", name, x.Trust, x.Feed, x.Person, x)
		}
		if strings.HasPrefix(name, "CFBL") && x.Format != complaint.CFBL {
			t.Errorf("%s: read as %s", name, x.Format)
		}
		if x.Trust == proof.T0 && x.Proof.Votes != 0 {
			t.Errorf("%s: %+v", name, x.Proof)
		}
	}
}

// A known reporter has five found right and at most a tenth wrong.
func TestKnownReporters(t *testing.T) {
	w := newWorld(t)
	w.desk.Rates = intake.Rates{Reporter: -1, Domain: -1, Target: -1}
	trust := func() proof.Trust {
		w.n++
		id := w.arrive(bob, fmt.Sprintf("From: bob@else.example\r\n\r\nComplaint %d.\r\n", w.n))
		w.round()
		_, x := w.get(id)
		return x.Trust
	}
	var ids []string
	for i := range 6 {
		if got := trust(); got != proof.T1 {
			t.Fatalf("%s after %d", got, i)
		}
		all, _, err := w.desk.Find(t.Context(), intake.Search{Reporter: "bob@else.example", Limit: 1000})
		if err != nil || len(all) != i+1 {
			t.Fatal(len(all), err)
		}
		if i < 5 {
			ids = append(ids, unjudged(all))
			for range 2 {
				if err := w.judge(ids[i], verdict.Right); err != nil {
					t.Fatal(err)
				}
			}
		}
		if i == 4 {
			break
		}
	}
	if got := trust(); got != proof.T2 {
		t.Errorf("%s after five found right", got)
	}
	if err := w.judge(ids[0], verdict.Wrong); err != nil {
		t.Fatal(err)
	}
	if got := trust(); got != proof.T1 {
		t.Errorf("%s with one of five found wrong", got)
	}
	if err := w.judge(ids[0], verdict.Abusive); err != nil {
		t.Fatal(err)
	}
	if got := trust(); got != proof.T0 {
		t.Errorf("%s with one of five a lie", got)
	}
	if err := w.judge(ids[0], verdict.Right); err != nil {
		t.Fatal(err)
	}
	if got := trust(); got != proof.T2 {
		t.Errorf("%s after that was taken back", got)
	}
}

func (w *world) judge(report string, v verdict.Verdict) error {
	b := verdict.Book{Store: w.desk.Home, Audit: func(context.Context, string, string, string, any, any, string) error { return nil }}
	_, err := b.Judge(w.t.Context(), "anna", report, v, "seen")
	return err
}

func unjudged(all []intake.Work) string {
	for _, x := range all {
		if x.Judged == "" {
			return x.Report
		}
	}
	return ""
}

func TestFeeds(t *testing.T) {
	w := newWorld(t)
	f := intake.Feed{Name: "bigisp", Alias: "fbl-7@x.test", Domain: "bigisp.example"}
	if _, err := w.desk.Feeds.Register(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]intake.Feed{
		"its name": {Name: "Big ISP", Alias: "a@x.test", Domain: "d.example"}, "abuse@": {Name: "a", Alias: "abuse@x.test", Domain: "d.example"},
		"no address": {Name: "a", Alias: "x", Domain: "d.example"}, "no domain": {Name: "a", Alias: "a@x.test", Domain: "d"},
		"the alias of another": {Name: "b", Alias: "FBL-7@x.test", Domain: "d.example"}, "the same again": f,
	} {
		if _, err := w.desk.Feeds.Register(t.Context(), bad); err == nil {
			t.Error(name)
		}
	}
	if !w.desk.Feeds.Alias("FBL-7+tag@X.test") || w.desk.Feeds.Alias("fbl-8@x.test") {
		t.Error("the alias of the feed")
	}
	raw := w.send("anna", text, "bob@else.example")
	id := w.arrive(from{mailFrom: "f@bigisp.example", to: "fbl-7@x.test", dkim: []string{"bigisp.example"}}, arf("f@bigisp.example", raw))
	w.round()
	if _, x := w.get(id); x.Proof.Votes != 0 || x.Proof.Grade != proof.P3 || x.Feed != "bigisp" {
		t.Errorf("a feed that only observes: %+v", x)
	}
	w.desk.Rates = intake.Rates{Network: 1, Unproved: 1} // a flood of others leaves its own alone
	w.arrive(unknown, "From: x@y.example\r\n\r\nSpam\r\n")
	id = w.arrive(from{mailFrom: "f@bigisp.example", to: "fbl-7@x.test", dkim: []string{"bigisp.example"}}, arf("f@bigisp.example", raw, "X: 2"))
	w.round()
	if _, x := w.get(id); x.Fold != "" || x.Feed != "bigisp" {
		t.Errorf("a feed beside a flood: %+v", x)
	}
	if err := w.desk.Feeds.End(t.Context(), "bigisp"); err != nil || w.desk.Feeds.Alias("fbl-7@x.test") {
		t.Errorf("the feed goes on: %v", err)
	}
}

// H-L07, scenario 11: what cannot be read is a case for people, never lost.
func TestUnreadable(t *testing.T) {
	w := newWorld(t)
	id := w.arrive(unknown, "Content-Type: multipart/mixed; boundary=x\r\n\r\n")
	w.round()
	_, x := w.get(id)
	if x.Format != complaint.Unparsed || len(w.book.all) != 1 || !w.book.all[0].Unparsed || x.State != intake.Done {
		t.Errorf("%+v %+v", x, w.book.all)
	}
	w.book.fail = errors.New("the store is away")
	second := w.arrive(bob, "From: bob@else.example\r\n\r\nHello.\r\n")
	for range 20 {
		if _, err := w.desk.Round(t.Context()); err == nil {
			t.Fatal("no error")
		}
	}
	w.book.fail = nil
	w.round()
	if _, x := w.get(second); x.State != intake.Done || x.Format != complaint.Plain {
		t.Errorf("after an outage: %+v", x)
	}
}

// A report that kills the worker each time goes to people as it is.
func TestAPoisonousReport(t *testing.T) {
	w := newWorld(t)
	w.desk.Came = func(context.Context, []byte) (intake.Source, bool, error) { panic("poison") }
	id := w.arrive(bob, arf("bob@else.example", []byte("From: a@b.example\r\n\r\nx\r\n")))
	w.round()
	_, x := w.get(id)
	if x.State != intake.Failed || len(w.book.all) != 1 || !w.book.all[0].Unparsed || len(x.Problems) == 0 {
		t.Errorf("%+v %+v", x, w.book.all)
	}
}

// R11: a user of ours complains of what came in: the source is what our listener saw.
func TestExternalSource(t *testing.T) {
	w := newWorld(t)
	src := intake.Source{Client: w.message(unknown, "").Client, At: start, Domain: "spam.example"}
	w.desk.Came = func(_ context.Context, original []byte) (intake.Source, bool, error) {
		return src, bytes.Contains(original, []byte("from a stranger")), nil
	}
	spam := []byte("From: a@b.example\r\n\r\nfrom a stranger\r\n")
	w.arrive(from{mailFrom: "carl@x.test", account: "carl"}, arf("carl@x.test", spam))
	w.arrive(unknown, arf("carl@x.test", spam))
	w.round()
	if c := w.book.all[0]; c.Kind != cases.External || c.SourceIP != src.Client.IP || c.SourceDomain != "spam.example" || c.Grade != 0 {
		t.Errorf("%+v", c)
	}
	if c := w.book.all[1]; c.Kind != cases.Local {
		t.Errorf("of somebody who is not proved: %+v", c)
	}
}

func TestBounceOfANotice(t *testing.T) {
	w := newWorld(t)
	w.desk.Bounced = func(_ context.Context, r complaint.Report) (bool, error) { return r.Format == complaint.DSN, nil }
	id := w.arrive(from{}, "From: mailer-daemon@else.example\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\n\r\nSorry.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n"+
		"Reporting-MTA: dns; else.example\r\n\r\nFinal-Recipient: rfc822; bob@else.example\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n--b--\r\n")
	w.round()
	if _, x := w.get(id); x.State != intake.Done || x.Format != complaint.DSN || len(w.book.all) != 0 {
		t.Errorf("%+v %+v", x, w.book.all)
	}
}

// The copy for people is one text part that can do no harm.
func TestSafeCopy(t *testing.T) {
	w := newWorld(t)
	w.desk.Copy = func(_ context.Context, m []byte) error { w.copies = append(w.copies, m); return nil }
	raw := "From: bob@else.example\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\nLook <script>alert(1)</script> at <a href=\"http://evil.example/x\">http://evil.example/x</a>\r\n" +
		"--b\r\nContent-Type: application/octet-stream; name=a.exe\r\n\r\n" + string(mailtest.EICAR()) + "\r\n--b--\r\n"
	id := w.arrive(bob, raw)
	w.round()
	w.round()
	if len(w.copies) != 1 {
		t.Fatalf("%d copies", len(w.copies))
	}
	head, body, _ := strings.Cut(string(w.copies[0]), "\r\n\r\n")
	plain, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(body, "\r\n", ""))
	if err != nil || !strings.Contains(head, "Subject: Report "+id) || !strings.Contains(head, "Auto-Submitted: auto-generated") || strings.Contains(strings.ToLower(head), "multipart") {
		t.Errorf("%v\n%s", err, head)
	}
	r, _ := w.get(id)
	for _, bad := range []string{"http://", "<script", string(mailtest.EICAR())[:20]} {
		if bytes.Contains(plain, []byte(bad)) {
			t.Errorf("%q stands in\n%s", bad, plain)
		}
	}
	if !bytes.Contains(plain, []byte(r.SHA256)) || w.bytes(r) != raw {
		t.Errorf("%s", plain)
	}
}

// Complaints among a postmaster's mail are copied here; other mail is not.
func TestPostmaster(t *testing.T) {
	w := newWorld(t)
	raw := w.send("anna", text, "bob@else.example")
	o := filter.Outcome{Report: bob.report(), Fates: []filter.Fate{{State: filter.Delivered}, {State: filter.Delivered}}}
	send := func(raw string, to ...string) {
		t.Helper()
		m := w.message(bob, raw)
		for _, a := range to {
			m.To = append(m.To, filter.Recipient{Address: a})
		}
		if err := w.desk.Done(t.Context(), m, o); err != nil {
			t.Fatal(err)
		}
	}
	send("From: bob@else.example\r\n\r\nWhy am I refused?\r\n", "postmaster@x.test")
	send(arf("bob@else.example", raw), "ada@x.test")
	send(arf("bob@else.example", raw), "postmaster@x.test", "abuse@x.test") // the desk has it
	if n := w.round(); n != 0 {
		t.Errorf("%d reports", n)
	}
	for range 2 {
		send(arf("bob@else.example", raw), "postmaster@x.test")
	}
	if n := w.round(); n != 1 || w.book.all[0].Account != "anna" || w.book.votes() != 100 {
		t.Errorf("%d reports, %+v", n, w.book.all)
	}
}

func TestSubmissions(t *testing.T) {
	w := newWorld(t)
	raw := w.send("anna", text, "bob@else.example")
	for name, bad := range map[string]intake.Submission{
		"source": {Text: "x"}, "text, original, document": {Source: intake.ByForm}, "trust": {Source: intake.ByForm, Text: "x", Trust: proof.T1}, "text": {Source: intake.ByForm, Text: strings.Repeat("x", 70000)},
	} {
		if _, err := w.desk.Take(t.Context(), bad); !errors.Is(err, entity.ErrInvalid) || !strings.HasPrefix(err.Error(), name+" ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	form, err := w.desk.Take(t.Context(), intake.Submission{Source: intake.ByForm, Reporter: "bob@else.example", Text: "spam", Original: raw})
	if err != nil {
		t.Fatal(err)
	}
	api, err := w.desk.Take(t.Context(), intake.Submission{Source: intake.ByAPI, Reporter: "bob@else.example", Text: "spam", Original: raw, Trust: proof.T2, Actor: "token:cert"})
	if err != nil {
		t.Fatal(err)
	}
	if again, err := w.desk.Take(t.Context(), intake.Submission{Source: intake.ByAPI, Reporter: "bob@else.example", Text: "spam", Original: raw, Trust: proof.T2, Actor: "token:cert"}); again != api || err != nil {
		t.Errorf("submitted again: %s, %v", again, err)
	}
	w.round()
	_, f := w.get(form)
	_, a := w.get(api)
	if f.Proof.Votes != 0 || f.Proof.Grade != proof.P3 || !f.Person || f.Format != complaint.Form || a.Proof.Votes != 100 || a.Trust != proof.T2 || a.Format != complaint.API || a.Person {
		t.Errorf("%+v\n%+v", f, a)
	}
}

func TestSweep(t *testing.T) {
	w := newWorld(t)
	left, err := w.desk.Provisional(t.Context(), intake.Arrival{Message: w.message(bob, "left"), Key: "left", By: intake.ByMail})
	if err != nil {
		t.Fatal(err)
	}
	old, held := w.arrive(bob, "From: bob@else.example\r\n\r\nold\r\n"), w.arrive(bob, "From: bob@else.example\r\n\r\nheld\r\n")
	w.round()
	w.now = w.now.Add(200 * 24 * time.Hour)
	young := w.arrive(bob, "From: bob@else.example\r\n\r\nyoung\r\n")
	n, err := w.desk.Sweep(t.Context(), w.now.Add(-180*24*time.Hour), func(_ context.Context, x intake.Work) (bool, error) { return x.Report == held, nil })
	if n != 2 || err != nil {
		t.Errorf("%d %v", n, err)
	}
	for id, there := range map[string]bool{left: false, old: false, held: true, young: true} {
		if _, _, err := w.desk.Get(t.Context(), id); (err == nil) != there {
			t.Errorf("%s: %v", id, err)
		}
	}
	r, _ := w.get(held)
	if !strings.Contains(w.bytes(r), "held") {
		t.Error("its bytes are gone")
	}
	if used, _, err := w.home.BlobBytes(t.Context(), entity.Intake); err != nil || used > 200 {
		t.Errorf("%d bytes are left: %v", used, err)
	}
}

func TestAddresses(t *testing.T) {
	a := intake.Addresses{Hosted: func(d string) bool { return d == "x.test" }, Own: []string{"desk@desk.example"}, Also: func(s string) bool { return s == "a-token@x.test" }}
	for addr, want := range map[string]bool{
		"abuse@x.test": true, "aBuSe@X.test": true, "abuse+7@x.test": true, `"abuse"@x.test`: true, "Desk+a@desk.example": true, "a-token@x.test": true,
		"abuse@y.test": false, "abuses@x.test": false, "postmaster@x.test": false, "abuse": false, "": false, "@x.test": false, "abuse@": false,
	} {
		if a.Take(addr) != want {
			t.Errorf("%q: %t", addr, !want)
		}
	}
}

func TestRunWorksAndEnds(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.desk.Run(ctx) }()
	id := w.arrive(bob, "From: bob@else.example\r\n\r\nHello.\r\n")
	for {
		if _, x := w.get(id); x.State == intake.Done {
			break
		}
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

var _ entity.Home = (*entities.Memory)(nil)

// Other rates are in force at once, without a restart.
func TestRatesChangeWhileItRuns(t *testing.T) {
	w := newWorld(t)
	w.desk.Limit(intake.Rates{Network: 1, Unproved: 1})
	state := func() string {
		w.n++
		id := w.arrive(unknown, fmt.Sprintf("From: x@else.example\r\n\r\nComplaint %d.\r\n", w.n))
		w.round()
		_, x := w.get(id)
		return x.State
	}
	if first, second := state(), state(); first != intake.Done || second != intake.Folded {
		t.Errorf("%s, %s with a rate of one", first, second)
	}
	w.desk.Limit(intake.Rates{})
	w.now = w.now.Add(time.Hour)
	for range 3 {
		if got := state(); got != intake.Done {
			t.Errorf("%s with the rates of the program", got)
		}
	}
}
