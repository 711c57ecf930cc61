package backups_test

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"postern/cmd/postern/backups"
	"postern/cmd/postern/home"
	"postern/internal/backup"
	"postern/internal/config"
	"postern/internal/control"
	"postern/internal/record"
	"postern/internal/record/head"
	"postern/internal/spool"
)

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

type world struct {
	cfg    *config.Config
	desk   *backups.Desk
	events map[string]string // that stand
	at     time.Time
	id     *age.X25519Identity
}

func start(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	id, err := age.GenerateX25519Identity()
	ok(t, err)
	w := &world{cfg: config.Default(), events: map[string]string{}, at: time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC), id: id}
	w.cfg.Hostname, w.cfg.State, w.cfg.Rules.Dir = "mx.example.org", filepath.Join(dir, "state"), filepath.Join(dir, "rules")
	w.cfg.Backup.Dir, w.cfg.Backup.Recipients = filepath.Join(dir, "backup"), []string{id.Recipient().String()}
	file := filepath.Join(dir, "postern.yaml")
	for path, text := range map[string]string{
		file: "hostname: mx.example.org", filepath.Join(w.cfg.Rules.Dir, "own.yaml"): "rules: []",
		filepath.Join(w.cfg.State, "trace.key"): "the key of traces", filepath.Join(w.cfg.State, "dkim", "example.org", "s1.pem"): "the key of DKIM",
	} {
		ok(t, os.MkdirAll(filepath.Dir(path), 0o700))
		ok(t, os.WriteFile(path, []byte(text), 0o600))
	}
	now := func() time.Time { return w.at }
	h, err := home.Open(t.Context(), home.Options{Config: w.cfg, Spool: &spool.Spool{Memory: 1 << 20}, Now: now, Log: slog.New(slog.DiscardHandler)})
	ok(t, err)
	t.Cleanup(func() { _ = h.Close() })
	audit := record.Auditor{Store: h.Audit, Now: now}
	key, err := head.Key(backups.AuditKey(w.cfg), strings.NewReader(strings.Repeat("k", 32)))
	ok(t, err)
	w.desk = backups.New(backups.Parts{
		Config: func() *config.Config { return w.cfg }, ConfigFile: file, Home: h, Version: "test", Now: now, Log: slog.New(slog.DiscardHandler), Audit: audit.Write,
		Heads: &head.Heads{Store: h.Entities, Audit: h.Audit, Key: key, Node: "mx", Now: now, File: backups.HeadsFile(w.cfg)},
		Event: func(key, text string, over bool) {
			if w.events[key] = text; over {
				delete(w.events, key)
			}
		},
	})
	return w
}

// wait is for the end of the work under way.
func wait(t *testing.T, s *control.Server) backups.Job {
	t.Helper()
	for {
		var j backups.Job
		ok(t, s.Call(t.Context(), "backup.job", struct{}{}, &j))
		if !j.Running {
			return j
		}
		time.Sleep(time.Millisecond)
	}
}

// TestDue: what is due is made without being asked for, first in full.
func TestDue(t *testing.T) {
	w := start(t)
	s := control.NewServer()
	w.desk.Handle(s)
	for n, want := range []int{1, 1, 2, 3, 4} {
		w.desk.Look(t.Context())
		if j := wait(t, s); j.Error != "" {
			t.Fatal(j.Error)
		}
		var l backups.Listing
		ok(t, s.Call(t.Context(), "backup.list", struct{}{}, &l))
		if len(l.Runs) != want || len(l.Damaged) > 0 || l.Runs[0].Kind != backup.Full {
			t.Errorf("step %d: %+v", n, l)
		}
		if want == 4 && l.Runs[3].Kind != backup.Full {
			t.Errorf("after three days: %+v", l.Runs[3])
		}
		if n > 0 {
			w.at = w.at.Add(24 * time.Hour)
		}
	}
	if len(w.events) > 0 {
		t.Errorf("said: %v", w.events)
	}
}

// TestLate: a backup that cannot be made is said.
func TestLate(t *testing.T) {
	w := start(t)
	s := control.NewServer()
	w.desk.Handle(s)
	ok(t, os.WriteFile(w.cfg.Backup.Dir, []byte("a file"), 0o600))
	w.desk.Look(t.Context())
	wait(t, s)
	w.at = w.at.Add(26 * time.Hour)
	w.desk.Look(t.Context())
	wait(t, s)
	if w.events["backup-late"] == "" || w.events["backup-folder"] == "" {
		t.Errorf("said: %v", w.events)
	}
	w.cfg.Backup.Dir = ""
	w.desk.Look(t.Context())
	if w.events["backup-late"] != "" {
		t.Errorf("backups are off, and late: %v", w.events)
	}
	if err := s.Call(t.Context(), "backup.run", backups.Ask{}, nil); err == nil {
		t.Error("backups are off, and one is made")
	}
}

