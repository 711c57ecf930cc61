package judge_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"postern/cmd/postern/app"
	"postern/cmd/postern/judge"
	"postern/filter"
	"postern/internal/mailtest"
	"postern/rules"
	"postern/rules/replay"
)

func set(t *testing.T, text string) *rules.Set {
	t.Helper()
	s, err := rules.LoadFS(rules.Layer{Name: "own", FS: fstest.MapFS{"own.yaml": {Data: []byte(text)}}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func world(t *testing.T) *app.App {
	var out bytes.Buffer
	return &app.App{Ctx: t.Context(), Stdout: &out, Stderr: &out, Now: func() time.Time { return time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC) }}
}

// some are message files below a folder, evenly spread over it.
func some(t *testing.T, dir string, most int) (out []string) {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !strings.HasPrefix(d.Name(), ".") {
			all = append(all, path)
		}
		return err
	})
	if err != nil || len(all) == 0 {
		t.Fatalf("%d files in %s: %v", len(all), dir, err)
	}
	for i := range min(most, len(all)) {
		out = append(out, all[i*len(all)/min(most, len(all))])
	}
	return out
}

const inForce = `patterns:
  - {id: OWN_WORD, describe: A word, in: body, match: '(?i)\b(offer|price)\b', score: 1.5}
composites:
  - {id: OWN_BOTH, describe: The word in a message of HTML alone, when: OWN_WORD and HTML_ALONE, score: 2}
`

// TestFeaturesAgreeWithWholeMail: of real mail the kept features give the verdict that judging the
// whole message gives, for every kind of change that they tell.
func TestFeaturesAgreeWithWholeMail(t *testing.T) {
	corpora := mailtest.Corpora(t, ".")
	paths := append(some(t, filepath.Join(corpora, "ham"), 14), some(t, filepath.Join(corpora, "spam", "spamassassin-corpus"), 14)...)
	present := set(t, inForce)
	prints := replay.PrintsOf(present)
	flips := 0
	for name, text := range map[string]string{
		"the same":     inForce,
		"other scores": strings.Replace(inForce, "score: 1.5", "score: 6", 1) + "symbols:\n  HTML_ALONE: {score: 4}\n  DMARC_NONE: {score: 1}\n",
		"actions":      strings.Replace(inForce, "score: 1.5", "action: quarantine", 1),
		"fewer rules":  "symbols:\n  HTML_ALONE: {score: 0}\n",
		"composites":   strings.Replace(inForce, "OWN_WORD and HTML_ALONE", "OWN_WORD and not HTML_ALONE", 1) + "  - {id: OWN_MORE, describe: More, when: OWN_BOTH or DMARC_NONE, score: 4}\n",
		"policies":     inForce + "policies:\n  default: {tag: 1, greylist: off, quarantine: 2, reject: 6}\n",
		"recipients":   inForce + "policies:\n  strict: {tag: 1, greylist: off, quarantine: 3, reject: 5}\nrecipients:\n  '*': strict\n",
	} {
		proposed := set(t, text)
		re := replay.New(present, proposed)
		for _, path := range paths {
			m, r, now, then, err := judge.Found(world(t), present, proposed, path)
			if err != nil {
				t.Fatal(err)
			}
			m.To[0].Address = "somebody@example.com" // of a file nobody knows whom it was for; it is judged as mail to anybody
			record, ok := replay.Of(m, filter.Outcome{Report: r, Verdicts: filter.Verdicts(present, m, r)})
			if !ok {
				t.Fatalf("%s was judged", path)
			}
			p := re.Pair(record, prints)
			if len(p.Asked) > 0 || p.NoBody || p.Unlike {
				t.Errorf("%s: %s: not known: %q", name, path, p.Asked)
			}
			if p.Before.Action != now.Action || p.Before.Score != now.Score || p.After.Action != then.Action || p.After.Score != then.Score {
				t.Errorf("%s: %s: %s %s to %s %s by features, %s %s to %s %s by the mail", name, path, p.Before.Action, p.Before.Score, p.After.Action, p.After.Score, now.Action, now.Score, then.Action, then.Score)
			}
			if now.Action != then.Action {
				flips++
			}
		}
	}
	if flips < 10 {
		t.Errorf("%d flips: the test shows nothing", flips)
	}
}

// TestARehearsalOfFolders judges by each set's own patterns, and names the file it cannot read.
func TestARehearsalOfFolders(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("a.eml", "From: a@b.example\nSubject: x\n\nthe word is prize\n")
	put("b.eml", "From: a@b.example\nSubject: x\n\nan offer\n")
	put(".hidden", "no mail")
	next := set(t, strings.Replace(strings.Replace(inForce, "(offer|price)", "prize", 1), "score: 1.5", "score: 9", 1))
	r := judge.Rehearsal{Present: set(t, inForce), Proposed: next, Folders: []judge.Folder{{Label: "spam", Dir: dir}}}
	all, err := r.Run(world(t))
	if err != nil || len(all) != 2 {
		t.Fatalf("%d %v", len(all), err)
	}
	for i, want := range [][2]filter.Score{{0, 900}, {150, 0}} {
		had := func(v filter.Verdict) (s filter.Score) {
			for _, x := range v.Reasons {
				if x.Symbol == "OWN_WORD" {
					s = x.Score
				}
			}
			return s
		}
		if got := [2]filter.Score{had(all[i].Verdict), had(all[i].After)}; got != want || all[i].Label != "spam" {
			t.Errorf("%s: %v, want %v", all[i].Path, got, want)
		}
	}
	if err := os.Symlink(filepath.Join(dir, "gone"), filepath.Join(dir, "c.eml")); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Run(world(t)); err == nil || !strings.Contains(err.Error(), "c.eml") {
		t.Errorf("%v", err)
	}
	r.Folders = []judge.Folder{{Dir: filepath.Join(dir, "nowhere")}}
	if _, err := r.Run(world(t)); err == nil {
		t.Error("a folder that is not there")
	}
}
