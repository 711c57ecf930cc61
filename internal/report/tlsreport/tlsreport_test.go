package tlsreport_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postern/internal/mailtest"
	"postern/internal/report/tlsreport"
)

func TestSamples(t *testing.T) {
	for name, want := range map[string]struct {
		domain      string
		all, failed int64
	}{
		"smtp_tls.json": {"example.com", 0, 0},
		"rfc8460.json":  {"company-y.example", 5629, 303},
		"mail.ru.json":  {"example.com", 1, 1},
	} {
		src, err := os.ReadFile(filepath.Join(mailtest.Suites(t, "dmarc"), "parsedmarc", "samples", "smtp_tls", name))
		if err != nil {
			t.Fatal(err)
		}
		r, err := tlsreport.Read(src)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		all, failed := r.Sessions()
		if r.Domain() != want.domain || want.all > 0 && (all != want.all || failed != want.failed) || r.ID == "" || r.Range.Begin.IsZero() || !r.Range.End.After(r.Range.Begin) {
			t.Errorf("%s: %s, %d sessions, %d failed, %+v", name, r.Domain(), all, failed, r.Range)
		}
	}
}

const minimal = `{"organization-name":"A\u0007B","date-range":{"start-datetime":"2026-01-01T00:00:00Z","end-datetime":"2026-01-01T23:59:59Z"},
"report-id":"1","policies":[{"policy":{"policy-type":"STS","policy-string":"version: STSv1","policy-domain":"Example.com","mx-host":["a","b"]},
"summary":{"total-successful-session-count":2,"total-failure-session-count":1},"failure-details":[{"result-type":"Certificate-Expired","failed-session-count":1}]}]}`

func TestRead(t *testing.T) {
	r, err := tlsreport.Read([]byte("\xef\xbb\xbf" + minimal))
	if err != nil {
		t.Fatal(err)
	}
	p := r.Policies[0]
	if r.Org != "A B" || r.Domain() != "example.com" || p.Policy.Type != "sts" || len(p.Policy.Text) != 1 || len(p.Policy.Hosts) != 2 || p.Failures[0].Type != "certificate-expired" {
		t.Errorf("%+v", r)
	}
}

func TestTimesWithoutZone(t *testing.T) {
	r, err := tlsreport.Read([]byte(strings.Replace(minimal, "2026-01-01T00:00:00Z", "2026-01-01T00:00:00", 1)))
	if err != nil || r.Range.Begin.Format("2006-01-02T15:04:05Z07:00") != "2026-01-01T00:00:00Z" {
		t.Errorf("%v %v", r, err)
	}
}

func TestRefused(t *testing.T) {
	for name, c := range map[string]struct{ src, says string }{
		"nothing":     {"", "no TLS report"},
		"no json":     {"<feedback/>", "no TLS report"},
		"no policy":   {`{"organization-name":"x"}`, "it has no policy"},
		"wrong types": {strings.Replace(minimal, `"total-successful-session-count":2`, `"total-successful-session-count":"two"`, 1), "no TLS report"},
		"no time":     {strings.Replace(minimal, "2026-01-01T00:00:00Z", "yesterday", 1), `"yesterday" is no date and time`},
		"below zero":  {strings.Replace(minimal, `count":2`, `count":-2`, 1), "policy 1: a count below 0"},
		"policies":    {`{"policies":[` + strings.Repeat("{},", 1000) + "{}]}", "1001 policies, the limit is 1000"},
		"failures":    {strings.Replace(minimal, `"failure-details":[`, `"failure-details":[`+strings.Repeat("{},", 5000), 1), "more than 5000 failures"},
		"large":       {strings.Repeat(" ", tlsreport.MaxBytes) + minimal, "the limit is 8388608"},
		"deep":        {`{"policies":` + strings.Repeat("[", 100000), "no TLS report"},
	} {
		if _, err := tlsreport.Read([]byte(c.src)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
	if _, err := tlsreport.Read([]byte("{}")); !errors.Is(err, tlsreport.ErrNoReport) {
		t.Error(err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(minimal))
	f.Add([]byte(`{"policies":[{"policy":{"mx-host":"x"}}]}`))
	f.Fuzz(func(t *testing.T, src []byte) {
		r, err := tlsreport.Read(src)
		if err != nil {
			return
		}
		if all, failed := r.Sessions(); r.Domain() != strings.ToLower(r.Domain()) || failed > all && all >= 0 && failed >= 0 && all < 1<<40 {
			t.Fatalf("%d of %d", failed, all)
		}
	})
}
