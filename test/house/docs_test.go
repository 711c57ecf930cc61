package house

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"postern/internal/mailtest"
)

// papers are the texts that people read.
func papers(t *testing.T) []string {
	t.Helper()
	root := mailtest.ModuleRoot(t)
	var all []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/decisions/*.md", "deploy/*/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found...)
	}
	if len(all) < 8 {
		t.Fatalf("only %d papers found below %s", len(all), root)
	}
	return all
}

// built is the program, built once for the tests of this file.
func built(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "postern")
	cmd := exec.Command("go", "build", "-o", path, "./cmd/postern")
	cmd.Dir = mailtest.ModuleRoot(t)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// said is what the program prints.
func said(t *testing.T, program string, args ...string) []byte {
	t.Helper()
	out, err := exec.Command(program, args...).Output()
	if err != nil {
		t.Fatalf("postern %s: %v", strings.Join(args, " "), err)
	}
	return out
}

func TestGeneratedPapersAreFresh(t *testing.T) {
	root, program := mailtest.ModuleRoot(t), built(t)
	for file, args := range map[string][]string{
		"docs/checks.md":           {"rules", "document"},
		"docs/limits.md":           {"config", "limits", "--markdown"},
		"docs/postern.schema.json": {"config", "schema"},
	} {
		have, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Error(err)
			continue
		}
		if !bytes.Equal(have, said(t, program, args...)) {
			t.Errorf("%s is not what `postern %s` prints now; run make generate", file, strings.Join(args, " "))
		}
	}
}

var (
	codeSpan   = regexp.MustCompile("(?s)```.*?```|`[^`\n]+`")
	invocation = regexp.MustCompile(`(?m)(?:^|[\s(])(?:bin/|/usr/bin/)?postern((?: -c \S+)?)((?: [a-z][a-z-]*)+)`)
	listed     = regexp.MustCompile("`postern ([a-z]+) ([a-z]+)`((?:, `[a-z]+`)*)")
	flag       = regexp.MustCompile(`--[a-z][a-z-]*`)
)

// commands are the words after "postern" in all code of a paper, and what "`postern a b`,
// `c`, `d`" lists.
func commands(text string) [][]string {
	var all [][]string
	for _, code := range codeSpan.FindAllString(text, -1) {
		code = strings.Trim(code, "`")
		for _, m := range invocation.FindAllStringSubmatch(" "+code, -1) {
			all = append(all, strings.Fields(m[2]))
		}
	}
	for _, m := range listed.FindAllStringSubmatch(text, -1) {
		for word := range strings.SplitSeq(m[3], ", ") {
			if word = strings.Trim(word, "`"); word != "" {
				all = append(all, []string{m[1], word})
			}
		}
	}
	return all
}

// help is what the program says about itself: its commands as word pairs, with their flags.
type help struct{ text map[string]string }

var commandLine = regexp.MustCompile(`(?m)^  ([a-z-]+)((?: [a-z-]+)?)(?: |$)`)

func helpOf(t *testing.T, program string) help {
	t.Helper()
	h := help{text: map[string]string{}}
	for _, m := range commandLine.FindAllStringSubmatch(commandPart(said(t, program, "--help")), -1) {
		name := m[1]
		h.text[name] = string(said(t, program, name, "--help"))
		for _, sub := range commandLine.FindAllStringSubmatch(commandPart([]byte(h.text[name])), -1) {
			verb := strings.TrimSpace(sub[2])
			if verb == "" {
				verb = sub[1]
			}
			if verb != name {
				h.text[name+" "+verb] = string(said(t, program, name, verb, "--help"))
			}
		}
	}
	if len(h.text) < 20 {
		t.Fatalf("only %d commands were found in the help", len(h.text))
	}
	return h
}

func commandPart(out []byte) string {
	_, part, _ := strings.Cut(string(out), "Commands:")
	return part
}

// unknown names what is wrong with a command line's words, or "".
func (h help) unknown(words []string) string {
	if _, ok := h.text[words[0]]; !ok {
		return fmt.Sprintf("there is no command %q", words[0])
	}
	if len(words) > 1 && strings.Contains(h.text[words[0]], "Commands:") {
		if _, ok := h.text[words[0]+" "+words[1]]; !ok {
			return fmt.Sprintf("%s has no command %q", words[0], words[1])
		}
	}
	return ""
}

