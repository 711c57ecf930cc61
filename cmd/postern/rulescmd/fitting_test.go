package rulescmd_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
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
			head := fmt.Sprintf("Date: Sun, 22 Nov 2026 11:00:00 +0000\nMessage-ID: <%d.%s@example.org>\nFrom: ann@%s%d.example\nTo: bob@example.com\n", i, source, source, i)
			n.put(fmt.Sprintf("ham/%s/%d.eml", source, i), head+"Subject: The meeting\n\nWe meet at ten.\n")
			n.put(fmt.Sprintf("spam/%s/%d.eml", source, i), strings.ReplaceAll(head, "ann@", "eve@shop-")+"Subject: The offer\n\nDear friend, act now: there is no risk, and you can work from home. Remove me from your list at any time.\n")
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

// TestFitLearned fits what learning says, each letter judged by what is learned of others: what
// one sender writes again and again does not speak for him.
func TestFitLearned(t *testing.T) {
	n := &node{t: t, dir: t.TempDir()}
	good := "The board will meet about heating pipes, parking places, cleaning, insurance premiums, elevator maintenance and garden furniture."
	bad := "Discover miracle supplements, burning stubborn belly fat overnight, doctors speechless, celebrities whisper, bottles nearly sold out."
	alone := "Marble tiles, cedar beams, copper gutters, slate shingles, walnut floors, granite worktops, brass handles, limestone sills everywhere."
	for i := range 60 {
		head := func(class, domain string) string {
			return fmt.Sprintf("Date: Sun, 22 Nov 2026 11:00:00 +0000\nMessage-ID: <%d.%s@example.org>\nFrom: %s@%s\nTo: bob@example.com\nSubject: Number %c%c\n\n", i, class, class, domain, 'a'+i/26, 'a'+i%26)
		}
		n.put(fmt.Sprintf("ham/one/%d.eml", i), head("ann", fmt.Sprintf("good%d.example", i))+fmt.Sprintf("%c%c. ", 'a'+i/26, 'a'+i%26)+good+"\n")
		n.put(fmt.Sprintf("spam/one/%d.eml", i), head("eve", fmt.Sprintf("bad%d.example", i))+fmt.Sprintf("%c%c. ", 'a'+i/26, 'a'+i%26)+bad+"\n")
		n.put(fmt.Sprintf("spam/two/%d.eml", i), head("sam", "same.example")+alone+"\n")
	}
	var r fitcmd.Report
	if err := json.Unmarshal([]byte(n.says(app.Fine, "{", "", "fit", "--learned", "--ham", filepath.Join(n.dir, "ham"), "--spam", filepath.Join(n.dir, "spam"), "--json")), &r); err != nil {
		t.Fatal(err)
	}
	hits := map[string]fitcmd.Proposal{}
	for _, p := range r.Symbols {
		if strings.HasPrefix(p.Symbol, "BAYES_") {
			hits[p.Symbol] = p
		}
	}
	low, high := hits["BAYES_00"].Ham+hits["BAYES_05"].Ham, hits["BAYES_95"].Spam+hits["BAYES_99"].Spam
	if low != 60 || high != 60 {
		t.Errorf("%d good letters are like good ones, %d of spam like spam, wanted 60 and the 60 of many senders: %+v", low, high, hits)
	}
	if p := hits["BAYES_95"]; p.New <= p.Old || p.New >= r.Line {
		t.Errorf("what tells them apart goes from %v to %v", p.Old, p.New)
	}
}
