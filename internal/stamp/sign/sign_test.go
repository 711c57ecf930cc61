package sign_test

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	oracle "github.com/emersion/go-msgauth/dkim"

	"postern/filter"
	"postern/filter/auth/dkim"
	"postern/internal/stamp"
	"postern/internal/stamp/keys"
	"postern/internal/stamp/sign"
)

// world is a folder of keys, the records they have in the DNS, and a stamper that signs.
type world struct {
	t       testing.TB
	now     time.Time
	keys    *keys.Store
	records map[string]string
	stamper *stamp.Stamper
	signer  *sign.Signer

	mu     sync.Mutex
	alerts map[string]string
}

func newWorld(t testing.TB, domains ...string) *world {
	t.Helper()
	w := &world{t: t, now: time.Now().Truncate(time.Second), records: map[string]string{}, alerts: map[string]string{}}
	var err error
	if w.keys, err = keys.Open(t.TempDir(), func() time.Time { return w.now }); err != nil {
		t.Fatal(err)
	}
	for _, d := range domains {
		w.add(d, keys.New{Selector: "s1"})
	}
	w.signer = &sign.Signer{Keys: w.keys, Now: func() time.Time { return w.now }, Alert: w.alert}
	w.stamper = &stamp.Stamper{Names: stamp.DefaultNames("mx1.example.com"), Signer: w.signer}
	return w
}

func (w *world) alert(key, text string, over bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if over {
		delete(w.alerts, key)
		return
	}
	w.alerts[key] = text
}

func (w *world) add(domain string, n keys.New) keys.Key {
	w.t.Helper()
	k, err := w.keys.Add(domain, n)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.keys.SetActive(domain, k.Selector); err != nil {
		w.t.Fatal(err)
	}
	w.records[k.Record().Name] = k.Record().Text
	return k
}

// TXT implements the resolver of our own verifier.
func (w *world) TXT(_ context.Context, name string) ([]string, error) {
	if r, ok := w.records[name]; ok {
		return []string{r}, nil
	}
	return nil, &net.DNSError{Err: "no such name", Name: name, IsNotFound: true}
}

func (w *world) message(body string) *filter.Message {
	return &filter.Message{
		ID: "01hf7yat00zzzzzzzzzzzzzzzz", Time: w.now, Direction: filter.Outbound, Listener: "submission", Account: "joe",
		Client: filter.Client{Helo: "laptop"}, Body: strings.NewReader(body), Size: int64(len(body)),
	}
}

// out is what goes out of a message.
func (w *world) out(m *filter.Message) string {
	w.t.Helper()
	return w.outBehind(m, w.stamper.Block(m, filter.Verdict{}, filter.Report{}, nil))
}

