package packaging

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"postern/internal/mailtest"
	"postern/test/world"
)

// machine is this machine as a package sees it; what is written goes to a folder of the
// test's own.
type machine struct {
	t   *testing.T
	dir string
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	Root(t)
	var last []byte
	for _, base := range []string{"", "/dev/shm"} {
		dir, err := os.MkdirTemp(base, "machine")
		if err != nil {
			continue
		}
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		for _, d := range []string{"upper", "work", "root"} {
			if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		m := &machine{t, dir}
		out, err := m.try("true")
		if err == nil {
			return m
		}
		last = []byte(out)
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("overlays are needed: %s", last)
	}
	t.Skipf("the package was NOT installed: no overlay: %s", last)
	return nil
}

// try runs a script on the machine.
func (m *machine) try(script string) (string, error) {
	const enter = `mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
mount --bind /proc "$1/root/proc"
mount --bind /dev "$1/root/dev"
exec chroot "$1/root" sh -euc "$2"`
	cmd := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-euc", enter, "sh", m.dir, script)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C"}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (m *machine) run(script string) string {
	m.t.Helper()
	out, err := m.try(script)
	if err != nil {
		m.t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return out
}

func (m *machine) expect(script, want string) {
	m.t.Helper()
	if got := strings.TrimSpace(m.run(script)); got != want {
		m.t.Errorf("%s:\n%s\nand not\n%s", script, got, want)
	}
}

// calls are what the package asked systemd since the last time.
func (m *machine) calls() string {
	m.t.Helper()
	return strings.Join(strings.Fields(m.run("touch /calls; cat /calls; : > /calls")), " ")
}

func buildDeb(t *testing.T, out string) string {
	t.Helper()
	cmd := exec.Command(filepath.Join(mailtest.ModuleRoot(t), "deploy/build-deb.sh"), out)
	cmd.Env = append(os.Environ(), "COMPRESS=gzip") // ten times as fast as what is published
	text, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("build-deb.sh: %v\n%s", err, text)
	}
	return strings.TrimSpace(string(text))
}

func TestDebianPackage(t *testing.T) {
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	deb := buildDeb(t, t.TempDir())
	t.Run("content", func(t *testing.T) { debContent(t, deb) })
	t.Run("lintian", func(t *testing.T) { debLintian(t, deb) })
	t.Run("life", func(t *testing.T) { debLife(t, deb) })
}

func debContent(t *testing.T, deb string) {
	list, err := exec.Command("dpkg-deb", "-c", deb).Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`-rwxr-xr-x root/root .* \./usr/bin/postern`, `-rw-r--r-- root/root .* \./lib/systemd/system/postern\.service`,
		`-rw-r----- root/root .* \./etc/postern/postern\.yaml`, `drwxr-x--- root/root .* \./etc/postern/rules\.d/`,
		`\./usr/share/doc/postern/copyright`, `\./usr/share/doc/postern/changelog\.gz`, `\./usr/share/man/man1/postern\.1\.gz`, `\./usr/share/doc/postern/operating\.md`,
	} {
		if !regexp.MustCompile(`(?m)` + want + `$`).Match(list) {
			t.Errorf("the package has no %s", want)
		}
	}
	if bytes.Contains(list, []byte("/var/")) || regexp.MustCompile(`(?m)^-..s|^-.....s`).Match(list) {
		t.Errorf("state, or a program with rights of others, is packed:\n%s", list)
	}
	field := func(name string) string {
		out, err := exec.Command("dpkg-deb", "-f", deb, name).Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(out))
	}
	arch, err := exec.Command("dpkg", "--print-architecture").Output()
	if err != nil || field("Architecture") != strings.TrimSpace(string(arch)) {
		t.Errorf("architecture %s: %v", field("Architecture"), err)
	}
	if again := buildDeb(t, t.TempDir()); !sameFile(t, deb, again) {
		t.Error("the same sources make another package")
	}
	changelog, err := os.ReadFile(filepath.Join(mailtest.ModuleRoot(t), "deploy/debian/changelog"))
	if err != nil || !strings.HasPrefix(string(changelog), "postern ("+field("Version")+")") {
		t.Errorf("the changelog is not of version %s: %v", field("Version"), err)
	}
}

