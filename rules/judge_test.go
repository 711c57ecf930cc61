package rules_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"postern/filter"
	"postern/rules"
)

const id = "01jd8vzq4cxkp8w2m5r7t9ya3b"

// layers keeps the sets that tests share, by the text of their file.
var layers sync.Map

// layer is the defaults and one more file over them.
func layer(t testing.TB, src string) *rules.Set {
	t.Helper()
	if s, ok := layers.Load(src); ok {
		return s.(*rules.Set)
	}
	s, err := rules.LoadFS(rules.Layer{Name: "mine", FS: fstest.MapFS{"r.yaml": {Data: []byte(src)}}})
	if err != nil {
		t.Fatal(err)
	}
	layers.Store(src, s)
	return s
}

const worths = `symbols:
  T_ONE: {score: 1, describe: One point}
  T_TWO: {score: 2, describe: Two points}
  T_FIVE: {score: 5, describe: Five points}
  T_SIXTEEN: {score: 16, describe: Sixteen points}
  T_LESS: {score: -2, describe: A little less}
  T_MINUS: {score: -3.5, describe: Less}
  T_TAG: {score: 0.25, action: tag, describe: Tagged by itself}
  T_HOLD: {action: quarantine, describe: Held by itself}
  T_WAIT: {action: defer, describe: Asked to come again}
  T_NO: {action: reject, describe: Refused by itself}
  T_NO_RCPT: {score: 2, action: reject, stage: rcpt, describe: Refused at RCPT}
  T_QUIET: {score: 6, action: reject, unless: T_ONE, describe: Does not count beside one}
  T_UMLAUT: {action: reject, describe: Über die Grenze}
composites:
  - {id: T_BOTH, when: T_ONE and T_TAG, score: 2, describe: Both}
  - {id: T_OF_BOTH, when: T_BOTH and not T_MINUS, score: 0.5, describe: Of both}
policies:
  patient: {greylist: off}
  gentle: {most: quarantine}
  lists: {dmarc: {on_list: tag}}
  open: {antivirus: {scan: false}}
  mild: {antivirus: {infected: tag, keep_original: false}, dmarc: {reject: hold, quarantine: tag, on_list: tag}, unscannable: tag, encrypted: reject}
  blind: {dmarc: {reject: ignore, quarantine: ignore}, antivirus: {infected: strip}, unscannable: accept, encrypted: accept}
`

func found(symbols ...string) filter.Report {
	var r filter.Report
	for _, s := range symbols {
		r.Findings = append(r.Findings, filter.Finding{Symbol: s})
	}
	return r
}

func fails(step string, on filter.Action) filter.Failure {
	return filter.Failure{Step: step, Reason: "timed out", OnError: on}
}

func after() *filter.Message {
	return &filter.Message{ID: id, Body: strings.NewReader("x"), Size: 1}
}

