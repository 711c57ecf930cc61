package scenarios

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/smtp"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"time"

	"postern/internal/mailtest"
	"postern/internal/record"
	"postern/test/world"
)

// password is that of every account.
const password = "a long secret"

// session is one with a listener, as a client at an address of the test's choice.
type session struct {
	n      *node
	client string
	*smtp.Client
}

// dial opens a session as the client "ip:port".
func (n *node) dial(listener, client string) *session {
	n.t.Helper()
	ip, port, err := net.SplitHostPort(client)
	if err != nil {
		n.t.Fatal(err)
	}
	c, err := net.DialTimeout("tcp", n.Addrs[listener], patience)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(10 * time.Minute))
	if _, err := fmt.Fprintf(c, "PROXY TCP4 %s 127.0.0.1 %s 25\r\n", ip, port); err != nil {
		n.t.Fatal(err)
	}
	s, err := smtp.NewClient(c, "localhost")
	if err != nil {
		n.t.Fatal(err)
	}
	return &session{n, client, s}
}

// signIn opens a session as an account.
func (n *node) signIn(account, client string) *session {
	n.t.Helper()
	s := n.dial("submission", client)
	if err := errors.Join(s.Hello("laptop.example.com"), s.StartTLS(&tls.Config{InsecureSkipVerify: true})); err != nil {
		n.t.Fatal(err)
	}
	if err := s.Auth(smtp.PlainAuth("", account, password, "localhost")); err != nil {
		n.t.Fatal(err)
	}
	return s
}

// send sends one message and returns the answer that ended it: code and text.
func (s *session) send(from string, to []string, raw string) (int, string) {
	s.n.t.Helper()
	if code, text := s.say("MAIL FROM:<%s>", from); code != 250 {
		return code, text
	}
	for _, r := range to {
		if code, text := s.say("RCPT TO:<%s>", r); code != 250 {
			return code, text
		}
	}
	if code, text := s.say("DATA"); code != 354 {
		return code, text
	}
	w := s.Text.DotWriter()
	_, err := w.Write([]byte(raw))
	if err := errors.Join(err, w.Close()); err != nil {
		s.n.t.Fatal(err)
	}
	return s.answer()
}

// say sends a line and returns the answer.
func (s *session) say(format string, args ...any) (int, string) {
	s.n.t.Helper()
	if err := s.Text.PrintfLine(format, args...); err != nil {
		s.n.t.Fatal(err)
	}
	return s.answer()
}

func (s *session) answer() (int, string) {
	s.n.t.Helper()
	code, text, err := s.Text.ReadResponse(0)
	var refused *textproto.Error
	if err != nil && !errors.As(err, &refused) {
		s.n.t.Fatal(err)
	}
	return code, text
}

// must sends a message that must be taken.
func (s *session) must(from string, to []string, raw string) {
	s.n.t.Helper()
	if code, text := s.send(from, to, raw); code != 250 {
		s.n.t.Fatalf("%s to %v: %d %s", from, to, code, text)
	}
}

// letter is a plain message by the node's clock.
func (n *node) letter(from, to, subject, text string) string {
	return fmt.Sprintf("From: %s\r\nTo: %s\r\nSubject: %s\r\nDate: %s\r\nMessage-ID: <%s@made.example>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n%s\r\n",
		from, to, subject, n.Clock.Now().Format(time.RFC1123Z), sum(from + to + subject + text)[:16], text)
}

// forward is a letter of a person with a message attached as it came.
func (n *node) forward(from, subject, text string, original []byte) string {
	whole := n.letter(from, "abuse@example.com", subject, text)
	head, body, _ := strings.Cut(whole, "Content-Type:")
	return head + "Content-Type: multipart/mixed; boundary=f\r\n\r\n--f\r\nContent-Type:" + body + "--f\r\nContent-Type: message/rfc822\r\n\r\n" + string(original) + "\r\n--f--\r\n"
}

// sum is the SHA-256 of bytes, hex.
func sum(raw string) string {
	s := sha256.Sum256([]byte(raw))
	return hex.EncodeToString(s[:])
}

// strangerIP is where proved strangers write from.
const strangerIP = "192.0.2.10"

// stranger makes the domain of an address one whose mail is proved: SPF, DKIM, DMARC, a name of
// its host.
func (n *node) stranger(address string) {
	n.t.Helper()
	_, domain, _ := strings.Cut(address, "@")
	if n.signs[domain] != nil {
		return
	}
	for name, records := range map[string][]string{
		domain:                             {"MX 10 mail." + domain, "TXT v=spf1 ip4:" + strangerIP + " -all"},
		"mail." + domain:                   {"A " + strangerIP},
		mailtest.ReverseName(strangerIP):   {"PTR mail." + domain},
		mailtest.ReverseName("192.0.2.66"): {"PTR host.unproved.example"},
		"host.unproved.example":            {"A 192.0.2.66"},
	} {
		if err := n.DNS.Set(name, records...); err != nil {
			n.t.Fatal(err)
		}
	}
	n.signs[domain] = world.Signs(n.t, n.DNS, domain)
}

