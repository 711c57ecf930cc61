package clamav_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"postern/filter"
	"postern/filter/clamav"
	"postern/internal/mailtest"
	"postern/internal/mime"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a scanner with what its operator hears.
type world struct {
	*clamav.Scanner
	events chan clamav.Event
}

func start(t testing.TB, cfg clamav.Config) *world {
	t.Helper()
	w := &world{events: make(chan clamav.Event, 1000)}
	if cfg.StreamMax == 0 {
		cfg.StreamMax = 1 << 20
	}
	s, err := clamav.New(cfg, clamav.Parts{Now: time.Now, Alert: func(e clamav.Event) { w.events <- e }})
	if err != nil {
		t.Fatal(err)
	}
	w.Scanner = s
	return w
}

// ready makes a scanner that has probed its endpoints.
func ready(t testing.TB, cfg clamav.Config) *world {
	t.Helper()
	w := start(t, cfg)
	if err := w.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w
}

// running makes a scanner whose Run goes until the test ends.
func running(t testing.TB, cfg clamav.Config) *world {
	t.Helper()
	w := ready(t, cfg)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = w.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	return w
}

// hear waits for an event whose key has the prefix.
func (w *world) hear(t testing.TB, prefix string, over bool) clamav.Event {
	t.Helper()
	limit := time.After(30 * time.Second)
	for {
		select {
		case e := <-w.events:
			if strings.HasPrefix(e.Key, prefix) && e.Over == over {
				return e
			}
		case <-limit:
			t.Fatalf("no event %s over=%v", prefix, over)
		}
	}
}

func mail(body string) *filter.Message {
	raw := []byte("From: a@example.com\r\nSubject: test\r\n\r\n" + body)
	sum := sha256.Sum256(raw)
	return &filter.Message{Body: bytes.NewReader(raw), Size: int64(len(raw)), SHA256: hex.EncodeToString(sum[:])}
}

// answer is the outcome of a check in one word.
func answer(found []filter.Finding, err error) string {
	var plain filter.PlainError
	switch {
	case err != nil && len(found) > 0:
		return "findings beside an error"
	case errors.As(err, &plain):
		return "could not: " + plain.Plain()
	case err != nil:
		return "an error without plain words: " + err.Error()
	case len(found) == 0:
		return "clean"
	}
	return found[0].Symbol
}

func (w *world) check(t testing.TB, m *filter.Message) string {
	t.Helper()
	return answer(w.Check(t.Context(), m))
}

func TestNewRefusesBadAddresses(t *testing.T) {
	for _, list := range [][]string{nil, {""}, {"/run/clamd.ctl"}, {"127.0.0.1:3310", "nonsense"}} {
		if _, err := clamav.New(clamav.Config{Endpoints: list}, clamav.Parts{}); err == nil {
			t.Errorf("%q is taken", list)
		}
	}
}

func TestCleanAndInfected(t *testing.T) {
	fake := mailtest.StartClamd(t, "unix")
	w := ready(t, clamav.Config{Endpoints: []string{fake.Endpoint}})
	if got := w.check(t, mail("hello\r\n")); got != "clean" {
		t.Error(got)
	}
	found, err := w.Check(t.Context(), mail(string(mailtest.EICAR())))
	if err != nil || len(found) != 1 || found[0].Symbol != clamav.Virus || found[0].Detail != "Eicar-Test-Signature" {
		t.Error(found, err)
	}
	if v := w.Version(); v != "ClamAV 1.4.6/27000/2026-11-22" {
		t.Error(v)
	}
	if h := w.Health(); len(h) != 1 || !h[0].Ready || h[0].Limit != 1<<20 {
		t.Errorf("%+v", h)
	}
}

