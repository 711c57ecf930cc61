package smtpd_test

import (
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postern/filter"
	"postern/internal/mailtest"
	"postern/internal/smtpd"
)

// adapted lists the expectations of chasquid's dialogues that differ here, and why. The key
// is "file:expectation".
var adapted = map[string]string{
	// Our EHLO does not list HELP, so the last line of the answer is another.
	"*:250 HELP": "250 ",
	// Its texts are jokes; the codes are the same.
	"auth_multi_dialog.cmy:535 5.7.8 Incorrect user or password":                      "535 5.7.8",
	"auth_multi_dialog.cmy:235 2.7.0 Authentication successful":                       "235 2.7.0",
	"auth_multi_dialog.cmy:503 5.5.1 You are already wearing that!":                   "503 5.5.1",
	"auth_multi_dialog.cmy:501 5.5.2 Error decoding AUTH response":                    "501 5.5.2",
	"bad_data.cmy:503 5.5.1 Invisible customers are not welcome!":                     "503 5.5.1",
	"bad_data.cmy:503 5.5.1 Sender not yet given":                                     "503 5.5.1",
	"bad_mail_from.cmy:501 5.1.8 Malformed sender domain (IDNA conversion failed)":    "501 5.1.7",
	"bad_mail_from.cmy:501 5.1.7 Sender address too long":                             "501 5.1.7",
	"bad_rcpt_to.cmy:501 5.1.2 Malformed destination domain (IDNA conversion failed)": "501 5.1.3",
	"bad_rcpt_to.cmy:501 5.1.3 Destination address too long":                          "501 5.1.3",
	"message_too_big.cmy:552 5.3.4 Message too big":                                   "552 5.3.4",
	"unknown_command.cmy:500 5.5.1 Unknown command":                                   "500 5.5.1",
	// An unknown mechanism is 504 5.5.4 (RFC 4954 section 4).
	"auth_multi_dialog.cmy:534": "504",
	// AUTH in clear is 538 5.7.11 (RFC 4954 section 6).
	"auth_not_tls.cmy:503 5.7.10 You feel vulnerable": "538 5.7.11",
	// The last error is answered as what it is, and then 421 4.7.0; the limit is a setting (3 for this file).
	"auth_too_many_failures.cmy:421 4.5.0 Too many errors, bye": "501",
	// A gateway relays headers as they are; rules judge them.
	"bad_data.cmy:554 5.6.0 Error parsing message": "250",
	// A bad line end is refused at the real end of the body and the session goes on.
	"bad_data_dot.cmy:521 5.5.2 Error reading DATA: invalid line ending":                    "550 5.5.2",
	"bad_data_dot_2.cmy:521 5.5.2 Error reading DATA: invalid line ending":                  "550 5.5.2",
	"bad_data_dot_on_message_too_big.cmy:521 5.5.2 Error reading DATA: invalid line ending": "550 5.5.2",
	// MAIL and RCPT are known; their arguments are wrong (501, RFC 5321 section 4.2.4).
	"bad_mail_from.cmy:500 5.5.2 Unknown command": "501",
	"bad_mail_from.cmy:500":                       "501",
	"bad_rcpt_to.cmy:500 5.5.2 Unknown command":   "501",
	"bad_rcpt_to.cmy:500":                         "501",
	// A non-ASCII address without SMTPUTF8 is 553 5.6.7 (RFC 6531 section 3.5).
	"bad_rcpt_to.cmy:550 5.1.3 Destination address is invalid": "553 5.6.7",
	// A line too long is 500 (RFC 5321 section 4.5.3.1); 998 octets of HELO are a bad argument.
	"line_too_long.cmy:554": "501",
	// HTTP is closed with 421.
	"wrong_proto.cmy:502 5.7.0 You hear someone cursing shoplifters": "421 4.7.0",
}

func TestChasquidDialogs(t *testing.T) {
	dir := mailtest.Suites(t, "smtp/chasquid-dialogs/t-12-minor_dialogs")
	files, err := filepath.Glob(filepath.Join(dir, "*.cmy"))
	if err != nil || len(files) != 17 {
		t.Fatalf("%d dialogues, %v", len(files), err)
	}
	used := map[string]bool{}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) { newDialog(t, file, used).run() })
	}
	for k := range adapted {
		if !used[k] {
			t.Errorf("no dialogue expects %q any more", k)
		}
	}
}