func (w *world) outBehind(m *filter.Message, block []byte) string {
	w.t.Helper()
	r, size, err := w.stamper.Open(block, m)
	if err != nil {
		w.t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil || int64(len(b)) != size {
		w.t.Fatalf("%d bytes of %d: %v", len(b), size, err)
	}
	return string(b)
}

// onWire is what the other side has of a message: the end of DATA ends its last line.
func onWire(text string) string {
	if !strings.HasSuffix(text, "\r\n") {
		text += "\r\n"
	}
	return text
}

// verify holds a message against both verifiers: how many signatures pass.
func (w *world) verify(text string) (ours, others int) {
	w.t.Helper()
	text = onWire(text)
	sigs, err := dkim.Verify(context.Background(), w, strings.NewReader(text), int64(len(text)), w.now)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, s := range sigs {
		if s.Result == dkim.Pass && len(s.Added) == 0 {
			ours++
		} else {
			w.t.Logf("ours: %s %s %v", s.Result, s.Reason, s.Added)
		}
	}
	if !strings.Contains(text, "\r\n\r\n") {
		text += "\r\n" // go-msgauth has no answer for a message that is all header
	}
	all, err := oracle.VerifyWithOptions(strings.NewReader(text), &oracle.VerifyOptions{
		LookupTXT: func(name string) ([]string, error) { return w.TXT(context.Background(), name) },
	})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, v := range all {
		if v.Err == nil {
			others++
		} else {
			w.t.Logf("go-msgauth: %v", v.Err)
		}
	}
	return ours, others
}

func (w *world) mustPass(text string, n int) {
	w.t.Helper()
	if ours, others := w.verify(text); ours != n || others != n {
		w.t.Errorf("%d signatures pass here, %d with go-msgauth, want %d of\n%.1500q", ours, others, n, text)
	}
}

const plain = "From: Joe <joe@example.com>\r\nTo: b@other.example\r\nSubject: hello\r\nDate: Sun, 22 Nov 2026 08:00:00 +0000\r\nMessage-ID: <1@example.com>\r\n\r\nHi\r\n"

// Whatever shape a message has, it verifies on the other side.
func TestSignaturesVerify(t *testing.T) {
	head := strings.TrimSuffix(plain, "\r\nHi\r\n")
	for name, text := range map[string]string{
		"plain":              plain,
		"no end of line":     strings.TrimSuffix(plain, "\r\n"),
		"empty lines at end": plain + "\r\n\r\n\r\n",
		"empty body":         head + "\r\n",
		"no body":            head,
		"no end of header":   strings.TrimSuffix(head, "\r\n"),
		"only empty lines":   head + "\r\n\r\n\r\n\r\n",
		"only a From":        "From: joe@example.com",
		"dots":               plain + ".\r\n..\r\n...x\r\n.",
		"blanks":             plain + "a  b\t c \t\r\n  \r\n\t\r\nx \r\n \r\n",
		"long lines":         plain + strings.Repeat("x", 60<<10) + "\r\n" + strings.Repeat("y ", 30<<10),
		"8 bit":              strings.Replace(plain, "hello", "gr\xfc\xdfe \xff", 1) + "\x80\x81 \xfe\r\n",
		"folded header":      strings.Replace(plain, "Subject: hello", "Subject:\r\n  hello \t\r\n\tworld\r\n \r\n  again", 1),
		"odd blanks":         strings.Replace(plain, "Subject: hello", "SUBJECT \t:   hello   world  ", 1),
		"orphan first line":  " orphan: x\r\n" + plain,
		"orphan author":      " From: x@evil.example\r\n" + plain,
		"line without colon": "no colon here\r\n" + plain,
		"mbox line":          "From joe@example.com Sun Nov 22 08:00:00 2026\r\n" + plain,
		"two of everything":  "To: c@other.example\r\nCc: d@other.example\r\nCc: e@other.example\r\nSubject: again\r\n" + plain,
		"list mail":          "List-Unsubscribe: <https://example.com/u>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\nCFBL-Address: fbl@example.com\r\nFeedback-ID: a:b:c:d\r\n" + plain,
		"no Date, no ID":     "From: joe@example.com\r\n\r\nHi\r\n",
		"forged fields":      "X-Postern-Verdict: accept\r\nX-Spam-Flag: NO\r\n" + plain,
		"megabytes":          plain + strings.Repeat("0123456789 abcdefghijklmnopqrstuvwxyz\r\n", 25<<20/39),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "example.com")
			w.mustPass(w.out(w.message(text)), 1)
		})
	}
}

func TestSMTPUTF8(t *testing.T) {
	w := newWorld(t, "bücher.example")
	m := w.message(strings.Replace(plain, "joe@example.com", "jürgen@Bücher.example", 1))
	m.SMTPUTF8 = true
	text := w.out(m)
	if !strings.Contains(text, "d=xn--bcher-kva.example;") {
		t.Errorf("%.600s", text)
	}
	w.mustPass(text, 1)
}

// Both kinds of key sign, and any size that is taken.
func TestAllKinds(t *testing.T) {
	w := newWorld(t)
	w.add("example.com", keys.New{Selector: "ed", Algorithm: keys.Ed25519})
	w.add("example.com", keys.New{Selector: "big", Bits: 4096})
	text := w.out(w.message(plain))
	w.mustPass(text, 2)
	if a, b := strings.Index(text, "a=rsa-sha256"), strings.Index(text, "a=ed25519-sha256"); a < 0 || b < a {
		t.Errorf("RSA at %d, Ed25519 at %d", a, b)
	}
	head, _, _ := strings.Cut(text, "\r\n\r\n")
	for _, l := range strings.Split(head, "\r\n") {
		if len(l) > 78 {
			t.Errorf("a line of %d octets: %q", len(l), l)
		}
	}
}

