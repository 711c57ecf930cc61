package e2e

import (
	"bytes"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"postern/internal/mailtest"
)

// filesBelow are the files below a folder of the state.
func filesBelow(t *testing.T, g *gateway, dir string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(g.Dir, "state", dir), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestWrongFlagsAreUsage(t *testing.T) {
	t.Parallel()
	g := prepare(t, plan{Backend: "127.0.0.1:1"})
	for _, args := range []string{"--nonsense", "serve --port 25", "nonsense", "scan", "quarantine release", "quarantine", "trace --ip nowhere --from x",
		"eval", "blocklist add 192.0.2.1", "scan --ip nowhere /dev/null", "trace --since yesterday", "account suspend a@example.com", "config", "outbox list --limit many"} {
		out, errs, code := g.Run(strings.Fields(args)...)
		if code != 2 || errs == "" || strings.Contains(errs, "goroutine") {
			t.Errorf("%s: exit %d\n%s%s", args, code, out, errs)
		}
	}
	for _, args := range []string{"--help", "serve --help", "version", "quarantine --help"} {
		g.run(t, 0, strings.Fields(args)...)
	}
}

func TestWrongConfigurationNamesEveryPlace(t *testing.T) {
	t.Parallel()
	g := prepare(t, plan{Backend: "127.0.0.1:1"})
	g.WriteFile("postern.yaml", `hostname: "not a host"
state: relative/folder
listeners:
  - {name: mx, kind: sideways, addr: "127.0.0.1"}
  - {name: mx, kind: inbound, addr: "127.0.0.1:0", xclient_from: [300.0.0.0/8]}
backends:
  mail: [{addr: "nowhere", tls: maybe}]
routes:
  example.com: {backend: post, recipients: guess}
limits: {idle: soon}
unknown_key: 1
`)
	for args, want := range map[string]int{"serve": 3, "config check": 1, "config print": 3, "quarantine list": 3} {
		out, errs, code := g.Run(strings.Fields(args)...)
		if code != want {
			t.Errorf("%s: exit %d, want %d\n%s%s", args, code, want, out, errs)
		}
		for _, line := range []int{4, 5, 7, 9, 10, 11} {
			if !regexp.MustCompile(fmt.Sprintf(`postern\.yaml:%d:\d+: `, line)).MatchString(errs) {
				t.Errorf("%s does not name line %d:\n%s", args, line, errs)
			}
		}
	}
	g.WriteFile("postern.yaml", "hostname: [unclosed\nstate: x\n")
	if out := g.run(t, 3, "serve"); !strings.Contains(out, "postern.yaml:") {
		t.Errorf("no YAML at all: %s", out)
	}
	g.WriteFile("postern.yaml", "")
	g.run(t, 3, "serve")
	if err := os.Remove(g.Config); err != nil {
		t.Fatal(err)
	}
	if out := g.run(t, 3, "serve"); !strings.Contains(out, g.Config) {
		t.Errorf("without a file: %s", out)
	}
	g.run(t, 1, "config", "check")
}

func TestFilesBesideTheConfigurationAreChecked(t *testing.T) {
	t.Parallel()
	g := prepare(t, plan{Backend: "127.0.0.1:1"})
	conf, err := os.ReadFile(g.Config)
	if err != nil {
		t.Fatal(err)
	}
	g.WriteFile("senders", "sales@example.com anna\nnonsense anna\n")
	dir := filepath.Dir(g.Config)
	g.WriteFile("postern.yaml", string(conf)+fmt.Sprintf(`
lists: [{name: private, zone: "{key}.zen.example.net", of: ip, key_file: %s/zen.key, codes: {127.0.0.2: RBL_SBL}}]
senders: {file: %s/senders}
`, dir, dir))
	out := g.run(t, 1, "config", "check")
	for _, want := range []string{"list private: key: ", "zen.key", "senders:2"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	g.WriteFile("senders", "sales@example.com anna\n")
	g.WriteFile("zen.key", "k3y\n")
	g.run(t, 0, "config", "check")
}

func TestWrongRulesNameEveryPlace(t *testing.T) {
	t.Parallel()
	g := prepare(t, plan{Backend: "127.0.0.1:1"})
	g.WriteFile("rules.d/bad.yaml", `symbols:
  SPF_FAIL: {score: 1.234}
patterns:
  - id: LOOP
    describe: x
    in: subject
    match: '('
    score: 1
composites:
  - {id: A_B, describe: x, when: NO_SUCH_THING and, score: 1}
nonsense: 1
`)
	for args, want := range map[string]int{"serve": 3, "config check": 1, "rules check": 1} {
		_, errs, code := g.Run(strings.Fields(args)...)
		if code != want {
			t.Errorf("%s: exit %d, want %d", args, code, want)
		}
		for _, line := range []int{2, 7, 10, 11} {
			if !regexp.MustCompile(fmt.Sprintf(`bad\.yaml:%d:\d+`, line)).MatchString(errs) {
				t.Errorf("%s does not name line %d:\n%s", args, line, errs)
			}
		}
	}
}

func TestHugeRulesFileIsRefused(t *testing.T) {
	t.Parallel()
	g, _ := startBefore(t, mailtest.Script{}, plan{})
	huge := append([]byte("symbols:\n"), bytes.Repeat([]byte("# a hundred megabytes of nothing at all\n"), 100<<20/40)...)
	g.WriteFile("rules.d/huge.yaml", string(huge))
	if line := g.awaitLog(t, `"level":"ERROR"`, "reload refused", "huge.yaml"); !regexp.MustCompile(`large|bytes|MB`).MatchString(line) {
		t.Errorf("logged %s", line)
	}
	g.mustDeliver(t, 250, "ada@example.com", letter("x", "x"))
	if out := g.run(t, 1, "rules", "check"); !strings.Contains(out, "huge.yaml") {
		t.Errorf("rules check says %s", out)
	}
}

func TestOccupiedPortIsNamed(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	g := prepare(t, plan{Backend: "127.0.0.1:1", Listeners: fmt.Sprintf("  - {name: taken, kind: inbound, addr: %q}", ln.Addr())})
	if out := g.run(t, 3, "serve"); !strings.Contains(out, "listener taken") || !strings.Contains(out, "address already in use") {
		t.Errorf("says %s", out)
	}
	g.configure(plan{Backend: "127.0.0.1:1"})
	g.Start()
}

func TestUnreadableCertificateIsNamed(t *testing.T) {
	t.Parallel()
	g := prepare(t, plan{Backend: "127.0.0.1:1"})
	g.WriteFile("cert.pem", "garbage")
	if out := g.run(t, 3, "serve"); !strings.Contains(out, "listener mx") || !strings.Contains(out, "cert.pem") {
		t.Errorf("garbage: %s", out)
	}
	if err := os.Remove(filepath.Join(g.Dir, "cert.pem")); err != nil {
		t.Fatal(err)
	}
	if out := g.run(t, 3, "serve"); !strings.Contains(out, "cert.pem") || !strings.Contains(out, "no such file") {
		t.Errorf("missing: %s", out)
	}
}