// TestKeysAndFiles: keys are not in clear, and come back with the secret key alone; nothing is
// written over.
func TestKeysAndFiles(t *testing.T) {
	w := start(t)
	s := control.NewServer()
	w.desk.Handle(s)
	ok(t, s.Call(t.Context(), "backup.run", backups.Ask{Full: true}, nil))
	j := wait(t, s)
	if j.Error != "" || j.Run == nil {
		t.Fatalf("%+v", j)
	}
	ok(t, s.Call(t.Context(), "backup.verify", backups.Ask{}, nil))
	if v := wait(t, s); v.Error != "" || v.Verified == nil || v.Verified.Records == 0 {
		t.Fatalf("%+v", v)
	}
	c, err := backup.Open(w.cfg.Backup.Dir, j.Run.Run)
	ok(t, err)
	defer c.Close()
	ok(t, c.Each(t.Context(), "keys", func(key string, r io.Reader) error {
		b, err := io.ReadAll(r)
		if strings.Contains(string(b), "the key of") {
			t.Errorf("%s is in clear", key)
		}
		return err
	}))
	other := *w.cfg
	other.State = filepath.Join(t.TempDir(), "other")
	stranger, err := age.GenerateX25519Identity()
	ok(t, err)
	if _, err := backups.Unpack(t.Context(), &other, c, []age.Identity{stranger}, true); err == nil {
		t.Error("another key opens it")
	}
	for _, check := range []bool{true, false} {
		n, err := backups.Unpack(context.Background(), &other, c, []age.Identity{w.id}, check)
		if err != nil || n.Keys != 3 || n.Files != 2 {
			t.Errorf("%+v, %v", n, err)
		}
		if _, err := os.Stat(other.State); (err == nil) == check {
			t.Errorf("check %v: %v", check, err)
		}
	}
	b, err := os.ReadFile(filepath.Join(other.State, "dkim", "example.org", "s1.pem"))
	if string(b) != "the key of DKIM" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	ok(t, os.WriteFile(filepath.Join(other.State, "trace.key"), []byte("its own"), 0o600))
	if _, err := backups.Unpack(t.Context(), &other, c, []age.Identity{w.id}, true); err == nil || !strings.Contains(err.Error(), "trace.key") {
		t.Errorf("written over: %v", err)
	}
}

// TestProof: each month a backup is restored for a trial; one that does not come back is said,
// with what is wrong, and tried again the next day.
func TestProof(t *testing.T) {
	w := start(t)
	s := control.NewServer()
	w.desk.Handle(s)
	ok(t, s.Call(t.Context(), "backup.run", backups.Ask{Full: true}, nil))
	made := wait(t, s)
	w.desk.Look(t.Context())
	j := wait(t, s)
	if j.Name != "proof" || j.Error != "" || j.Proof == nil || !j.Proof.OK || j.Proof.Audit == 0 || j.Proof.Run != made.Run.Run {
		t.Fatalf("%+v %+v", j, j.Proof)
	}
	if _, err := os.Stat(filepath.Join(w.cfg.State, "restore-proof")); !os.IsNotExist(err) {
		t.Errorf("the trial is left: %v", err)
	}
	began := j.Started
	w.at = w.at.Add(time.Hour)
	w.desk.Look(t.Context())
	if j := wait(t, s); !j.Started.Equal(began) {
		t.Errorf("it is tried again: %+v", j)
	}
	last, full, oldest, on, err := w.desk.Ages()
	if err != nil || !on || last != time.Hour || full != time.Hour || oldest != time.Hour {
		t.Errorf("%v %v %v %v %v", last, full, oldest, on, err)
	}
	files, err := filepath.Glob(filepath.Join(w.cfg.Backup.Dir, made.Run.Run, "*"))
	ok(t, err)
	for _, f := range files {
		b, err := os.ReadFile(f)
		ok(t, err)
		if strings.Contains(f, "manifest") || len(b) == 0 {
			continue
		}
		b[len(b)/2] ^= 1
		ok(t, os.WriteFile(f, b, 0o600))
		break
	}
	ok(t, s.Call(t.Context(), "backup.prove", backups.Ask{Run: made.Run.Run}, nil))
	if j := wait(t, s); j.Error == "" || j.Proof == nil || j.Proof.OK || w.events["restore-proof"] == "" {
		t.Errorf("%+v %v", j, w.events)
	}
	all, err := w.desk.Proofs(t.Context(), w.at.Add(-24*time.Hour), w.at.Add(time.Hour))
	if err != nil || len(all) != 2 || !all[0].OK || all[1].OK || all[1].Error == "" {
		t.Errorf("%+v %v", all, err)
	}
}
