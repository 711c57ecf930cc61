package rig

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"postern/internal/mailtest"
	"postern/internal/mailtest/ledger"
)

// The rig sees what it is there to see: a body that is not what its name says, half a body,
// and what is left of a write.
func TestLook(t *testing.T) {
	dir := t.TempDir()
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	text := []byte(strings.Repeat("a body\r\n", 100))
	packed := enc.EncodeAll(text, nil)
	sum := sha256.Sum256(text)
	sha := hex.EncodeToString(sum[:])
	other := strings.Repeat("0", 64)
	for name, b := range map[string][]byte{
		"bodies/ab/" + sha + ".zst":        packed,
		"bodies/cd/" + sha + ".zst":        packed[:len(packed)-3],
		"bodies/00/" + other + ".zst":      packed,
		"bodies/00/" + other[1:] + "1.zst": {},
		"bodies/tmp/body-1":                packed[:3],
		"spool/postern-body-1":             text,
		"answered.jsonl.new":               nil,
		"answered.jsonl":                   nil,
		"postern.db":                       nil,
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f := (&Rig{State: dir, t: t}).Look()
	if len(f.Bodies) != 4 || len(f.Bad) != 3 || len(f.Temp) != 3 {
		t.Errorf("%d bodies, bad %q, temporary %q", len(f.Bodies), f.Bad, f.Temp)
	}
}

func TestMessages(t *testing.T) {
	infected, seen := 0, map[string]bool{}
	bad, good := Infected(1, 10, 2000), Harmless(1, 2000)
	for n := range 200 {
		m := bad(n)
		if strings.Contains(string(m.Body), string(mailtest.EICAR())) {
			infected++
		}
		if ledger.ID(m.Body) != m.ID || int64(len(m.Body)) != m.Size {
			t.Errorf("message %d is not whole", n)
		}
		g := good(n)
		if strings.Contains(string(g.Body), "long lines") || slices.Contains(g.To, Nobody) || seen[g.ID] {
			t.Errorf("message %d: %s to %v", n, g.ID, g.To)
		}
		seen[g.ID] = true
	}
	if infected != 20 {
		t.Errorf("%d infected", infected)
	}
}
