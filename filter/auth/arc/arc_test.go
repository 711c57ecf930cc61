package arc_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"postern/filter/auth/arc"
	"postern/internal/canon"
	"postern/internal/stamp/seal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

const plain = "From: A <a@example.com>\r\nTo: b@example.org\r\nSubject: x\r\n\r\nHello world\r\n"

// world is hosts that seal, and their keys.
type world struct {
	t     testing.TB
	keys  keys
	hosts map[string]*seal.Sealer
}

func newWorld(t testing.TB) *world { return &world{t, keys{}, map[string]*seal.Sealer{}} }

func (w *world) host(domain string) *seal.Sealer {
	if w.hosts[domain] == nil {
		pub, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			w.t.Fatal(err)
		}
		w.keys["s._domainkey."+domain] = "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(pub)
		w.hosts[domain] = &seal.Sealer{Domain: domain, Selector: "s", AuthservID: domain, Key: key}
	}
	return w.hosts[domain]
}

// relay puts a set of a host before a message that says of its chain what is validated.
func (w *world) relay(msg, domain, validated string) string {
	w.t.Helper()
	msg = "Authentication-Results: " + domain + "; arc=" + validated + "\r\n" + msg
	set, err := w.host(domain).Seal(strings.NewReader(msg), validated, now)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(set) + msg
}

// chain is a message after some hosts, each of which found what was true.
func (w *world) chain(domains ...string) string {
	msg := plain
	for i, d := range domains {
		validated := "pass"
		if i == 0 {
			validated = "none"
		}
		msg = w.relay(msg, d, validated)
	}
	return msg
}

func (w *world) validate(msg string) arc.Chain {
	w.t.Helper()
	c, err := arc.Validate(w.t.Context(), w.keys, strings.NewReader(msg), int64(len(msg)), now)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func hosts(n, different int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("h%d.example", i%different))
	}
	return out
}

func TestH_H13FiftySets(t *testing.T) {
	w := newWorld(t)
	msg := w.chain(hosts(50, 20)...)
	if got := w.validate(msg); got.Result != arc.Pass || len(got.Sets) != 50 || got.OldestPass != 0 {
		t.Errorf("fifty sets: %s (%s)", got.Result, got.Reason)
	}
	extra := "ARC-Seal: i=51; a=rsa-sha256; cv=pass; d=h.example; s=s; b=AAAA\r\n" +
		"ARC-Message-Signature: i=51; a=rsa-sha256; d=h.example; s=s; h=from; bh=AAAA; b=AAAA\r\n" +
		"ARC-Authentication-Results: i=51; h.example; spf=pass\r\n"
	if got := w.validate(extra + msg); got.Result != arc.Fail || !strings.HasSuffix(got.Reason, "i=51 is not in 1 to 50") {
		t.Errorf("one more: %+v", got.Reason)
	}
	asked := &counting{keys: w.keys}
	large := strings.Repeat(extra, 600)
	if got, err := arc.Validate(t.Context(), asked, strings.NewReader(large), int64(len(large)), now); err != nil || got.Result != arc.Fail || asked.n.Load() > 0 {
		t.Errorf("six hundred sets: %+v, %d questions, %v", got, asked.n.Load(), err)
	}
}

type counting struct {
	keys keys
	n    atomic.Int32
}

func (c *counting) TXT(ctx context.Context, name string) ([]string, error) {
	c.n.Add(1)
	return c.keys.TXT(ctx, name)
}

// The keys of a chain are bounded, each is asked for once, and none for a chain that fails
// anyway.
func TestH_H13Lookups(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		msg    string
		want   arc.Result
		lookup int32
	}{
		"twenty hosts":       {w.chain(hosts(20, 20)...), arc.Pass, 20},
		"twenty-one hosts":   {w.chain(hosts(21, 21)...), arc.Fail, 0},
		"one host, 30 times": {w.chain(hosts(30, 1)...), arc.Pass, 1},
		"body changed":       {w.chain(hosts(5, 5)...) + "more\r\n", arc.Fail, 0},
		"no chain":           {plain, arc.None, 0},
	} {
		res := &counting{keys: w.keys}
		got, err := arc.Validate(t.Context(), res, strings.NewReader(c.msg), int64(len(c.msg)), now)
		if err != nil || got.Result != c.want || res.n.Load() != c.lookup {
			t.Errorf("%s: %s (%s), %d questions, %v", name, got.Result, got.Reason, res.n.Load(), err)
		}
	}
}