func TestCommandsInPapersExist(t *testing.T) {
	h := helpOf(t, built(t))
	n := 0
	for _, path := range papers(t) {
		src, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, words := range commands(string(src)) {
			n++
			if wrong := h.unknown(words); wrong != "" {
				t.Errorf("%s: postern %s: %s", filepath.Base(path), strings.Join(words, " "), wrong)
			}
		}
	}
	if n < 30 {
		t.Errorf("only %d commands were found in the papers", n)
	}
	var all strings.Builder
	for _, text := range h.text {
		all.WriteString(text)
	}
	readme, err := os.ReadFile(filepath.Join(mailtest.ModuleRoot(t), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range flag.FindAllString(string(readme), -1) {
		if !strings.Contains(all.String(), f) {
			t.Errorf("README.md: no command has the flag %s", f)
		}
	}
	for name := range h.text {
		if !strings.Contains(name, " ") && !bytes.Contains(readme, []byte("`postern "+name)) {
			t.Errorf("README.md does not name postern %s", name)
		}
	}
}

func TestCommandsOfAText(t *testing.T) {
	got := commands("Say `postern rules check`, or\n```\nbin/postern -c x.yaml quarantine list\npostern serve\n```\n| `postern outbox list`, `show` | postern prose |")
	var flat []string
	for _, words := range got {
		flat = append(flat, strings.Join(words, " "))
	}
	want := []string{"rules check", "quarantine list", "serve", "outbox list", "outbox show"}
	if !slices.Equal(flat, want) {
		t.Errorf("%q", flat)
	}
	h := help{text: map[string]string{"rules": "Commands:", "rules check": "", "scan": ""}}
	for _, words := range [][]string{{"nothing"}, {"rules", "dance"}} {
		if h.unknown(words) == "" {
			t.Errorf("%q passes", words)
		}
	}
	for _, words := range [][]string{{"rules", "check"}, {"rules"}, {"scan", "file"}} {
		if wrong := h.unknown(words); wrong != "" {
			t.Errorf("%q: %s", words, wrong)
		}
	}
}

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

func TestLinksResolve(t *testing.T) {
	n := 0
	for _, path := range papers(t) {
		src, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(src), -1) {
			to, _, _ := strings.Cut(m[1], "#")
			if to == "" || strings.Contains(to, "://") || strings.HasPrefix(to, "mailto:") {
				continue
			}
			n++
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), to)); err != nil {
				t.Errorf("%s: the link to %s leads nowhere", filepath.Base(path), m[1])
			}
		}
	}
	if n < 15 {
		t.Errorf("only %d links were found", n)
	}
}

var (
	pathSpan = regexp.MustCompile("`((?:cmd|internal|filter|rules|blocklist|quarantine|abuse|test|docs|deploy)/[A-Za-z0-9_./{},-]*)`")
	braces   = regexp.MustCompile(`\{([^}]*)\}`)
)

// spread writes a/{b,c} out as a/b and a/c.
func spread(path string) []string {
	at := braces.FindStringSubmatchIndex(path)
	if at == nil {
		return []string{path}
	}
	var all []string
	for one := range strings.SplitSeq(path[at[2]:at[3]], ",") {
		all = append(all, path[:at[0]]+one+path[at[1]:])
	}
	return all
}

func TestPathsInPapersExist(t *testing.T) {
	n, root := 0, mailtest.ModuleRoot(t)
	for _, path := range papers(t) {
		src, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range pathSpan.FindAllStringSubmatch(string(src), -1) {
			for _, p := range spread(m[1]) {
				n++
				if strings.Contains(p, "/NAME") || strings.Contains(p, "/X") {
					continue
				}
				if found, err := filepath.Glob(filepath.Join(root, p)); err != nil || len(found) == 0 {
					t.Errorf("%s: there is no %s", filepath.Base(path), p)
				}
			}
		}
	}
	if n < 40 {
		t.Errorf("only %d paths were found", n)
	}
}
