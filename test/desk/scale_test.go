package desk

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"postern/abuse/calendar"
	"postern/abuse/cases"
	"postern/abuse/sent"
	"postern/cmd/postern/gateway"
	"postern/cmd/postern/home"
	"postern/filter"
	"postern/internal/config"
	"postern/internal/control"
	"postern/internal/entity"
	"postern/internal/mailtest/entities"
	"postern/internal/mailtest/redisd"
	"postern/internal/people"
	"postern/internal/spool"
	"postern/internal/store/local/localtest"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/holds"
	"postern/internal/store/redis/holds/holdstest"
	"postern/internal/store/redis/redistest"
	"postern/internal/store/redis/sealed"
	"postern/quarantine"
	ruleset "postern/rules"
)

// sizes are how much a desk has to show.
type sizes struct{ holds, cases, accounts, rounds, bulk int }

// TestScale asks a desk with very much on it for its pages, on both homes, and prints what each
// cost the server: time around the handler, CPU of the process, octets, commands and octets of
// Redis. POSTERN_CAMPAIGN=1 is 100,000 holds, 10,000 cases and 30,000 accounts; the short form
// holds the pages to what they may read and send.
func TestScale(t *testing.T) {
	n := sizes{holds: 600, cases: 300, accounts: 120, rounds: 2, bulk: 60}
	if os.Getenv("POSTERN_CAMPAIGN") == "1" {
		n = sizes{holds: 100_000, cases: 10_000, accounts: 30_000, rounds: 20, bulk: 500}
	}
	book := caseBook(t, n.cases)
	t.Run("embedded", func(t *testing.T) { scaled(t, n, book, nil) })
	t.Run("redis", func(t *testing.T) { scaled(t, n, book, redistest.Server(t)) })
}

// kept is a home in memory whose records can be taken out.
type kept struct {
	*entities.Memory
	mu  sync.Mutex
	all map[string]entity.Record
}

func (k *kept) Put(ctx context.Context, r entity.Record) error {
	err := k.Memory.Put(ctx, r)
	if err == nil {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.all[string(r.Kind)+" "+r.ID] = r
	}
	return err
}

// records are those there are, each as if it had just been created.
func (k *kept) records() []entity.Record {
	out := make([]entity.Record, 0, len(k.all))
	for _, r := range k.all {
		r.Version = 1
		out = append(out, r)
	}
	return out
}

// caseBook is the records of many cases, opened as complaints open them.
func caseBook(t *testing.T, n int) []entity.Record {
	t.Helper()
	set, err := calendar.Open("", nil)
	if err != nil {
		t.Fatal(err)
	}
	k := &kept{Memory: &entities.Memory{}, all: map[string]entity.Record{}}
	d := &cases.Desk{
		Entities: k, Now: time.Now, Log: slog.New(slog.DiscardHandler), Calendars: func() *calendar.Set { return set },
		Audit: func(context.Context, string, string, string, any, any, string) error { return nil },
		Alarm: func(context.Context, cases.Alarm) {},
	}
	for i := range n {
		if _, err := d.Attach(t.Context(), cases.Complaint{
			Report: fmt.Sprintf("r%d", i), At: time.Now().Add(-time.Duration(n-i) * time.Second), Raw: strings.Repeat("a", 64), Grade: 2 + i%3,
			Sentence: "DKIM d=example.com s=one verified; sent by an account of ours", Account: fmt.Sprintf("user%d@d%d.example", i, i%50), Serial: fmt.Sprintf("serial%d", i),
			Copy: fmt.Sprintf("copy%d", i), Accepted: 1, Votes: 100, Client: netip.MustParseAddrPort("203.0.113.7:51514"), SentAt: time.Now().Add(-time.Hour), Trust: 1, Person: true,
			Reporter: fmt.Sprintf("r%d@isp.example", i),
		}); err != nil {
			t.Fatal(err)
		}
	}
	return k.records()
}