// What a stranger can write without a key.
func TestH_H13ForgedChains(t *testing.T) {
	w := newWorld(t)
	two := w.chain("one.example", "two.example")
	evil := newWorld(t)
	forged := evil.chain("two.example") // signed, with a key that is not in the DNS
	for name, c := range map[string]struct{ msg, reason string }{
		"gap":                       {strings.ReplaceAll(two, " i=2;", " i=3;"), "there is no set i=2"},
		"no first set":              {strings.ReplaceAll(w.chain("one.example"), " i=1;", " i=2;"), "there is no set i=1"},
		"field twice":               {field(two, "ARC-Seal: i=2") + two, "ARC-Seal i=2: the field is there twice"},
		"results twice":             {"ARC-Authentication-Results: i=1; one.example; dmarc=pass\r\n" + two, "ARC-Authentication-Results i=1: the field is there twice"},
		"cv=none at i=2":            {strings.Replace(two, "cv=pass", "cv=none", 1), "ARC-Seal i=2: cv=none where only pass can stand"},
		"cv=pass at i=1":            {strings.Replace(w.chain("one.example"), "cv=none", "cv=pass", 1), "ARC-Seal i=1: cv=pass where only none can stand"},
		"cv=fail below":             {strings.Replace(two, "cv=none", "cv=fail", 1), "ARC-Seal i=1: cv=fail where only none can stand"},
		"forged cv=pass on a fail":  {strings.Replace(w.relay(two+"x", "three.example", "fail"), "cv=fail", "cv=pass", 1), "ARC-Seal i=3: the signature does not match"},
		"another's key":             {forged, "ARC-Message-Signature i=1: the signature does not match"},
		"results changed":           {strings.Replace(two, "i=1; one.example; arc=none", "i=1; one.example; dmarc=pass", 1), "ARC-Seal i=2: the signature does not match"},
		"newest results changed":    {strings.Replace(two, "i=2; two.example; arc=pass", "i=2; two.example; dmarc=pass", 1), "ARC-Seal i=2: the signature does not match"},
		"first set of another mail": {strings.Replace(two, field(two, "ARC-Seal: i=1"), field(w.relay("Subject: y\r\n"+plain, "one.example", "none"), "ARC-Seal: i=1"), 1), "ARC-Seal i=2: the signature does not match"},
		"sets taken off, cv kept":   {strings.ReplaceAll(afterSet(two, 1), " i=2;", " i=1;"), "ARC-Seal i=1: cv=pass where only none can stand"},
		"no such host":              {strings.ReplaceAll(two, "d=two.example", "d=none.example"), "ARC-Message-Signature i=2: there is no key"},
		"a public suffix":           {strings.ReplaceAll(two, "d=two.example", "d=co.uk"), "ARC-Seal i=2: d=co.uk is a public suffix"},
		"author changed":            {strings.Replace(two, "From: A", "From: B", 1), "ARC-Message-Signature i=2: the signature does not match"},
		"body changed":              {two + "more\r\n", "ARC-Message-Signature i=2: the body was changed, or is not signed whole"},
		"not a number":              {strings.Replace(two, "ARC-Seal: i=2", "ARC-Seal: i=2a", 1), "ARC-Seal: i=2a is no instance"},
		"h= covers seals":           {strings.Replace(two, "h=from:", "h=arc-seal:from:", 1), "ARC-Message-Signature i=2: h= covers ARC-Seal"},
	} {
		if c.msg == two {
			t.Fatalf("%s: nothing is changed", name)
		}
		if got := w.validate(c.msg); got.Result != arc.Fail || got.Reason != c.reason || got.OldestPass != 0 {
			t.Errorf("%s: %s (%s), want %s", name, got.Result, got.Reason, c.reason)
		}
	}
}

// field is one field of a message as it stands.
func field(msg, begin string) string {
	at := strings.Index(msg, begin)
	end := at + 2
	for end < len(msg) && (msg[end-1] != '\n' || msg[end] == '\t') {
		end++
	}
	return msg[at:end]
}

