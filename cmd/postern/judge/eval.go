package judge

import (
	"bufio"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/mail"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"postern/cmd/postern/app"
	"postern/filter"
	"postern/filter/auth"
	"postern/internal/mime"
	"postern/rules"
	"postern/rules/fit"
)

type Eval struct {
	Ham       string `help:"Folder of wanted mail." type:"existingdir"`
	Spam      string `help:"Folder of unwanted mail." type:"existingdir"`
	Envelopes string `help:"TSV of recorded envelopes and authentication results; its paths are relative to its own folder." type:"existingfile"`
	Scores    string `help:"Write label, path, score and action of every message to this file." type:"path"`
	JSON      bool   `name:"json" help:"Print JSON."`
	Learned   bool   `help:"Judge by what was learned too: of the running server, or of the home that the configuration names. Mail that was learned is judged too well."`
	Use       string `name:"with-config" help:"Judge with this configuration's DNS, lists and scanner instead of the embedded defaults alone." type:"existingfile"`

	// Look is shown each message once it is judged, several at a time; nil: nobody looks.
	Look func(j *Judged, tree *mime.Tree) `kong:"-"`
}

type tally struct {
	N          int `json:"n"`
	Accept     int `json:"accept"`
	Tag        int `json:"tag"`
	Defer      int `json:"defer"`
	Quarantine int `json:"quarantine"`
	Reject     int `json:"reject"`
}

func (t *tally) add(a filter.Action) {
	t.N++
	switch a {
	case filter.Accept:
		t.Accept++
	case filter.Tag:
		t.Tag++
	case filter.Defer:
		t.Defer++
	case filter.Quarantine:
		t.Quarantine++
	default:
		t.Reject++
	}
}

type corpusTally struct {
	Label string `json:"label"`
	tally
	Wrong int `json:"wrong"`
}

type evalReport struct {
	Messages int                     `json:"messages"`
	Ham      tally                   `json:"ham"`
	Spam     tally                   `json:"spam"`
	FP       int                     `json:"fp"`
	FN       int                     `json:"fn"`
	FPCI     [2]float64              `json:"fp_ci"` // 95 % Wilson interval, as a share
	FNCI     [2]float64              `json:"fn_ci"`
	Corpora  map[string]*corpusTally `json:"corpora"`
	Seconds  float64                 `json:"seconds"`
	Rules    string                  `json:"rules"`
}

// Judged is a labelled message and what was made of it.
type Judged struct {
	Label   string // ham or spam
	Path    string
	Rel     string // below the folder of its label
	Corpus  string // the first folder there
	Verdict filter.Verdict
	After   filter.Verdict // by the proposed rules, in a rehearsal
	err     error
}

// Run judges every file and prints what was right and wrong.
func (c *Eval) Run(a *app.App) error {
	if c.Ham == "" && c.Spam == "" {
		return app.Usagef("eval: --ham or --spam is needed")
	}
	start := a.Now()
	files, set, err := c.Each(a)
	if err != nil {
		return err
	}
	rep := summarise(files)
	rep.Seconds, rep.Rules = a.Now().Sub(start).Seconds(), set.Revision()
	if c.Scores != "" {
		if err := writeScores(c.Scores, files); err != nil {
			return err
		}
	}
	if c.JSON {
		return a.JSON(rep)
	}
	rep.print(a.Stdout)
	return nil
}

// Each judges the labelled mail and returns it in order, with the rules that judged.
func (c *Eval) Each(a *app.App) ([]*Judged, *rules.Set, error) {
	envelopes, err := readEnvelopes(c.Envelopes)
	if err != nil {
		return nil, nil, err
	}
	var files []*Judged
	for label, dir := range map[string]string{"ham": c.Ham, "spam": c.Spam} {
		more, err := listMail(label, dir)
		if err != nil {
			return nil, nil, err
		}
		files = append(files, more...)
	}
	slices.SortFunc(files, func(x, y *Judged) int {
		return cmp.Or(strings.Compare(x.Label, y.Label), strings.Compare(x.Rel, y.Rel))
	})
	o, closeAll, err := build(a, options{config: c.Use, dns: c.Use != "", learned: c.Learned})
	if err != nil {
		return nil, nil, err
	}
	defer closeAll()
	c.judgeAll(a, o, files, envelopes)
	for _, f := range files {
		if f.err != nil {
			return nil, nil, fmt.Errorf("%s: %w", f.Path, f.err)
		}
	}
	return files, o.set, nil
}

func (c *Eval) judgeAll(a *app.App, o *Offline, files []*Judged, envelopes map[string]Circumstances) {
	var done atomic.Int64
	next := make(chan *Judged)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for f := range next {
				f.err = c.judgeFile(a, o, f, envelopes)
				done.Add(1)
			}
		})
	}
	show := app.IsTerminal(a.Stderr)
	for i, f := range files {
		if a.Ctx.Err() != nil {
			f.err = a.Ctx.Err()
			break
		}
		next <- f
		if show && i%50 == 0 {
			progress(a.Stderr, int(done.Load()), len(files))
		}
	}
	close(next)
	wg.Wait()
	if show {
		progress(a.Stderr, len(files), len(files))
		fmt.Fprintln(a.Stderr)
	}
}