// dialog runs one file: "c -> text" sends a line, "c ~> expr" sends octets, "c <- text"
// wants a line, "c <~ regexp" wants one that holds it, "c <... text" reads up to it.
type dialog struct {
	t     *testing.T
	name  string
	lines []string
	used  map[string]bool
	plain *world
	tls   *world
	c     *client
}

func newDialog(t *testing.T, file string, used map[string]bool) *dialog {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	testserver := func(w *world) {
		w.cfg.Limits.Message = 1 << 20
		w.cfg.Limits.Errors = 4
		w.route = func(addr string) (filter.Recipient, error) { return filter.Recipient{Address: addr}, nil }
	}
	limit := testserver
	if strings.HasPrefix(filepath.Base(file), "auth_too_many") {
		limit = func(w *world) {
			testserver(w)
			w.cfg.Limits.Errors = 3
		}
	}
	d := &dialog{t: t, name: filepath.Base(file), lines: strings.Split(string(raw), "\n"), used: used}
	d.plain = start(t, testserver)
	if strings.HasPrefix(d.name, "auth_not") {
		d.plain = start(t, submission, testserver)
	}
	d.tls = start(t, submission, limit, func(w *world) {
		w.l.ImplicitTLS = true
		inner := w.auth
		w.auth = func(mech, user, secret string) (smtpd.Login, error) {
			if secret == "secretpassword" {
				secret = "secret"
			}
			return inner(mech, user, secret)
		}
	})
	return d
}

func (d *dialog) run() {
	for i := 0; i < len(d.lines); i++ {
		line := strings.TrimRight(d.lines[i], "\r")
		cmd, ok := strings.CutPrefix(line, "c ")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		op, arg, _ := strings.Cut(cmd, " ")
		switch op {
		case "tcp_connect":
			d.c = d.plain.raw()
		case "tls_connect":
			d.c = d.tls.raw()
			tc := tls.Client(d.c.conn, d.tls.ca.client("mx.test"))
			d.c = newClient(d.t, net.Conn(tc))
		case "close":
			_ = d.c.conn.Close()
		case "->":
			d.c.send(arg + "\r\n")
		case "~>":
			d.c.send(octets(d.t, arg))
		case "<-", "<~", "<...":
			d.c.want(d.expect(arg))
		default:
			d.t.Fatalf("unknown step %q", line)
		}
	}
	if verify, err := os.ReadFile(filepath.Join(mailtest.Suites(d.t, "smtp/chasquid-dialogs/t-12-minor_dialogs"), d.name+".verify")); err == nil {
		got := strings.ReplaceAll(string(d.plain.only().body), "\r\n", "\n")
		if strings.TrimSpace(got) != strings.TrimSpace(string(verify)) {
			d.t.Fatalf("body %q, want %q", got, verify)
		}
	}
}

// expect is the prefix that stands for the dialogue's expectation.
func (d *dialog) expect(want string) string {
	for _, k := range []string{d.name + ":" + want, "*:" + want} {
		if got, ok := adapted[k]; ok {
			d.used[k] = true
			if strings.HasPrefix(got, "250 ") {
				return "250"
			}
			return got
		}
	}
	return want
}

// octets evaluates the Python-like expressions of the files: 'a' * 899 + '\r\n', ('x') * 5.
func octets(t *testing.T, expr string) string {
	t.Helper()
	p := &pyExpr{t: t, s: expr}
	out := p.sum()
	if strings.TrimSpace(p.s) != "" {
		t.Fatalf("cannot read %q", expr)
	}
	return out
}

type pyExpr struct {
	t *testing.T
	s string
}

func (p *pyExpr) sum() string {
	out := p.product()
	for p.eat("+") {
		out += p.product()
	}
	return out
}

func (p *pyExpr) product() string {
	var out string
	if p.eat("(") {
		out = p.sum()
		if !p.eat(")") {
			p.t.Fatalf("no ) in %q", p.s)
		}
	} else {
		in, rest, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(p.s), "'"), "'")
		if !ok {
			p.t.Fatalf("no string in %q", p.s)
		}
		out, p.s = strings.NewReplacer(`\r`, "\r", `\n`, "\n").Replace(in), rest
	}
	for p.eat("*") {
		n := 0
		p.s = strings.TrimSpace(p.s)
		for p.s != "" && p.s[0] >= '0' && p.s[0] <= '9' {
			n, p.s = n*10+int(p.s[0]-'0'), p.s[1:]
		}
		out = strings.Repeat(out, n)
	}
	return out
}

func (p *pyExpr) eat(tok string) bool {
	s, ok := strings.CutPrefix(strings.TrimSpace(p.s), tok)
	if ok {
		p.s = s
	}
	return ok
}