// hall is a gateway that nobody reaches but by its handlers.
type hall struct {
	t       *testing.T
	n       sizes
	h       http.Handler
	calls   *control.Server
	redis   *redisd.Server
	cookies []*http.Cookie
	token   string
}

const scaleYAML = `hostname: mx1.example.com
state: DIR/state
listeners: [{name: mx, kind: inbound, addr: "127.0.0.1:0"}]
backends: {mail: [{addr: "127.0.0.1:9", tls: none}]}
routes: {example.com: {backend: mail, recipients: any}}
dns: {servers: ["127.0.0.1:9"]}
desk: {addr: "127.0.0.1:0"}
`

func scaled(t *testing.T, n sizes, book []entity.Record, redis *redisd.Server) {
	dir := t.TempDir()
	text := strings.ReplaceAll(scaleYAML, "DIR", dir)
	for name, secret := range map[string]string{"redis.pw": redisd.Password, "seal.key": strings.Repeat("5a", 32)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(secret+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if redis != nil {
		text += fmt.Sprintf("store: {home: redis, durability: redis, addrs: [%q], user: %s, password_file: %[3]s/redis.pw, key_file: %[3]s/seal.key}\n", redis.Addr, redistest.User, dir)
	}
	path := filepath.Join(dir, "postern.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	fill(t, n, cfg, book, redis)
	set, err := ruleset.Load()
	if err != nil {
		t.Fatal(err)
	}
	g, err := gateway.Build(t.Context(), gateway.Options{Config: cfg, Rules: set, Log: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close(context.Background()) })
	handlers, _, err := g.Handlers()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d holds, %d cases, %d accounts are there after %s; load %s", n.holds, n.cases, n.accounts, time.Since(began).Round(time.Millisecond), load())
	h := &hall{t: t, n: n, h: handlers.Desk, calls: handlers.Calls, redis: redis}
	h.enter()
	h.measure()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	t.Logf("memory: %d MB from the system, %d MB in use; load %s", m.Sys>>20, m.HeapInuse>>20, load())
}

// load is what the machine has to do besides.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(text))[:2], " ")
}

// fill writes what there is to show, faster than mail could.
func fill(t *testing.T, n sizes, cfg *config.Config, book []entity.Record, redis *redisd.Server) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	start, every := time.Now().Add(-24*time.Hour), 24*time.Hour/time.Duration(n.holds)
	hold := func(i int) (quarantine.Hold, []byte) {
		f := holdstest.Hold(i, start, every)
		f.Hold.Score += scoreOf(filter.Score(i))
		return f.Hold, f.Body
	}
	if redis == nil {
		must(localtest.Fill(t.Context(), cfg.State, n.holds, func(i int) (quarantine.Hold, []byte) {
			h, _ := hold(i)
			shared := holdstest.Hold(i%16, start, every)
			h.SHA256, h.Size = shared.Hold.SHA256, shared.Hold.Size
			return h, shared.Body
		}))
		must(localtest.FillRecords(t.Context(), cfg.State, book))
	} else {
		ring, err := sealed.Read(cfg.Store.KeyFile)
		must(err)
		c := redistest.Connect(t, conn.Options{Addrs: cfg.Store.Addrs, User: redistest.User, Password: redisd.Password})
		must(holdstest.FillScored(t.Context(), holds.New(holds.Options{Conn: c, Ring: ring, Now: time.Now}), n.holds, start, every, scoreOf))
	}
	home, err := home.Open(t.Context(), home.Options{
		Config: cfg, Spool: &spool.Spool{Memory: 1 << 20}, Now: time.Now, Log: slog.New(slog.DiscardHandler), Event: func(string, string, bool) {}, Rules: func() string { return "" },
	})
	must(err)
	if redis != nil {
		atOnce(t, len(book), func(i int) error { return home.Entities.Put(t.Context(), book[i]) })
	}
	atOnce(t, n.accounts, func(i int) error {
		return home.Sent.Begin(t.Context(), sent.Row{
			Serial: fmt.Sprintf("01jd9x5h3k2m4n6p8q%08d", i), At: time.Now().Add(-time.Duration(i%3000) * time.Second), Account: fmt.Sprintf("user%d@d%d.example", i, i%50),
			Client: netip.MustParseAddrPort("192.0.2.1:4000"), From: fmt.Sprintf("user%d@d%d.example", i, i%50), Size: 900, Copies: []sent.Copy{{Recipient: "a@isp.example", State: "delivered"}},
		})
	})
	must(home.Close())
}

// scoreOf is how far the score of a hold is from the usual one.
func scoreOf[N ~int](i N) N { return i * 37 % 1100 }

// atOnce does n things, several at a time.
func atOnce(t *testing.T, n int, do func(i int) error) {
	t.Helper()
	var next, failed atomic.Int64
	var wg sync.WaitGroup
	var first atomic.Value
	for range 32 {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if err := do(i); err != nil {
					failed.Add(1)
					first.CompareAndSwap(nil, err.Error())
				}
			}
		})
	}
	wg.Wait()
	if failed.Load() > 0 {
		t.Fatalf("%d of %d failed: %v", failed.Load(), n, first.Load())
	}
}

