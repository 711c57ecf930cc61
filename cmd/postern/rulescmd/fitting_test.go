package rulescmd_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"

	"postern/cmd/postern/app"
	"postern/cmd/postern/fitcmd"
	"postern/rules"
)

// TestFit proposes scores from two small sources of mail, and writes what loads.
func TestFit(t *testing.T) {
	n := &node{t: t, dir: t.TempDir()}
	for i := range 60 {
		for _, source := range []string{"one", "two"} {
			head := fmt.Sprintf("Date: Sun, 22 Nov 2026 11:00:00 +0000\nMessage-ID: <%d.%s@example.org>\nFrom: ann@example.org\nTo: bob@example.com\n", i, source)
			n.put(fmt.Sprintf("ham/%s/%d.eml", source, i), head+"Subject: The meeting\n\nWe meet at ten.\n")
			n.put(fmt.Sprintf("spam/%s/%d.eml", source, i), head+"Subject: The offer\n\nDear friend, there is no risk.\n")
		}
	}
	ham, spam, out := filepath.Join(n.dir, "ham"), filepath.Join(n.dir, "spam"), filepath.Join(n.dir, "own", "fitted.yaml")
	n.put("own/.keep", "")
	for _, says := range []string{"SELL_NO_RISK", "as it is", "as proposed", "one as proposed", "two as proposed", "spam held instead: 120", "spam/one/0.eml"} {
		n.says(app.Fine, says, "", "fit", "--ham", ham, "--spam", spam)
	}
	var r fitcmd.Report
	if err := json.Unmarshal([]byte(n.says(app.Fine, "{", "", "fit", "--ham", ham, "--spam", spam, "--without", "two", "--out", out, "--json")), &r); err != nil {
		t.Fatal(err)
	}
	if r.Before.Ham != 60 || r.Before.Missed != 60 || r.After.Missed != 0 || r.After.Wrong != 0 || len(r.Without) != 2 || r.Without[1].After.Missed != 0 {
		t.Errorf("%+v", r)
	}
	changed := 0
	set, err := rules.Load(filepath.Dir(out))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range r.Symbols {
		if p.New >= r.Line || p.New < 0 || p.New > p.Most {
			t.Errorf("%+v", p)
		}
		if s, ok := set.Symbol(p.Symbol); !ok || s.Score.Points() != p.New {
			t.Errorf("%s is %s in the file, wanted %v", p.Symbol, s.Score, p.New)
		}
		if p.New != p.Old {
			changed++
		}
	}
	if changed == 0 {
		t.Error("nothing changed")
	}
	n.says(app.Usage, "", "no source", "fit", "--ham", ham, "--spam", spam, "--without", "three")
	n.says(app.Usage, "", "no policy", "fit", "--ham", ham, "--spam", spam, "--policy", "none")
	n.says(app.Usage, "", "--step", "fit", "--ham", ham, "--spam", spam, "--step", "0")
}
