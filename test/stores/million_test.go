package stores_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"postern/internal/mailtest/redisd"
	"postern/internal/store/local"
	"postern/internal/store/local/localtest"
	"postern/internal/store/redis/holds"
	"postern/internal/store/redis/holds/holdstest"
	"postern/internal/store/redis/redistest"
	"postern/internal/store/storetest"
	"postern/quarantine"
)

const (
	pageSize = 50
	deep     = 100 // a page that nobody turns to by hand
	month    = 30 * 24 * time.Hour
)

// many is how many holds there are: POSTERN_HOLDS, a million in the campaign, few else.
func many(t *testing.T) int {
	text := os.Getenv("POSTERN_HOLDS")
	if text == "" {
		return pick(1_000_000, deep*pageSize)
	}
	n, err := strconv.Atoi(text)
	must(t, err)
	return n
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// crowd is many holds of the last month.
type crowd int

func (c crowd) every() time.Duration { return month / time.Duration(c) }

func (c crowd) start() time.Time { return storetest.Start.Add(-month) }

func (c crowd) hold(n int) quarantine.Hold { return holdstest.Hold(n, c.start(), c.every()).Hold }

// newest are the IDs of the newest holds below a place that match.
func (c crowd) newest(below int, match func(quarantine.Hold) bool) []string {
	var ids []string
	for n := below - 1; n >= 0 && len(ids) < pageSize; n-- {
		if h := c.hold(n); match(h) {
			ids = append(ids, h.ID)
		}
	}
	return ids
}

// question is one of those that people ask, in as many ways as there are runs.
type question struct {
	name string
	ask  func(run int) quarantine.Query
	want func(h quarantine.Hold, run int) bool
}

func (c crowd) questions() []question {
	to := func(run int) string { return fmt.Sprintf("user%d@example.com", run*37%1999) }
	common := []string{"prize", "invoice", "tax", "rechnung"}
	word := func(run int) string { return common[run%len(common)] }
	rare := func(run int) string { return strconv.Itoa((int(c) - 1 - run*int(c)/200) / 50) }
	says := func(h quarantine.Hold, word string) bool {
		return slices.ContainsFunc(strings.Fields(h.Subject), func(w string) bool { return strings.EqualFold(w, word) })
	}
	return []question{
		{"newest 50", func(int) quarantine.Query { return quarantine.Query{} }, func(quarantine.Hold, int) bool { return true }},
		{"recipient", func(run int) quarantine.Query { return quarantine.Query{To: to(run)} }, func(h quarantine.Hold, run int) bool { return h.To[0] == to(run) }},
		{"frequent word", func(run int) quarantine.Query { return quarantine.Query{Words: []string{word(run)}} }, func(h quarantine.Hold, run int) bool { return says(h, word(run)) }},
		{"rare word", func(run int) quarantine.Query { return quarantine.Query{Words: []string{rare(run)}} }, func(h quarantine.Hold, run int) bool { return says(h, rare(run)) }},
		{"recipient and word", func(run int) quarantine.Query { return quarantine.Query{To: to(run), Words: []string{word(run)}} },
			func(h quarantine.Hold, run int) bool { return h.To[0] == to(run) && says(h, word(run)) }},
		{"two frequent words", func(run int) quarantine.Query {
			return quarantine.Query{Words: []string{word(run), word(run/4 + run + 1)}}
		},
			func(h quarantine.Hold, run int) bool { return says(h, word(run)) && says(h, word(run/4+run+1)) }},
		{"domain and rare word", func(run int) quarantine.Query {
			return quarantine.Query{To: "@example.com", Words: []string{rare(run)}}
		},
			func(h quarantine.Hold, run int) bool { return says(h, rare(run)) }},
	}
}

// interview asks a store all questions, checks what it answers against what was put in, and
// prints how long it took.
func (c crowd) interview(t *testing.T, s quarantine.Store) {
	t.Helper()
	runs := pick(50, 5)
	for _, q := range c.questions() {
		var took []time.Duration
		for run := range runs {
			page := timed(t, s, q.ask(run), &took)
			if run < 5 {
				same(t, q.name, page, c.newest(int(c), func(h quarantine.Hold) bool { return q.want(h, run) }))
			}
		}
		print95(t, q.name, took)
	}
	var q quarantine.Query
	for range deep - 1 {
		q.After = timed(t, s, q, new([]time.Duration)).Next
		if q.After == "" {
			t.Fatal("the pages end")
		}
	}
	var took []time.Duration
	for range runs {
		page := timed(t, s, q, &took)
		same(t, "page 100", page, c.newest(int(c)-(deep-1)*pageSize, func(quarantine.Hold) bool { return true }))
	}
	print95(t, fmt.Sprint("page ", deep), took)
	took = nil
	for run := range 20 * runs {
		began := time.Now()
		_, ok, err := s.FindKey(t.Context(), fmt.Sprint("the key of no hold ", run), storetest.Start)
		took = append(took, time.Since(began))
		if ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	print95(t, "key of new mail", took)
}

func timed(t *testing.T, s quarantine.Store, q quarantine.Query, took *[]time.Duration) quarantine.Page {
	t.Helper()
	began := time.Now()
	page, err := s.List(t.Context(), q)
	*took = append(*took, time.Since(began))
	must(t, err)
	return page
}

func same(t *testing.T, what string, page quarantine.Page, want []string) {
	t.Helper()
	got := make([]string, 0, pageSize)
	for _, h := range page.Holds {
		got = append(got, h.ID)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s: %d holds, want %d: %.60v, want %.60v", what, len(got), len(want), got, want)
	}
}

func print95(t *testing.T, what string, took []time.Duration) {
	t.Helper()
	slices.Sort(took)
	t.Logf("%-20s p50 %9v  p95 %9v  max %9v  (%d runs)", what, round(took[len(took)/2]), round(took[len(took)*95/100]), round(took[len(took)-1]), len(took))
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }

// TestMillionRedis asks Redis for what people look for among very many holds.
func TestMillionRedis(t *testing.T) {
	c := crowd(many(t))
	server := redistest.Server(t, "--appendonly", "no")
	s := holds.New(holds.Options{Conn: redistest.Empty(t, server), Ring: redistest.Ring(t), Now: func() time.Time { return storetest.Start }})
	before := memory(t, server)
	began := time.Now()
	must(t, holdstest.Fill(t.Context(), s, int(c), c.start(), c.every()))
	t.Logf("%d holds written in %v", c, time.Since(began).Round(time.Second))
	used := memory(t, server) - before
	size, took := saved(t, server)
	t.Logf("memory %d MB, %d bytes a hold; dump %d MB, %d bytes a hold, written in %v", used>>20, used/int64(c), size>>20, size/int64(c), took.Round(time.Second))
	e, err := s.Estimate(t.Context())
	must(t, err)
	t.Logf("by our own estimate a hold takes %d bytes: body %d, record %d, indexes %d", e.PerHold, e.Bodies/e.Holds, e.Records/e.Holds, e.Indexes/e.Holds)
	if e.Holds != int64(c) {
		t.Errorf("%d holds are estimated, %d are there", e.Holds, c)
	}
	c.interview(t, s)
}

// memory is what a server says that it uses.
func memory(t *testing.T, s *redisd.Server) int64 {
	t.Helper()
	admin := s.Client()
	defer admin.Close()
	text, err := admin.Info(t.Context(), "memory").Result()
	must(t, err)
	for line := range strings.Lines(text) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "used_memory:"); ok {
			n, err := strconv.ParseInt(v, 10, 64)
			must(t, err)
			return n
		}
	}
	t.Fatal("no used_memory")
	return 0
}

