package traffic_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"postern/filter"
	"postern/internal/mailtest/redisd"
	"postern/internal/record"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/redistest"
	"postern/internal/store/redis/traffic"
	"postern/internal/store/storetest"
)

// subjects are those of the corpus, or made up where there is none.
func subjects(tb testing.TB) []string {
	dir := os.Getenv("CORPORA")
	if dir == "" {
		dir = "../../../../../shared/corpora"
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*am", "*", "*", "*"))
	if len(files) == 0 {
		files, _ = filepath.Glob(filepath.Join(dir, "*am", "*", "*"))
	}
	var out []string
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			continue
		}
		lines := bufio.NewScanner(f)
		for n := 0; n < 80 && lines.Scan(); n++ {
			if s, ok := strings.CutPrefix(lines.Text(), "Subject: "); ok {
				out = append(out, record.Clean(s, 200))
				break
			}
		}
		f.Close()
	}
	for i := 0; len(out) < 1000; i++ {
		out = append(out, fmt.Sprintf("Invoice %d of your order is ready", i))
	}
	tb.Logf("%d subjects, %d files", len(out), len(files))
	return out
}

// site makes rows as a site of a few thousand people sees them.
type site struct {
	chance
	subjects []string
}

func (s site) some(n int) int { // a few often, most seldom
	f := s.Float64()
	return int(f * f * f * float64(n))
}

func (s site) row(at time.Time) record.Row {
	id, _ := filter.NewID(at, s)
	var sum [32]byte
	s.Read(sum[:])
	sum = sha256.Sum256(sum[:])
	domain := s.some(20000)
	user := fmt.Sprintf("user%d@company%d.example", s.some(3000), s.IntN(5))
	queued := strings.ToUpper(strconv.FormatUint(s.Uint64()>>20, 36))
	r := record.Row{
		ID: id, Time: at, Node: "mx" + strconv.Itoa(1+s.IntN(2)), Direction: "inbound", Listener: "mx",
		Client:  record.Client{IP: fmt.Sprintf("%d.%d.%d.%d", 20+domain%180, domain/180, s.some(8), s.IntN(255)), Name: fmt.Sprintf("out-%d.mail%d.net", s.IntN(30), domain), Helo: fmt.Sprintf("out-%d.mail%d.net", s.IntN(30), domain), TLS: "TLS 1.3"},
		From:    fmt.Sprintf("name%d@sender%d.org", s.some(50), domain),
		Subject: s.subjects[s.IntN(len(s.subjects))], MessageID: fmt.Sprintf("%x.%d@sender%d.org", s.Uint64(), s.IntN(100000), domain),
		Size: int64(2000 + s.some(2_000_000)), SHA256: hex.EncodeToString(sum[:]), Action: "accept", Score: filter.Score(s.IntN(400) - 100),
		Symbols: []string{"SPF_PASS", "DKIM_PASS", "DMARC_PASS", "HAS_UNSUBSCRIBE"}[:1+s.IntN(4)],
		Reply:   "250 2.0.0 Ok: queued as " + queued, Delay: record.Delay{Receive: int64(s.some(900)), Check: int64(s.some(900)), Relay: int64(s.some(900)), Total: int64(s.some(3000))},
	}
	r.To = []record.Fate{{Address: user, Policy: "default", State: "delivered", Backend: "10.0.0.5:25", Reply: r.Reply, Action: "accept", Score: r.Score}}
	if s.IntN(3) == 0 {
		r.Action, r.Reply = "reject", "550 5.7.1 Refused by policy"
		r.Symbols = []string{"SPF_FAIL", "DKIM_NONE", "RBL_IP", "PTR_NONE", "DMARC_FAIL"}
		r.To[0] = record.Fate{Address: user, Policy: "default", State: "rejected", Reply: r.Reply, Action: "reject", Score: 1200}
	}
	return r
}

const benchDay = 24 * time.Hour

// seed fills the store and returns every hundredth row.
func seed(tb testing.TB, s *traffic.Store, rows int) (sample []record.Row) {
	made := site{chance{rand.New(rand.NewPCG(1, 2))}, subjects(tb)}
	began := time.Now()
	for i := range rows {
		r := made.row(storetest.Start.Add(-benchDay + time.Duration(float64(i)/float64(rows)*float64(benchDay))))
		for !s.Add(r) {
			time.Sleep(time.Millisecond)
		}
		if i%100 == 0 {
			sample = append(sample, r)
		}
	}
	if _, err := s.Find(context.Background(), record.Trace{ID: sample[0].ID}); err != nil {
		tb.Fatal(err)
	}
	tb.Logf("%d rows in %s: %.0f a second, making them included", rows, time.Since(began), float64(rows)/time.Since(began).Seconds())
	return sample
}

func memory(tb testing.TB, s *redisd.Server) (used int64) {
	c := s.Client()
	defer c.Close()
	text, err := c.Info(tb.Context(), "memory").Result()
	if err != nil {
		tb.Fatal(err)
	}
	for line := range strings.Lines(text) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "used_memory:"); ok {
			used, _ = strconv.ParseInt(v, 10, 64)
		}
	}
	return used
}

