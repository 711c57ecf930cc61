package smtpd_test

import (
	"encoding/base64"
	"errors"
	"net/netip"
	"os"

	"postern/internal/smtpd"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

func (w *world) spoolFiles() int {
	files, err := os.ReadDir(w.spool.Dir)
	if err != nil {
		w.t.Fatal(err)
	}
	return len(files)
}

// account is a login that remembers whether it was closed.
type account struct {
	name   string
	closed chan struct{}
}

func (a *account) Account() string { return a.name }

func (a *account) Close() error {
	close(a.closed)
	return errors.New("closing is not worth a fault")
}

// submission makes a listener for local people whose password is "secret".
func submission(w *world) {
	withTLS(w)
	w.l.Name, w.l.Kind = "submission", smtpd.KindSubmission
	w.auth = func(_, user, secret string) (smtpd.Login, error) {
		switch {
		case user == "broken":
			return nil, errors.New("secret cause: backend away")
		case secret != "secret":
			return nil, &smtpd.Reply{Code: 535, Enhanced: [3]int{5, 7, 8}, Text: "wrong name or password"}
		}
		return &account{user, make(chan struct{})}, nil
	}
}

func plain(user, secret string) string {
	return "AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00"+user+"\x00"+secret))
}

// secure connects and starts TLS.
func (w *world) secure() *client {
	w.t.Helper()
	c := w.dial().startTLS(w.ca.client("mx.test"))
	c.cmd("EHLO client.test", "250")
	return c
}

// login is an authenticated submission session of user@example.com.
func (w *world) login() *client {
	w.t.Helper()
	c := w.secure()
	c.cmd(plain("user@example.com", "secret"), "235 2.7.0")
	return c
}
