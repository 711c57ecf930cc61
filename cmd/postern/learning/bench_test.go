package learning_test

import (
	"context"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/filter"
	"postern/filter/bayes"
	"postern/filter/bayes/token"
	"postern/internal/mailtest"
	"postern/internal/mailtest/redisd"
	"postern/internal/mime"
	"postern/internal/store/local"
	redisbayes "postern/internal/store/redis/bayes"
	"postern/internal/store/redis/conn"
	"postern/internal/store/storetest/bayestest"
)

// counted counts what is asked of a store behind a cache.
type counted struct {
	bayes.Store
	asked int
}

func (c *counted) Counts(ctx context.Context, tokens []uint64) ([]bayes.Count, error) {
	c.asked += len(tokens)
	return c.Store.Counts(ctx, tokens)
}

// mails are public letters of both classes of about 20 kB, and a store has learned others.
func mails(b *testing.B, s bayes.Store) (out [][]byte) {
	b.Helper()
	tok := token.Tokenizer{Key: token.Key{1}}
	r := bayes.Reader{Store: s, Tokenizer: tok}
	n := 0
	for class, dir := range map[bayes.Class]string{bayes.Ham: "ham", bayes.Spam: "spam"} {
		err := filepath.WalkDir(filepath.Join(mailtest.Corpora(b, "."), dir)+"/", func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || strings.Contains(path, "phishing-pot") {
				return err
			}
			raw, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if len(raw) > 18_000 && len(raw) < 22_000 && len(out) < 200 {
				out = append(out, raw)
				return nil
			}
			if n++; n%4 != 0 {
				return nil
			}
			tree := mime.Bytes(raw, mime.DefaultLimits())
			return s.Apply(b.Context(), []bayes.Change{{ID: bayestest.ID(n), Class: class, Tokens: r.Tokens("", tok.Of(tree))}})
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	return out
}

// BenchmarkJudge judges letters of about 20 kB that were parsed before: cold, as each asks the
// store for all its tokens; warm, behind the cache; and the tokens alone.
func BenchmarkJudge(b *testing.B) {
	for name, open := range map[string]func(b *testing.B) bayes.Store{
		"embedded": func(b *testing.B) bayes.Store {
			h, err := local.Open(b.Context(), local.Options{Dir: filepath.Join(b.TempDir(), "s"), Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = h.Close() })
			return h.Bayes()
		},
		"redis": func(b *testing.B) bayes.Store {
			s := redisd.Start(b, redisd.Options{ACL: conn.Rule("postern", redisd.Password, conn.DefaultPrefix)})
			c, err := conn.Open(conn.Options{Addrs: []string{s.Addr}, User: "postern", Password: redisd.Password, Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = c.Close() })
			return redisbayes.New(c)
		},
	} {
		b.Run(name, func(b *testing.B) {
			s := &counted{Store: open(b)}
			all := mails(b, s)
			b.Run("cold", func(b *testing.B) { judge(b, s, all, true) })
			b.Run("warm", func(b *testing.B) { judge(b, s, all, false) })
		})
	}
}

func judge(b *testing.B, s *counted, all [][]byte, cold bool) {
	c := bayes.NewCache(s, time.Now)
	check := &bayes.Check{Reader: bayes.Reader{Store: c, Tokenizer: token.Tokenizer{Key: token.Key{1}}}}
	b.ReportAllocs()
	s.asked = 0
	tokens := 0
	var before time.Duration
	for n := 0; b.Loop(); n++ {
		b.StopTimer()
		tree := mime.Bytes(all[n%len(all)], mime.DefaultLimits())
		_, _, _ = tree.Text(), tree.URLs(), tree.HTMLText() // other checks want them too
		if cold {
			c.Forget()
		}
		cpu := mailtest.CPU(b)
		b.StartTimer()
		if _, err := check.Check(b.Context(), &filter.Message{Parts: func() (*mime.Tree, error) { return tree, nil }}); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		before += mailtest.CPU(b) - cpu
		tokens += len(check.Tokenizer.Of(tree)) + 2
		b.StartTimer()
	}
	b.ReportMetric(float64(before.Microseconds())/1000/float64(b.N), "cpu-ms/op")
	b.ReportMetric(100*(1-float64(s.asked)/float64(max(tokens, 1))), "hit-%")
}