// shares is the memory of the keys of each kind, in bytes a row.
func shares(tb testing.TB, s *redisd.Server, rows int) map[string]int {
	c := s.Client()
	defer c.Close()
	keys, err := c.Keys(tb.Context(), "postern:{tr*").Result()
	if err != nil {
		tb.Fatal(err)
	}
	sums := map[string]int64{}
	for _, key := range keys {
		n, err := c.MemoryUsage(tb.Context(), key, 0).Result()
		if err != nil {
			tb.Fatal(err)
		}
		kind := key[strings.LastIndexByte(key, '}')+2:]
		sums[kind[:1]] += n
	}
	out := map[string]int{"keys": len(keys)}
	for kind, n := range sums {
		out[kind] = int(n) / rows
	}
	return out
}

// BenchmarkFind searches a day of a million rows (ROWS in the environment for another number)
// by every field, and says what a row needs.
func BenchmarkFind(b *testing.B) {
	rows := 1_000_000
	if n, err := strconv.Atoi(os.Getenv("ROWS")); err == nil {
		rows = n
	}
	server := redisd.Start(b, redisd.Options{ACL: conn.Rule(redistest.User, redisd.Password, conn.DefaultPrefix), Args: []string{"--appendonly", "no"}})
	s := open(b, redistest.Empty(b, server))
	before := memory(b, server)
	sample := seed(b, s, rows)
	grown := memory(b, server) - before
	e, err := s.Estimate(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("memory %d MB, %.0f bytes a row; counted %d bytes a row; %d rows counted", grown>>20, float64(grown)/float64(rows), e.PerRow, e.Rows)
	b.Logf("bytes a row by the kind of key: %v", shares(b, server, rows))
	r := chance{rand.New(rand.NewPCG(5, 6))}
	some := func() record.Row { return pick(r, sample...) }
	for _, q := range []struct {
		name string
		make func() record.Trace
	}{
		{"newest", func() record.Trace { return record.Trace{} }},
		{"page", func() record.Trace { return record.Trace{After: some().ID} }},
		{"id", func() record.Trace { return record.Trace{ID: some().ID} }},
		{"message-id", func() record.Trace { return record.Trace{MessageID: some().MessageID} }},
		{"from", func() record.Trace { return record.Trace{From: some().From} }},
		{"from-domain", func() record.Trace { return record.Trace{From: some().From[strings.IndexByte(some().From, '@'):]} }},
		{"null-sender", func() record.Trace { return record.Trace{From: "<>"} }},
		{"to", func() record.Trace { return record.Trace{To: some().To[0].Address} }},
		{"to-domain", func() record.Trace { return record.Trace{To: "@company3.example"} }},
		{"ip", func() record.Trace {
			return record.Trace{IP: netip.PrefixFrom(netip.MustParseAddr(some().Client.IP), 32)}
		}},
		{"net", func() record.Trace {
			return record.Trace{IP: netip.PrefixFrom(netip.MustParseAddr(some().Client.IP), 24)}
		}},
		{"subject-word", func() record.Trace { return record.Trace{Subject: pick(r, strings.Fields(some().Subject+" x")...)} }},
		{"subject-whole", func() record.Trace { return record.Trace{Subject: some().Subject + " "} }},
		{"subject-start", func() record.Trace { return record.Trace{Subject: "invo*"} }},
		{"one-hour", func() record.Trace { at := some().Time; return record.Trace{Since: at, Until: at.Add(time.Hour)} }},
		{"absent", func() record.Trace { return record.Trace{From: "nobody" + some().ID + "@nowhere.example"} }},
		{"absent-rare-net", func() record.Trace { return record.Trace{IP: netip.MustParsePrefix("203.0.112.0/20")} }},
	} {
		b.Run(q.name, func(b *testing.B) {
			var took []time.Duration
			found, cut := 0, 0
			for b.Loop() {
				began := time.Now()
				page, err := s.Find(b.Context(), q.make())
				if err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(began))
				found += len(page.Rows)
				if page.Next != "" && len(page.Rows) < record.DefaultPage {
					cut++
				}
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*95/100].Microseconds())/1000, "p95-ms")
			b.ReportMetric(float64(found)/float64(len(took)), "rows")
			b.ReportMetric(float64(cut), "cut")
		})
	}
}

// BenchmarkAdd is what a row costs its gateway, writing included.
func BenchmarkAdd(b *testing.B) {
	server := redistest.Server(b)
	s := open(b, redistest.Empty(b, server))
	made := site{chance{rand.New(rand.NewPCG(1, 2))}, subjects(b)}
	rows := make([]record.Row, 20_000)
	for i := range rows {
		rows[i] = made.row(storetest.Start.Add(time.Duration(i) * time.Millisecond))
	}
	n := 0
	for b.Loop() {
		for !s.Add(rows[n%len(rows)]) {
			time.Sleep(100 * time.Microsecond)
		}
		n++
	}
	s.Close()
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "rows/s")
}