// afterSet is a message without the fields of one set.
func afterSet(msg string, instance int) string {
	for _, name := range []string{"ARC-Seal", "ARC-Message-Signature", "ARC-Authentication-Results"} {
		msg = strings.Replace(msg, field(msg, fmt.Sprintf("%s: i=%d;", name, instance)), "", 1)
	}
	return msg
}

// A fail is final, whatever is put on top of it.
func TestH_H13FailAfterFail(t *testing.T) {
	w := newWorld(t)
	failed := w.relay(w.chain("one.example")+"changed\r\n", "two.example", "fail")
	if got := w.validate(failed); got.Result != arc.Fail || got.Reason != "the newest seal says cv=fail" {
		t.Errorf("%+v", got)
	}
	// A sealer that claims to have seen it pass is contradicted by the set below its own.
	lie := strings.Replace(failed, "cv=fail", "cv=pass", 1)
	lie = w.relay(lie, "three.example", "pass")
	lie = strings.Replace(lie, "cv=pass; d=two.example", "cv=fail; d=two.example", 1)
	if got := w.validate(lie); got.Result != arc.Fail || got.Reason != "ARC-Seal i=2: cv=fail where only pass can stand" {
		t.Errorf("%+v", got)
	}
	if got := w.validate(w.relay(strings.Replace(failed, "cv=fail", "cv=pass", 1), "three.example", "fail")); got.Result != arc.Fail {
		t.Errorf("%+v", got)
	}
}

func TestOldestPass(t *testing.T) {
	w := newWorld(t)
	for changedAfter, want := range []int{0, 2, 3, 0} {
		msg := plain
		for i, d := range []string{"one.example", "two.example", "three.example"} {
			validated := "pass"
			if i == 0 {
				validated = "none"
			}
			if i == changedAfter && i > 0 {
				msg = strings.Replace(msg, "Hello world", "[list] Hello world", 1)
			}
			msg = w.relay(msg, d, validated)
		}
		got := w.validate(msg)
		if got.Result != arc.Pass || got.OldestPass != want {
			t.Errorf("changed after %d: %s (%s), oldest-pass %d, want %d", changedAfter, got.Result, got.Reason, got.OldestPass, want)
		}
		for _, s := range got.Sets {
			if s.Unchanged != (s.Instance >= want) || !s.SignsFrom {
				t.Errorf("changed after %d: %+v", changedAfter, s)
			}
		}
	}
}

// What does not rest on the DNS is a fail, also while it is away.
func TestTempError(t *testing.T) {
	w := newWorld(t)
	msg := w.chain("one.example", "two.example")
	away := func(domains ...string) keys {
		k := keys{}
		for name, txt := range w.keys {
			k[name] = txt
			if slices.Contains(domains, strings.TrimPrefix(name, "s._domainkey.")) {
				k[name] = "TEMPERROR"
			}
		}
		return k
	}
	for name, c := range map[string]struct {
		msg    string
		away   []string
		want   arc.Result
		reason string
	}{
		"newest":                      {msg, []string{"two.example"}, arc.TempError, "ARC-Message-Signature i=2: the key could not be looked up"},
		"oldest":                      {msg, []string{"one.example"}, arc.TempError, "ARC-Seal i=1: the key could not be looked up"},
		"newest, and oldest is wrong": {strings.Replace(msg, "one.example; arc=none", "one.example; dmarc=pass", 1), []string{"two.example"}, arc.Fail, "ARC-Seal i=1: the signature does not match"},
		"body changed":                {msg + "x", []string{"one.example", "two.example"}, arc.Fail, "ARC-Message-Signature i=2: the body was changed, or is not signed whole"},
	} {
		got, err := arc.Validate(t.Context(), away(c.away...), strings.NewReader(c.msg), int64(len(c.msg)), now)
		if err != nil || got.Result != c.want || got.Reason != c.reason || (got.Err != nil) != (c.want == arc.TempError) {
			t.Errorf("%s: %+v %v", name, got, err)
		}
	}
	got, err := arc.Validate(t.Context(), panicking{}, strings.NewReader(msg), int64(len(msg)), now)
	if err != nil || got.Result != arc.TempError || got.Err == nil {
		t.Errorf("a panic in the resolver: %+v %v", got, err)
	}
}

type panicking struct{}

func (panicking) TXT(context.Context, string) ([]string, error) { panic("boom") }