// enter signs somebody in.
func (h *hall) enter() {
	h.t.Helper()
	ctx := control.WithActor(h.t.Context(), "root")
	if err := h.calls.Call(ctx, "user.add", map[string]any{"name": "olga", "role": people.Postmaster, "email": "olga@example.com", "password": password}, nil); err != nil {
		h.t.Fatal(err)
	}
	w := h.ask("GET", "/sign-in", nil)
	h.keep(w)
	if w = h.ask("POST", "/sign-in", url.Values{"name": {"olga"}, "password": {password}}); w.Code != http.StatusSeeOther {
		h.t.Fatalf("sign-in: %d %s", w.Code, w.Body)
	}
	h.keep(w)
	h.keep(h.ask("GET", "/held", nil))
}

func (h *hall) keep(w *httptest.ResponseRecorder) {
	for _, c := range w.Result().Cookies() {
		h.cookies = append(slices.DeleteFunc(h.cookies, func(o *http.Cookie) bool { return o.Name == c.Name }), c)
	}
	if m := formToken.FindStringSubmatch(w.Body.String()); m != nil {
		h.token = m[1]
	}
}

func (h *hall) ask(method, path string, form url.Values) *httptest.ResponseRecorder {
	var body io.Reader
	if form != nil {
		form.Set("form", h.token)
		body = strings.NewReader(form.Encode())
	}
	r := httptest.NewRequestWithContext(h.t.Context(), method, "http://desk.example"+path, body)
	r.RemoteAddr = "192.0.2.9:4711"
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", "http://desk.example")
	}
	for _, c := range h.cookies {
		r.AddCookie(c)
	}
	w := httptest.NewRecorder()
	h.h.ServeHTTP(w, r)
	return w
}

// cost is what something took.
type cost struct {
	wall, cpu   time.Duration
	cmds, bytes int64 // of Redis
}

func (h *hall) cost(do func()) cost {
	h.t.Helper()
	cmds, bytes := h.traffic()
	cpu, began := busy(h.t), time.Now()
	do()
	out := cost{wall: time.Since(began), cpu: busy(h.t) - cpu}
	if h.redis != nil {
		c, b := h.traffic()
		out.cmds, out.bytes = c-cmds, b-bytes
	}
	return out
}

