package greylist_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"postern/filter"
	"postern/filter/greylist"
	"postern/internal/mailtest/redisd"
	"postern/internal/store/redis/conn"
	room "postern/internal/store/redis/greylist"
	"postern/internal/store/redis/redistest"
	"postern/internal/store/storetest"
	"postern/internal/store/storetest/greytest"
)

func connect(t testing.TB, s *redisd.Server) *conn.Conn {
	t.Helper()
	return redistest.Connect(t, conn.Options{Addrs: []string{s.Addr}, User: redistest.User, Password: redisd.Password})
}

// patient asks again when a loaded machine is slower than a lookup may be. What PutOff asks
// first is a lookup; what it writes has time enough.
type patient struct{ *room.Store }

func (p patient) Find(ctx context.Context, tries, sources []string, now time.Time) (greylist.Found, error) {
	return redistest.Again(func() (greylist.Found, error) { return p.Store.Find(ctx, tries, sources, now) })
}

func (p patient) PutOff(ctx context.Context, w greylist.Waiting, now time.Time) (greylist.Waiting, error) {
	return redistest.Again(func() (greylist.Waiting, error) { return p.Store.PutOff(ctx, w, now) })
}

func open(c *conn.Conn) patient { return patient{room.New(c, 0)} }

func find(t testing.TB, s greylist.Store, keys ...string) *greylist.Waiting {
	t.Helper()
	found, err := s.Find(t.Context(), keys, nil, storetest.Start)
	if err != nil {
		t.Fatal(err)
	}
	return found.Waiting
}

