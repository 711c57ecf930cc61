package judge

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/cmd/postern/app"
	"postern/filter"
)

func TestToCRLF(t *testing.T) {
	for in, want := range map[string]string{
		"":                 "",
		"a\nb\n":           "a\r\nb\r\n",
		"a\r\nb\r\n":       "a\r\nb\r\n",
		"a\nb\r\nc":        "a\r\nb\r\nc",
		"a\rb\n":           "a\rb\r\n",
		"\n":               "\r\n",
		"x\r\n\r\n\ny\r\n": "x\r\n\r\n\r\ny\r\n",
	} {
		if got := string(toCRLF([]byte(in))); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestSummariseCountsWhatIsWrong(t *testing.T) {
	file := func(label, corpus string, a filter.Action) *Judged {
		return &Judged{Label: label, Corpus: corpus, Verdict: filter.Verdict{Action: a}}
	}
	r := summarise([]*Judged{
		file("ham", "a", filter.Accept), file("ham", "a", filter.Tag), file("ham", "a", filter.Quarantine), file("ham", "b", filter.Reject), file("ham", "b", filter.Defer),
		file("spam", "a", filter.Accept), file("spam", "c", filter.Tag), file("spam", "c", filter.Quarantine), file("spam", "c", filter.Reject), file("spam", "c", filter.Defer),
	})
	if r.FP != 2 || r.FN != 2 || r.Ham.N != 5 || r.Spam.Defer != 1 || r.Messages != 10 {
		t.Errorf("%+v", r)
	}
	if r.Corpora["a"].Label != "ham" || r.Corpora["spam/a"].N != 1 || r.Corpora["c"].Wrong != 1 {
		t.Errorf("a corpus of each label: %+v", r.Corpora)
	}
	var b bytes.Buffer
	r.print(&b)
	if !strings.Contains(b.String(), "2 of 5 = 40.00 %") {
		t.Error(b.String())
	}
}

func TestEnvelopes(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "e.tsv")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("#label\tpath\textra\tclient_ip\thelo\tmail_from\trecorded_spf\tdate\n" +
		"ham\tham/a.eml\tx\t192.0.2.1\tmail.example\ta@b.example\tpass\tWed, 15 Apr 2026 23:35:48 +0000 (UTC)\n" +
		"ham\tham/\"b.eml\tx\tnonsense\n")
	got, err := readEnvelopes(path)
	if err != nil || len(got) != 2 {
		t.Fatalf("%v %v", got, err)
	}
	a := got[filepath.Join(dir, "ham", "a.eml")]
	if a.ip.String() != "192.0.2.1" || a.helo != "mail.example" || a.from != "a@b.example" || !a.fromSet || a.recorded == nil || a.Now.Format(time.DateOnly) != "2026-04-15" {
		t.Errorf("%+v", a)
	}
	if b := got[filepath.Join(dir, "ham", "\"b.eml")]; b.ip.IsValid() || b.from != "" || b.recorded == nil {
		t.Errorf("a short line: %+v", b)
	}
	write("label\twhere\n")
	if _, err := readEnvelopes(path); err == nil || !strings.Contains(err.Error(), "no column named path") {
		t.Errorf("%v", err)
	}
	if e, err := readEnvelopes(""); e != nil || err != nil {
		t.Error("no file, no envelopes")
	}
}

func command(t *testing.T) (*app.App, *bytes.Buffer) {
	t.Helper()
	var out bytes.Buffer
	return &app.App{Ctx: t.Context(), Stdin: strings.NewReader("Subject: from standard input\n\nhello\n"), Stdout: &out, Stderr: &out, Now: time.Now}, &out
}

func TestScanEndsWithAFindingWhenMailWouldBeHeld(t *testing.T) {
	path := filepath.Join(t.TempDir(), "g.eml")
	if err := os.WriteFile(path, []byte("From: a@b.example\nSubject: x\n\nXJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a, out := command(t)
	err := (&Scan{Files: []string{path}, Offline: true, JSON: true}).Run(a)
	var e *app.Exit
	if !errors.As(err, &e) || e.Code != app.Finding {
		t.Errorf("%v", err)
	}
	for _, want := range []string{`"action": "reject"`, `"symbol": "GTUBE"`, `"reason": "DNS was not asked"`, `"reason": "no scanner is configured"`, `"public": "550 5.7.1 `} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s is not in %s", want, out)
		}
	}
	a, out = command(t)
	if err := (&Scan{Files: []string{"-"}, Offline: true}).Run(a); err != nil || !strings.Contains(out.String(), "accept") {
		t.Errorf("%v %s", err, out)
	}
	a, _ = command(t)
	if err := (&Scan{Files: []string{"-"}, IP: "nonsense"}).Run(a); err == nil || !strings.Contains(err.Error(), "is no address") {
		t.Errorf("%v", err)
	}
	if err := (&Scan{Files: []string{"/gone.eml"}, Offline: true}).Run(a); err == nil {
		t.Error("a file that is not there")
	}
}

func TestEvalReadsFoldersAndWritesScores(t *testing.T) {
	dir := t.TempDir()
	scores := filepath.Join(dir, "scores.tsv")
	for name, text := range map[string]string{
		"ham/one/a.eml":  "From: a@b.example\nSubject: lunch\n\nat noon\n",
		"ham/.hidden":    "no mail",
		"spam/two/b.eml": "From: a@b.example\nSubject: x\n\nXJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\n",
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a, out := command(t)
	if err := (&Eval{Ham: filepath.Join(dir, "ham"), Spam: filepath.Join(dir, "spam"), Scores: scores, JSON: true}).Run(a); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"messages": 2`, `"fp": 0`, `"fn": 0`, `"one": {`, `"two": {`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s is not in %s", want, out)
		}
	}
	b, err := os.ReadFile(scores)
	if err != nil || !strings.HasPrefix(string(b), "ham\tone/a.eml\t") || !strings.Contains(string(b), "\treject\n") {
		t.Errorf("%s %v", b, err)
	}
	if err := (&Eval{}).Run(a); err == nil {
		t.Error("eval without folders")
	}
}
