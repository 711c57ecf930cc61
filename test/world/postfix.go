// Package world starts the real programs that end-to-end tests put around the gateway: the
// gateway's own binary, Postfix, Dovecot. Each lives in a folder of its own on loopback ports
// that were free, and ends with the test.
package world

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"postern/internal/mailtest"
)

// need finds a program of a Debian package. Without it the test fails under CI and is
// skipped elsewhere, saying what to install.
func need(t testing.TB, pkg string, paths ...string) string {
	t.Helper()
	for _, p := range paths {
		if found, err := exec.LookPath(p); err == nil {
			return found
		}
	}
	text := fmt.Sprintf("%s is not installed: apt-get install %s", paths[0], pkg)
	if os.Getenv("CI") != "" {
		t.Fatal(text)
	}
	t.Skip(text)
	return ""
}

// needRoot is for programs that change their user.
func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatal("this test needs root")
	}
	t.Skip("this test needs root")
}

// FreePort is a loopback TCP port that nobody uses right now.
func FreePort(t testing.TB) int {
	t.Helper()
	port, err := mailtest.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// folder is a folder below /tmp with a short name, kept when the test fails.
func folder(t testing.TB, name string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("kept for a look: %s", dir)
			return
		}
		_ = os.RemoveAll(dir)
	})
	return dir
}

// waitPort waits until something answers on addr.
func waitPort(t testing.TB, addr string) {
	t.Helper()
	Await(t, addr+" answers", 30*time.Second, func() bool {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err != nil {
			return false
		}
		c.Close()
		return true
	})
}

// Await polls until ok; the test fails when that takes longer than within, and longer than a
// machine that is busy may need for anything.
func Await(t testing.TB, what string, within time.Duration, ok func() bool) {
	t.Helper()
	within = max(within, 2*time.Minute)
	end := time.Now().Add(within)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(end) {
			t.Fatalf("waited %v in vain: %s", within, what)
		}
		<-tick.C
	}
}

// Postfix is a Postfix of the test's own that delivers example.com into Maildirs.
type Postfix struct {
	Addr string
	Dir  string

	t testing.TB
}

// StartPostfix starts one. Lines of extra are added to main.cf.
func StartPostfix(t testing.TB, mailboxes []string, extra ...string) *Postfix {
	t.Helper()
	needRoot(t)
	need(t, "postfix", "/usr/sbin/postfix")
	p := &Postfix{Dir: folder(t, "postfix"), t: t}
	port := FreePort(t)
	p.Addr = "127.0.0.1:" + strconv.Itoa(port)
	p.write(port, mailboxes, extra)
	p.run("start")
	t.Cleanup(func() {
		_ = exec.Command("/usr/sbin/postfix", "-c", filepath.Join(p.Dir, "etc"), "stop").Run()
	})
	waitPort(t, p.Addr)
	return p
}

func (p *Postfix) write(port int, mailboxes, extra []string) {
	p.t.Helper()
	for _, d := range []string{"etc", "queue", "data", "mail", "log"} {
		if err := os.Mkdir(filepath.Join(p.Dir, d), 0o755); err != nil {
			p.t.Fatal(err)
		}
	}
	owner, err := user.Lookup("postfix")
	if err != nil {
		p.t.Fatal(err)
	}
	uid, _ := strconv.Atoi(owner.Uid)
	gid, _ := strconv.Atoi(owner.Gid)
	// Postfix' own tools write the log too, some as root and some as its user.
	if err := os.WriteFile(filepath.Join(p.Dir, "log", "mail.log"), nil, 0o666); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(p.Dir, "log", "mail.log"), 0o666); err != nil {
		p.t.Fatal(err)
	}
	for _, d := range []string{"data", "mail"} {
		if err := os.Chown(filepath.Join(p.Dir, d), uid, gid); err != nil {
			p.t.Fatal(err)
		}
	}
	main := fmt.Sprintf(`compatibility_level = 3.6
queue_directory = %[1]s/queue
data_directory = %[1]s/data
maillog_file = %[1]s/log/mail.log
maillog_file_prefixes = %[1]s
mail_owner = postfix
myhostname = mail.example.com
mydestination =
mynetworks = 127.0.0.2/32
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
virtual_mailbox_domains = example.com
virtual_mailbox_base = %[1]s/mail
virtual_mailbox_maps = texthash:%[1]s/etc/mailboxes
virtual_minimum_uid = 1
virtual_uid_maps = static:%[2]s
virtual_gid_maps = static:%[3]s
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
default_process_limit = 100
in_flow_delay = 0
queue_run_delay = 3s
minimal_backoff_time = 3s
maximal_backoff_time = 6s
smtpd_peername_lookup = no
%[4]s
`, p.Dir, owner.Uid, owner.Gid, strings.Join(extra, "\n"))
	var boxes strings.Builder
	for _, m := range mailboxes {
		fmt.Fprintf(&boxes, "%s %s/\n", m, m)
	}
	master := fmt.Sprintf(`127.0.0.1:%d inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
tlsmgr unix - - n 1000? 1 tlsmgr
error unix - - n - - error
retry unix - - n - - error
showq unix n - n - - showq
virtual unix - n n - - virtual
postlog unix-dgram n - n - 1 postlogd
`, port)
	for name, text := range map[string]string{"main.cf": main, "master.cf": master, "mailboxes": boxes.String()} {
		if err := os.WriteFile(filepath.Join(p.Dir, "etc", name), []byte(text), 0o644); err != nil {
			p.t.Fatal(err)
		}
	}
}

func (p *Postfix) run(verb string) {
	p.t.Helper()
	if out, err := exec.Command("/usr/sbin/postfix", "-c", filepath.Join(p.Dir, "etc"), verb).CombinedOutput(); err != nil {
		log, _ := os.ReadFile(filepath.Join(p.Dir, "log", "mail.log"))
		p.t.Fatalf("postfix %s: %v\n%s%s", verb, err, out, log)
	}
}

// Stop stops it; Start starts it again on the same port.
func (p *Postfix) Stop() { p.run("stop") }

// Start starts it after Stop.
func (p *Postfix) Start() {
	p.run("start")
	waitPort(p.t, p.Addr)
}

// Mails reads everything delivered to a mailbox, in no order.
func (p *Postfix) Mails(mailbox string) [][]byte {
	p.t.Helper()
	return maildir(p.t, filepath.Join(p.Dir, "mail", mailbox))
}

// maildir reads the messages of a Maildir with CRLF line ends.
func maildir(t testing.TB, dir string) [][]byte {
	t.Helper()
	var all [][]byte
	for _, sub := range []string{"new", "cur"} {
		files, err := os.ReadDir(filepath.Join(dir, sub))
		if err != nil {
			continue // nothing was delivered yet
		}
		for _, f := range files {
			b, err := os.ReadFile(filepath.Join(dir, sub, f.Name()))
			if err != nil {
				continue // moved meanwhile: the other folder has it
			}
			all = append(all, bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n")))
		}
	}
	return all
}

// Log is what Postfix logged.
func (p *Postfix) Log() string {
	b, err := os.ReadFile(filepath.Join(p.Dir, "log", "mail.log"))
	if err != nil {
		p.t.Fatal(err)
	}
	return string(b)
}
