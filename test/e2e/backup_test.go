package e2e

import (
	"fmt"
	"os"
	"path/filepath"
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
	there := prepare(t, plan{Backend: b.Addr()})
	there.run(t, 0, "restore", run, "--dir", dir)
	there.run(t, 0, "audit", "verify")
	if out := there.run(t, 0, "quarantine", "list"); strings.Count(out, "please hold") != 5 {
		t.Errorf("%s", out)
	}
}
