package entitytest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"postern/internal/entity"
)

func far() time.Time { return time.Now().Add(1000 * time.Hour) }

// noise is bytes that do not compress, the same for the same seed.
func noise(seed uint64, n int) []byte {
	b := make([]byte, n)
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	_, _ = rand.NewChaCha8(key).Read(b) // it does not fail
	return b
}

func sumOf(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

func readBlob(t testing.TB, s entity.Blobs, class entity.Class, sum string) string {
	t.Helper()
	r, err := s.Blob(t.Context(), class, sum)
	must(t, err)
	defer r.Close()
	b, err := io.ReadAll(r)
	must(t, err)
	return string(b)
}

func used(t testing.TB, s entity.Blobs, class entity.Class) int64 {
	t.Helper()
	n, _, err := s.BlobBytes(t.Context(), class)
	must(t, err)
	return n
}

func blobs(t *testing.T, s entity.Home) {
	ctx := t.Context()
	for _, b := range [][]byte{{}, []byte("x"), []byte(strings.Repeat("line\r\n", 100_000)), noise(1, 100), noise(2, 64<<10), noise(3, 1<<20), noise(4, 3<<20+1)} {
		before := used(t, s, entity.Evidence)
		sum, size, err := s.PutBlob(ctx, entity.Evidence, iotest.HalfReader(bytes.NewReader(b)))
		must(t, err)
		if sum != sumOf(b) || size != int64(len(b)) {
			t.Errorf("%d bytes: %s, %d", len(b), sum, size)
		}
		if got := readBlob(t, s, entity.Evidence, sum); got != string(b) {
			t.Errorf("%d bytes came back as %d", len(b), len(got))
		}
		now := used(t, s, entity.Evidence)
		if len(b) > 0 && now <= before {
			t.Errorf("%d bytes: %d used after %d", len(b), now, before)
		}
		again, size, err := s.PutBlob(ctx, entity.Evidence, bytes.NewReader(b))
		must(t, err)
		if again != sum || size != int64(len(b)) || used(t, s, entity.Evidence) != now {
			t.Errorf("the same again: %s, %d bytes, %d used after %d", again, size, used(t, s, entity.Evidence), now)
		}
		_, err = s.Blob(ctx, entity.Papers, sum)
		want(t, "another class", err, entity.ErrNotFound)
	}
	x := sumOf([]byte("x"))
	_, _, err := s.PutBlob(ctx, entity.Papers, strings.NewReader("x"))
	must(t, err)
	must(t, s.RemoveBlob(ctx, entity.Evidence, x))
	must(t, s.RemoveBlob(ctx, entity.Evidence, x))
	_, err = s.Blob(ctx, entity.Evidence, x)
	want(t, "what was removed", err, entity.ErrNotFound)
	same(t, "in the other class", readBlob(t, s, entity.Papers, x), "x")
	for range 2 { // it may come again, and go again
		_, _, err = s.PutBlob(ctx, entity.Evidence, strings.NewReader("x"))
		must(t, err)
		same(t, "put again", readBlob(t, s, entity.Evidence, x), "x")
		must(t, s.RemoveBlob(ctx, entity.Evidence, x))
	}
	must(t, s.RemoveBlob(ctx, entity.Papers, x))
	same(t, "used by an empty class", used(t, s, entity.Papers), int64(0))
}

func noBlobs(t *testing.T, s entity.Home) {
	ctx := t.Context()
	for _, sum := range []string{"", "x", strings.Repeat("0", 64), strings.Repeat("A", 64), "../../../etc/passwd", strings.Repeat("0", 63) + "/"} {
		_, err := s.Blob(ctx, entity.Intake, sum)
		want(t, "blob "+sum, err, entity.ErrNotFound)
		must(t, s.RemoveBlob(ctx, entity.Intake, sum))
	}
	for _, class := range []entity.Class{"", "other", "../intake"} {
		_, _, err := s.PutBlob(ctx, class, strings.NewReader("x"))
		want(t, "put in no class", err, entity.ErrInvalid)
		_, err = s.Blob(ctx, class, sumOf([]byte("x")))
		want(t, "read from no class", err, entity.ErrInvalid)
		want(t, "remove from no class", s.RemoveBlob(ctx, class, sumOf([]byte("x"))), entity.ErrInvalid)
		_, err = s.BlobsBefore(ctx, class, far(), 1)
		want(t, "list no class", err, entity.ErrInvalid)
		_, _, err = s.BlobBytes(ctx, class)
		want(t, "weigh no class", err, entity.ErrInvalid)
	}
	broken := errors.New("broken off")
	_, _, err := s.PutBlob(ctx, entity.Intake, io.MultiReader(bytes.NewReader(noise(1, 3<<20)), iotest.ErrReader(broken)))
	want(t, "a reader that fails", err, broken)
	_, _, err = s.PutBlob(ctx, entity.Intake, io.LimitReader(zeros{}, entity.MaxBlob+1))
	want(t, "too many bytes", err, entity.ErrFull)
	all, err := s.BlobsBefore(ctx, entity.Intake, far(), 10)
	must(t, err)
	same(t, "what was not put", len(all), 0)
	same(t, "used by it", used(t, s, entity.Intake), int64(0))
	sum, size, err := s.PutBlob(ctx, entity.Intake, io.LimitReader(zeros{}, large))
	must(t, err)
	same(t, "a large blob", size, int64(large))
	r, err := s.Blob(ctx, entity.Intake, sum)
	must(t, err)
	n, err := io.Copy(io.Discard, r)
	must(t, errors.Join(err, r.Close()))
	same(t, "a large blob, read", n, int64(large))
	r, err = s.Blob(ctx, entity.Intake, sum)
	must(t, err)
	_, err = io.ReadFull(r, make([]byte, 1000))
	must(t, errors.Join(err, r.Close())) // who closes early is told nothing
}

// large is more than anything keeps in memory. What is larger by far takes the race detector long.
const large = 9 << 20

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func blobsByTime(t *testing.T, s entity.Home) {
	ctx := t.Context()
	var sums []string
	for i := range 12 {
		sum, _, err := s.PutBlob(ctx, entity.Intake, strings.NewReader(fmt.Sprint("blob ", i)))
		must(t, err)
		sums = append(sums, sum)
		time.Sleep(2 * time.Millisecond) // times are kept to the millisecond
	}
	got, err := s.BlobsBefore(ctx, entity.Intake, far(), 100)
	must(t, err)
	same(t, "oldest first", got, sums)
	got, err = s.BlobsBefore(ctx, entity.Intake, far(), 5)
	must(t, err)
	same(t, "five of them", got, sums[:5])
	for name, c := range map[string]struct {
		class entity.Class
		t     time.Time
		limit int
	}{"none": {entity.Intake, far(), 0}, "fewer than none": {entity.Intake, far(), -1}, "before them": {entity.Intake, far().Add(-10_000 * time.Hour), 9}, "another class": {entity.Evidence, far(), 9}} {
		got, err := s.BlobsBefore(ctx, c.class, c.t, c.limit)
		must(t, err)
		same(t, name, len(got), 0)
	}
	_, _, err = s.PutBlob(ctx, entity.Intake, strings.NewReader("blob 0")) // again: it is no younger
	must(t, err)
	must(t, s.RemoveBlob(ctx, entity.Intake, sums[3]))
	got, err = s.BlobsBefore(ctx, entity.Intake, far(), 4)
	must(t, err)
	same(t, "after a removal", got, []string{sums[0], sums[1], sums[2], sums[4]})
}

// blobsAtOnce: the same bytes put and removed by many are there whole or not at all.
func blobsAtOnce(t *testing.T, s entity.Home) {
	ctx := t.Context()
	b := noise(9, 200_000)
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			for range 4 {
				if _, _, err := s.PutBlob(ctx, entity.Evidence, bytes.NewReader(b)); err != nil {
					t.Error(err)
				}
				if i%3 == 0 {
					if err := s.RemoveBlob(ctx, entity.Evidence, sumOf(b)); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	_, _, err := s.PutBlob(ctx, entity.Evidence, bytes.NewReader(b))
	must(t, err)
	if readBlob(t, s, entity.Evidence, sumOf(b)) != string(b) {
		t.Error("other bytes came back")
	}
	must(t, s.RemoveBlob(ctx, entity.Evidence, sumOf(b)))
	same(t, "used at the end", used(t, s, entity.Evidence), int64(0))
}

// Caps runs the suite of caps on an empty home where each class has this cap, of 1 MB at least.
func Caps(t *testing.T, s entity.Home, limit int64) {
	ctx := t.Context()
	var sums []string
	var err error
	for i := uint64(0); err == nil && i < 100; i++ {
		var sum string
		if sum, _, err = s.PutBlob(ctx, entity.Intake, bytes.NewReader(noise(i, int(limit/8)))); err == nil {
			sums = append(sums, sum)
		}
	}
	want(t, "more than the cap", err, entity.ErrFull)
	n, of, err := s.BlobBytes(ctx, entity.Intake)
	must(t, err)
	if n > limit || n < limit/2 || of != limit || len(sums) < 6 || len(sums) > 8 {
		t.Errorf("%d blobs, %d of %d bytes, cap %d", len(sums), n, of, limit)
	}
	_, _, err = s.PutBlob(ctx, entity.Intake, bytes.NewReader(noise(0, int(limit/8))))
	must(t, err) // what is there needs no room
	_, _, err = s.PutBlob(ctx, entity.Evidence, bytes.NewReader(noise(200, int(limit/8))))
	must(t, err) // another class has its own
	must(t, s.Put(ctx, rec("a", 1, "records have none")))
	must(t, s.RemoveBlob(ctx, entity.Intake, sums[0]))
	must(t, s.RemoveBlob(ctx, entity.Intake, sums[1]))
	_, _, err = s.PutBlob(ctx, entity.Intake, bytes.NewReader(noise(201, int(limit/8))))
	must(t, err)
	for _, sum := range sums[2:] {
		must(t, s.RemoveBlob(ctx, entity.Intake, sum))
	}
	must(t, s.RemoveBlob(ctx, entity.Intake, sumOf(noise(201, int(limit/8)))))
	same(t, "used at the end", used(t, s, entity.Intake), int64(0))
}
