package world

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// SASL is the sign-in service of a Dovecot of the test's own, for a Postfix. Every name comes in
// with the password "secret", unless a deny file or the auth policy keeps it out.
type SASL struct {
	Dir    string
	Socket string // for smtpd_sasl_path

	t    testing.TB
	conf string
}

// StartSASL starts one. deny is the prefix of its deny files ("" = none), policy the address of its
// auth policy server with key as its secret ("" = none).
func StartSASL(t testing.TB, deny, policy, key string) *SASL {
	t.Helper()
	needRoot(t)
	bin := need(t, "dovecot-core", "/usr/sbin/dovecot")
	s := &SASL{Dir: folder(t, "sasl"), t: t}
	s.Socket = filepath.Join(s.Dir, "run", "sasl")
	var more strings.Builder
	if deny != "" {
		fmt.Fprintf(&more, "passdb {\n  driver = passwd-file\n  args = %s%%s\n  deny = yes\n}\n", deny)
	}
	if policy != "" {
		fmt.Fprintf(&more, "auth_policy_server_url = http://%s/\nauth_policy_server_api_header = X-API-Key: %s\nauth_policy_hash_nonce = nonce\nauth_policy_request_attributes = login=%%{requested_username} remote=%%{rip} protocol=%%s\n", policy, key)
	}
	postfix, err := user.Lookup("postfix")
	if err != nil {
		t.Fatal(err)
	}
	conf := fmt.Sprintf(`base_dir = %[1]s/run
state_dir = %[1]s/state
log_path = %[1]s/dovecot.log
protocols =
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain
auth_cache_size = 1M
%[2]spassdb {
  driver = static
  args = password=secret
}
userdb {
  driver = static
  args = uid=%[3]s gid=%[3]s home=%[1]s/home
}
service auth {
  unix_listener %[1]s/run/sasl {
    mode = 0666
  }
}
service anvil {
  chroot =
}
service stats {
  chroot =
}
`, s.Dir, more.String(), postfix.Uid)
	for _, sub := range []string{"run", "state", "home"} {
		if err := os.Mkdir(filepath.Join(s.Dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s.conf = filepath.Join(s.Dir, "dovecot.conf")
	if err := os.WriteFile(s.conf, []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin, "-F", "-c", s.conf)
	out, err := os.Create(filepath.Join(s.Dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		out.Close()
	})
	Await(t, "Dovecot answers", 10*time.Second, func() bool { _, err := os.Stat(s.Socket); return err == nil })
	return s
}

// Flush makes it forget who came in; it is the command of a deny connector.
func (s *SASL) Flush() []string {
	return []string{"/usr/bin/doveadm", "-c", s.conf, "auth", "cache", "flush"}
}

// TestLogin asks whether a name may come in to a service.
func (s *SASL) TestLogin(service, name string) bool {
	s.t.Helper()
	return s.Login(service, name, "secret", "192.0.2.7")
}

// Login comes in from an address with a password; the right one is "secret".
func (s *SASL) Login(service, name, password, from string) bool {
	s.t.Helper()
	return exec.Command("/usr/bin/doveadm", "-c", s.conf, "auth", "test", "-x", "service="+service, "-x", "rip="+from, name, password).Run() == nil
}

// StartSubmission starts a Postfix that takes mail from who signs in at s, and asks policy and
// table (either may be "") about each. It keeps what it takes in its queue.
func StartSubmission(t testing.TB, s *SASL, policy, table string) *Postfix {
	t.Helper()
	checks, end := []string{}, ""
	if table != "" {
		checks = append(checks, "check_sasl_access "+table)
	}
	if policy != "" {
		checks = append(checks, "check_policy_service { "+policy+", timeout=5s, default_action=DUNNO, policy_context=submission }")
		end = "check_policy_service { " + policy + ", timeout=5s, default_action=DUNNO, policy_context=eom }"
	}
	checks = append(checks, "permit_sasl_authenticated", "reject")
	return StartPostfix(t, []string{"bob@example.com"},
		"smtpd_sasl_auth_enable = yes", "smtpd_sasl_type = dovecot", "smtpd_sasl_path = "+s.Socket, "smtpd_tls_security_level = none", "smtpd_tls_auth_only = no",
		"smtpd_relay_restrictions = "+strings.Join(checks, ", "), "smtpd_recipient_restrictions =", "smtpd_end_of_data_restrictions = "+end)
}

// Queued lists what lies in a queue, such as hold.
func (p *Postfix) Queued(queue string) int {
	p.t.Helper()
	n := 0
	_ = filepath.WalkDir(filepath.Join(p.Dir, "queue", queue), func(_ string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			n++
		}
		return nil
	})
	return n
}

// Port is the port it listens on.
func (p *Postfix) Port() int {
	_, port, _ := strings.Cut(p.Addr, ":")
	n, _ := strconv.Atoi(port)
	return n
}

// ForGroup gives a folder to a group, as the operator does who lets Dovecot read deny files.
func ForGroup(t testing.TB, dir, name string) {
	t.Helper()
	needRoot(t)
	g, err := user.LookupGroup(name)
	if err != nil {
		t.Fatal(err)
	}
	gid, _ := strconv.Atoi(g.Gid)
	if err := os.Chown(dir, -1, gid); err != nil {
		t.Fatal(err)
	}
}
