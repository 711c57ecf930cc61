package received_test

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/filter"
	"postern/internal/mailtest"
	"postern/internal/mime"
	"postern/internal/report"
	"postern/internal/report/received"
)

func walk(t testing.TB, src []byte) *mime.Tree {
	t.Helper()
	tree, err := mime.Walk(bytes.NewReader(src), int64(len(src)), mime.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// Every report that stands in the public sample mails is found.
func TestSamples(t *testing.T) {
	reports := map[string]int{}
	for _, dir := range []string{"parsedmarc/samples/aggregate", "parsedmarc/samples/smtp_tls", "mox/dmarc-reports", "mox/tlsreports"} {
		err := filepath.WalkDir(filepath.Join(mailtest.Suites(t, "dmarc"), dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(path) != ".eml" {
				return err
			}
			src, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			all, err := received.Read(t.Context(), walk(t, src))
			if len(all) != 1 || err != nil {
				t.Errorf("%s: %d reports, %v", d.Name(), len(all), err)
				return nil
			}
			r := all[0]
			reports[r.Kind]++
			if r.Org == "" || r.Domain == "" || r.ID == "" || r.Begin.IsZero() || r.End.Before(r.Begin) || r.Key == "" || r.Failed > r.Messages {
				t.Errorf("%s: %+v", d.Name(), r)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if reports[report.KindDMARC] != 8 || reports[report.KindTLS] != 3 {
		t.Errorf("found %v", reports)
	}
}

const xmlReport = `<?xml version="1.0"?><feedback><report_metadata><org_name>X</org_name><email>d@x.example</email><report_id>7</report_id>
<date_range><begin>1700000000</begin><end>1700086399</end></date_range></report_metadata><policy_published><domain>our.example</domain><p>none</p></policy_published>
<record><row><source_ip>192.0.2.1</source_ip><count>4</count><policy_evaluated><disposition>none</disposition><dkim>fail</dkim><spf>fail</spf></policy_evaluated></row>
<identifiers><header_from>our.example</header_from></identifiers><auth_results/></record></feedback>`

func gz(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zipped(t testing.TB, members ...[]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i, m := range members {
		f, err := w.Create(string(rune('a'+i)) + ".xml")
		if err == nil {
			_, err = f.Write(m)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func mail(kind string, attachments ...[]byte) []byte {
	var b strings.Builder
	b.WriteString("From: d@x.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nA report.\r\n")
	for _, a := range attachments {
		b.WriteString("--b\r\nContent-Type: " + kind + "\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.StdEncoding.EncodeToString(a) + "\r\n")
	}
	b.WriteString("--b--\r\n")
	return []byte(b.String())
}

func TestForms(t *testing.T) {
	other := []byte(strings.Replace(xmlReport, "<report_id>7", "<report_id>8", 1))
	tls := []byte(`{"organization-name":"X","report-id":"t","date-range":{"start-datetime":"2026-01-01T00:00:00Z","end-datetime":"2026-01-02T00:00:00Z"},` +
		`"policies":[{"policy":{"policy-type":"sts","policy-domain":"our.example"},"summary":{"total-successful-session-count":3,"total-failure-session-count":1}}]}`)
	many := xmlReport[:strings.Index(xmlReport, "<record>")] + strings.Repeat(xmlReport[strings.Index(xmlReport, "<record>"):strings.Index(xmlReport, "</feedback>")], 2500) + "</feedback>"
	long := strings.Replace(many, "<auth_results/>", "<auth_results><dkim><domain>x</domain><result>fail</result><human_result>"+strings.Repeat("y", 900)+"</human_result></dkim></auth_results>", 2500)
	bomb := gz(t, bytes.Repeat([]byte(" "), 64<<20))
	for name, c := range map[string]struct {
		src  []byte
		want int
		says string
	}{
		"bare":           {mail("text/xml", []byte(xmlReport)), 1, ""},
		"octets":         {mail("application/octet-stream", gz(t, []byte(xmlReport))), 1, ""},
		"zip":            {mail("application/zip", zipped(t, []byte(xmlReport))), 1, ""},
		"two in a zip":   {mail("application/x-zip", zipped(t, []byte(xmlReport), other)), 2, ""},
		"gzip in a zip":  {mail("application/zip", zipped(t, gz(t, []byte(xmlReport)))), 1, ""},
		"tls":            {mail("application/tlsrpt+gzip", gz(t, tls)), 1, ""},
		"tls bare":       {mail("application/tlsrpt+json", tls), 1, ""},
		"html is none":   {mail("text/html", []byte("<html>hello</html>")), 0, ""},
		"no report":      {mail("text/xml", []byte("<html>hello</html>")), 0, "begins with <html>"},
		"no archive":     {mail("application/gzip", []byte("\x1f\x8b\x08broken")), 0, "unpacking: "},
		"more behind":    {mail("application/gzip", append(gz(t, []byte(xmlReport)), "\r\n"...)), 1, ""},
		"cut":            {mail("application/gzip", gz(t, []byte(xmlReport))[:100]), 0, "unexpected EOF"},
		"a bomb":         {mail("application/gzip", bomb), 0, "larger than is read"},
		"a zip bomb":     {mail("application/zip", zipped(t, bytes.Repeat([]byte(" "), 64<<20))), 0, "expands to more bytes"},
		"many records":   {mail("text/xml", []byte(many)), 1, ""},
		"long records":   {mail("application/gzip", gz(t, []byte(long))), 1, ""},
		"one is damaged": {mail("application/zip", []byte("PK\x03\x04 not really"), zipped(t, []byte(xmlReport))), 1, ""},
		"hundred":        {mail("text/xml", slicesRepeat([]byte("<x/>"), 30)...), 0, "more than 20 attachments"},
	} {
		all, err := received.Read(t.Context(), walk(t, c.src))
		if len(all) != c.want || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: %d reports, %v; want %d, %q", name, len(all), err, c.want, c.says)
		}
		for _, r := range all {
			if r.Messages%4 != 0 || r.Domain != "our.example" {
				t.Errorf("%s: %+v", name, r)
			}
		}
		if name == "long records" && (len(all[0].DMARC.Records) > 2000 || len(all[0].DMARC.Records) < 1000 || all[0].Left+len(all[0].DMARC.Records) != 2500) {
			t.Errorf("kept %d long records, left %d", len(all[0].DMARC.Records), all[0].Left)
		}
		if name == "many records" && (all[0].Left != 500 || len(all[0].DMARC.Records) != 2000 || all[0].Messages != 10000) {
			t.Errorf("kept %d, left %d of %d messages", len(all[0].DMARC.Records), all[0].Left, all[0].Messages)
		}
	}
}

func slicesRepeat(b []byte, n int) (out [][]byte) {
	for range n {
		out = append(out, b)
	}
	return out
}

type kept struct {
	report.Store
	all []report.Received
}

func (k *kept) Add(_ context.Context, r report.Received) (bool, error) {
	k.all = append(k.all, r)
	return true, nil
}

func TestOnlyWhatCameToTheAddressForIt(t *testing.T) {
	tree := walk(t, mail("text/xml", []byte(xmlReport)))
	message := func(to ...string) *filter.Message {
		m := &filter.Message{ID: "m", Parts: func() (*mime.Tree, error) { return tree, nil }}
		for _, a := range to {
			m.To = append(m.To, filter.Recipient{Address: a})
		}
		return m
	}
	passed := filter.Report{Findings: []filter.Finding{{Auth: &filter.AuthResult{Method: "dmarc", Result: "pass"}}}}
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		m    *filter.Message
		o    filter.Outcome
		want int
	}{
		"delivered": {message("u@our.example", "dmarc@our.example"), filter.Outcome{Report: passed, Fates: []filter.Fate{{State: filter.Rejected}, {State: filter.Delivered}}}, 1},
		"held":      {message("dmarc@our.example"), filter.Outcome{Fates: []filter.Fate{{State: filter.Held}}}, 0},
		"refused":   {message("dmarc@our.example"), filter.Outcome{Fates: []filter.Fate{{State: filter.Rejected}}}, 0},
		"to others": {message("u@our.example"), filter.Outcome{Fates: []filter.Fate{{State: filter.Delivered}}}, 0},
	} {
		s := &kept{}
		r := &received.Reader{Store: s, Takes: func(a string) bool { return a == "dmarc@our.example" }, Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler)}
		if err := r.Done(t.Context(), c.m, c.o); err != nil {
			t.Error(err)
		}
		if len(s.all) != c.want {
			t.Errorf("%s: %d kept", name, len(s.all))
		}
		if c.want == 1 && (s.all[0].From != "d@x.example" || !s.all[0].Proven || !s.all[0].At.Equal(now) || s.all[0].Message != "m" || s.all[0].Failed != 4) {
			t.Errorf("%s: %+v", name, s.all[0])
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(xmlReport))
	f.Add(gz(f, []byte(xmlReport)))
	f.Add(zipped(f, []byte(xmlReport), []byte("{}")))
	f.Fuzz(func(t *testing.T, attachment []byte) {
		all, _ := received.Read(t.Context(), walk(t, mail("application/octet-stream", attachment)))
		for _, r := range all {
			if r.Key == "" || r.Domain == "" && r.Kind == report.KindDMARC {
				t.Fatalf("%+v", r)
			}
		}
	})
}
