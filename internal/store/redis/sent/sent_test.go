package sent_test

import (
	"encoding/json"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"postern/abuse/sent"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/redistest"
	store "postern/internal/store/redis/sent"
	"postern/internal/store/storetest"
	"postern/internal/store/storetest/senttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, c *conn.Conn, with ...func(*store.Options)) *store.Store {
	t.Helper()
	o := store.Options{Conn: c, Ring: redistest.Ring(t)}
	for _, f := range with {
		f(&o)
	}
	s, err := store.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSuite(t *testing.T) {
	server := redistest.Server(t)
	senttest.Run(t, func(t *testing.T) sent.Store { return open(t, redistest.Empty(t, server)) })
}

func TestSuiteOnAnotherHand(t *testing.T) {
	senttest.Run(t, func(t *testing.T) sent.Store { return open(t, redistest.Mini(t)) })
}

func TestSuiteOnACluster(t *testing.T) {
	if testing.Short() {
		t.Skip("six servers")
	}
	o, cluster := redistest.Cluster(t)
	senttest.Run(t, func(t *testing.T) sent.Store {
		redistest.Flush(t, cluster.Masters(t)...)
		return open(t, redistest.Connect(t, o))
	})
}

// A row that somebody else wrote into the store names nobody.
func TestForgedRows(t *testing.T) {
	c := redistest.Mini(t)
	s := open(t, c)
	a, b := senttest.Row(t, 1, "anna@example.com"), senttest.Row(t, 2, "bob@example.com")
	for _, r := range []sent.Row{a, b} {
		if err := s.Begin(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	key := func(r sent.Row) string { return c.Key("{sn:" + r.Serial + "}") }
	of := c.Client().Get(t.Context(), key(b)).Val()
	c.Client().Set(t.Context(), key(a), of, 0)
	if r, err := s.BySerial(t.Context(), a.Serial); err == nil {
		t.Errorf("the row of another serial: %+v", r)
	}
	if rows, err := s.ByMessageID(t.Context(), a.MessageID); err != nil || len(rows) != 0 {
		t.Errorf("%d rows, %v", len(rows), err)
	}
	if rows, _, err := s.Since(t.Context(), "", 10); err != nil || len(rows) != 1 || rows[0].Serial != b.Serial {
		t.Errorf("the tail has %d rows, %v", len(rows), err)
	}
}

// What stands here as it is there is known by its text; what is forged, missing, in no log or
// other is not the same.
func TestSame(t *testing.T) {
	c := redistest.Mini(t)
	s := open(t, c)
	texts := map[string][]byte{}
	var rows []sent.Row
	for n := range 5 {
		r := senttest.Row(t, n, "anna@example.com").Fit()
		if err := s.Begin(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		rows, texts[r.Serial] = append(rows, r), text
	}
	key := func(r sent.Row) string { return c.Key("{sn:" + r.Serial + "}") }
	r := c.Client()
	r.Set(t.Context(), key(rows[1]), r.Get(t.Context(), key(rows[0])).Val(), 0)
	r.ZRem(t.Context(), c.Key("{sent}", "at"), rows[2].Serial)
	if err := s.Settle(t.Context(), rows[3].Serial, []sent.Copy{{Recipient: rows[3].Copies[0].Recipient, Bounced: "5.1.1"}}); err != nil {
		t.Fatal(err)
	}
	r.Del(t.Context(), key(rows[4]))
	r.LPush(t.Context(), key(rows[4]), "a list")
	same, err := s.Same(t.Context(), texts)
	if err != nil || !same[rows[0].Serial] {
		t.Errorf("%v, %v", same, err)
	}
	for _, other := range rows[1:] {
		if same[other.Serial] {
			t.Errorf("%s is not the same", other.Serial)
		}
	}
}

// A cap that is reached makes room and says so; nobody waits.
func TestCap(t *testing.T) {
	var said []string
	s := open(t, redistest.Mini(t), func(o *store.Options) {
		o.Cap = 8 << 10
		o.Event = func(key, text string, over bool) {
			if !over {
				said = append(said, key+": "+text)
			}
		}
	})
	var last sent.Row
	for n := range 60 {
		last = senttest.Row(t, n, "anna@example.com")
		if err := s.Begin(t.Context(), last); err != nil {
			t.Fatal(err)
		}
	}
	rows, bytes, err := s.Size(t.Context())
	if err != nil || rows >= 60 || rows < 5 || bytes > 9<<10 || len(said) == 0 || !strings.Contains(said[0], "store.caps.sent") {
		t.Errorf("%d rows, %d bytes, %v, said %v", rows, bytes, err, said)
	}
	if _, err := s.BySerial(t.Context(), last.Serial); err != nil {
		t.Error(err)
	}
	_, err = s.BySerial(t.Context(), senttest.Row(t, 0, "").Serial)
	storetest.WantErr(t, "the oldest", err, sent.ErrNotFound)
}

func TestEmptiedLogHasOtherCursors(t *testing.T) {
	c := redistest.Mini(t)
	s := open(t, c)
	if err := s.Begin(t.Context(), senttest.Row(t, 1, "a")); err != nil {
		t.Fatal(err)
	}
	_, cursor, err := s.Since(t.Context(), "", 1)
	if err != nil {
		t.Fatal(err)
	}
	c.Client().FlushAll(t.Context())
	if err := s.Begin(t.Context(), senttest.Row(t, 2, "a")); err != nil {
		t.Fatal(err)
	}
	_, _, err = s.Since(t.Context(), cursor, 1)
	storetest.WantErr(t, "the cursor of a log that is gone", err, sent.ErrCursor)
}