// signed is a message with the signature of the domain it is from.
func (n *node) signed(from, raw string) string {
	n.t.Helper()
	n.stranger(from)
	_, domain, _ := strings.Cut(from, "@")
	return n.signs[domain](raw)
}

// writes sends mail of a proved stranger, signed, to addresses of ours; it must be taken. It
// returns the answer.
func (n *node) writes(from, to, raw string) string {
	n.t.Helper()
	raw = n.signed(from, raw)
	s := n.dial("mx", strangerIP+":40000")
	defer s.Close()
	_, domain, _ := strings.Cut(from, "@")
	if err := s.Hello("mail." + domain); err != nil {
		n.t.Fatal(err)
	}
	code, text := s.send(from, []string{to}, raw)
	if code != 250 {
		n.t.Fatalf("%s to %s: %d %s", from, to, code, text)
	}
	return text
}

// forges sends mail that nothing proves, from the client "ip:port"; it returns the answer.
func (n *node) forges(client, from, to, raw string) (int, string) {
	n.t.Helper()
	s := n.dial("mx", client)
	defer s.Close()
	if err := s.Hello("host.unproved.example"); err != nil {
		n.t.Fatal(err)
	}
	return s.send(from, []string{to}, raw)
}

// post is mail that many send.
type post struct{ client, from, to, raw string }

// floods sends what next makes of 0, 1 ... count-1, over some sessions side by side. Each must be
// taken; next is called by one at a time.
func (n *node) floods(count int, next func(i int) post) {
	n.t.Helper()
	const sessions, perSession = 48, 50 // more than go into one sheaf: it waits for no others then
	posts := make(chan post)
	failed := make(chan string, sessions)
	var wg sync.WaitGroup
	for range sessions {
		wg.Go(func() {
			var s *session
			said := 0
			for p := range posts {
				if s != nil && (said%perSession == 0 || s.client != p.client) {
					_ = s.Close()
					s = nil
				}
				if s == nil {
					s = n.dial("mx", p.client)
					if err := s.Hello("host.unproved.example"); err != nil {
						failed <- err.Error()
						break
					}
				}
				said++
				if code, text := s.send(p.from, []string{p.to}, p.raw); code != 250 {
					failed <- fmt.Sprintf("from %s: %d %s", p.from, code, text)
					break
				}
			}
			for range posts { // the others go on
			}
		})
	}
	for i := range count {
		posts <- next(i)
	}
	close(posts)
	wg.Wait()
	select {
	case why := <-failed:
		n.t.Fatal(why)
	default:
	}
}

// publishes makes a DKIM key of a domain of ours that is in the DNS.
func (n *node) publishes(domain, selector string) {
	n.t.Helper()
	key := told[struct{ Record struct{ Name, Text string } }](n, "dkim.add", map[string]string{"domain": domain, "selector": selector})
	if err := n.DNS.Set(key.Record.Name, "TXT "+key.Record.Text); err != nil {
		n.t.Fatal(err)
	}
	n.call("dkim.dns", map[string]string{"domain": domain}, nil)
}

// goes sends a message of an account and returns it as the next server got it, from its own
// signature on.
func (n *node) goes(s *session, from string, to []string, raw string) []byte {
	n.t.Helper()
	before := len(n.Out.Transactions())
	s.must(from, to, raw)
	body := n.Out.WaitTransactions(n.t, before+1)[before].Body
	return body[max(0, bytes.Index(body, []byte("DKIM-Signature"))):]
}

// lettersTo are what the desk wrote to an address.
func (n *node) lettersTo(to string) (all []*mail.Message) {
	n.t.Helper()
	for _, b := range []*mailtest.Backend{n.In, n.Out} {
		for _, x := range b.Transactions() {
			if x.From != "" || !slices.Contains(x.To, to) {
				continue
			}
			m, err := mail.ReadMessage(bytes.NewReader(x.Body))
			if err != nil {
				n.t.Fatal(err)
			}
			all = append(all, m)
		}
	}
	return all
}

// entry is a row of the audit.
type entry = record.Entry

// audit is what was done, as far as a page of it goes.
func (n *node) audit() []entry {
	n.t.Helper()
	return told[[]entry](n, "audit.list", map[string]int{"limit": 1000})
}
