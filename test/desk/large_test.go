package desk

import (
	"bytes"
	"compress/gzip"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"postern/internal/store/local"
	"postern/internal/store/local/localtest"
	"postern/internal/store/redis/holds"
	"postern/internal/store/redis/holds/holdstest"
	"postern/internal/store/redis/redistest"
	"postern/quarantine"
)

// TestManyHolds lists, searches, pages and deletes among many holds, on both homes. POSTERN_HOLDS
// says how many; with 100000 the figures of docs/operating.md come out.
func TestManyHolds(t *testing.T) {
	n, span := 1500, 24*time.Hour
	if text := os.Getenv("POSTERN_HOLDS"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	start, every := time.Now().Add(-span), span/time.Duration(n)
	homes := map[string]func(t *testing.T) quarantine.Store{
		"embedded": func(t *testing.T) quarantine.Store {
			dir := filepath.Join(t.TempDir(), "s")
			if err := localtest.Fill(t.Context(), dir, n, func(i int) (quarantine.Hold, []byte) {
				h := holdstest.Hold(i, start, every)
				return h.Hold, h.Body
			}); err != nil {
				t.Fatal(err)
			}
			home, err := local.Open(t.Context(), local.Options{Dir: dir, Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { home.Close() })
			return home.Holds()
		},
		"redis": func(t *testing.T) quarantine.Store {
			s := holds.New(holds.Options{Conn: redistest.Empty(t, redistest.Server(t, "--appendonly", "no")), Ring: redistest.Ring(t), Now: time.Now})
			if err := holdstest.Fill(t.Context(), s, n, start, every); err != nil {
				t.Fatal(err)
			}
			return s
		},
	}
	for name, open := range homes {
		t.Run(name, func(t *testing.T) { manyHolds(t, open(t), n) })
	}
}

var nextPage = regexp.MustCompile(`rel="next" href="([^"]+)"`)

func manyHolds(t *testing.T, store quarantine.Store, n int) {
	in := newInner(t, store)
	r := in.reader("olga")
	measure := func(what, path string, rounds int) string {
		t.Helper()
		var times []time.Duration
		var body string
		for range rounds {
			began := time.Now()
			code, got := r.get(path)
			times = append(times, time.Since(began))
			if body = got; code != 200 {
				t.Fatalf("%s: %d", what, code)
			}
		}
		slices.Sort(times)
		t.Logf("%-28s p50 %6.1f ms, p95 %6.1f ms, %d kB, %d compressed", what, ms(times[len(times)/2]), ms(times[len(times)*95/100]), len(body)/1000, packed(t, body)/1000)
		return body
	}
	first := measure("first page", "/held", 20)
	if size := packed(t, first); size > 100_000 {
		t.Errorf("the first page has %d octets compressed", size)
	}
	for what, q := range map[string]string{
		"state": "state:held", "recipient": "to:user17@example.com", "sender": "from:@domain31.example", "symbol": "symbol:BAYES_99", "word": "invoice", "recipient and word": "to:@example.com order",
		"score that many have": "score:>=7", "score that none has": "score:>=99", "direction that none has": "direction:outbound", "last hour": "since:1h",
	} {
		measure(what, "/held?q="+url.QueryEscape(q), 20)
	}
	measure("oldest first", "/held?order=oldest", 20)
	next := "/held"
	for range 20 {
		_, body := r.get(next)
		m := nextPage.FindStringSubmatch(body)
		if m == nil {
			t.Fatal("no next page")
		}
		next = regexp.MustCompile(`&amp;`).ReplaceAllString(m[1], "&")
	}
	measure("page 21", next, 20)
	began := time.Now()
	form := url.Values{"act": {"delete"}, "all": {"yes"}, "q": {"symbol:BAYES_99"}}
	code, preview := r.post("/held/act", form)
	ids := regexp.MustCompile(`name="id" value="([^"]+)"`).FindAllStringSubmatch(preview, -1)
	t.Logf("preview of %d: %.0f ms, %d", len(ids), ms(time.Since(began)), code)
	form = url.Values{"act": {"delete"}, "seen": {"yes"}}
	for _, id := range ids {
		form.Add("id", id[1])
	}
	began = time.Now()
	if code, body := r.post("/held/act", form); code != 303 {
		t.Fatalf("delete: %d %.500s", code, body)
	}
	left := func() int {
		st, err := store.Stats(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return st.States[quarantine.Held]
	}
	for end := time.Now().Add(2 * time.Minute); left() > n-len(ids) && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
	}
	t.Logf("deleting %d: %.0f ms", len(ids), ms(time.Since(began)))
	if got := left(); got != n-len(ids) {
		t.Errorf("%d are left, not %d", got, n-len(ids))
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	t.Logf("memory from the system: %d MB", m.Sys>>20)
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func packed(t *testing.T, body string) int {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write([]byte(body)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Len()
}
