package local_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"postern/internal/entity"
	"postern/internal/store/local"
	"postern/internal/store/storetest/entitytest"
	"postern/quarantine"
)

func TestEntities(t *testing.T) {
	entitytest.Home(t, func(t *testing.T) entity.Home { return fresh(t).Entities() })
}

func TestEntityCaps(t *testing.T) {
	const limit = 1 << 20
	h, err := local.Open(t.Context(), local.Options{Dir: filepath.Join(t.TempDir(), "s"), Caps: map[entity.Class]int64{entity.Intake: limit, entity.Evidence: limit}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	entitytest.Caps(t, h.Entities(), limit)
}

func do(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// fill keeps a record and two blobs, and returns the names of those.
func fill(t *testing.T, h *local.Home) (sums [2]string) {
	t.Helper()
	do(t, h.Entities().Put(t.Context(), entity.Record{Kind: "case", ID: "a", Version: 1, Data: []byte(`{"n":1}`), Keys: []entity.Key{{Index: "state", Value: "open", At: 3}}}))
	do(t, h.Entities().Put(t.Context(), entity.Record{Kind: "case", ID: "a", Version: 2, Data: []byte(`{"n":2}`), Keys: []entity.Key{{Index: "state", Value: "shut", At: 3}}}))
	for i, text := range []string{"one", "two"} {
		var err error
		sums[i], _, err = h.Entities().PutBlob(t.Context(), entity.Intake, strings.NewReader(text))
		do(t, err)
	}
	return sums
}

func check(t *testing.T, h *local.Home, sum string) {
	t.Helper()
	p, err := h.Entities().Find(t.Context(), entity.Query{Kind: "case", Index: "state", Value: "shut"})
	do(t, err)
	if len(p.Records) != 1 || p.Records[0].Version != 2 || string(p.Records[0].Data) != `{"n":2}` {
		t.Errorf("%+v", p)
	}
	r, err := h.Entities().Blob(t.Context(), entity.Intake, sum)
	do(t, err)
	defer r.Close()
	if text, err := io.ReadAll(r); err != nil || string(text) != "one" {
		t.Errorf("%q, %v", text, err)
	}
}

func blobFile(dir, sum string) string {
	return filepath.Join(dir, "blobs", "intake", sum[:2], sum+".zst")
}

func TestEntitiesAfterRestart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "s")
	h := reopen(t, dir)
	sums := fill(t, h)
	do(t, h.Close())
	// A crash between file and row leaves a file alone; one while writing a part of one.
	orphan := blobFile(dir, strings.Repeat("ab", 32))
	do(t, os.MkdirAll(filepath.Dir(orphan), 0o700))
	do(t, os.WriteFile(orphan, []byte("x"), 0o600))
	half := filepath.Join(dir, "blobs", "intake", "tmp", "body-1")
	do(t, os.WriteFile(half, []byte("x"), 0o600))
	h = reopen(t, dir)
	check(t, h, sums[0])
	for _, name := range []string{orphan, half} {
		if _, err := os.Stat(name); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there: %v", name, err)
		}
	}
	n, bytes, err := h.Entities().Size(t.Context())
	if n != 1 || bytes < 7 || err != nil {
		t.Errorf("%d records, %d bytes, %v", n, bytes, err)
	}
}