// A seal that leaves From open proves nothing of the author.
func TestSignsFrom(t *testing.T) {
	w := newWorld(t)
	msg := w.chain("one.example")
	if got := w.validate(msg); !got.Sets[0].SignsFrom {
		t.Errorf("%+v", got)
	}
	if got := w.validate(strings.Replace(msg, "h=from:from:", "h=", 1)); got.Sets[0].SignsFrom {
		t.Errorf("%+v", got)
	}
	if got := w.validate(strings.Repeat("From: c@example.net\r\n", 2) + msg); got.Sets[0].SignsFrom {
		t.Errorf("%+v", got)
	}
}

// RFC 8617 section 4.1.1: comments may stand about the instance of the results.
func TestResultsWithComments(t *testing.T) {
	w := newWorld(t)
	for results, reason := range map[string]string{
		"(a(b)\\)) i (c) = (d) 1 (e) ; x.example; spf=pass": "ARC-Seal i=1: the signature does not match", // it was read
		"(never closed i=1; x.example":                      "ARC-Authentication-Results: it does not begin with i=",
		"i=1 x.example":                                     "ARC-Authentication-Results: it does not begin with i=",
		"i=001; x.example":                                  "ARC-Authentication-Results: i=001 is no instance",
		"x.example; i=1; spf=pass":                          "ARC-Authentication-Results: it does not begin with i=",
	} {
		msg := w.chain("one.example")
		msg = strings.Replace(msg, field(msg, "ARC-Authentication-Results"), "ARC-Authentication-Results: "+results+"\r\n", 1)
		if got := w.validate(msg); got.Result != arc.Fail || got.Reason != reason {
			t.Errorf("%s: %+v", results, got)
		}
	}
}

func TestHostileShapesAreBounded(t *testing.T) {
	w := newWorld(t)
	msg := w.chain(hosts(50, 20)...)
	start := time.Now()
	for name, text := range map[string]string{
		"a long field in every set": strings.ReplaceAll(msg, "arc=pass", strings.Repeat("arc=pass ", 300)),
		"long tags":                 strings.Replace(msg, "h=from", "h="+strings.Repeat("x:", 100_000)+"from", 1),
		"many tags":                 strings.Replace(msg, "cv=pass", strings.Repeat("y=1; ", 20_000)+"cv=pass", 1),
		"many names":                strings.Replace(msg, "h=from", "h="+strings.Repeat("x:", 5000)+"from", 1),
		"many fields":               strings.Repeat("ARC-Seal: i=1; cv=none\r\n", 1800) + msg,
		"comments":                  strings.Repeat("ARC-Authentication-Results: "+strings.Repeat("(", 1000)+"\r\n", 100),
		"large body":                msg + strings.Repeat(" \r\n", 1<<20),
	} {
		got, err := arc.Validate(t.Context(), w.keys, strings.NewReader(text), int64(len(text)), now)
		if err == nil && got.Result != arc.Fail && name != "large body" {
			t.Errorf("%s: %+v", name, got)
		}
		if err != nil && !errors.Is(err, canon.ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if d := time.Since(start); d > 10*time.Second {
		t.Errorf("took %v", d)
	}
}

func FuzzValidate(f *testing.F) {
	w := newWorld(f)
	f.Add([]byte(w.chain("one.example", "two.example")), w.keys["s._domainkey.one.example"])
	f.Add([]byte("ARC-Seal: i=1; cv=none; a=rsa-sha256; b=; d=; s=\r\nARC-Message-Signature: i=1\r\nARC-Authentication-Results: i=(()1;\r\n\r\n"), "p=")
	f.Add([]byte(plain), "")
	f.Fuzz(func(t *testing.T, msg []byte, record string) {
		k := keys{"s._domainkey.one.example": record, "s._domainkey.two.example": w.keys["s._domainkey.two.example"]}
		c, err := arc.Validate(t.Context(), k, bytes.NewReader(msg), int64(len(msg)), now)
		if err != nil {
			return
		}
		switch c.Result {
		case arc.None, arc.Pass, arc.Fail, arc.TempError:
		default:
			t.Errorf("%+v", c)
		}
		if (c.Reason == "") != (c.Result == arc.None || c.Result == arc.Pass) || strings.HasPrefix(c.Reason, "internal") || c.OldestPass > len(c.Sets) {
			t.Errorf("%+v", c)
		}
	})
}