func TestWhoseKey(t *testing.T) {
	w := newWorld(t, "example.com", "sub.example.com", "other.example")
	for from, want := range map[string]string{
		"joe@example.com":                                  "example.com",
		"Joe <JOE@EXAMPLE.COM>":                            "example.com",
		"joe@sub.example.com":                              "sub.example.com",
		"joe@a.b.sub.example.com":                          "sub.example.com",
		"joe@mail.example.com":                             "example.com",
		"joe@notexample.com":                               "",
		"joe@com":                                          "",
		"joe@example.com.":                                 "",
		"\"joe@other.example\" <joe@example.com>":          "example.com",
		"\"a@b\"@example.com":                              "example.com",
		"joe (joe@other.example) <joe@example.com>":        "example.com",
		"joe@example.com, ann@example.com":                 "",
		"joe@example.com, ann@other.example":               "",
		"<joe@example.com> <ann@other.example>":            "",
		"staff: joe@example.com, ann@other.example;":       "",
		"undisclosed:;":                                    "",
		"joe":                                              "",
		"":                                                 "",
		"joe@[192.0.2.1]":                                  "",
		"joe@example.com\r\nFrom: joe@example.com":         "",
		"joe@example.com\r\nfrom : x@nowhere.example":      "",
		"joe@" + strings.Repeat("a.", 100) + "example.com": "example.com",
	} {
		text := w.out(w.message("Subject: x\r\nFrom: " + from + "\r\n\r\nHi\r\n"))
		got := ""
		if _, rest, ok := strings.Cut(text, "\td="); ok {
			got, _, _ = strings.Cut(rest, ";")
		}
		if got != want || want == "" && strings.Contains(text, "DKIM-Signature") {
			t.Errorf("%q is signed by %q, want %q", from, got, want)
		}
		if want != "" {
			w.mustPass(text, 1)
		}
	}
	if text := w.out(w.message("Subject: no author\r\n\r\nHi\r\n")); strings.Contains(text, "DKIM-Signature") {
		t.Error("signed without an author")
	}
	in := w.message(plain)
	in.Direction = filter.Inbound
	if text := w.out(in); strings.Contains(text, "DKIM-Signature") {
		t.Error("inbound mail was signed")
	}
	w.signer.May = func(m *filter.Message, domain string) bool { return m.Account == "joe" && domain == "example.com" }
	for from, want := range map[string]bool{"joe@example.com": true, "joe@other.example": false, "joe@sub.example.com": false} {
		text := w.out(w.message("From: " + from + "\r\n\r\nHi\r\n"))
		if strings.Contains(text, "DKIM-Signature") != want {
			t.Errorf("%s: signed is not %v", from, want)
		}
	}
}