func TestDamagedBlobs(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "s")
	h := reopen(t, dir)
	sums := fill(t, h)
	whole, err := os.ReadFile(blobFile(dir, sums[0]))
	do(t, err)
	for name, spoil := range map[string]func(){
		"other bytes": func() { do(t, os.WriteFile(blobFile(dir, sums[0]), []byte("rubbish"), 0o600)) },
		"cut off":     func() { do(t, os.WriteFile(blobFile(dir, sums[0]), whole[:len(whole)/2], 0o600)) },
		"of another": func() {
			other, err := os.ReadFile(blobFile(dir, sums[1]))
			do(t, err)
			do(t, os.WriteFile(blobFile(dir, sums[0]), other, 0o600))
		},
		"missing": func() { do(t, os.Remove(blobFile(dir, sums[0]))) },
	} {
		spoil()
		r, err := h.Entities().Blob(t.Context(), entity.Intake, sums[0])
		if err == nil {
			_, err = io.ReadAll(r)
			r.Close()
		}
		if err == nil || errors.Is(err, entity.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
		used, _, err := h.Entities().BlobBytes(t.Context(), entity.Intake)
		do(t, err)
		_, _, err = h.Entities().PutBlob(t.Context(), entity.Intake, strings.NewReader("one"))
		do(t, err)
		check(t, h, sums[0])
		if now, _, err := h.Entities().BlobBytes(t.Context(), entity.Intake); now != used || err != nil {
			t.Errorf("%s: %d used after %d, %v", name, now, used, err)
		}
	}
}

// TestReindexEntities loses the database: blobs are found by their files, records in what can
// be read of the old one.
func TestReindexEntities(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "s")
	h := reopen(t, dir)
	sums := fill(t, h)
	do(t, h.Close())
	do(t, os.WriteFile(blobFile(dir, sums[1]), []byte("rubbish"), 0o600))
	out, err := local.Reindex(t.Context(), local.Options{Dir: dir})
	do(t, err)
	if out.Records != 1 || out.Blobs != 1 || len(out.Lost) != 1 || out.Lost[0] != sums[1] {
		t.Errorf("%+v", out)
	}
	h = reopen(t, dir)
	check(t, h, sums[0])
	old, err := h.Entities().BlobsBefore(t.Context(), entity.Intake, time.Now().Add(time.Minute), 10)
	if err != nil || len(old) != 1 {
		t.Errorf("%q, %v", old, err)
	}
	do(t, h.Close())
	do(t, os.Remove(filepath.Join(dir, "postern.db")))
	var missing *local.MissingError
	if _, err := local.Open(t.Context(), local.Options{Dir: dir}); !errors.As(err, &missing) {
		t.Errorf("without its database the home opened: %v", err)
	}
	out, err = local.Reindex(t.Context(), local.Options{Dir: dir})
	if err != nil || out.Records != 0 || out.Blobs != 1 {
		t.Errorf("%+v, %v", out, err)
	}
}

// TestBlobsOnABadDisk: a blob is there whole, or an error was said and nothing is there.
func TestBlobsOnABadDisk(t *testing.T) {
	for _, op := range []string{"create", "write", "sync", "rename"} {
		disk := &badDisk{}
		h, err := local.Open(t.Context(), local.Options{Dir: filepath.Join(t.TempDir(), "s"), Disk: disk})
		do(t, err)
		disk.breakAt(op, syscall.ENOSPC)
		sum, _, err := h.Entities().PutBlob(t.Context(), entity.Intake, strings.NewReader("one"))
		if !errors.Is(err, entity.ErrFull) || sum != "" {
			t.Errorf("%s: %q, %v", op, sum, err)
		}
		used, _, err := h.Entities().BlobBytes(t.Context(), entity.Intake)
		if used != 0 || err != nil {
			t.Errorf("%s: %d bytes, %v", op, used, err)
		}
		disk.breakAt("", nil)
		_, _, err = h.Entities().PutBlob(t.Context(), entity.Intake, strings.NewReader("one"))
		do(t, err)
		disk.breakAt("sync", syscall.EIO)
		if _, _, err = h.Entities().PutBlob(t.Context(), entity.Intake, strings.NewReader("two")); err == nil {
			t.Error("a sync that failed was not said")
		}
		disk.breakAt("", nil)
		err = h.Entities().Put(t.Context(), entity.Record{Kind: "case", ID: "a", Version: 1, Data: []byte("1")})
		if !errors.Is(err, quarantine.ErrReadOnly) || h.Degraded() == nil {
			t.Errorf("after a sync that failed: %v, %v", err, h.Degraded())
		}
		do(t, h.Close())
	}
}