func putOff(t testing.TB, s greylist.Store, w greylist.Waiting) greylist.Waiting {
	t.Helper()
	got, err := s.PutOff(t.Context(), w, storetest.Start)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestConformance(t *testing.T) {
	t.Run("redis-server", func(t *testing.T) { greytest.Answers(t, open(redistest.Empty(t, redistest.Server(t)))) })
	t.Run("miniredis", func(t *testing.T) { greytest.Answers(t, open(redistest.Mini(t))) })
	t.Run("cluster", func(t *testing.T) {
		o, _ := redistest.Cluster(t)
		greytest.Answers(t, open(redistest.Connect(t, o)))
		several(t, open(redistest.Connect(t, o)), open(redistest.Connect(t, o)))
	})
}

// several nodes put off the same messages at once.
func several(t *testing.T, nodes ...greylist.Store) {
	t.Helper()
	const messages, tries = 20, 6
	keys := func(m int) []string {
		return []string{fmt.Sprint("m", m), fmt.Sprint("body", m), fmt.Sprint("net", m), conn.Hash(fmt.Sprint(m))}
	}
	var wg sync.WaitGroup
	for n, node := range nodes {
		wg.Go(func() {
			for i := range tries {
				for m := range messages {
					if _, err := node.PutOff(t.Context(), greytest.Entry(1000+(n*tries+i)*messages+m, keys(m)...), storetest.Start.Add(time.Hour)); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	listed := map[string]bool{}
	all, err := nodes[0].ListWaiting(t.Context(), "", 1000, storetest.Start.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range all {
		listed[w.ID] = true
	}
	for m := range messages {
		seen := map[string]bool{}
		for i, node := range nodes {
			for _, k := range keys(m) {
				found, err := node.Find(t.Context(), []string{"x", k}, nil, storetest.Start.Add(time.Hour))
				w := found.Waiting
				if err != nil || w == nil || w.Tries != tries*len(nodes) {
					t.Fatalf("message %d at node %d by %s: %+v %v, want %d tries", m, i, k, w, err, tries*len(nodes))
				}
				seen[w.ID] = true
				if got, err := node.GetWaiting(t.Context(), w.ID); err != nil || got.ID != w.ID || !listed[w.ID] {
					t.Errorf("message %d: %v, listed %v", m, err, listed[w.ID])
				}
			}
		}
		if len(seen) != 1 {
			t.Errorf("message %d has %d entries", m, len(seen))
		}
	}
}

func TestNodesCountOneEntry(t *testing.T) {
	s := redistest.Server(t)
	redistest.Flush(t, s)
	several(t, open(connect(t, s)), open(connect(t, s)), open(connect(t, s)))
}

// The way of mail: one question when nothing is known, the source is known, or the same
// message comes again; two when it comes with other keys.
func TestRoundTrips(t *testing.T) {
	c := redistest.Empty(t, redistest.Server(t))
	s := room.New(c, 0)
	count := func(what string, want int64, f func() error) {
		t.Helper()
		n, err := redistest.Again(func() (int64, error) {
			before := c.Trips()
			err := f()
			return c.Trips() - before, err
		})
		if err != nil {
			t.Fatal(what, err)
		}
		if n != want {
			t.Errorf("%s: %d round trips, want %d", what, n, want)
		}
	}
	look := func(tries ...string) func() error {
		return func() error {
			_, err := s.Find(t.Context(), tries, []string{"s1", "s2", "s3"}, storetest.Start)
			return err
		}
	}
	var many []string
	for i := range 80 {
		many = append(many, fmt.Sprint("k", i))
	}
	if _, err := open(c).Find(t.Context(), nil, []string{"x"}, storetest.Start); err != nil { // connects
		t.Fatal(err)
	}
	count("nothing", 1, look(many...))
	count("put off", 2, func() error {
		_, err := s.PutOff(t.Context(), greytest.Entry(1, many...), storetest.Start)
		return err
	})
	count("again", 1, look(many...))
	count("put off again", 2, func() error {
		_, err := s.PutOff(t.Context(), greytest.Entry(2, many...), storetest.Start)
		return err
	})
	count("by another way", 2, look("other", "k7"))
	count("settle", 2, func() error {
		return s.Settle(t.Context(), greytest.Entry(1).ID, []string{"s1"}, greylist.Known{Until: storetest.Start})
	})
	count("renew", 1, func() error { return s.Settle(t.Context(), "", []string{"s1", "s2"}, greylist.Known{}) })
	count("known", 1, look("x"))
}

// Things end by the clock of the server, for as long as they are of use and a little.
func TestLifetimes(t *testing.T) {
	m := miniredis.RunT(t)
	s := open(redistest.Connect(t, conn.Options{Addrs: []string{m.Addr()}}))
	wild := greytest.Entry(3, "wild")
	wild.Expires = wild.First.Add(90_000 * time.Hour)
	past := greytest.Entry(4, "past")
	past.Expires = past.First.Add(-90_000 * time.Hour)
	for _, w := range []greylist.Waiting{greytest.Entry(0, "a", "b"), wild, past} {
		putOff(t, s, w)
	}
	for k, until := range map[string]time.Time{"s": storetest.Start.Add(time.Hour), "none": {}, "ever": storetest.Start.Add(90_000 * time.Hour)} {
		if err := s.Settle(t.Context(), "", []string{k}, greylist.Known{Last: storetest.Start, Until: until}); err != nil {
			t.Fatal(err)
		}
	}
	ttl := map[time.Duration]int{}
	for _, k := range m.Keys() {
		ttl[m.TTL(k)]++
	}
	want := map[time.Duration]int{
		0: 1, 49 * time.Hour: 4, 731*24*time.Hour - 23*time.Hour: 3, time.Hour + time.Minute: 3,
		25 * time.Hour: 1, 24*time.Hour + time.Minute: 1, 731 * 24 * time.Hour: 1,
	}
	if fmt.Sprint(ttl) != fmt.Sprint(want) {
		t.Errorf("%v\nwant %v", ttl, want)
	}
	m.FastForward(50 * time.Hour)
	if find(t, s, "a", "b") != nil || find(t, s, "wild") == nil {
		t.Error("the server forgets the wrong entry")
	}
	all, err := s.ListWaiting(t.Context(), "", 10, storetest.Start)
	if members, _ := m.ZMembers("postern:gx"); err != nil || len(all) != 1 || all[0].ID != wild.ID || len(members) != 1 {
		t.Errorf("%v %v, index %v", all, err, members)
	}
}

// The index may lead nowhere, or be lost; an entry may be lost with all that leads to it left.
func TestWhatBrokeOff(t *testing.T) {
	srv := redistest.Server(t)
	s := open(redistest.Empty(t, srv))
	r := srv.Client()
	defer r.Close()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	lead := func(key string) string { return "postern:gt:" + conn.Hash(key) }
	first := putOff(t, s, greytest.Entry(1, "a", "b"))
	second := putOff(t, s, greytest.Entry(2, "c", "d"))
	under := r.Get(t.Context(), lead("a")).Val()
	must(r.Del(t.Context(), "postern:gw:"+under).Err())
	if find(t, s, "a") != nil || find(t, s, "a", "b") != nil {
		t.Error("a lost entry is found")
	}
	if _, err := s.GetWaiting(t.Context(), first.ID); !errors.Is(err, greylist.ErrNotFound) {
		t.Error(err)
	}
	if err := s.Settle(t.Context(), first.ID, nil, greylist.Known{}); err != nil {
		t.Error(err)
	}
	must(r.Del(t.Context(), lead("c"), lead("d"), "postern:gx").Err())
	if find(t, s, "c", "d") == nil {
		t.Error("the same message is not found without what leads to it")
	}
	if got := putOff(t, s, greytest.Entry(3, "c", "d")); got.ID != second.ID || got.Tries != 2 {
		t.Errorf("%+v", got)
	}
	// What leads to an entry of others is not believed.
	must(r.Set(t.Context(), lead("z"), under, 0).Err())
	third := putOff(t, s, greytest.Entry(4, "a", "b"))
	if find(t, s, "z") != nil || find(t, s, "a").ID != third.ID {
		t.Error("a key that is not its own leads to an entry")
	}
}

// What is not ours is nothing or an error, and is written over.
func TestWhatIsNotOurs(t *testing.T) {
	srv := redistest.Server(t)
	c := redistest.Empty(t, srv)
	s := open(c)
	r := srv.Client()
	defer r.Close()
	w := greytest.Entry(1, "a", "b")
	putOff(t, s, w)
	if err := s.Settle(t.Context(), "", []string{"s", "other"}, greylist.Known{Source: "x"}); err != nil {
		t.Fatal(err)
	}
	under := "postern:gw:" + r.Get(t.Context(), "postern:gt:"+conn.Hash("a")).Val()
	record := r.HGet(t.Context(), under, "r").Val()
	for what, v := range map[string]string{"empty": "", "newer": "2" + record[1:], "words": "1{" + strings.Repeat("x", 500), "another's": strings.Replace(record, `["a","b"]`, `["y","z"]`, 1), "list": "1[]"} {
		if err := r.HSet(t.Context(), under, "r", v).Err(); err != nil {
			t.Fatal(err)
		}
		if got := find(t, s, "a", "b"); got != nil {
			t.Errorf("%s: %+v", what, got)
		}
		if all, err := s.ListWaiting(t.Context(), "", 10, storetest.Start); err != nil || len(all) != 0 {
			t.Errorf("%s: %v %v", what, all, err)
		}
	}
	for _, n := range []string{"", "many", "-1", "99999999999999999999"} {
		if err := r.HSet(t.Context(), under, "r", record, "n", n, "l", "never").Err(); err != nil {
			t.Fatal(err)
		}
		if got := find(t, s, "a"); got == nil || got.ID != w.ID || got.Tries < -1 {
			t.Errorf("tries %q: %+v", n, got)
		}
	}
	known := r.Get(t.Context(), "postern:gk:"+conn.Hash("other")).Val()
	for _, v := range []string{"", "1", known, "words", known[:9] + "[]"} {
		if err := r.Set(t.Context(), "postern:gk:"+conn.Hash("s"), v, 0).Err(); err != nil {
			t.Fatal(err)
		}
		if found, err := s.Find(t.Context(), nil, []string{"s"}, storetest.Start); err != nil || found.Known != nil {
			t.Errorf("%q: %+v %v", v, found.Known, err)
		}
	}
	if err := r.Set(t.Context(), "postern:gk:"+conn.Hash("s"), "x", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(r.Del(t.Context(), under).Err(), r.Set(t.Context(), under, "a string", 0).Err()); err != nil {
		t.Fatal(err)
	}
	if found, err := s.Store.Find(t.Context(), w.Keys, nil, storetest.Start); err == nil {
		t.Errorf("a string in place of an entry: %+v", found)
	}
	if _, err := s.Store.PutOff(t.Context(), w, storetest.Start); err == nil {
		t.Error("a string in place of an entry is counted")
	}
}

// A flood keeps what is newest.
func TestRowsAreBounded(t *testing.T) {
	const rows = 40
	c := redistest.Empty(t, redistest.Server(t))
	s := patient{room.New(c, rows)}
	for i := range 3 * rows {
		if _, err := s.PutOff(t.Context(), greytest.Entry(i, fmt.Sprint(i, "a"), fmt.Sprint(i, "b")), storetest.Start.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	all, err := s.ListWaiting(t.Context(), "", 1000, storetest.Start.Add(time.Hour))
	if err != nil || len(all) > rows || len(all) < rows/2 || all[len(all)-1].ID != greytest.Entry(3*rows-1).ID {
		t.Errorf("%d entries, %v", len(all), err)
	}
	if found, err := s.Find(t.Context(), []string{"0a", "0b"}, nil, storetest.Start.Add(time.Hour)); err != nil || found.Waiting != nil {
		t.Error("the oldest is still there:", found, err)
	}
	keys, err := c.Client().DBSize(t.Context()).Result()
	if err != nil || keys > 4*rows+1 {
		t.Errorf("%d keys, %v", keys, err)
	}
	t.Logf("%d keys for %d entries", keys, len(all))
}

// The list goes on after any entry, also among many of one moment.
func TestPages(t *testing.T) {
	s := open(redistest.Empty(t, redistest.Server(t)))
	for i := range 30 {
		w := greytest.Entry(i, fmt.Sprint("k", i))
		w.First = storetest.Start.Add(time.Duration(i/10) * time.Millisecond)
		putOff(t, s, w)
	}
	after := ""
	for i := range 30 {
		all, err := s.ListWaiting(t.Context(), after, 1, storetest.Start)
		if err != nil || len(all) != 1 || all[0].ID != greytest.Entry(i).ID {
			t.Fatalf("%d: %v %v", i, all, err)
		}
		after = all[0].ID
	}
	if all, err := s.ListWaiting(t.Context(), after, 1, storetest.Start); err != nil || len(all) != 0 {
		t.Error(all, err)
	}
	if _, err := s.ListWaiting(t.Context(), "gone", 1, storetest.Start); !errors.Is(err, greylist.ErrNotFound) {
		t.Error(err)
	}
}

// world is the greylist over a store, and a stranger's mail.
func world(s greylist.Store) (*greylist.Greylist, *filter.Message) {
	g := greylist.NewGreylist(greylist.Config{Wait: time.Minute, RetryWithin: time.Hour, Remember: 24 * time.Hour},
		greylist.Parts{Store: s, Now: func() time.Time { return storetest.Start }})
	raw := "Subject: Offer\r\n\r\nbuy\r\n"
	return g, &filter.Message{
		ID: strings.Repeat("0", 26), Client: filter.Client{IP: netip.MustParseAddr("192.0.2.1"), Helo: "mx.sender.example"}, From: "a@sender.example",
		To: []filter.Recipient{{Address: "us@here.example"}}, Body: strings.NewReader(raw), Size: int64(len(raw)),
	}
}

// F6: with the store gone or silent nobody is asked to come again: the check could not tell,
// and says so in plain words.
func TestF6NobodyIsPutOffWithoutTheStore(t *testing.T) {
	srv := redistest.Server(t)
	c := redistest.Empty(t, srv)
	g, m := world(room.New(c, 0))
	away := func(what string) {
		t.Helper()
		for range 20 {
			found, err := g.Check(t.Context(), m)
			var plain filter.PlainError
			if len(found) != 0 || !errors.Is(err, conn.ErrAway) || !errors.As(err, &plain) || strings.Contains(plain.Plain(), "redis") {
				t.Fatalf("%s: %v %v", what, found, err)
			}
			o := filter.Outcome{Verdicts: []filter.Verdict{{Action: filter.Tag}}, Fates: []filter.Fate{{State: filter.Delivered}}}
			if err := g.Done(t.Context(), m, o); !errors.Is(err, conn.ErrAway) {
				t.Fatal(err)
			}
		}
	}
	back := func() {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); ; {
			found, err := g.Check(t.Context(), m)
			if err == nil && len(found) == 1 && found[0].Symbol == greylist.New {
				return
			}
			if time.Now().After(end) {
				t.Fatal(found, err)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	back()
	srv.Kill()
	away("gone")
	srv.Run(t)
	back()
	if err := srv.Stop(); err != nil {
		t.Fatal(err)
	}
	before := c.Trips()
	away("silent")
	if n := c.Trips() - before; n > 20 {
		t.Errorf("%d of 40 questions waited for a silent store", n)
	}
	if err := srv.Continue(); err != nil {
		t.Fatal(err)
	}
	back()
}

// F8: a full store, or one that may only be read, makes no entry and says so.
func TestF8StoreFull(t *testing.T) {
	srv := redistest.Server(t)
	c := redistest.Empty(t, srv)
	s, bare := open(c), room.New(c, 0)
	putOff(t, s, greytest.Entry(1, "a"))
	r := srv.Client()
	defer r.Close()
	if err := r.ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	for _, k := range []string{"a", "new"} {
		if w, err := bare.PutOff(t.Context(), greytest.Entry(2, k), storetest.Start); !errors.Is(err, conn.ErrAway) {
			t.Errorf("%s: %+v %v", k, w, err)
		}
	}
	if err := s.Settle(t.Context(), "", []string{"s"}, greylist.Known{}); !errors.Is(err, conn.ErrAway) {
		t.Error(err)
	}
	if w := find(t, s, "a"); w == nil || w.Tries != 1 {
		t.Errorf("%+v", w)
	}
	if find(t, s, "new") != nil {
		t.Error("half an entry is found")
	}
}

// What strangers wrote is in no name of a key (H-J03).
func TestKeysAreHashes(t *testing.T) {
	c := redistest.Empty(t, redistest.Server(t))
	s := open(c)
	long := strings.Repeat("a:b{c} ", 1<<17)
	putOff(t, s, greytest.Entry(1, long, "a:b", conn.Hash("x")))
	if err := s.Settle(t.Context(), long, []string{long, "a:b"}, greylist.Known{Source: "s"}); err != nil {
		t.Fatal(err)
	}
	if w := find(t, s, long); w == nil || find(t, s, "a") != nil {
		t.Error("a long key is not found")
	}
	var names []string
	err := c.Do(t.Context(), conn.Background, func(ctx context.Context, r redis.UniversalClient) (err error) {
		names, _, err = r.Scan(ctx, 0, "", 1000).Result()
		return err
	})
	if err != nil || len(names) != 8 {
		t.Error(names, err)
	}
	for _, n := range names {
		if n != "postern:gx" && len(n) != len("postern:gw:")+32 {
			t.Errorf("a key of another length: %.60s", n)
		}
	}
}