func TestActionOfTheVerdict(t *testing.T) {
	s := layer(t, worths)
	late := []filter.Failure{fails("spf", filter.Accept)}
	dead := []filter.Failure{{Step: "lists", Reason: "off for two days", Standing: true}}
	for _, c := range []struct {
		name, policy, symbols string
		failures              []filter.Failure
		want                  filter.Action
		score                 filter.Score
	}{
		{"nothing", "default", "", nil, filter.Accept, 0},
		{"below tag", "default", "T_ONE", nil, filter.Accept, 100},
		{"tag by score", "default", "T_FIVE", nil, filter.Tag, 500},
		{"hold by score", "default", "T_FIVE T_ONE T_TAG", nil, filter.Quarantine, 875},
		{"reject by score", "default", "T_SIXTEEN", nil, filter.Reject, 1600},
		{"minus counts", "default", "T_SIXTEEN T_MINUS", nil, filter.Quarantine, 1250},
		{"score alone is no 5xx beside a failure", "default", "T_SIXTEEN", late, filter.Quarantine, 1600},
		{"a standing failure lowers nothing", "default", "T_SIXTEEN", dead, filter.Reject, 1600},
		{"one of two failures passes", "default", "T_SIXTEEN", append(dead, late...), filter.Quarantine, 1600},
		{"own action stands beside a failure", "default", "T_NO", late, filter.Reject, 0},
		{"own action and score beside a failure", "default", "T_NO T_SIXTEEN", late, filter.Reject, 1600},
		{"own action larger", "default", "T_HOLD", nil, filter.Quarantine, 0},
		{"score larger", "default", "T_TAG T_SIXTEEN", nil, filter.Reject, 1625},
		{"own defer", "default", "T_WAIT", nil, filter.Defer, 0},
		{"failure defers", "default", "", []filter.Failure{fails("clamav", filter.Defer)}, filter.Defer, 0},
		{"failure holds", "default", "", []filter.Failure{fails("x", filter.Quarantine)}, filter.Quarantine, 0},
		{"failure goes on", "default", "", late, filter.Accept, 0},
		{"reject beats a deferring failure", "default", "T_NO", []filter.Failure{fails("clamav", filter.Defer)}, filter.Reject, 0},
		{"score and a deferring failure", "default", "T_SIXTEEN", []filter.Failure{fails("clamav", filter.Defer)}, filter.Defer, 1600},
		{"a symbol counts once", "default", "T_ONE T_ONE T_ONE T_ONE T_ONE", nil, filter.Accept, 100},
		{"unknown scores 0", "default", "T_NEVER_HEARD", nil, filter.Accept, 0},
		{"unless", "default", "T_QUIET T_ONE", nil, filter.Accept, 100},
		{"without unless", "default", "T_QUIET", nil, filter.Reject, 600},
		{"unknown policy is the default", "no such", "T_FIVE", nil, filter.Tag, 500},
		{"outgoing holds earlier", "outgoing", "T_FIVE T_ONE", nil, filter.Quarantine, 600},
		{"virus", "default", "VIRUS", nil, filter.Reject, 0},
		{"virus beside a failure", "default", "VIRUS", late, filter.Reject, 0},
		{"unscannable", "default", "UNSCANNABLE", nil, filter.Quarantine, 0},
		{"unscannable tagged", "mild", "UNSCANNABLE", nil, filter.Tag, 0},
		{"unscannable let through", "blind", "UNSCANNABLE", nil, filter.Accept, 0},
		{"encrypted", "default", "ENCRYPTED", nil, filter.Tag, 0},
		{"encrypted refused", "mild", "ENCRYPTED", nil, filter.Reject, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := found(strings.Fields(c.symbols)...)
			r.Failures = c.failures
			v := s.Judge(after(), r, c.policy)
			if v.Action != c.want || v.Score != c.score {
				t.Errorf("%s %s, want %s %s", v.Action, v.Score, c.want, c.score)
			}
			if len(v.Failures) != len(c.failures) {
				t.Errorf("%d of %d failures in the ledger", len(v.Failures), len(c.failures))
			}
		})
	}
}

func TestPolicyWithoutScan(t *testing.T) {
	s := layer(t, worths)
	r := filter.Report{
		Findings: []filter.Finding{
			{Symbol: "VIRUS", Detail: "Eicar", Step: "clamav"}, {Symbol: "UNSCANNABLE", Step: "clamav"}, {Symbol: "T_ONE", Step: "other"}},
		Failures: []filter.Failure{fails("clamav", filter.Defer), fails("other", filter.Accept)},
	}
	v := s.Judge(after(), r, "open")
	if v.Action != filter.Accept || v.Score != 100 || len(v.Reasons) != 1 || v.Keep || len(v.Failures) != 1 || v.Failures[0].Step != "other" {
		t.Errorf("%+v", v)
	}
	r.Findings[1].Step = "attach"
	if v := s.Judge(after(), r, "open"); v.Action != filter.Quarantine {
		t.Errorf("what other steps cannot read counts without a scan too: %s", v.Action)
	}
}

func TestBeforeData(t *testing.T) {
	s := layer(t, worths)
	m := &filter.Message{ID: id}
	r := found("T_NO_RCPT", "T_SIXTEEN", "T_NO", "VIRUS")
	v := s.Judge(m, r, "default")
	if v.Action != filter.Reject || v.Score != 0 || v.Public != "550 5.7.1 Refused at RCPT (ref "+id+")" {
		t.Errorf("%+v", v)
	}
	r = found("T_SIXTEEN", "T_NO", "VIRUS", "UNSCANNABLE", "DMARC_REJECT")
	r.Failures = []filter.Failure{fails("spf", filter.Defer)}
	if v := s.Judge(m, r, "default"); v.Action != filter.Accept || v.Score != 0 || v.Public != "" {
		t.Errorf("before DATA only actions of stage rcpt count: %+v", v)
	}
	if v := s.Judge(after(), found("T_NO_RCPT"), "default"); v.Action != filter.Reject || v.Score != 200 {
		t.Errorf("after DATA it counts whole: %+v", v)
	}
}