// Every answer but a clear one is "could not tell" or UNSCANNABLE.
func TestNeverOpen(t *testing.T) {
	fake := mailtest.StartClamd(t, "unix")
	w := ready(t, clamav.Config{Endpoints: []string{fake.Endpoint}})
	big := strings.Repeat("x", 300<<10)
	for _, c := range []struct {
		name   string
		answer mailtest.ClamdAnswer
		want   string
	}{
		{"silent", mailtest.ClamdAnswer{Silent: true}, "could not: clamd ended without an answer"},
		{"closed mid-stream", mailtest.ClamdAnswer{CloseAfter: 2}, "could not: clamd ended without an answer"},
		{"memory", mailtest.ClamdAnswer{Reply: "stream: Can't allocate memory ERROR\x00"}, "could not: clamd reported an error"},
		{"garbage", mailtest.ClamdAnswer{Reply: "HTTP/1.1 200 OK\r\n\r\n"}, "could not: clamd gave no valid answer"},
		{"no terminator", mailtest.ClamdAnswer{Reply: "stream: OK"}, "could not: clamd gave no valid answer"},
		{"1 MB", mailtest.ClamdAnswer{Reply: strings.Repeat("z", 1<<20)}, "could not: clamd gave no valid answer"},
		{"command read timed out", mailtest.ClamdAnswer{Reply: "COMMAND READ TIMED OUT\x00"}, "could not: clamd gave no valid answer"},
		{"size limit", mailtest.ClamdAnswer{SizeLimit: 1000}, "UNSCANNABLE"},
		{"limits alert", mailtest.ClamdAnswer{Reply: "stream: Heuristics.Limits.Exceeded.MaxFileSize FOUND\x00"}, "UNSCANNABLE"},
		{"encryption alert", mailtest.ClamdAnswer{Reply: "stream: Heuristics.Encrypted.Zip FOUND\x00"}, "ENCRYPTED"},
	} {
		t.Run(c.name, func(t *testing.T) {
			fake.Mail(c.answer)
			if got := w.check(t, mail(c.name+big)); got != c.want {
				t.Error(got)
			}
		})
	}
	fake.Stop()
	if got := w.check(t, mail(big)); got != "could not: clamd could not be reached" {
		t.Error(got)
	}
	if got := w.check(t, mail(big)); got != "could not: clamd is not ready" || w.Ready() {
		t.Error(got)
	}
}

func TestNotReadyBeforeTheCanaryIsFound(t *testing.T) {
	fake := mailtest.StartClamd(t, "unix")
	fake.Canary(mailtest.ClamdAnswer{Reply: "stream: OK\x00"}) // a clamd without signatures
	w := start(t, clamav.Config{Endpoints: []string{fake.Endpoint}})
	if got := w.check(t, mail("x")); got != "could not: clamd is not ready" || fake.Scans() != 0 {
		t.Error(got)
	}
	if err := w.Probe(t.Context()); err == nil || w.Ready() {
		t.Fatal("ready without signatures", err)
	}
	if e := w.hear(t, "clamav/down", false); !strings.Contains(e.Text, "no signatures") {
		t.Error(e)
	}
	if got := w.check(t, mail("x")); got != "could not: clamd is not ready" || fake.Scans() != 0 {
		t.Error(got)
	}
	fake.Canary(mailtest.ClamdAnswer{})
	if err := w.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.hear(t, "clamav/down", true)
	if got := w.check(t, mail("x")); got != "clean" {
		t.Error(got)
	}
}

func TestCanaryOnATimer(t *testing.T) {
	fake := mailtest.StartClamd(t, "unix")
	w := running(t, clamav.Config{Endpoints: []string{fake.Endpoint}, Canary: 10 * time.Millisecond, Beat: time.Millisecond})
	fake.Canary(mailtest.ClamdAnswer{Reply: "stream: OK\x00"})
	w.hear(t, "clamav/down", false)
	fake.Canary(mailtest.ClamdAnswer{})
	w.hear(t, "clamav/down", true)
}

func TestNewSignaturesAreTriedAtOnce(t *testing.T) {
	fake := mailtest.StartClamd(t, "unix")
	w := running(t, clamav.Config{Endpoints: []string{fake.Endpoint}, Canary: time.Hour, Beat: time.Millisecond})
	fake.Canary(mailtest.ClamdAnswer{Reply: "stream: OK\x00"})
	fake.SetVersion("ClamAV 1.4.6/27001/Mon Nov 23 08:00:00 2026")
	w.hear(t, "clamav/down", false)
}

func TestSecondEndpointAnswersForTheFirst(t *testing.T) {
	for name, bad := range map[string]mailtest.ClamdAnswer{
		"crash": {CloseAfter: 1}, "hang": {HangAfter: 1}, "garbage": {Reply: "?\x00"}, "error": {Reply: "stream: x ERROR\x00"},
	} {
		t.Run(name, func(t *testing.T) {
			mailtest.Steady(t, 100*time.Millisecond, func(t testing.TB, scale time.Duration) {
				one, two := mailtest.StartClamd(t, "unix"), mailtest.StartClamd(t, "tcp")
				w := ready(t, clamav.Config{Endpoints: []string{one.Endpoint, two.Endpoint}, Timeout: scale * time.Second})
				one.Mail(bad)
				if got := w.check(t, mail("x")); got != "clean" {
					t.Error(got)
				}
				if one.Scans() != 1 || two.Scans() != 1 {
					t.Errorf("asked %d and %d times", one.Scans(), two.Scans())
				}
			})
		})
	}
}

