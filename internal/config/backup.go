package config

import (
	"fmt"
	"path/filepath"
	"strings"

	"filippo.io/age"

	"postern/internal/config/value"
	"postern/internal/strict"
)

// Backup says where backups of the state go, how often, and for how long.
type Backup struct {
	Dir         string   `yaml:"dir" json:"dir,omitempty" jsonschema:"description=folder that runs of the backup are written to\\, best on another disk; empty: none are made"`
	Full        Duration `yaml:"full" json:"full,omitempty" jsonschema:"description=a run of everything this often"`
	Incremental Duration `yaml:"incremental" json:"incremental,omitempty" jsonschema:"description=a run of what changed this often"`
	Keep        Duration `yaml:"keep" json:"keep,omitempty" jsonschema:"description=how long runs are kept"`
	Recipients  []string `yaml:"recipients" json:"recipients,omitempty" jsonschema:"description=public keys of age (age1...) that keys are encrypted to; without one keys are not in a backup"`
}

func defaultBackup() Backup {
	const day = value.Duration(24 * 3600 * 1e9)
	return Backup{Full: 3 * day, Incremental: day, Keep: 31 * day}
}

// LeastBackup is how often runs are made at most.
const LeastBackup = value.Duration(3600 * 1e9)

func (c *Config) validateBackup(d *strict.Document) {
	b := c.Backup
	if b.Dir != "" && !filepath.IsAbs(b.Dir) {
		d.Fail("backup.dir", "%q is no absolute path", b.Dir)
	}
	if b.Dir != "" && c.State != "" && within(b.Dir, c.State) {
		d.Fail("backup.dir", "%s lies in the state folder: what takes the one takes the other", b.Dir)
	}
	for name, v := range map[string]Duration{"full": b.Full, "incremental": b.Incremental, "keep": b.Keep} {
		if v < LeastBackup {
			d.Fail("backup."+name, "%s must be at least %s", name, LeastBackup)
		}
	}
	if b.Incremental > b.Full {
		d.Fail("backup.incremental", "incremental (%s) must not be longer than full (%s)", b.Incremental, b.Full)
	}
	if b.Keep < b.Full {
		d.Fail("backup.keep", "keep (%s) must not be shorter than full (%s)", b.Keep, b.Full)
	}
	for i, r := range b.Recipients {
		if _, err := age.ParseX25519Recipient(r); err != nil {
			d.Fail(fmt.Sprintf("backup.recipients[%d]", i), "%.80q is no public key of age (age1...)", r)
		}
	}
}

// within says that path is dir or lies below it.
func within(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, "../")
}