func TestReasons(t *testing.T) {
	s := layer(t, worths)
	r := found("T_MINUS", "T_NEW", "T_ONE", "T_TAG")
	long := strings.Repeat("é", 150)
	for i := range 7 {
		r.Findings = append(r.Findings, filter.Finding{Symbol: "T_ONE", Detail: fmt.Sprint(i, long)})
	}
	r.Findings = append(r.Findings, filter.Finding{Symbol: "T_TAG", Detail: "same"}, filter.Finding{Symbol: "T_TAG", Detail: "same"}, filter.Finding{Symbol: "T_NEW", Detail: "a\xffb"})
	v := s.Judge(after(), r, "default")
	cut := strings.Repeat("é", 99)
	want := []filter.Reason{
		{Symbol: "T_TAG", Score: 25, Describe: "Tagged by itself", Detail: "same", Decides: true},
		{Symbol: "T_BOTH", Score: 200, Describe: "Both"},
		{Symbol: "T_ONE", Score: 100, Describe: "One point", Detail: "0" + cut + "; 1" + cut + "; 2" + cut + "; 3" + cut + "; 4" + cut},
		{Symbol: "T_NEW", Detail: "ab"},
		{Symbol: "T_MINUS", Score: -350, Describe: "Less"},
	}
	if diff := cmp.Diff(want, v.Reasons); diff != "" {
		t.Error(diff)
	}
	if v.Rules != s.Revision() || v.Policy != "default" {
		t.Errorf("%q %q", v.Rules, v.Policy)
	}
}

// A reason names the steps that said it, a composite none.
func TestReasonsNameTheirSteps(t *testing.T) {
	r := found("T_TAG")
	for _, step := range []string{"lists", "links", "lists"} {
		r.Findings = append(r.Findings, filter.Finding{Symbol: "T_ONE", Step: step})
	}
	got := map[string]string{}
	for _, reason := range layer(t, worths).Judge(after(), r, "default").Reasons {
		got[reason.Symbol] = reason.Step
	}
	if diff := cmp.Diff(map[string]string{"T_ONE": "lists,links", "T_TAG": "", "T_BOTH": "", "T_OF_BOTH": ""}, got); diff != "" {
		t.Error(diff)
	}
}

func TestCompositesOfComposites(t *testing.T) {
	s := layer(t, worths)
	if v := s.Judge(after(), found("T_ONE", "T_TAG"), "default"); v.Score != 375 {
		t.Errorf("%s, want 3.75: %+v", v.Score, v.Reasons)
	}
}

func TestPublicSentence(t *testing.T) {
	s := layer(t, worths)
	evil := filter.Finding{Symbol: "T_NO", Detail: "\r\n250 ok evil detail"}
	for name, c := range map[string]struct {
		r    filter.Report
		want string
	}{
		"accept":          {found("T_ONE"), ""},
		"hold":            {found("T_HOLD"), ""},
		"own reject":      {filter.Report{Findings: []filter.Finding{evil, {Symbol: "T_SIXTEEN"}}}, "550 5.7.1 Refused by itself (ref " + id + ")"},
		"score":           {found("T_ONE", "T_SIXTEEN", "T_FIVE"), "550 5.7.1 The message was judged to be spam: Sixteen points (ref " + id + ")"},
		"own defer":       {found("T_WAIT"), "451 4.7.1 Asked to come again (ref " + id + ")"},
		"failure":         {filter.Report{Failures: []filter.Failure{fails("clamav", filter.Defer)}}, "451 4.7.1 The message could not be checked completely, please try again later (ref " + id + ")"},
		"printable ASCII": {found("T_UMLAUT"), "550 5.7.1 A rule of this server refuses the message (ref " + id + ")"},
	} {
		if v := s.Judge(after(), c.r, "default"); v.Public != c.want {
			t.Errorf("%s: %q, want %q", name, v.Public, c.want)
		}
	}
}