// saved makes the server write a dump, which is what an append-only file begins with too.
func saved(t *testing.T, s *redisd.Server) (int64, time.Duration) {
	t.Helper()
	admin := s.Client()
	defer admin.Close()
	dir, err := admin.ConfigGet(t.Context(), "dir").Result()
	must(t, err)
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	must(t, admin.BgSave(ctx).Err())
	for {
		text, err := admin.Info(ctx, "persistence").Result()
		must(t, err)
		if strings.Contains(text, "rdb_bgsave_in_progress:0") {
			break
		}
		select {
		case <-ctx.Done():
			t.Fatal("the dump takes too long")
		case <-time.After(100 * time.Millisecond):
		}
	}
	info, err := os.Stat(filepath.Join(dir["dir"], "dump.rdb"))
	must(t, err)
	return info.Size(), time.Since(began)
}

// TestMillionEmbedded asks the embedded home the same. Its holds share a few bodies: each would
// take a file of its own, of 4 KiB at least.
func TestMillionEmbedded(t *testing.T) {
	c := crowd(many(t))
	dir := filepath.Join(t.TempDir(), "state")
	began := time.Now()
	must(t, localtest.Fill(t.Context(), dir, int(c), func(n int) (quarantine.Hold, []byte) {
		f, shared := holdstest.Hold(n, c.start(), c.every()), holdstest.Hold(n%16, c.start(), c.every())
		f.Hold.SHA256, f.Hold.Size = shared.Hold.SHA256, shared.Hold.Size
		return f.Hold, shared.Body
	}))
	t.Logf("%d holds written in %v", c, time.Since(began).Round(time.Second))
	before := resident(t)
	began = time.Now()
	home, err := local.Open(t.Context(), local.Options{Dir: dir})
	must(t, err)
	defer home.Close()
	t.Logf("opened in %v", time.Since(began).Round(time.Millisecond))
	size := onDisk(t, dir)
	t.Logf("database and bodies %d MB, %d bytes a hold", size>>20, size/int64(c))
	st, err := home.Holds().Stats(t.Context())
	if err != nil || st.States[quarantine.Held] != int(c) || st.Bodies != 16 {
		t.Errorf("%+v, %v", st, err)
	}
	must(t, home.Settle(t.Context()))
	t.Logf("all of it looked at after %v", time.Since(began).Round(time.Second))
	c.interview(t, home.Holds())
	t.Logf("the process has grown by %d MB", (resident(t)-before)>>20)
}

// resident is the memory of this process.
func resident(t *testing.T) int64 {
	t.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	must(t, err)
	n, err := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
	must(t, err)
	return n * int64(os.Getpagesize())
}

// onDisk is the size of all files below a folder.
func onDisk(t *testing.T, dir string) (sum int64) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		sum += info.Size()
		return err
	}))
	return sum
}
