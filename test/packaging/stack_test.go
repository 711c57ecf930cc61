package packaging

import (
	"debug/elf"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/internal/config"
	"postern/internal/mailtest"
	"postern/test/world"
)

// friend is a host whose names are all in order.
const friend = "192.0.2.10"

const holdRule = `patterns:
  - id: ASKS_TO_BE_HELD
    describe: The subject asks to be held
    in: subject
    match: 'please hold'
    action: quarantine
    tests: {hit: ["please hold this"], miss: ["hello"]}
`

func TestTheStackServes(t *testing.T) {
	Root(t)
	image := BuildImage(t, filepath.Join(mailtest.ModuleRoot(t), "deploy/Dockerfile"))
	t.Run("image", func(t *testing.T) { checkImage(t, image) })
	for profile, nodes := range map[string][]string{"one": {"postern"}, "two": {"postern-1", "postern-2"}} {
		t.Run(profile, func(t *testing.T) {
			backend := mailtest.NewBackend(t, mailtest.Script{Mailboxes: []string{"user@example.com"}})
			s := stack(t, profile, image, backend)
			s.Start(t)
			t.Run("confined", func(t *testing.T) { confined(t, s) })
			t.Run("virus", func(t *testing.T) {
				if code, text := send(t, s.Addr(nodes[0], "1025"), "virus", string(mailtest.EICAR())); code != 550 {
					t.Errorf("a virus: %d %s", code, text)
				}
			})
			for _, node := range nodes {
				if code, text := send(t, s.Addr(node, "1025"), "hello", "How are you?"); code != 250 {
					t.Fatalf("%s: %d %s", node, code, text)
				}
			}
			backend.WaitTransactions(t, len(nodes))
			t.Run("held", func(t *testing.T) { held(t, s, nodes, backend) })
			t.Run("end", func(t *testing.T) { ends(t, s, nodes) })
		})
	}
}

