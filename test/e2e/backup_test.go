package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/cmd/postern/backups"
	"postern/internal/mailtest"
	"postern/test/world"
)

// A backup is made while the gateway runs, restored elsewhere by the program, and its audit
// verifies there; a trial finds it whole. The head of the audit is signed and goes out by mail.
// Both homes.
func TestBackupAndTrial(t *testing.T) {
	t.Parallel()
	for home, store := range homes(t) {
		t.Run(home, func(t *testing.T) {
			t.Parallel()
			backupAndTrial(t, store)
		})
	}
}

func backupAndTrial(t *testing.T, store string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "backup")
	p := plan{More: store + fmt.Sprintf("backup: {dir: %q}\nalerts: {mail: [ops@example.com]}\nabuse: {service: {probe: 1s}}\n", dir)}
	g, b := startBefore(t, mailtest.Script{}, p)
	for i := range 5 {
		g.mustDeliver(t, 250, "ann@example.com", letter(fmt.Sprintf("please hold %d", i), "hello"))
	}
	g.run(t, 0, "blocklist", "add", "--reason", "a test", "spam.example")
	var run string
	world.Await(t, "a backup with what was held", 60*time.Second, func() bool {
		j := runJSON[backups.Job](t, g, 0, "backup", "run", "--full", "--json")
		if j.Run != nil && j.Run.Live["holds"] == 5 {
			run = j.Run.Run
		}
		return run != ""
	})
	trial := runJSON[backups.Job](t, g, 0, "backup", "prove", run, "--json")
	if trial.Proof == nil || !trial.Proof.OK || trial.Proof.Audit == 0 {
		t.Fatalf("%+v", trial)
	}
	world.Await(t, "the head of the audit by mail", 60*time.Second, func() bool {
		for _, x := range b.Transactions() {
			if strings.Contains(string(x.Body), "audit of ") && strings.Contains(string(x.Body), "hash") {
				return true
			}
		}
		return false
	})
	if heads, err := os.ReadFile(filepath.Join(g.Dir, "state", "audit.heads")); err != nil || len(heads) == 0 {
		t.Errorf("no head is signed: %v", err)
	}
	if out := g.run(t, 0, "audit", "verify"); !strings.Contains(out, "unbroken") {
		t.Errorf("%s", out)
	}
	if _, metrics := g.ask(t, "/metrics"); !strings.Contains(metrics, `postern_backup_age_seconds{run="full"}`) || !strings.Contains(metrics, `postern_state_bytes_cap{kind="intake"}`) {
		t.Error("ages and sizes are not in the metrics")
	}
	flipped(t, g, filepath.Join(dir, run))
	there := prepare(t, plan{Backend: b.Addr()})
	there.run(t, 0, "restore", run, "--dir", dir)
	there.run(t, 0, "audit", "verify")
	if out := there.run(t, 0, "quarantine", "list"); strings.Count(out, "please hold") != 5 {
		t.Errorf("%s", out)
	}
}

// flipped changes one byte of the largest file of a run: the program names the run, the file and
// the place, and refuses to restore it. Then the byte is put back.
func flipped(t *testing.T, g *gateway, run string) {
	t.Helper()
	entries, err := os.ReadDir(run)
	if err != nil {
		t.Fatal(err)
	}
	var name string
	var whole []byte
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(run, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(e.Name(), ".rec") && len(b) > len(whole) {
			name, whole = e.Name(), b
		}
	}
	bad := slices.Clone(whole)
	bad[len(bad)/2] ^= 1
	write := func(b []byte) {
		if err := os.WriteFile(filepath.Join(run, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(bad)
	out, errs, code := g.Run("backup", "verify", filepath.Base(run))
	if said := out + errs; code == 0 || !strings.Contains(said, filepath.Base(run)) || !strings.Contains(said, name) || !strings.Contains(said, "record ") {
		t.Errorf("a flipped byte in %s: exit %d\n%s", name, code, said)
	}
	write(whole)
	if out, errs, code := g.Run("backup", "verify", filepath.Base(run)); code != 0 {
		t.Errorf("put back: exit %d\n%s%s", code, out, errs)
	}
}