// Nobody can add a field that people are shown, nor take one away, nor touch a byte that
// matters; what mailing lists add does no harm.
func TestWhatIsCovered(t *testing.T) {
	w := newWorld(t, "example.com")
	list := "Sender: s@example.com\r\nList-Unsubscribe: <https://example.com/u>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\nCFBL-Address: fbl@example.com\r\n"
	signed, bulk := w.out(w.message(plain)), w.out(w.message(list+plain))
	w.mustPass(signed, 1)
	w.mustPass(bulk, 1)
	for _, c := range []struct {
		name, text string
		pass       bool
	}{
		{"a second From", "From: x@evil.example\r\n" + signed, false},
		{"a second Subject", "Subject: buy\r\n" + signed, false},
		{"a Cc", "Cc: x@evil.example\r\n" + signed, false},
		{"a Reply-To", "Reply-To: x@evil.example\r\n" + signed, false},
		{"a MIME-Version", "MIME-Version: 1.0\r\n" + signed, false},
		{"a Content-Type", "Content-Type: text/html\r\n" + signed, false},
		{"a Content-Transfer-Encoding", "Content-Transfer-Encoding: base64\r\n" + signed, false},
		{"an In-Reply-To", "In-Reply-To: <x@y>\r\n" + signed, false},
		{"References", "References: <x@y>\r\n" + signed, false},
		{"another Date", strings.Replace(signed, "08:00:00 +0000\r\nMess", "08:00:01 +0000\r\nMess", 1), false},
		{"no Message-ID", strings.Replace(signed, "Message-ID: <1@example.com>\r\n", "", 1), false},
		{"a word more in the body", strings.Replace(signed, "\r\nHi\r\n", "\r\nHi there\r\n", 1), false},
		{"a line more in the body", signed + "more\r\n", false},
		{"another expiry", strings.Replace(signed, "; x=", "; x=9", 1), false},
		{"a second List-Unsubscribe", "List-Unsubscribe: <https://evil.example>\r\n" + bulk, false},
		{"another one-click", strings.Replace(bulk, "One-Click\r\n", "Other\r\n", 1), false},
		{"a second CFBL-Address", "CFBL-Address: x@evil.example\r\n" + bulk, false},
		{"a second Sender", "Sender: x@evil.example\r\n" + bulk, false},

		{"Received above", "Received: from a by b; Sun, 22 Nov 2026 08:00:00 +0000\r\n" + signed, true},
		{"what a list adds", "Sender: l@list.example\r\nList-Id: <l.list.example>\r\nList-Post: <mailto:l@list.example>\r\nPrecedence: list\r\n" + signed, true},
		{"refolded", strings.Replace(signed, "Subject: hello", "subject:\r\n hello", 1), true},
		{"blanks at line ends", strings.Replace(signed, "\r\nHi\r\n", "\r\nHi \t\r\n\r\n", 1), true},
	} {
		ours, others := w.verify(c.text)
		if (ours == 1) != c.pass || (others == 1) != c.pass {
			t.Errorf("%s: passes %d here, %d with go-msgauth, want %v", c.name, ours, others, c.pass)
		}
	}
}

// Mail that is signed already gets ours too, in front, and keeps theirs whole.
func TestSignedBefore(t *testing.T) {
	w := newWorld(t, "example.com")
	for _, text := range []string{plain, "From: joe@example.com\r\nTo: x@other.example\r\n\r\nno Date, no Message-ID\r\n"} {
		var signed bytes.Buffer
		private, err := w.keys.Active("example.com")
		if err != nil {
			t.Fatal(err)
		}
		err = oracle.Sign(&signed, strings.NewReader(text), &oracle.SignOptions{
			Domain: "example.com", Selector: "s1", Signer: private[0].Signer, Hash: crypto.SHA256,
			HeaderKeys: []string{"From", "From", "Date", "Message-ID", "Subject"},
		})
		if err != nil {
			t.Fatal(err)
		}
		out := w.out(w.message(signed.String()))
		w.mustPass(out, 2)
		if !strings.HasPrefix(out, "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;") || !strings.HasSuffix(out, signed.String()) {
			t.Errorf("%q", out)
		}
	}
}

func TestTimes(t *testing.T) {
	w := newWorld(t, "example.com")
	tags := func(m *filter.Message) (at, expire string) {
		_, rest, _ := strings.Cut(w.out(m), "\tt=")
		at, rest, _ = strings.Cut(rest, "; x=")
		expire, _, _ = strings.Cut(rest, ";")
		return at, expire
	}
	m := w.message(plain)
	m.Time = time.Unix(1_800_000_000, 0)
	for after, want := range map[time.Duration][2]string{
		0:                   {"1800000000", "1800604800"},
		59 * time.Minute:    {"1800000000", "1800604800"}, // the same for every copy of a delivery
		time.Hour:           {"1800003600", "1800608400"},
		30 * 24 * time.Hour: {"1802592000", "1803196800"}, // held, released a month later
		-time.Hour:          {"1799996400", "1800601200"}, // the clock was set back
	} {
		w.now = m.Time.Add(after)
		if at, expire := tags(m); at != want[0] || expire != want[1] {
			t.Errorf("after %v: t=%s x=%s, want %v", after, at, expire, want)
		}
	}
	w.now, w.signer.Expire = m.Time, time.Hour
	if _, expire := tags(m); expire != "1800003600" {
		t.Errorf("x=%s", expire)
	}
}

