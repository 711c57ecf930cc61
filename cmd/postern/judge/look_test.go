package judge

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"postern/cmd/postern/app"
	"postern/internal/mime"
)

// TestLook shows each message once, with its verdict and its parts.
func TestLook(t *testing.T) {
	dir := t.TempDir()
	for i := range 30 {
		for _, class := range []string{"ham", "spam"} {
			path := filepath.Join(dir, class, fmt.Sprint("source", i%3), fmt.Sprintf("%d.eml", i))
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, fmt.Appendf(nil, "From: ann@example.org\nSubject: %s %d\n\nhello\n", class, i), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	var mu sync.Mutex
	seen := map[string]string{}
	e := Eval{Ham: filepath.Join(dir, "ham"), Spam: filepath.Join(dir, "spam"), Look: func(j *Judged, tree *mime.Tree) {
		mu.Lock()
		defer mu.Unlock()
		if _, again := seen[j.Path]; again || j.Verdict.Policy == "" {
			t.Errorf("%s is shown again, or without a verdict: %+v", j.Path, j.Verdict)
		}
		seen[j.Path] = tree.Subject()
	}}
	var out bytes.Buffer
	a := &app.App{Ctx: context.Background(), Now: time.Now, Stdout: &out, Stderr: &out}
	mail, _, err := e.Each(a)
	if err != nil {
		t.Fatal(err)
	}
	if len(mail) != 60 || len(seen) != 60 {
		t.Fatalf("%d messages, %d shown", len(mail), len(seen))
	}
	for _, j := range mail {
		want := fmt.Sprintf("%s %s", j.Label, filepath.Base(j.Path[:len(j.Path)-len(".eml")]))
		if seen[j.Path] != want {
			t.Errorf("%s was shown as %q", j.Path, seen[j.Path])
		}
	}
}