func TestOnlyOneRetry(t *testing.T) {
	var list []string
	var fakes []*mailtest.Clamd
	for range 4 {
		f := mailtest.StartClamd(t, "unix")
		f.Mail(mailtest.ClamdAnswer{CloseAfter: 1})
		fakes, list = append(fakes, f), append(list, f.Endpoint)
	}
	w := ready(t, clamav.Config{Endpoints: list})
	if got := w.check(t, mail("x")); got != "could not: clamd ended without an answer" {
		t.Error(got)
	}
	total := 0
	for _, f := range fakes {
		total += f.Scans()
	}
	if total != 2 {
		t.Errorf("%d clamds were given the message", total)
	}
}

// A message that makes clamd crash is left alone after the third time; others go on.
func TestPoisonMessage(t *testing.T) {
	fake := mailtest.StartClamd(t, "unix")
	w := ready(t, clamav.Config{Endpoints: []string{fake.Endpoint}})
	bad := mail("poison")
	fake.Mail(mailtest.ClamdAnswer{CloseAfter: 1})
	for range 3 {
		if got := w.check(t, bad); got != "could not: clamd ended without an answer" {
			t.Fatal(got)
		}
	}
	fake.Mail(mailtest.ClamdAnswer{})
	before := fake.Scans()
	if got := w.check(t, bad); got != "UNSCANNABLE" || fake.Scans() != before {
		t.Error(got)
	}
	if got := w.check(t, mail("other")); got != "clean" {
		t.Error(got)
	}
}

func TestSuccessClearsSuspicion(t *testing.T) {
	fake := mailtest.StartClamd(t, "unix")
	w := ready(t, clamav.Config{Endpoints: []string{fake.Endpoint}})
	m := mail("x")
	for range 3 {
		fake.Mail(mailtest.ClamdAnswer{CloseAfter: 1})
		w.check(t, m)
		w.check(t, m)
		fake.Mail(mailtest.ClamdAnswer{})
		if got := w.check(t, m); got != "clean" {
			t.Fatal(got)
		}
	}
}