// Every copy of a delivery is the same, byte for byte.
func TestSameBytes(t *testing.T) {
	w := newWorld(t, "example.com")
	w.add("example.com", keys.New{Algorithm: keys.Ed25519})
	m := w.message("From: joe@example.com\r\n\r\nHi\r\n")
	first := w.out(m)
	w.now = w.now.Add(10 * time.Minute)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if got := w.out(m); got != first {
				t.Errorf("%q is not %q", got, first)
			}
		})
	}
	wg.Wait()
}

// failing keys, and a body that cannot be read: the message stays here.
type failing struct{ crypto.Signer }

func (failing) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("the token was pulled")
}

type keyring func(domain string) ([]keys.Private, error)

func (k keyring) Active(domain string) ([]keys.Private, error) { return k(domain) }

type broken struct{ at int64 }

func (b broken) ReadAt(p []byte, off int64) (int, error) {
	n := copy(p, plain[min(off, int64(len(plain))):])
	if off+int64(n) > b.at {
		return 0, errors.New("the disk is gone")
	}
	return n, nil
}

func TestFailuresKeepTheMessage(t *testing.T) {
	w := newWorld(t, "example.com")
	good, err := w.keys.Active("example.com")
	if err != nil {
		t.Fatal(err)
	}
	fail := func(want string) {
		t.Helper()
		if _, _, err := w.stamper.Open(nil, w.message(plain)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	w.signer.Keys = keyring(func(string) ([]keys.Private, error) { return nil, errors.New("keys.json: broken") })
	fail("DKIM keys of example.com: keys.json: broken")
	if text := w.alerts["dkim-key:example.com"]; !strings.Contains(text, "cannot be signed and is deferred") {
		t.Errorf("%v", w.alerts)
	}
	w.signer.Keys = keyring(func(string) ([]keys.Private, error) { return good, nil })
	w.mustPass(w.out(w.message(plain)), 1)
	if len(w.alerts) != 0 {
		t.Errorf("no all-clear: %v", w.alerts)
	}
	pulled := good[0]
	pulled.Signer = failing{pulled.Signer}
	w.signer.Keys = keyring(func(string) ([]keys.Private, error) { return []keys.Private{pulled}, nil })
	fail("the token was pulled")
	if len(w.alerts) != 1 {
		t.Errorf("%v", w.alerts)
	}
	w.signer.Keys = w.keys
	for _, at := range []int64{0, 50, int64(len(plain)) - 1} {
		m := w.message(plain)
		m.Body = broken{at}
		if _, _, err := w.stamper.Open(nil, m); err == nil {
			t.Errorf("the body breaks at %d and nobody says so", at)
		}
		m = w.message(plain)
		m.Size++ // shorter than it should be
		if _, _, err := w.stamper.Open(nil, m); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%v", err)
		}
	}
}

// Mail that no verifier would read goes unsigned, not refused.
func TestTooMuch(t *testing.T) {
	w := newWorld(t, "example.com")
	for name, text := range map[string]string{
		"a header of 300 kB":  "X-Long: " + strings.Repeat("x", 300<<10) + "\r\n" + plain,
		"3000 fields":         strings.Repeat("X: y\r\n", 3000) + plain,
		"a thousand subjects": strings.Repeat("Subject: y\r\n", 1000) + plain,
	} {
		if out := w.out(w.message(text)); strings.Contains(out, "DKIM-Signature") || !strings.HasSuffix(out, plain) {
			t.Errorf("%s was signed", name)
		}
	}
	w.mustPass(w.out(w.message(strings.Repeat("To: y@other.example\r\n", 100)+plain)), 1)
}