// stack prepares the services with test signatures, a name server and a server behind.
func stack(t *testing.T, profile string, image Image, backend *mailtest.Backend) *Stack {
	t.Helper()
	dns := mailtest.NewDNS(t, mailtest.Zone{
		"friend.example":             {"MX 10 mail.friend.example", "TXT v=spf1 ip4:" + friend + " -all"},
		"mail.friend.example":        {"A " + friend},
		"example.com":                {"MX 10 mx1.example.com"},
		mailtest.ReverseName(friend): {"PTR mail.friend.example"},
	})
	s := NewStack(t, profile, image, func(text string) string {
		text = strings.ReplaceAll(text, "10.0.0.5:25", backend.Addr())
		text = strings.Replace(text, "    kind: inbound\n", "    kind: inbound\n    xclient_from: [127.0.0.1]\n", 1)
		if strings.Contains(text, "\nlisteners:") {
			text += fmt.Sprintf("dns: {servers: [%q]}\n", dns.Addr())
		}
		return strings.ReplaceAll(text, "database.clamav.net", "http://127.0.0.1:1")
	})
	clamd, err := mailtest.NewRealClamd(t.TempDir(), mailtest.ClamdOptions{})
	if err != nil {
		t.Fatal(err)
	}
	signatures := s.Volume("clamav-signatures")
	if err := os.CopyFS(signatures, os.DirFS(filepath.Join(clamd.Dir, "db"))); err != nil {
		t.Fatal(err)
	}
	for _, c := range s.Containers {
		if strings.HasPrefix(c.Name, "postern") {
			own := filepath.Join(s.dir, "files", c.Name, "rules.d", "own.yaml")
			if err := os.WriteFile(own, []byte(holdRule), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	c := s.Containers["clamav"]
	for _, e := range mustRead(t, signatures) {
		path := filepath.Join(signatures, e.Name())
		if err := os.Chown(path, c.UID, c.GID); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func mustRead(t *testing.T, dir string) []os.DirEntry {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

// checkImage looks at what the Dockerfile makes: one static program and no secrets.
func checkImage(t *testing.T, image Image) {
	var files []string
	err := filepath.WalkDir(image.Dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, strings.TrimPrefix(path, image.Dir))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"/etc/group", "/etc/passwd", "/etc/ssl/certs/ca-certificates.crt", "/usr/bin/postern"}; !slices.Equal(files, want) {
		t.Errorf("the image holds %v", files)
	}
	f, err := elf.Open(filepath.Join(image.Dir, "usr/bin/postern"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("the program needs an interpreter: it is not static")
		}
	}
	if libs, err := f.ImportedLibraries(); len(libs) > 0 || err != nil {
		t.Errorf("libraries: %v %v", libs, err)
	}
	info, err := os.Stat(filepath.Join(image.Dir, "var/lib/postern"))
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the state folder: %v %v", info, err)
	}
}

// confined looks at the running programs: who they are, and where they could write.
func confined(t *testing.T, s *Stack) {
	for name, c := range s.Containers {
		if !c.Running() {
			t.Errorf("%s ended: %s", name, c.Log())
			continue
		}
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.PID()))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{
			fmt.Sprintf("Uid:\t%[1]d\t%[1]d\t%[1]d\t%[1]d\n", c.UID), "CapPrm:\t0000000000000000\n", "CapEff:\t0000000000000000\n", "NoNewPrivs:\t1\n",
		} {
			if c.UID == 0 || !strings.Contains(string(status), want) {
				t.Errorf("%s: not %q", name, want)
			}
		}
		writable, err := c.Writable()
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range writable {
			meant := at == "/tmp"
			for _, v := range c.svc.Volumes {
				m, err := parseMount(v)
				meant = meant || err == nil && m.To == at && !m.ReadOnly
			}
			if !meant {
				t.Errorf("%s can write to %s", name, at)
			}
		}
	}
	for _, name := range []string{"redis", "clamav"} {
		if out, err := s.Containers[name].Exec("/bin/touch", "/usr/probe", "/etc/probe", "/probe"); err == nil {
			t.Errorf("%s wrote to its root: %s", name, out)
		}
	}
}

// send speaks SMTP as a friend and returns the answer to the message.
func send(t *testing.T, addr, subject, body string) (int, string) {
	t.Helper()
	c, err := textproto.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	say := func(want int, format string, args ...any) {
		t.Helper()
		if format != "" {
			if err := c.PrintfLine(format, args...); err != nil {
				t.Fatal(err)
			}
		}
		if code, text, err := c.ReadResponse(want); err != nil {
			t.Fatalf("%s: %d %s", format, code, text)
		}
	}
	say(220, "")
	say(250, "EHLO mail.friend.example")
	say(220, "XCLIENT ADDR=%s NAME=mail.friend.example HELO=mail.friend.example", friend)
	say(250, "EHLO mail.friend.example")
	say(250, "MAIL FROM:<anna@friend.example>")
	say(250, "RCPT TO:<user@example.com>")
	say(354, "DATA")
	w := c.DotWriter()
	_, err = io.WriteString(w, "From: Anna <anna@friend.example>\r\nTo: user@example.com\r\nSubject: "+subject+
		"\r\nDate: "+time.Now().Format(time.RFC1123Z)+"\r\nMessage-ID: <"+subject[:2]+"-"+t.Name()[len(t.Name())-3:]+"@friend.example>\r\n\r\n"+body+"\r\n")
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	code, text, _ := c.ReadResponse(0)
	return code, text
}

// held has a message held by the first node and releases it, with a shared store from the
// last.
func held(t *testing.T, s *Stack, nodes []string, backend *mailtest.Backend) {
	cfg, err := config.Load(filepath.Join(s.root, "deploy/compose/postern.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	first, last := s.Containers[nodes[0]], s.Containers[nodes[len(nodes)-1]]
	if cfg.Store.Home == config.HomeLocal {
		last = first
	}
	code, text := send(t, s.Addr(first.Name, "1025"), "please hold", "Hold this.")
	_, id, ok := strings.Cut(text, "held for review, id ")
	if code != 250 || !ok {
		t.Fatalf("%d %s", code, text)
	}
	id = strings.Fields(id)[0]
	before := len(backend.Transactions())
	if out, err := last.Exec("/usr/bin/postern", "quarantine", "list"); err != nil || !strings.Contains(out, id) {
		t.Fatalf("%s does not list %s: %v\n%s", last.Name, id, err, out)
	}
	if cfg.Store.Home == config.HomeRedis {
		password, err := os.ReadFile(filepath.Join(s.secrets, "redis-password"))
		if err != nil {
			t.Fatal(err)
		}
		out, err := s.Containers["redis"].Exec("redis-cli", "-e", "-p", s.port("redis", "6379"), "--user", "postern", "--pass", string(password), "--no-auth-warning", "scan", "0", "match", "postern:*", "count", "10000")
		if err != nil || !strings.Contains(out, "postern:{"+strings.TrimSuffix(id, "-00")) {
			t.Errorf("Redis does not have %s: %v\n%s", id, err, out)
		}
	}
	// A store that has just begun might be one that lost everything: for a while nothing is
	// released from it.
	world.Await(t, "released", 2*time.Minute, func() bool {
		out, err := last.Exec("/usr/bin/postern", "quarantine", "release", id)
		if err != nil && !strings.Contains(out, "try again in a moment") {
			t.Fatalf("release: %v\n%s", err, out)
		}
		return err == nil
	})
	backend.WaitTransactions(t, before+1)
}

// ends stops the nodes as docker compose stop does, and looks what health says of one that is
// gone.
func ends(t *testing.T, s *Stack, nodes []string) {
	for _, name := range nodes {
		res, err := http.Get("http://" + s.Addr(name, "9925") + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Errorf("%s: readyz %s", name, res.Status)
		}
		if out, err := s.Containers[name].Exec("/usr/bin/postern", "health", "--ready"); err != nil || out != "ready\n" {
			t.Errorf("%s: health --ready: %v %s", name, err, out)
		}
		if state := s.Containers[name].Stop(t); state.ExitCode() != 0 {
			t.Errorf("%s ended with %v", name, state)
		}
	}
	for _, name := range []string{"redis", "clamav"} {
		if state := s.Containers[name].Stop(t); state.ExitCode() != 0 {
			t.Errorf("%s ended with %v", name, state)
		}
	}
}
