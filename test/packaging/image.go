package packaging

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"postern/internal/mailtest"
)

// Image is the root of a container: a folder, or Debian's programs.
type Image struct {
	Dir   string // "" = Debian's /usr
	Stage Stage
}

// BuildImage does what docker build would do, in folders of its own: it runs the first stage's
// commands in the checkout and copies as the last stage says.
func BuildImage(t testing.TB, dockerfile string) Image {
	t.Helper()
	d, err := ReadDockerfile(dockerfile)
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Stages) != 2 || d.Final().From != "scratch" {
		t.Fatalf("two stages and an empty image are expected: %+v", d.Stages)
	}
	work := t.TempDir()
	within := strings.NewReplacer("/out", work+"/out", "/state", work+"/state")
	for _, run := range d.Stages[0].Run {
		if run == "go mod download" {
			continue // the checkout has its modules
		}
		cmd := exec.Command("sh", "-c", within.Replace(run))
		cmd.Dir = mailtest.ModuleRoot(t)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("RUN %s: %v\n%s", run, err, out)
		}
	}
	image := Image{Dir: filepath.Join(work, "image"), Stage: d.Final()}
	if err := os.Mkdir(image.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range image.Stage.Copy {
		if err := image.copy(c, within); err != nil {
			t.Fatal(err)
		}
	}
	return image
}

func (i Image) copy(c Copy, within *strings.Replacer) error {
	if c.Stage == "" {
		return fmt.Errorf("COPY %v: the image takes files of the build alone", c.From)
	}
	to := filepath.Join(i.Dir, c.To)
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	for _, from := range c.From {
		from = within.Replace(from)
		if out, err := exec.Command("cp", "-a", from+"/.", to).CombinedOutput(); err != nil {
			return fmt.Errorf("COPY: %w: %s", err, out)
		}
		if c.Owner == "" {
			continue
		}
		entries, err := os.ReadDir(from)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if out, err := exec.Command("chown", "-R", c.Owner, filepath.Join(to, e.Name())).CombinedOutput(); err != nil {
				return fmt.Errorf("COPY --chown: %w: %s", err, out)
			}
		}
	}
	return nil
}