// Timeouts are the message's fault only if clamd finds the canary right after.
func TestTimeoutsBlameTheMessageOnlyWhileClamdIsWell(t *testing.T) {
	mailtest.Steady(t, -1, func(t testing.TB, scale time.Duration) {
		fake := mailtest.StartClamd(t, "unix")
		w := ready(t, clamav.Config{Endpoints: []string{fake.Endpoint}, Timeout: scale * 50 * time.Millisecond})
		m := mail("slow")
		fake.Mail(mailtest.ClamdAnswer{HangAfter: 1})
		for range 4 { // all of clamd hangs
			fake.Canary(mailtest.ClamdAnswer{})
			if err := w.Probe(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := w.check(t, m); got != "could not: timed out" {
				t.Fatal(got)
			}
			fake.Canary(mailtest.ClamdAnswer{HangAfter: 1})
			if err := w.Probe(t.Context()); err == nil {
				t.Fatal("a hung clamd passes for ready")
			}
		}
		fake.Canary(mailtest.ClamdAnswer{})
		if err := w.Probe(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 3 { // only this message hangs
			if got := w.check(t, m); got != "could not: timed out" {
				t.Fatal(got)
			}
			if err := w.Probe(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if got := w.check(t, m); got != "UNSCANNABLE" {
			t.Error(got)
		}
	})
}

func TestClientThatLeavesIsNobodysFault(t *testing.T) {
	fake := mailtest.StartClamd(t, "unix")
	w := ready(t, clamav.Config{Endpoints: []string{fake.Endpoint}})
	fake.Mail(mailtest.ClamdAnswer{HangAfter: 1})
	m := mail("x")
	for range 5 {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if got := answer(w.Check(ctx, m)); !strings.HasPrefix(got, "could not: ") {
			t.Fatal(got)
		}
	}
	fake.Mail(mailtest.ClamdAnswer{})
	if err := w.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := w.check(t, m); got != "clean" {
		t.Error(got)
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	fake := mailtest.StartClamd(t, "unix")
	w := ready(t, clamav.Config{Endpoints: []string{fake.Endpoint}, Connections: 2, Timeout: 20 * time.Second})
	gate := make(chan struct{})
	fake.Mail(mailtest.ClamdAnswer{Wait: gate})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { w.Check(context.Background(), mail("x")) })
	}
	for fake.Scans() < 2 {
		time.Sleep(time.Millisecond)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if got := answer(w.Check(ctx, mail("x"))); got != "could not: clamd was busy" || fake.Scans() != 2 {
		t.Error(got, fake.Scans())
	}
	close(gate)
	wg.Wait()
}

func TestOwnSizeCheck(t *testing.T) {
	fake := mailtest.StartClamd(t, "unix")
	w := ready(t, clamav.Config{Endpoints: []string{fake.Endpoint}, StreamMax: 1 << 20, MaxFile: 100 << 10})
	if got := w.check(t, mail(strings.Repeat("x", 100<<10))); got != "UNSCANNABLE" || fake.Scans() != 0 {
		t.Error(got)
	}
	if got := w.check(t, mail(strings.Repeat("x", 99<<10))); got != "clean" {
		t.Error(got)
	}
}

// parsed is a message with its parts.
func parsed(raw string) *filter.Message {
	m := &filter.Message{Body: strings.NewReader(raw), Size: int64(len(raw)), SHA256: raw}
	m.Parts = func() (*mime.Tree, error) { return mime.Walk(m.Body, m.Size, mime.DefaultLimits()) }
	return m
}

// Where a part can be read in two ways clamd is given the second one too.
func TestOtherReadingsAreScanned(t *testing.T) {
	fake := mailtest.StartClamd(t, "unix")
	w := ready(t, clamav.Config{Endpoints: []string{fake.Endpoint}})
	ambiguous := func(text []byte) string {
		return "From: a@example.com\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: 7bit\r\n" +
			"Content-Transfer-Encoding: base64\r\n\r\n" + base64.StdEncoding.EncodeToString(text) + "\r\n"
	}
	if got := w.check(t, parsed(ambiguous(mailtest.EICAR()))); got != "VIRUS" {
		t.Error(got)
	}
	before := len(fake.Streams())
	if got := w.check(t, parsed(ambiguous([]byte("harmless words")))); got != "clean" {
		t.Error(got)
	}
	if n := len(fake.Streams()) - before; n != 2 {
		t.Errorf("%d streams", n)
	}
	if got := w.check(t, parsed("From: a@example.com\r\n\r\nplain\r\n")); got != "clean" {
		t.Error(got)
	}
	if n := len(fake.Streams()) - before; n != 3 {
		t.Errorf("%d streams: a plain message is scanned once", n)
	}
	fake.Mail(mailtest.ClamdAnswer{Reply: "stream: x ERROR\x00"})
	if got := w.check(t, parsed(ambiguous([]byte("harmless words")))); got != "could not: clamd reported an error" {
		t.Error(got)
	}
}

// What clamd unpacks is bounded by MaxScanSize, beyond which it says OK.
func TestMoreThanClamdUnpacks(t *testing.T) {
	fake := mailtest.StartClamd(t, "unix")
	w := ready(t, clamav.Config{Endpoints: []string{fake.Endpoint}, StreamMax: 1 << 20, MaxScan: 150 << 10})
	raw := func(n int) string {
		return "From: a@example.com\r\n\r\n" + strings.Repeat(strings.Repeat("x", 76)+"\r\n", n/78)
	}
	if got := w.check(t, parsed(raw(60<<10))); got != "clean" {
		t.Error(got)
	}
	if got := w.check(t, parsed(raw(90<<10))); got != "UNSCANNABLE" {
		t.Error(got)
	}
}

func TestPartsThatCannotBeRead(t *testing.T) {
	fake := mailtest.StartClamd(t, "unix")
	w := ready(t, clamav.Config{Endpoints: []string{fake.Endpoint}})
	m := parsed("x")
	m.Parts = func() (*mime.Tree, error) { return nil, errors.New("disk") }
	if got := w.check(t, m); got != "could not: the message could not be read" {
		t.Error(got)
	}
}

func TestEmptyMessage(t *testing.T) {
	real := mailtest.StartRealClamd(t, mailtest.ClamdOptions{})
	w := ready(t, clamav.Config{Endpoints: []string{real.Endpoint}})
	if got := w.check(t, &filter.Message{Body: bytes.NewReader(nil)}); got != "clean" {
		t.Error(got)
	}
}

func TestSourcesHoldNoWholeTestFile(t *testing.T) {
	root := mailtest.ModuleRoot(t)
	for _, dir := range []string{"filter/clamav", "filter/clamav/instream", "internal/mailtest"} {
		files, err := os.ReadDir(root + "/" + dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if f.IsDir() {
				continue
			}
			b, err := os.ReadFile(root + "/" + dir + "/" + f.Name())
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(b, mailtest.EICAR()) {
				t.Errorf("%s/%s is a find for every scanner", dir, f.Name())
			}
		}
	}
}
