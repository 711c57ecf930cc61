package bayes_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"postern/filter/bayes"
	"postern/filter/bayes/token"
	"postern/internal/mailtest"
	"postern/internal/mime"
	"postern/rules/fit/kin"
)

// letter is a labelled mail.
type letter struct {
	spam   bool
	corpus string
	group  int // letters of one campaign or one sender are in the same
	tokens []uint64
}

func (l letter) class() bayes.Class {
	if l.spam {
		return bayes.Spam
	}
	return bayes.Ham
}

// corpora reads the labelled mail once for all tests.
var corpora = sync.OnceValues(func() ([]letter, error) {
	root := os.Getenv("CORPORA")
	return readCorpora(root)
})

func letters(t testing.TB) []letter {
	t.Helper()
	root := mailtest.Corpora(t, ".")
	t.Setenv("CORPORA", root)
	all, err := corpora()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("no mail in " + root)
	}
	return all
}

func readCorpora(root string) (out []letter, err error) {
	var keys [][]string
	tok := token.Tokenizer{Key: token.Key{1}}
	for _, class := range []string{"ham", "spam"} {
		err = filepath.WalkDir(filepath.Join(root, class)+"/", func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			raw, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			raw = bytes.ReplaceAll(bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
			tree := mime.Bytes(raw, mime.DefaultLimits())
			rel, _ := filepath.Rel(root, path)
			parts := strings.Split(rel, string(filepath.Separator))
			out = append(out, letter{spam: class == "spam", corpus: parts[0] + "/" + parts[1], tokens: tok.Of(tree)})
			keys = append(keys, kin.Keys(tree))
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	for i, g := range kin.Groups(keys) {
		out[i].group = g
	}
	return out, nil
}

// judge judges a letter by what was learned.
func judge(m *bayes.Memory, l letter) judged {
	j, all := m.Judge(l.tokens)
	return judged{letter: l, Judgement: j, band: bayes.Band(j, all)}
}

// judged is a letter with what was said of it.
type judged struct {
	letter
	bayes.Judgement
	band string
}

// auc is the share of pairs of a spam and a ham in which the spam leans more to spam.
func auc(all []judged) float64 {
	slices.SortFunc(all, func(a, b judged) int {
		switch {
		case a.Lean < b.Lean:
			return -1
		case a.Lean > b.Lean:
			return 1
		}
		return 0
	})
	var rank, spam float64
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && all[j].Lean == all[i].Lean {
			j++
		}
		for _, l := range all[i:j] {
			if l.spam {
				rank += float64(i+j+1) / 2
				spam++
			}
		}
		i = j
	}
	ham := float64(len(all)) - spam
	return (rank - spam*(spam+1)/2) / (spam * ham)
}

// missed counts the spam below the line that so large a share of the ham is above.
func missed(all []judged, wrong float64) (n, of int) {
	var ham []float64
	for _, l := range all {
		if !l.spam {
			ham = append(ham, l.Lean)
		} else {
			of++
		}
	}
	slices.Sort(ham)
	line := ham[len(ham)-1-int(wrong*float64(len(ham)))]
	for _, l := range all {
		if l.spam && l.Lean <= line {
			n++
		}
	}
	return n, of
}

// row is a line of the table.
func row(name string, all []judged) string {
	s := fmt.Sprintf("%-34s %5d  AUC %.4f  missed at", name, len(all), auc(all))
	for _, w := range []float64{0.001, 0.005, 0.01} {
		n, of := missed(all, w)
		low, high := wilson(n, of)
		s += fmt.Sprintf("  %.1f%%: %4.1f%% [%.1f-%.1f]", 100*w, 100*float64(n)/float64(of), 100*low, 100*high)
	}
	hamWrong, ham, caught, spam := 0, 0, 0, 0
	for _, l := range all {
		top := l.band == bayes.Bayes95 || l.band == bayes.Bayes99
		if l.spam {
			spam++
		} else {
			ham++
		}
		switch {
		case top && l.spam:
			caught++
		case top:
			hamWrong++
		}
	}
	low, high := wilson(hamWrong, ham)
	return s + fmt.Sprintf("  high bands: spam %.1f%%, ham %.2f%% [%.2f-%.2f]", 100*float64(caught)/float64(spam), 100*float64(hamWrong)/float64(ham), 100*low, 100*high)
}

func wilson(n, of int) (low, high float64) {
	const z = 1.96
	p, m := float64(n)/float64(of), float64(of)
	mid, half := p+z*z/(2*m), z*math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	return max(0, (mid-half)/(1+z*z/m)), (mid + half) / (1 + z*z/m)
}

const folds = 5

// folded judges each letter by what was learned from the other folds, at most so many letters.
func folded(all []letter, most int) (out []judged) {
	for fold := range folds {
		var m bayes.Memory
		n := 0
		for _, i := range shuffled(len(all)) {
			l := all[i]
			if l.group%folds == fold || n >= most {
				continue
			}
			m.Learn(l.class(), l.tokens)
			n++
		}
		for _, l := range all {
			if l.group%folds == fold {
				out = append(out, judge(&m, l))
			}
		}
	}
	return out
}

// shuffled is an order that is the same in every run.
func shuffled(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	x := uint64(88172645463325252)
	for i := n - 1; i > 0; i-- {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		j := int(x % uint64(i+1))
		out[i], out[j] = out[j], out[i]
	}
	return out
}

// high are the shares of spam and of ham in the bands that speak for spam.
func high(all []judged) (spam, ham float64) {
	var n, of [2]float64
	for _, l := range all {
		class := 0
		if l.spam {
			class = 1
		}
		of[class]++
		if l.band == bayes.Bayes95 || l.band == bayes.Bayes99 {
			n[class]++
		}
	}
	return n[1] / of[1], n[0] / of[0]
}

// TestTable prints how good it is with how much learned, on mail of senders and campaigns that
// it has not seen, and holds it to that.
func TestTable(t *testing.T) {
	all := letters(t)
	tokens, groups := 0, map[int]int{}
	for _, l := range all {
		tokens += len(l.tokens)
		groups[l.group]++
	}
	t.Logf("%d letters in %d groups, %d tokens on the average", len(all), len(groups), tokens/len(all))
	for _, c := range []struct {
		size                    int
		auc, leastSpam, mostHam float64
	}{{0, 0.5, 0, 0}, {50, 0.80, 0, 0.002}, {500, 0.96, 0.20, 0.005}, {len(all), 0.985, 0.45, 0.005}} {
		out := folded(all, c.size)
		t.Log(row(fmt.Sprintf("%d folds, %d learned", folds, c.size), out))
		spam, ham := high(out)
		if got := auc(out); got < c.auc || spam < c.leastSpam || ham > c.mostHam {
			t.Errorf("%d learned: AUC %.4f, %.4f of spam and %.4f of ham in the high bands", c.size, got, spam, ham)
		}
	}
}

// TestLeaveOneOut judges each source of mail by what was learned from the others: of mail unlike
// any that it knows it says little, and little that is wrong.
func TestLeaveOneOut(t *testing.T) {
	all := letters(t)
	for left, want := range map[string]struct{ auc, mostHam float64 }{
		"ham/list-ham spam/phishing-pot": {0.98, 0.01}, "ham/foff-milter spam/foff-milter": {0.64, 0.12}, "ham/spamassassin-corpus spam/spamassassin-corpus": {0.95, 0.01},
	} {
		var m bayes.Memory
		var out []judged
		for _, l := range all {
			if !strings.Contains(left, l.corpus) {
				m.Learn(l.class(), l.tokens)
			}
		}
		for _, l := range all {
			if strings.Contains(left, l.corpus) {
				out = append(out, judge(&m, l))
			}
		}
		t.Log(row(left, out))
		if _, ham := high(out); ham > want.mostHam || auc(out) < want.auc {
			t.Errorf("%s: AUC %.4f, %.4f of the ham is in the high bands", left, auc(out), ham)
		}
	}
}