// busy is the CPU time of this process.
func busy(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

var redisCount = regexp.MustCompile(`(total_commands_processed|total_net_output_bytes):(\d+)`)

// traffic is what Redis has done and sent so far.
func (h *hall) traffic() (cmds, bytes int64) {
	if h.redis == nil {
		return 0, 0
	}
	h.t.Helper()
	admin := h.redis.Client()
	defer admin.Close()
	text, err := admin.Info(h.t.Context(), "stats").Result()
	if err != nil {
		h.t.Fatal(err)
	}
	for _, m := range redisCount.FindAllStringSubmatch(text, -1) {
		n, _ := strconv.ParseInt(m[2], 10, 64)
		if m[1] == "total_commands_processed" {
			cmds = n
		} else {
			bytes = n
		}
	}
	return cmds, bytes
}

// slow is from how many octets of Redis on a page is not asked for often.
const slow = 10_000_000

// bounds of a page: octets as they are sent, and what it may make Redis do.
type limits struct{ packed, cmds, bytes int64 }

func (h *hall) page(what, path string, most limits) string {
	h.t.Helper()
	var walls, cpus []time.Duration
	var body string
	var last cost
	rounds := h.n.rounds
	if most.bytes >= slow {
		rounds = min(rounds, 3)
	}
	for range rounds + 1 {
		c := h.cost(func() {
			w := h.ask("GET", path, nil)
			if body = w.Body.String(); w.Code != http.StatusOK {
				h.t.Fatalf("%s: %d %.600s", what, w.Code, body)
			}
		})
		walls, cpus, last = append(walls, c.wall), append(cpus, c.cpu), c
	}
	first := walls[0]
	walls, cpus = walls[1:], cpus[1:] // the first reads what is kept afterwards
	slices.Sort(walls)
	slices.Sort(cpus)
	packed := int64(packed(h.t, body))
	h.t.Logf("%-34s p50 %7.1f ms  p95 %7.1f ms  first %7.1f ms  CPU %6.1f ms  %4d kB, %3d packed  redis %5d commands, %5d kB",
		what, ms(walls[len(walls)/2]), ms(walls[len(walls)*95/100]), ms(first), ms(cpus[len(cpus)/2]), len(body)/1000, packed/1000, last.cmds, last.bytes/1000)
	if packed > most.packed {
		h.t.Errorf("%s: %d octets compressed, more than %d", what, packed, most.packed)
	}
	if h.redis != nil && (last.cmds > most.cmds || last.bytes > most.bytes) {
		h.t.Errorf("%s: %d commands and %d octets of Redis, more than %d and %d", what, last.cmds, last.bytes, most.cmds, most.bytes)
	}
	return body
}

func (h *hall) measure() {
	list := limits{packed: 100_000, cmds: 360, bytes: 200_000} // 50 are shown, 200 counted
	held := func(q string) string { return "/held?q=" + url.QueryEscape(q) }
	h.page("held: first page", "/held", list)
	h.page("held: oldest first", "/held?order=oldest", list)
	for _, f := range []struct{ what, q string }{
		{"state", "state:held"}, {"recipient", "to:user17@example.com"}, {"sender", "from:@domain31.example"}, {"symbol", "symbol:BAYES_99"}, {"last hour", "since:1h"},
		{"word", "invoice"}, {"recipient and word", "to:@example.com order"}, {"score that many have", "score:>=7"},
	} {
		most := list
		if f.what == "recipient and word" { // commands within a script count too: one for each entry that is asked for
			most.cmds = 4000
		}
		h.page("held: "+f.what, held(f.q), most)
	}
	for _, order := range []string{"highest", "lowest"} {
		h.page("held: "+order+" score first", "/held?order="+order, list)
	}
	for _, q := range []string{"direction:outbound", "score:>=99", "score:>=18", "to:user17@example.com", "symbol:BAYES_99", "state:deleted", "since:10m"} {
		most := list
		if !strings.HasPrefix(q, "score") && !strings.HasPrefix(q, "direction") { // up to 1,000 are read and sorted, or their entries asked for one by one
			most.cmds, most.bytes = 4000, 1_500_000
		}
		h.page("held: highest, "+q, held(q)+"&order=highest", most)
	}
	h.page("held: score that none has", held("score:>=99"), list)
	h.page("held: score that few have", held("score:>=18.4"), limits{100_000, 400, 700_000})
	h.page("held: direction that none has", held("direction:outbound"), list)
	next := "/held"
	for range min(19, h.n.holds/50-2) {
		m := nextPage.FindStringSubmatch(h.ask("GET", next, nil).Body.String())
		if m == nil {
			h.t.Fatal("no next page")
		}
		next = strings.ReplaceAll(m[1], "&amp;", "&")
	}
	h.page("held: page 20", next, list)
	queue := limits{packed: 60_000, cmds: 400, bytes: 600_000}
	body := h.page("cases: queue", "/cases", queue)
	for _, f := range []struct{ what, q string }{
		{"unowned", "view=unowned"}, {"all", "view=all"}, {"grade", "grade=P4"}, {"grade and priority", "grade=P4&priority=U3"}, {"account", "account=user7@d7.example"}, {"youngest first", "order=new"},
		{"a domain by its words", "q=d7.example"}, {"a word that many have", "q=verified"}, {"a word that one has", "q=user9@d9.example"}, {"a word that nobody has", "q=nowhere"},
	} {
		h.page("cases: "+f.what, "/cases?"+f.q, queue)
	}
	if m := regexp.MustCompile(`href="(/cases/[A-Z]+-[0-9]+-[0-9]+)"`).FindStringSubmatch(body); m == nil {
		h.t.Error("the queue has no case")
	} else {
		h.page("case", m[1], queue)
	}
	accounts := limits{packed: 40_000, cmds: 120, bytes: 100_000}
	h.page("accounts", "/accounts", accounts)
	h.page("accounts: a word", "/accounts?q=user77", accounts)
	h.page("accounts: a domain", "/accounts?domain=d7.example", accounts)
	h.many()
}

// many shows what one act would hit, and has it done.
func (h *hall) many() {
	h.t.Helper()
	var page *httptest.ResponseRecorder
	c := h.cost(func() {
		page = h.ask("POST", "/held/act", url.Values{"act": {"release"}, "all": {"yes"}, "q": {"symbol:BAYES_99"}})
	})
	ids := regexp.MustCompile(`name="id" value="([^"]+)"`).FindAllStringSubmatch(page.Body.String(), -1)
	h.t.Logf("preview of %d: %.1f ms, CPU %.1f ms, %d kB, redis %d commands, %d kB", len(ids), ms(c.wall), ms(c.cpu), page.Body.Len()/1000, c.cmds, c.bytes/1000)
	if page.Code != http.StatusOK || len(ids) < h.n.bulk {
		h.t.Fatalf("preview: %d, %d holds", page.Code, len(ids))
	}
	h.keep(page)
	form := url.Values{"act": {"delete"}, "seen": {"yes"}}
	for _, id := range ids[:h.n.bulk] {
		form.Add("id", id[1])
	}
	form.Set("confirm-password", password)
	left := func() int {
		var n struct {
			N int `json:"n"`
		}
		if err := h.calls.Call(h.t.Context(), "quarantine.count", map[string]string{"text": "state:deleted"}, &n); err != nil {
			h.t.Fatal(err)
		}
		return n.N
	}
	began := time.Now()
	c = h.cost(func() { page = h.ask("POST", "/held/act", form) })
	if page.Code != http.StatusSeeOther {
		h.t.Fatalf("act: %d %.600s", page.Code, page.Body)
	}
	for end := time.Now().Add(2 * time.Minute); left() < h.n.bulk; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			h.t.Fatalf("%d of %d are deleted", left(), h.n.bulk)
		}
	}
	h.t.Logf("deleting %d: answered after %.1f ms, done after %.0f ms, CPU of the answer %.1f ms", h.n.bulk, ms(c.wall), ms(time.Since(began)), ms(c.cpu))
}
