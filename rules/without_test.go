package rules_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"postern/filter"
	"postern/rules"
)

func TestWithout(t *testing.T) {
	set, err := rules.LoadFS(rules.Layer{Name: "own", FS: fstest.MapFS{"a.yaml": {Data: []byte(`
symbols:
  ONE: {score: 3, action: reject, stage: rcpt, describe: One thing}
  TWO: {score: 2, describe: Another}
composites:
  - {id: BOTH, describe: Both of them, when: ONE and TWO, score: 1}
`)}}})
	if err != nil {
		t.Fatal(err)
	}
	m := &filter.Message{Body: strings.NewReader("x"), Size: 1, To: []filter.Recipient{{Address: "a@b.example"}}}
	report := filter.Report{Findings: []filter.Finding{{Symbol: "ONE"}, {Symbol: "TWO"}}}
	if v := set.Judge(m, report, "default"); v.Action != filter.Reject || v.Score != 600 {
		t.Fatalf("%v %v", v.Action, v.Score)
	}
	off := set.Without([]string{"ONE", "ONE", "NO_SUCH", "VIRUS"})
	v := off.Judge(m, report, "default")
	if v.Action != filter.Accept || v.Score != 300 || len(v.Reasons) != 3 {
		t.Errorf("%v %v %v", v.Action, v.Score, v.Reasons)
	}
	if off.Revision() == set.Revision() || off.Revision() != set.Without([]string{"ONE"}).Revision() {
		t.Error("the revision does not say what is off")
	}
	if set.Without(nil) != set || set.Without([]string{"VIRUS", "NO_SUCH"}) != set {
		t.Error("another set without a difference")
	}
	if got := set.UsedBy("ONE"); len(got) != 1 || got[0] != "BOTH" {
		t.Error(got)
	}
	if one, _ := set.Symbol("ONE"); one.Score != 300 {
		t.Error("the set itself was changed")
	}
}
