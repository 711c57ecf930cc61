package backups_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"filippo.io/age"

	"postern/cmd/postern/backups"
	"postern/cmd/postern/home"
	"postern/cmd/postern/learning"
	"postern/filter"
	"postern/internal/backup"
	"postern/internal/config"
	"postern/internal/control"
	"postern/internal/mailtest/redisd"
	"postern/internal/mime"
	"postern/internal/spool"
	"postern/internal/store/dump"
	"postern/internal/store/redis/conn"
	"postern/quarantine"
)

// learned is learning over a home, with the key that stands in the state folder.
func learned(t *testing.T, c *config.Config, h *home.Home) (*learning.Learning, *control.Server) {
	t.Helper()
	key, err := os.ReadFile(filepath.Join(c.State, "trace.key"))
	ok(t, err)
	var cfg atomic.Pointer[config.Config]
	cfg.Store(c)
	l, err := learning.New(learning.Parts{
		Config: &cfg, Records: h.Entities, Counts: h.Bayes, Home: h.Name, Key: key, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Audit: func(context.Context, string, string, string, any, any, string) error { return nil },
	})
	ok(t, err)
	s := control.NewServer()
	l.Handle(s, (*quarantine.Quarantine)(nil))
	return l, s
}

func teach(t *testing.T, s *control.Server) {
	t.Helper()
	for class, words := range map[string]string{"spam": "cheap pills without prescription from our pharmacy today", "ham": "agenda of the meeting about budgets which Bob will chair"} {
		p := learning.Messages{Class: class}
		for n := range 40 {
			p.All = append(p.All, learning.Letter{Ref: "x", Body: fmt.Appendf(nil, "Message-ID: <%d@%s>\r\nSubject: about %s\r\n\r\n%s\r\n", n, class, words[:6], words)})
		}
		ok(t, s.Call(t.Context(), "learn.messages", p, nil))
	}
}

func said(t *testing.T, l *learning.Learning) string {
	t.Helper()
	tree := mime.Bytes([]byte("Subject: about cheap\r\n\r\ncheap pills from our pharmacy today without prescription\r\n"), mime.DefaultLimits())
	found, err := l.Check().Check(t.Context(), &filter.Message{Parts: func() (*mime.Tree, error) { return tree, nil }})
	ok(t, err)
	if len(found) != 1 {
		return ""
	}
	return found[0].Symbol + " " + found[0].Detail
}

// TestLearnedComesBack: with its journal and its key, a restored home of either kind judges the
// same mail in the same way; without the key it says nothing.
func TestLearnedComesBack(t *testing.T) {
	w := start(t)
	l, s := learned(t, w.cfg, w.desk.Home)
	teach(t, s)
	want := said(t, l)
	if want == "" {
		t.Fatal("nothing is said of what was learned")
	}
	calls := control.NewServer()
	w.desk.Handle(calls)
	ok(t, calls.Call(t.Context(), "backup.run", backups.Ask{Full: true}, nil))
	run := wait(t, calls)
	if run.Error != "" {
		t.Fatal(run.Error)
	}
	chain, err := backup.Open(w.cfg.Backup.Dir, run.Run.Run)
	ok(t, err)
	server := redisd.Start(t, redisd.Options{ACL: conn.Rule("postern", redisd.Password, conn.DefaultPrefix), Args: []string{"--appendonly", "yes", "--appendfsync", "always"}})
	for _, name := range []string{config.HomeLocal, config.HomeRedis} {
		for _, keys := range []bool{true, false} {
			c := *w.cfg
			c.State = filepath.Join(t.TempDir(), name)
			ok(t, os.MkdirAll(c.State, 0o700))
			file := filepath.Join(c.State, "shared.key")
			secret := filepath.Join(c.State, "redis.password")
			ok(t, os.WriteFile(secret, []byte(redisd.Password+"\n"), 0o600))
			ok(t, os.WriteFile(file, []byte("6162636465666768696a6b6c6d6e6f706162636465666768696a6b6c6d6e6f70\n"), 0o600))
			c.Store.Home, c.Store.KeyFile = name, file
			if name == config.HomeRedis {
				ok(t, server.Client().FlushAll(t.Context()).Err())
				c.Store.Addrs, c.Store.User, c.Store.Password = []string{server.Addr}, "postern", secret
				c.Learning.KeyFile = filepath.Join(c.State, "trace.hex")
			}
			comesBack(t, &c, chain, w.id, keys, want)
		}
	}
}

func comesBack(t *testing.T, c *config.Config, chain *backup.Chain, id *age.X25519Identity, keys bool, want string) {
	t.Helper()
	if keys {
		_, err := backups.Unpack(t.Context(), c, chain, []age.Identity{id}, false)
		ok(t, err)
	} else {
		ok(t, os.WriteFile(filepath.Join(c.State, "trace.key"), []byte("another key than that"), 0o600))
		want = ""
	}
	if c.Learning.KeyFile != "" { // nodes name it in hex
		b, err := os.ReadFile(filepath.Join(c.State, "trace.key"))
		ok(t, err)
		ok(t, os.WriteFile(c.Learning.KeyFile, fmt.Appendf(nil, "%x\n", b), 0o600))
	}
	h, err := home.Open(t.Context(), home.Options{Config: c, Spool: &spool.Spool{Memory: 1 << 20}, Now: time.Now, Log: slog.New(slog.DiscardHandler), Event: func(string, string, bool) {}, Rules: func() string { return "" }})
	ok(t, err)
	defer func() { _ = h.Close() }()
	_, err = (&dump.Loader{To: h.Parts(), Now: time.Now, Step: func(string, int) {}}).Load(t.Context(), chain)
	ok(t, err)
	l, _ := learned(t, c, h)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	got := said(t, l)
	for deadline := time.Now().Add(30 * time.Second); want != "" && got != want && time.Now().Before(deadline); got = said(t, l) {
		time.Sleep(10 * time.Millisecond)
	}
	stop()
	ok(t, <-ended)
	if got != want {
		t.Errorf("%s, keys %v: it says %q, before %q", c.Store.Home, keys, got, want)
	}
}