func sameFile(t *testing.T, a, b string) bool {
	t.Helper()
	x, err := os.ReadFile(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := os.ReadFile(b)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Equal(x, y)
}

func debLintian(t *testing.T, deb string) {
	if _, err := exec.LookPath("lintian"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("lintian is not installed: the package was NOT checked with it")
	}
	out, err := exec.Command("lintian", "--fail-on", "error,warning", "--allow-root", deb).CombinedOutput()
	if err != nil {
		t.Errorf("lintian: %v\n%s", err, out)
	}
}

// valid is a configuration that could serve.
const valid = `hostname: mx1.example.com
state: /var/lib/postern
listeners: [{name: mx, kind: inbound, addr: ":25"}]
backends: {mail: [{addr: "10.0.0.5:25"}]}
routes: {example.com: {backend: mail}}
rules: {dir: /etc/postern/rules.d}
`

func debLife(t *testing.T, deb string) {
	m := newMachine(t)
	m.run("cat > /calls < /dev/null; mkdir -p /run/systemd/system /deb")
	// Nothing may really start here; links are made as ever.
	m.run(`cd /usr/local/bin
printf '#!/bin/sh\necho deb-systemd-invoke "$@" >> /calls\n' > deb-systemd-invoke
printf '#!/bin/sh\ncase "$*" in *daemon-reload*) echo systemctl "$@" >> /calls ;; *) exec /usr/bin/systemctl "$@" ;; esac\n' > systemctl
chmod 0755 deb-systemd-invoke systemctl`)
	copyInto(t, deb, filepath.Join(m.dir, "upper/deb/postern.deb"))
	variants(m)

	out := m.run("dpkg -i /deb/postern.deb")
	if !strings.Contains(out, "edit /etc/postern/postern.yaml") {
		t.Errorf("a first installation says %s", out)
	}
	if calls := m.calls(); strings.Contains(calls, "start") {
		t.Errorf("a gateway that is not configured was started: %s", calls)
	}
	m.expect("stat -c '%a %U:%G' /etc/postern /etc/postern/postern.yaml /etc/postern/rules.d/own.yaml /var/lib/postern", "750 root:postern\n640 root:postern\n640 root:postern\n700 postern:postern")
	m.expect("getent passwd postern | cut -d: -f5-7", "Postern mail gateway,,,:/var/lib/postern:/usr/sbin/nologin")
	m.expect("setpriv --reuid=postern --regid=postern --clear-groups postern config check >/dev/null 2>&1 || echo $?", "1")
	m.expect("test -L /etc/systemd/system/multi-user.target.wants/postern.service && echo enabled", "enabled")
	if _, err := exec.LookPath("systemd-analyze"); err == nil {
		m.expect("systemd-analyze verify --man=no postern.service", "")
		m.run("systemd-analyze security --offline=true --threshold=20 postern.service")
	}
	m.expect("postern version | cut -d' ' -f1,2", "postern "+strings.TrimSpace(m.run("dpkg-query -W -f '${Version}' postern")))

	m.run("cat > /etc/postern/postern.yaml <<'E'\n" + valid + "E\n")
	m.run("dpkg -i /deb/postern.deb")
	if calls := m.calls(); !strings.Contains(calls, "deb-systemd-invoke try-restart postern.service") || strings.Contains(calls, "stop") {
		t.Errorf("installing again did not restart once: %s", calls)
	}
	m.run("dpkg -i --force-confold /deb/next.deb < /dev/null")
	m.expect("cat /etc/postern/postern.yaml", strings.TrimSpace(valid))
	m.expect("grep -c next /etc/postern/postern.yaml.dpkg-dist", "1")
	m.expect("stat -c '%a %U:%G' /etc/postern/postern.yaml", "640 root:postern")

	m.calls()
	m.run("echo 'nonsense: 1' >> /etc/postern/postern.yaml")
	if out := m.run("dpkg -i --force-confold /deb/postern.deb < /dev/null"); !strings.Contains(out, "nonsense") || !strings.Contains(out, "goes on as it was") {
		t.Errorf("a configuration that the new program does not take: %s", out)
	}
	if calls := m.calls(); strings.Contains(calls, "restart") || strings.Contains(calls, "stop") {
		t.Errorf("a running gateway was ended by an upgrade that cannot start: %s", calls)
	}
	debEnd(t, m)
}

// debEnd removes and purges, with held mail and without.
func debEnd(t *testing.T, m *machine) {
	t.Helper()
	m.run("mkdir -p /var/lib/postern/bodies/ab; echo mail > /var/lib/postern/bodies/ab/abcd; echo key > /etc/postern/mx.key")
	m.run("dpkg -r postern")
	if calls := m.calls(); !strings.Contains(calls, "deb-systemd-invoke stop postern.service") {
		t.Errorf("removing did not stop the gateway: %s", calls)
	}
	m.expect("ls /etc/postern /var/lib/postern /usr/bin/postern 2>/dev/null | tr '\\n' ' ' || true", "/etc/postern: mx.key postern.yaml postern.yaml.dpkg-dist rules.d  /var/lib/postern: bodies")
	if out := m.run("dpkg -P postern"); !strings.Contains(out, "held mail") {
		t.Errorf("purging with held mail says %s", out)
	}
	m.expect("cat /var/lib/postern/bodies/ab/abcd", "mail")
	m.expect("cd /etc/postern; ls", "mx.key")
	m.expect("ls /etc/systemd/system/multi-user.target.wants/postern.service 2>/dev/null || echo gone", "gone")

	m.run("dpkg -i /deb/postern.deb; rm -r /var/lib/postern/bodies /etc/postern/mx.key; touch /var/lib/postern/postern.db; dpkg -P postern")
	m.expect("ls -d /var/lib/postern /etc/postern 2>/dev/null || echo gone", "gone")
	m.expect("dpkg -l postern 2>/dev/null | grep -c ^ii || true", "0")
}

// variants makes the next version, with another configuration.
func variants(m *machine) {
	m.t.Helper()
	m.run(`cd /deb; dpkg-deb -R postern.deb tree
sed -i 's/^Version: .*/&+next/' tree/DEBIAN/control
echo '# next' >> tree/etc/postern/postern.yaml
dpkg-deb --root-owner-group -Znone --build tree next.deb; rm -r tree`)
}

func copyInto(t *testing.T, from, to string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cp", from, to).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// The manual names every command.
func TestManualNamesTheCommands(t *testing.T) {
	root := mailtest.ModuleRoot(t)
	text, err := exec.Command(world.Binary(t), "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	manual, err := os.ReadFile(filepath.Join(root, "deploy/debian/postern.1"))
	if err != nil {
		t.Fatal(err)
	}
	words := regexp.MustCompile(`[a-z]+`).FindAllString(string(manual), -1)
	_, commands, _ := strings.Cut(string(text), "Commands:\n")
	n := 0
	for _, m := range regexp.MustCompile(`(?m)^  ([a-z]+) `).FindAllStringSubmatch(commands, -1) {
		if n++; !slices.Contains(words, m[1]) {
			t.Errorf("postern.1 does not name %s", m[1])
		}
	}
	if n < 15 {
		t.Errorf("only %d commands were found", n)
	}
}
