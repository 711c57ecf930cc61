// Package senttest holds the suite of the send log.
package senttest

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"postern/abuse/sent"
	"postern/filter"
	"postern/internal/store/storetest"
)

// Row is row n of an account: one a minute, with two recipients.
func Row(tb testing.TB, n int, account string) sent.Row {
	tb.Helper()
	at := storetest.Start.Add(time.Duration(n) * time.Minute)
	id, err := filter.NewID(at, bytes.NewReader(fmt.Appendf(nil, "%010d", n)))
	if err != nil {
		tb.Fatal(err)
	}
	return sent.Row{
		Serial: id, Node: "a", Listener: "submission", At: at, Account: account, Login: account,
		Client: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(n % 3)}), uint16(40000+n)), From: account,
		MessageID: fmt.Sprintf("m%d@example.com", n%4), BodyHash: "aGFzaA==", Fuzzy: sent.Likeness("some words of the text"), Size: 1234, Score: 150, Action: "accept",
		Symbols: []string{"SUBJ_ALL_CAPS"},
		Copies: []sent.Copy{
			{Recipient: fmt.Sprintf("r%d@x.example", n), State: sent.Handing, At: at}, {Recipient: "Größe@y.example", State: sent.Held, At: at},
		},
	}
}

// Equal are the options to compare rows with.
func Equal() cmp.Options {
	return cmp.Options{cmpopts.EquateComparable(netip.AddrPort{}), cmpopts.EquateEmpty()}
}

// Run runs the suite; open gives an empty store each time.
func Run(t *testing.T, open func(t *testing.T) sent.Store) {
	for name, f := range map[string]func(*testing.T, sent.Store){
		"begin and settle": beginAndSettle, "lookups": lookups, "pages of an account": pages, "tail": tail, "purge": purge,
		"many at once": manyAtOnce, "odd rows": oddRows,
	} {
		t.Run(name, func(t *testing.T) { f(t, open(t)) })
	}
}

