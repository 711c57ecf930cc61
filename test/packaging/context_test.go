package packaging

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"postern/internal/mailtest"
)

// A folder that .dockerignore does not name would be missing only where the image is built.
func TestTheImageGetsAllItIsBuiltFrom(t *testing.T) {
	root := mailtest.ModuleRoot(t)
	src, err := os.ReadFile(filepath.Join(root, ".dockerignore"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(src)), "\n")
	if !slices.Contains(lines, "**") || !slices.Contains(lines, "**/*.key") || !slices.Contains(lines, "**/secrets") {
		t.Error("not everything is left out at first, or secrets are not")
	}
	cmd := exec.Command("go", "list", "-deps", "-json=Dir,Module,GoFiles,EmbedFiles", "./cmd/postern")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for in := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			Dir                 string
			Module              *struct{ Main bool }
			GoFiles, EmbedFiles []string
		}
		if err := in.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if p.Module == nil || !p.Module.Main {
			continue
		}
		for _, f := range append(p.GoFiles, p.EmbedFiles...) {
			n++
			rel, err := filepath.Rel(root, filepath.Join(p.Dir, f))
			if err != nil {
				t.Fatal(err)
			}
			top, _, _ := strings.Cut(rel, "/")
			left := !slices.Contains(lines, "!"+top)
			for part := range strings.SplitSeq(rel, "/") {
				left = left || part == "testdata" || part == "secrets" || strings.HasSuffix(part, ".pem") || strings.HasSuffix(part, ".key")
			}
			if left {
				t.Errorf("%s is left out", rel)
			}
		}
	}
	if n < 200 {
		t.Errorf("only %d files were found", n)
	}
}
