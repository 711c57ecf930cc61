package judge

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"postern/filter"
	"postern/rules"
)

const ownSymbols = `symbols:
  T_TWO: {score: 2, describe: Two points}
  T_SIX: {score: 6, describe: Six points}
  T_SEVEN: {score: 7.2, describe: Seven points and a bit}
  T_LESS: {score: -1.25, describe: Speaks for it}
  GREY_NEW: {describe: This is a first contact}
  VIRUS: {describe: The message holds a virus}
  DMARC_REJECT: {score: 2, describe: The sender's domain asks that unproven mail be refused}
  LIST_KNOWN: {score: -1, describe: A mailing list known here}
policies:
  strips: {extends: default, antivirus: {infected: strip}}
  lists: {extends: default, dmarc: {on_list: tag}}
`

// said is a finding of a step.
func said(symbol, step, detail string) filter.Finding {
	return filter.Finding{Symbol: symbol, Step: step, Detail: detail}
}

// results are verdicts of the default rules that the words of scan have to tell apart.
func results(t *testing.T) []scanResult {
	t.Helper()
	set, err := rules.LoadFS(rules.Layer{Name: "mine", FS: fstest.MapFS{"r.yaml": {Data: []byte(ownSymbols)}}})
	if err != nil {
		t.Fatal(err)
	}
	o := &Offline{set: set}
	away := filter.Failure{Step: "clamav", Reason: "clamd does not answer", OnError: filter.Quarantine}
	slow := filter.Failure{Step: "lists", Reason: "timed out"}
	virus := filter.Finding{Symbol: "VIRUS", Step: "clamav", Detail: "Eicar-Signature in invoice.exe", Part: "1.2"}
	var all []scanResult
	for _, c := range []struct {
		path, policy string
		report       filter.Report
	}{
		{"clean.eml", "default", filter.Report{}},
		{"accept.eml", "default", filter.Report{Findings: []filter.Finding{said("T_TWO", "lists", "a zone"), said("T_LESS", "history", "")}}},
		{"tag.eml", "default", filter.Report{Findings: []filter.Finding{said("T_SIX", "lists", "a zone"), said("T_SIX", "links", "a link"), said("T_NEW", "attachments", "evil \x1b[2J")}}},
		{"held.eml", "default", filter.Report{Findings: []filter.Finding{said("T_SEVEN", "patterns", "words")}, Failures: []filter.Failure{slow}}},
		{"refused.eml", "default", filter.Report{Findings: []filter.Finding{said("T_SEVEN", "patterns", ""), said("T_SIX", "lists", ""), said("T_TWO", "helo", "")}}},
		{"doubt.eml", "default", filter.Report{Findings: []filter.Finding{said("T_SEVEN", "patterns", ""), said("T_SIX", "lists", ""), said("T_TWO", "helo", "")}, Failures: []filter.Failure{slow}}},
		{"greylisted.eml", "default", filter.Report{Findings: []filter.Finding{said("T_SIX", "lists", ""), said("GREY_NEW", "greylist", "192.0.2.0/24 and two points")}}},
		{"infected.eml", "default", filter.Report{Findings: []filter.Finding{virus}}},
		{"stripped.eml", "strips", filter.Report{Findings: []filter.Finding{virus}}},
		{"softened.eml", "lists", filter.Report{Findings: []filter.Finding{said("DMARC_REJECT", "dkim+dmarc", "bank.example"), said("LIST_KNOWN", "history", "list.example")}}},
		{"wish.eml", "default", filter.Report{Findings: []filter.Finding{said("DMARC_REJECT", "dkim+dmarc", "bank.example")}}},
		{"unscanned.eml", "default", filter.Report{Failures: []filter.Failure{away}}},
		{"postmaster.eml", "postmaster", filter.Report{Findings: []filter.Finding{said("T_SEVEN", "patterns", "")}}},
	} {
		m := &filter.Message{ID: "01jd9x5h3k2m4n6p8q0r1s2t3v", Body: strings.NewReader("x"), Size: 1234, SHA256: "ab", To: []filter.Recipient{{Address: "a@us.example", Policy: c.policy}}}
		all = append(all, o.resultOf(c.path, judged{message: m, report: c.report, verdict: filter.Verdicts(set, m, c.report)[0]}))
	}
	return all
}

// The words of scan, to be read as a whole.
func TestWords(t *testing.T) {
	var got bytes.Buffer
	for _, r := range results(t) {
		r.print(&got)
	}
	want, err := os.ReadFile("testdata/scan.txt")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got.String()); d != "" {
		t.Errorf("-want +got\n%s\nall:\n%s", d, got.String())
	}
}

// The fields that scripts read are there whatever the verdict.
func TestJSONFields(t *testing.T) {
	b, err := json.Marshal(results(t))
	if err != nil {
		t.Fatal(err)
	}
	var all []map[string]any
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		for _, key := range []string{"path", "id", "action", "score", "policy", "reasons", "unchecked", "public", "size", "sha256"} {
			if _, ok := r[key]; !ok || r[key] == nil {
				t.Errorf("no %s in %v", key, r)
			}
			if reasons, ok := r[key].([]any); ok && key == "reasons" {
				for _, reason := range reasons {
					if d := cmp.Diff([]string{"describe", "detail", "score", "symbol"}, slices.Sorted(maps.Keys(reason.(map[string]any)))); d != "" {
						t.Error(d)
					}
				}
			}
			delete(r, key)
		}
	}
	if got := all[6]["greylisted"]; got != true {
		t.Errorf("greylisted: %v", got)
	}
	if got := all[8]["strip"]; !cmp.Equal(got, []any{"1.2"}) {
		t.Errorf("strip: %v", got)
	}
	for i, r := range all {
		if want := map[int]int{6: 1, 8: 1}[i]; len(r) != want {
			t.Errorf("%d: unknown fields %v", i, r)
		}
	}
}
