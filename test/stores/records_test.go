package stores_test

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"postern/internal/entity"
	"postern/internal/store/local"
	"postern/internal/store/redis/entities"
	"postern/internal/store/redis/redistest"
)

// caseRecord is a record as the desk keeps them: about 1 kB and four keys.
func caseRecord(n int) entity.Record {
	at := time.Date(2026, 11, 1, 0, 0, n, 0, time.UTC)
	events := ""
	for i := range 6 {
		events += fmt.Sprintf(`{"at":%q,"kind":"reported","by":"reporter%d@provider%d.example","note":"report %d of message %x"},`, at.Add(time.Duration(i)*time.Hour).Format(time.RFC3339), n*7+i, n%50, n*i, n*7919+i)
	}
	account := fmt.Sprintf("user%d@example.com", n%300)
	data := fmt.Sprintf(`{"id":"A-2026-%06d","state":"open","account":%q,"events":[%s{}],"due":%q}`, n, account, events, at.Add(24*time.Hour).Format(time.RFC3339))
	return entity.Record{Kind: "case", ID: fmt.Sprintf("A-2026-%06d", n), Version: 1, Data: []byte(data), Keys: []entity.Key{
		{Index: "state", Value: "open", At: at.UnixMilli()}, {Index: "account", Value: account, At: at.UnixMilli()},
		{Index: "due", At: at.Add(24 * time.Hour).UnixMilli()}, {Index: "all", At: at.UnixMilli()},
	}}
}

// TestRecordsTake prints what a record takes in each home, and how long it takes.
func TestRecordsTake(t *testing.T) {
	count := pick(20_000, 300)
	fill := func(s entity.Store) {
		began := time.Now()
		for n := range count {
			must(t, s.Put(t.Context(), caseRecord(n)))
		}
		t.Logf("%d records of %d bytes in %v, %v each", count, len(caseRecord(1).Data), time.Since(began).Round(time.Millisecond), (time.Since(began) / time.Duration(count)).Round(10*time.Microsecond))
		began = time.Now()
		p, err := s.Find(t.Context(), entity.Query{Kind: "case", Index: "state", Value: "open"})
		if err != nil || len(p.Records) != entity.DefaultPer || p.Records[0].ID != caseRecord(count-1).ID {
			t.Errorf("%d records, %v", len(p.Records), err)
		}
		t.Logf("the newest 50 of them in %v", time.Since(began).Round(10*time.Microsecond))
	}
	server := redistest.Server(t)
	s, err := entities.New(entities.Options{Conn: redistest.Empty(t, server), Ring: redistest.Ring(t), Log: slog.New(slog.DiscardHandler)})
	must(t, err)
	before := memory(t, server)
	fill(s)
	_, bytes, err := s.Size(t.Context())
	must(t, err)
	t.Logf("Redis: %d bytes of memory a record, %d of them its own", (memory(t, server)-before)/int64(count), bytes/int64(count))
	dir := filepath.Join(t.TempDir(), "state")
	home, err := local.Open(t.Context(), local.Options{Dir: dir})
	must(t, err)
	fill(home.Entities())
	must(t, home.Close())
	t.Logf("embedded: %d bytes a record", onDisk(t, dir)/int64(count))
}