func (c *Eval) judgeFile(a *app.App, o *Offline, f *Judged, envelopes map[string]Circumstances) error {
	raw, err := readMessage(f.Path, nil)
	if err != nil {
		return err
	}
	abs, err := filepath.Abs(f.Path)
	if err != nil {
		return err
	}
	env, ok := envelopes[abs]
	if !ok {
		env = Circumstances{recorded: auth.Recorded("", "", "")}
	}
	if env.Now.IsZero() {
		env.Now = a.Now()
	}
	j, err := o.judge(a.Ctx, raw, env)
	f.Verdict = j.verdict
	if err == nil && o.proposed != nil {
		f.After = o.again(a.Ctx, j)
	}
	if err != nil || c.Look == nil {
		return err
	}
	tree, err := j.message.Parts()
	if err == nil {
		c.Look(f, tree)
	}
	return err
}

func progress(w io.Writer, done, all int) {
	const width = 40
	n := width * done / max(all, 1)
	fmt.Fprintf(w, "\r[%s%s] %d/%d", strings.Repeat("#", n), strings.Repeat(" ", width-n), done, all)
}

// listMail finds the files below a folder; the first folder below it is the corpus.
func listMail(label, dir string) ([]*Judged, error) {
	if dir == "" {
		return nil, nil
	}
	var files []*Judged
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), ".") {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		corpus, _, below := strings.Cut(filepath.ToSlash(rel), "/")
		if !below {
			corpus = label
		}
		files = append(files, &Judged{Label: label, Path: path, Rel: rel, Corpus: corpus})
		return nil
	})
	return files, err
}

// readEnvelopes reads the TSV, keyed by absolute path. Columns are known by their names;
// others are ignored.
func readEnvelopes(path string) (map[string]Circumstances, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := csv.NewReader(bufio.NewReader(f))
	r.Comma, r.LazyQuotes, r.FieldsPerRecord, r.ReuseRecord = '\t', true, -1, true
	head, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	column := map[string]int{}
	for i, name := range head {
		column[strings.TrimPrefix(name, "#")] = i
	}
	if _, ok := column["path"]; !ok {
		return nil, fmt.Errorf("%s:1: there is no column named path", path)
	}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	out := map[string]Circumstances{}
	for {
		rec, err := r.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		get := func(name string) string {
			if i, ok := column[name]; ok && i < len(rec) {
				return strings.Clone(strings.TrimSpace(rec[i]))
			}
			return ""
		}
		c := Circumstances{
			helo: get("helo"), from: get("mail_from"), fromSet: true,
			recorded: auth.Recorded(get("recorded_spf"), get("recorded_dkim"), get("recorded_dmarc")),
		}
		if ip, err := netip.ParseAddr(get("client_ip")); err == nil {
			c.ip = ip.Unmap()
		}
		if at, err := mail.ParseDate(get("date")); err == nil {
			c.Now, c.dated = at, true
		}
		out[filepath.Join(dir, filepath.FromSlash(get("path")))] = c
	}
}

func summarise(files []*Judged) *evalReport {
	r := &evalReport{Messages: len(files), Corpora: map[string]*corpusTally{}}
	for _, f := range files {
		name := f.Corpus
		if t := r.Corpora[name]; t != nil && t.Label != f.Label {
			name = f.Label + "/" + name
		}
		t := r.Corpora[name]
		if t == nil {
			t = &corpusTally{Label: f.Label}
			r.Corpora[name] = t
		}
		a := f.Verdict.Action
		t.add(a)
		if f.Label == "ham" {
			r.Ham.add(a)
			if a == filter.Quarantine || a == filter.Reject {
				r.FP++
				t.Wrong++
			}
			continue
		}
		r.Spam.add(a)
		if a == filter.Accept || a == filter.Tag {
			r.FN++
			t.Wrong++
		}
	}
	r.FPCI, r.FNCI = fit.Wilson(r.FP, r.Ham.N), fit.Wilson(r.FN, r.Spam.N)
	return r
}

func (r *evalReport) print(w io.Writer) {
	fmt.Fprintf(w, "%-28s %7s %7s %7s %7s %10s %7s %7s\n", "corpus", "n", "accept", "tag", "defer", "quarantine", "reject", "wrong")
	var names []string
	for n := range r.Corpora {
		names = append(names, n)
	}
	slices.SortFunc(names, func(x, y string) int {
		return cmp.Or(strings.Compare(r.Corpora[x].Label, r.Corpora[y].Label), strings.Compare(x, y))
	})
	for _, n := range names {
		t := r.Corpora[n]
		fmt.Fprintf(w, "%-28s %7d %7d %7d %7d %10d %7d %7d\n", t.Label+"/"+strings.TrimPrefix(n, t.Label+"/"), t.N, t.Accept, t.Tag, t.Defer, t.Quarantine, t.Reject, t.Wrong)
	}
	share := func(k, n int, ci [2]float64) string {
		if n == 0 {
			return "none"
		}
		return fmt.Sprintf("%d of %d = %.2f %% (95 %%: %.2f to %.2f)", k, n, 100*float64(k)/float64(n), 100*ci[0], 100*ci[1])
	}
	fmt.Fprintf(w, "\nwanted mail held or refused: %s\n", share(r.FP, r.Ham.N, r.FPCI))
	fmt.Fprintf(w, "unwanted mail let through:   %s\n", share(r.FN, r.Spam.N, r.FNCI))
	fmt.Fprintf(w, "%d messages in %.1f s, rules %s\n", r.Messages, r.Seconds, r.Rules)
}

func writeScores(path string, files []*Judged) error {
	var b strings.Builder
	for _, f := range files {
		fmt.Fprintf(&b, "%s\t%s\t%s\t%s\n", f.Label, f.Rel, f.Verdict.Score, f.Verdict.Action)
	}
	return os.WriteFile(path, []byte(b.String()), 0o644)
}
