package world

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"testing"
)

// Dovecot is an LMTP server of the test's own.
type Dovecot struct {
	Addr string
	Dir  string

	t testing.TB
}

// StartDovecot starts one that takes mail for any address. The mailbox full@example.com is
// over its quota.
func StartDovecot(t testing.TB) *Dovecot {
	t.Helper()
	needRoot(t)
	bin := need(t, "dovecot-core", "/usr/sbin/dovecot")
	need(t, "dovecot-lmtpd", "/usr/lib/dovecot/lmtp")
	d := &Dovecot{Dir: folder(t, "dovecot"), t: t}
	port := FreePort(t)
	d.Addr = "127.0.0.1:" + strconv.Itoa(port)
	owner, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	conf := fmt.Sprintf(`base_dir = %[1]s/run
state_dir = %[1]s/state
log_path = %[1]s/dovecot.log
protocols = lmtp
ssl = no
auth_mechanisms = plain
mail_location = maildir:%[1]s/mail/%%u
mail_uid = %[3]s
mail_gid = %[4]s
first_valid_uid = 1
first_valid_gid = 1
service lmtp {
  inet_listener lmtp {
    address = 127.0.0.1
    port = %[2]d
  }
}
service anvil {
  chroot =
}
passdb {
  driver = static
  args = nopassword=y
}
userdb {
  driver = passwd-file
  args = username_format=%%u %[1]s/users
}
mail_plugins = quota
protocol lmtp {
  mail_plugins = quota
}
plugin {
  quota = maildir:User quota
  quota_rule = *:storage=100M
}
lmtp_rcpt_check_quota = no
`, d.Dir, port, owner.Uid, owner.Gid)
	users := ""
	for _, u := range []string{"ada", "bob"} {
		users += fmt.Sprintf("%s@example.com::%s:%s::%s/home::\n", u, owner.Uid, owner.Gid, d.Dir)
	}
	users += fmt.Sprintf("full@example.com::%s:%s::%s/home::userdb_quota_rule=*:bytes=1\n", owner.Uid, owner.Gid, d.Dir)
	for _, sub := range []string{"run", "state", "mail", "home"} {
		if err := os.Mkdir(filepath.Join(d.Dir, sub), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(d.Dir, sub), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(d.Dir, "run"), 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(d.Dir, "dovecot.conf")
	for name, text := range map[string]string{file: conf, filepath.Join(d.Dir, "users"): users} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(bin, "-F", "-c", file)
	out, err := os.Create(filepath.Join(d.Dir, "out"))
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
	waitPort(t, d.Addr)
	return d
}

// Mails reads everything delivered to a mailbox.
func (d *Dovecot) Mails(mailbox string) [][]byte {
	return maildir(d.t, filepath.Join(d.Dir, "mail", mailbox))
}