func begin(t *testing.T, s sent.Store, rows ...sent.Row) {
	t.Helper()
	for _, r := range rows {
		if err := s.Begin(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
}

func want(t *testing.T, s sent.Store, r sent.Row) {
	t.Helper()
	got, err := s.BySerial(t.Context(), r.Serial)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(r, got, Equal()); d != "" {
		t.Errorf("%s:\n%s", r.Serial, d)
	}
}

func beginAndSettle(t *testing.T, s sent.Store) {
	ctx := t.Context()
	r := Row(t, 1, "anna@example.com")
	_, err := s.BySerial(ctx, r.Serial)
	storetest.WantErr(t, "BySerial", err, sent.ErrNotFound)
	storetest.WantErr(t, "Settle", s.Settle(ctx, r.Serial, r.Copies), sent.ErrNotFound)
	begin(t, s, r, r)
	want(t, s, r)

	other := r
	other.Account = "bob@example.com"
	storetest.WantErr(t, "Begin of another account", s.Begin(ctx, other), sent.ErrExists)
	want(t, s, r)

	later := r.At.Add(time.Second)
	if err := s.Settle(ctx, r.Serial, []sent.Copy{
		{Recipient: r.Copies[0].Recipient, State: sent.Delivered, Reply: "250 ok: queued as ABC123", QueueID: "ABC123", At: later}, {Recipient: "x@elsewhere.example", State: sent.Refused},
	}); err != nil {
		t.Fatal(err)
	}
	r.QueueID = "ABC123"
	r.Copies[0] = sent.Copy{Recipient: r.Copies[0].Recipient, State: sent.Delivered, Reply: "250 ok: queued as ABC123", QueueID: "ABC123", At: later}
	want(t, s, r)
	if err := s.Settle(ctx, r.Serial, []sent.Copy{{Recipient: r.Copies[0].Recipient, Bounced: "5.1.1"}}); err != nil {
		t.Fatal(err)
	}
	r.Copies[0].Bounced = "5.1.1"
	want(t, s, r)

	more := r // the held copy is released, to one more
	more.Copies = []sent.Copy{{Recipient: r.Copies[1].Recipient, State: sent.Handing, At: later}, {Recipient: "new@z.example", State: sent.Handing, At: later}}
	begin(t, s, more)
	r.Copies[1].State, r.Copies[1].At = sent.Handing, later
	r.Copies = append(r.Copies, more.Copies[1])
	want(t, s, r)
}

func lookups(t *testing.T, s sent.Store) {
	ctx := t.Context()
	var rows []sent.Row
	for n := range 12 {
		r := Row(t, n, fmt.Sprintf("a%d@example.com", n%2))
		r.Copies[0].QueueID = fmt.Sprintf("Q%d", n%5)
		r.QueueID = r.Copies[0].QueueID
		rows = append(rows, r)
	}
	begin(t, s, rows...)
	ip, at := rows[4].Client.Addr(), func(n int) time.Time { return rows[n].At }
	for name, c := range map[string]struct {
		find func() ([]sent.Row, error)
		want []int
	}{
		"message-id":              {func() ([]sent.Row, error) { return s.ByMessageID(ctx, "m1@example.com") }, []int{9, 5, 1}},
		"message-id of none":      {func() ([]sent.Row, error) { return s.ByMessageID(ctx, "m9@example.com") }, nil},
		"no message-id":           {func() ([]sent.Row, error) { return s.ByMessageID(ctx, "") }, nil},
		"queue id":                {func() ([]sent.Row, error) { return s.ByQueueID(ctx, "Q3") }, []int{8, 3}},
		"no queue id":             {func() ([]sent.Row, error) { return s.ByQueueID(ctx, "") }, nil},
		"client":                  {func() ([]sent.Row, error) { return s.ByClient(ctx, ip, 0, at(0), at(11)) }, []int{10, 7, 4, 1}},
		"client between":          {func() ([]sent.Row, error) { return s.ByClient(ctx, ip, 0, at(4), at(7)) }, []int{7, 4}},
		"client and port":         {func() ([]sent.Row, error) { return s.ByClient(ctx, ip, rows[4].Client.Port(), at(0), at(11)) }, []int{4}},
		"client and another port": {func() ([]sent.Row, error) { return s.ByClient(ctx, ip, 1, at(0), at(11)) }, nil},
		"no client":               {func() ([]sent.Row, error) { return s.ByClient(ctx, netip.Addr{}, 0, at(0), at(11)) }, nil},
		"account": {func() ([]sent.Row, error) {
			got, _, err := s.ByAccount(ctx, "a1@example.com", at(2), at(7), "", 0)
			return got, err
		}, []int{7, 5, 3}},
	} {
		got, err := c.find()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var all []sent.Row
		for _, n := range c.want {
			all = append(all, rows[n])
		}
		if d := cmp.Diff(all, got, Equal()); d != "" {
			t.Errorf("%s:\n%s", name, d)
		}
	}
}

func pages(t *testing.T, s sent.Store) {
	ctx := t.Context()
	var all []sent.Row
	for n := range 25 {
		r := Row(t, n, "anna@example.com")
		if n%5 == 1 {
			r.At = all[n-1].At // two at once
		}
		all = append(all, r)
		begin(t, s, r, Row(t, 100+n, "bob@example.com"))
	}
	for _, limit := range []int{1, 4, 25, 99} {
		var got []sent.Row
		for cursor := ""; ; {
			page, next, err := s.ByAccount(ctx, "anna@example.com", storetest.Start, storetest.Start.Add(time.Hour), cursor, limit)
			if err != nil || len(page) > limit {
				t.Fatal(len(page), err)
			}
			if got = append(got, page...); next == "" {
				break
			}
			cursor = next
		}
		seen := map[string]bool{}
		for i, r := range got {
			seen[r.Serial] = true
			if i > 0 && (r.At.After(got[i-1].At) || r.At.Equal(got[i-1].At) && r.Serial > got[i-1].Serial) {
				t.Errorf("limit %d: row %d is newer than the one before", limit, i)
			}
		}
		if len(got) != 25 || len(seen) != 25 {
			t.Errorf("limit %d: %d rows, %d of them different", limit, len(got), len(seen))
		}
	}
	for _, bad := range []string{"x", "1", "-"} {
		_, _, err := s.ByAccount(ctx, "anna@example.com", storetest.Start, storetest.Start, bad, 1)
		storetest.WantErr(t, bad, err, sent.ErrCursor)
	}
}

// follow reads the tail from a cursor to its end.
func follow(t *testing.T, s sent.Store, cursor string, limit int) (rows []sent.Row, next string) {
	t.Helper()
	for next = cursor; ; {
		page, after, err := s.Since(t.Context(), next, limit)
		if err != nil || after == "" || len(page) > limit {
			t.Fatal(len(page), after, err)
		}
		if next = after; len(page) == 0 {
			return rows, next
		}
		rows = append(rows, page...)
	}
}

func serials(rows []sent.Row) string {
	out := make([]string, len(rows))
	for i, r := range rows {
		out[i] = r.Serial
	}
	return strings.Join(out, " ")
}

func tail(t *testing.T, s sent.Store) {
	none, empty := follow(t, s, "", 5)
	if len(none) != 0 {
		t.Errorf("an empty log has %d rows", len(none))
	}
	var rows []sent.Row
	for n := range 12 {
		rows = append(rows, Row(t, 50-n, "anna@example.com")) // committed in another order than that of their times
	}
	begin(t, s, rows...)
	got, end := follow(t, s, empty, 5)
	if serials(got) != serials(rows) {
		t.Errorf("the tail is\n%s, want\n%s", serials(got), serials(rows))
	}
	if again, same := follow(t, s, end, 5); len(again) != 0 || same != end {
		t.Errorf("%d rows at the end, cursor %s and %s", len(again), end, same)
	}
	for _, n := range []int{7, 2, 7} {
		if err := s.Settle(t.Context(), rows[n].Serial, []sent.Copy{{Recipient: rows[n].Copies[0].Recipient, State: sent.Refused, Reply: "550 5.1.1 no"}}); err != nil {
			t.Fatal(err)
		}
	}
	got, _ = follow(t, s, end, 1)
	if want := serials([]sent.Row{rows[7], rows[2]}); serials(got) != want && serials(got) != serials([]sent.Row{rows[2], rows[7]}) {
		t.Errorf("after settling the tail is\n%s, want\n%s", serials(got), want)
	}
	for _, r := range got {
		if r.Copies[0].State != sent.Refused {
			t.Errorf("a row in the tail is not as it is now: %+v", r.Copies[0])
		}
	}
	for _, bad := range []string{"x", "x:1", "1", "-1:-1:z"} {
		_, _, err := s.Since(t.Context(), bad, 1)
		storetest.WantErr(t, bad, err, sent.ErrCursor)
	}
}

func purge(t *testing.T, s sent.Store) {
	ctx := t.Context()
	var rows []sent.Row
	for n := range 10 {
		r := Row(t, n*60, "anna@example.com") // one an hour
		r.Copies[0].QueueID = fmt.Sprintf("Q%d", n)
		r.QueueID = r.Copies[0].QueueID
		rows = append(rows, r)
	}
	begin(t, s, rows...)
	_, end := follow(t, s, "", 4)
	n, err := s.Purge(ctx, rows[4].At)
	if err != nil || n != 4 {
		t.Errorf("%d rows forgotten, %v", n, err)
	}
	if n, err := s.Purge(ctx, rows[4].At); err != nil || n != 0 {
		t.Errorf("the second time %d rows, %v", n, err)
	}
	for i, r := range rows {
		_, err := s.BySerial(ctx, r.Serial)
		if i < 4 {
			storetest.WantErr(t, "a row that is gone", err, sent.ErrNotFound)
		} else if err != nil {
			t.Error(err)
		}
		if found, err := s.ByQueueID(ctx, r.QueueID); err != nil || len(found) != min(max(i-3, 0), 1) {
			t.Errorf("row %d by queue ID: %d, %v", i, len(found), err)
		}
	}
	got, _, err := s.ByAccount(ctx, "anna@example.com", rows[0].At, rows[9].At, "", 100)
	if err != nil || serials(got) != serials([]sent.Row{rows[9], rows[8], rows[7], rows[6], rows[5], rows[4]}) {
		t.Errorf("left are %s, %v", serials(got), err)
	}
	if left, _ := follow(t, s, "", 3); len(left) != 6 {
		t.Errorf("the tail has %d rows", len(left))
	}
	for range 2 { // what is gone already is no error
		if err := s.Forget(ctx, []string{rows[5].Serial, "no such serial"}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.BySerial(ctx, rows[5].Serial); !errors.Is(err, sent.ErrNotFound) {
		t.Errorf("forgotten by serial: %v", err)
	}
	if left, err := s.Purge(ctx, rows[9].At.Add(time.Hour)); err != nil || left != 5 {
		t.Errorf("%d of the rest forgotten, %v", left, err)
	}
	more := Row(t, 999, "anna@example.com")
	begin(t, s, more)
	if got, _ := follow(t, s, end, 3); serials(got) != more.Serial {
		t.Errorf("after all were forgotten the tail goes on with %s", serials(got))
	}
	if n, bytes, err := s.Size(ctx); n != 1 || bytes <= 0 || err != nil {
		t.Errorf("size: %d rows, %d bytes, %v", n, bytes, err)
	}
}

// manyAtOnce: whoever follows the tail while others write misses nothing.
func manyAtOnce(t *testing.T, s sent.Store) {
	const writers, each = 8, 25
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for n := range each {
				r := Row(t, w*1000+n, fmt.Sprintf("w%d@example.com", w))
				if err := s.Begin(t.Context(), r); err != nil {
					t.Error(err)
					return
				}
				if err := s.Settle(t.Context(), r.Serial, []sent.Copy{{Recipient: r.Copies[0].Recipient, State: sent.Delivered}}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	state := map[string]string{}
	for cursor, over := "", false; ; {
		page, next, err := s.Since(t.Context(), cursor, 7)
		if err != nil {
			t.Error(err)
			break
		}
		for _, r := range page {
			state[r.Serial] = r.Copies[0].State
		}
		cursor = next
		if len(page) > 0 {
			continue
		}
		if over {
			break
		}
		select {
		case <-done:
			over = true // once more, for what was written last
		case <-time.After(time.Millisecond):
		}
	}
	<-done
	if len(state) != writers*each {
		t.Errorf("the tail had %d rows of %d", len(state), writers*each)
	}
	for serial, st := range state {
		if st != sent.Delivered {
			t.Errorf("%s was last seen %s", serial, st)
		}
	}
}

func oddRows(t *testing.T, s sent.Store) {
	bare := sent.Row{Serial: Row(t, 1, "").Serial, At: storetest.Start}
	begin(t, s, bare)
	want(t, s, bare)
	six := Row(t, 2, "ünïcödé \"quoted\"@example.com")
	six.Client = netip.MustParseAddrPort("[2001:db8::1]:65535")
	six.From, six.MessageID, six.Score = "", "", -50
	begin(t, s, six)
	want(t, s, six)
	if got, err := s.ByClient(t.Context(), six.Client.Addr(), 65535, six.At, six.At); err != nil || len(got) != 1 {
		t.Errorf("by client: %d, %v", len(got), err)
	}
	long := Row(t, 3, "anna@example.com")
	long.Copies = nil
	for n := range sent.MaxCopies + 10 {
		long.Copies = append(long.Copies, sent.Copy{Recipient: fmt.Sprintf("r%d@x.example", n), State: sent.Handing})
	}
	begin(t, s, long)
	if got, err := s.BySerial(t.Context(), long.Serial); err != nil || len(got.Copies) != sent.MaxCopies {
		t.Errorf("%d copies, %v", len(got.Copies), err)
	}
}