// TestRepliesAreInEnglish though an operator's sentences are in another language: nobody reads
// question marks.
func TestRepliesAreInEnglish(t *testing.T) {
	s := layer(t, `symbols:
  T_RU: {action: reject, describe: Отправитель отклонён правилом}
  T_EL: {action: defer, describe: Δοκιμάστε αργότερα}
  T_ZH: {score: 20, describe: 这是垃圾邮件}
  T_EN: {score: 1, describe: A small thing}
  GREY_NEW: {describe: Новый отправитель}
`)
	for name, c := range map[string]struct {
		r    filter.Report
		want string
	}{
		"refused":  {found("T_RU"), "550 5.7.1 A rule of this server refuses the message (ref " + id + ")"},
		"deferred": {found("T_EL"), "451 4.7.1 A rule of this server asks to try again later (ref " + id + ")"},
		"by score": {found("T_ZH", "T_EN"), "550 5.7.1 The message was judged to be spam (ref " + id + ")"},
	} {
		v := s.Judge(after(), c.r, "default")
		if v.Public != c.want {
			t.Errorf("%s: %q, want %q", name, v.Public, c.want)
		}
		if strings.ContainsFunc(v.Public, func(r rune) bool { return r < ' ' || r > '~' }) || len(v.Public) > 500 {
			t.Errorf("%s: %q is no reply", name, v.Public)
		}
	}
	soft := layer(t, "symbols:\n  GREY_NEW: {describe: Новый отправитель}\n  T_SIX: {score: 6, describe: Six}\n")
	if v := soft.Judge(after(), found("GREY_NEW", "T_SIX"), "default"); !v.Greylisted || v.Public != "451 4.7.1 This sender is new here, please try again in a few minutes (ref "+id+")" {
		t.Errorf("%+v", v)
	}
	// The pages and the headers have the operator's own words.
	if v := s.Judge(after(), found("T_RU"), "default"); v.Reasons[0].Describe != "Отправитель отклонён правилом" {
		t.Errorf("%+v", v.Reasons)
	}
}

// TestScoreIsTheSumOfItsReasons holds for any report, and the verdict is the same for any
// order of equal findings.
func TestScoreIsTheSumOfItsReasons(t *testing.T) {
	s := layer(t, worths)
	var names []string
	for _, sym := range s.Symbols() {
		names = append(names, sym.Name)
	}
	names = append(names, "T_UNKNOWN", "T_OTHER")
	actions := []filter.Action{filter.Accept, filter.Tag, filter.Quarantine, filter.Defer}
	rapid.Check(t, func(t *rapid.T) {
		r := found(rapid.SliceOfN(rapid.SampledFrom(names), 0, 30).Draw(t, "symbols")...)
		for _, a := range rapid.SliceOfN(rapid.SampledFrom(actions), 0, 3).Draw(t, "failures") {
			r.Failures = append(r.Failures, fails("step", a))
		}
		policy := rapid.SampledFrom([]string{"default", "outgoing", "open", "mild", "blind"}).Draw(t, "policy")
		v := s.Judge(after(), r, policy)
		sum := filter.Score(0)
		seen := map[string]bool{}
		for _, reason := range v.Reasons {
			sum += reason.Score
			if seen[reason.Symbol] {
				t.Fatalf("%s counts twice", reason.Symbol)
			}
			seen[reason.Symbol] = true
		}
		if sum != v.Score {
			t.Fatalf("score %s, the reasons add up to %s", v.Score, sum)
		}
		if (v.Action == filter.Reject || v.Action == filter.Defer) != (v.Public != "") {
			t.Fatalf("%s with public sentence %q", v.Action, v.Public)
		}
		slices.Reverse(r.Findings)
		if diff := cmp.Diff(v, s.Judge(after(), r, policy)); diff != "" {
			t.Fatalf("the order of findings changes the verdict:\n%s", diff)
		}
	})
}

func BenchmarkJudge(b *testing.B) {
	s := layer(b, worths)
	r := found("SPF_FAIL", "DKIM_NONE", "DMARC_FAIL", "T_ONE", "T_TAG", "SUBJ_PRIZE", "LURE_CLICK", "URL_IP_HOST")
	m := after()
	b.ReportAllocs()
	for b.Loop() {
		s.Judge(m, r, "default")
	}
}
