package press_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/iotest"

	"postern/internal/store/redis/chunks/press"
)

func sha(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

func random(n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// shelf keeps the chunks of one body.
type shelf struct{ chunks [][]byte }

func (s *shelf) send(first int, chunks [][]byte) error {
	for i, c := range chunks {
		s.set(first+i, c)
	}
	return nil
}

func (s *shelf) set(n int, c []byte) {
	for len(s.chunks) <= n {
		s.chunks = append(s.chunks, nil)
	}
	s.chunks[n] = bytes.Clone(c)
}

func (s *shelf) fetch(first, count int) ([][]byte, error) {
	out := make([][]byte, count)
	for i := range out {
		if first+i < len(s.chunks) {
			out[i] = s.chunks[first+i]
		}
	}
	return out, nil
}

// pack packs b.
func pack(t testing.TB, p *press.Press, b []byte) (*shelf, press.Packed) {
	t.Helper()
	s := &shelf{}
	got, err := p.Pack(bytes.NewReader(b), sha(b), s.send)
	if err != nil {
		t.Fatal(err)
	}
	s.rest(got)
	return s, got
}

func (s *shelf) rest(p press.Packed) {
	for i, c := range p.Rest {
		s.set(p.Chunks-len(p.Rest)+i, c)
	}
}

func read(p *press.Press, s *shelf, digest string, size, chunks int) ([]byte, error) {
	r, err := p.Open(press.Wanted{SHA: digest, Size: int64(size), Chunks: chunks, Fetch: s.fetch})
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func TestRoundTrip(t *testing.T) {
	var p press.Press
	for _, b := range [][]byte{{}, []byte("x"), bytes.Repeat([]byte("line\r\n"), 1<<20), random(press.Chunk - 20), random(press.Chunk), random(3 << 20), random(17*press.Chunk + 1)} {
		s, packed := pack(t, &p, b)
		if packed.Chunks != len(s.chunks) || len(packed.Rest) > press.Batch {
			t.Errorf("%d bytes: %d chunks, %d kept, %d left", len(b), packed.Chunks, len(s.chunks), len(packed.Rest))
		}
		sum := 0
		for i, c := range s.chunks {
			sum += len(c)
			if len(c) > press.Chunk || i < len(s.chunks)-1 && len(c) != press.Chunk {
				t.Errorf("chunk %d of %d has %d bytes", i, len(s.chunks), len(c))
			}
		}
		if int64(sum) != packed.Stored {
			t.Errorf("%d bytes stored, %d said", sum, packed.Stored)
		}
		got, err := read(&p, s, sha(b), len(b), packed.Chunks)
		if err != nil || !bytes.Equal(got, b) {
			t.Errorf("%d bytes: read %d, %v", len(b), len(got), err)
		}
	}
}

func TestPackRefuses(t *testing.T) {
	var p press.Press
	nowhere := func(int, [][]byte) error { return nil }
	if _, err := p.Pack(bytes.NewReader([]byte("a")), sha([]byte("b")), nowhere); !errors.Is(err, press.ErrDigest) {
		t.Errorf("another body: %v", err)
	}
	if _, err := p.Pack(iotest.ErrReader(io.ErrUnexpectedEOF), sha(nil), nowhere); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a broken reader: %v", err)
	}
	b := random(4 << 20)
	away := errors.New("away")
	if _, err := p.Pack(bytes.NewReader(b), sha(b), func(int, [][]byte) error { return away }); !errors.Is(err, away) {
		t.Errorf("a store that is away: %v", err)
	}
	if err := press.Verify(bytes.NewReader(b), sha(b)); err != nil {
		t.Error(err)
	}
	if err := press.Verify(bytes.NewReader(b[1:]), sha(b)); !errors.Is(err, press.ErrDigest) {
		t.Error(err)
	}
	if err := press.Verify(iotest.ErrReader(away), sha(b)); !errors.Is(err, away) {
		t.Error(err)
	}
	pack(t, &p, b) // a press that failed packs on
}

// Whatever becomes of the chunks: what is read is the body, or an error.
func TestDamage(t *testing.T) {
	var p press.Press
	b := append(random(200_000), bytes.Repeat([]byte("text "), 50_000)...)
	good, packed := pack(t, &p, b)
	other, _ := pack(t, &p, random(packed.Chunks*press.Chunk))
	damage := map[string]func(s *shelf){
		"all missing":       func(s *shelf) { s.chunks = nil },
		"the last missing":  func(s *shelf) { s.chunks[len(s.chunks)-1] = nil },
		"the first cut":     func(s *shelf) { s.chunks[0] = s.chunks[0][:100] },
		"the last cut":      func(s *shelf) { s.chunks[len(s.chunks)-1] = s.chunks[len(s.chunks)-1][:1] },
		"two exchanged":     func(s *shelf) { s.chunks[0], s.chunks[1] = s.chunks[1], s.chunks[0] },
		"another's":         func(s *shelf) { s.chunks[1] = other.chunks[1] },
		"all another's":     func(s *shelf) { s.chunks = other.chunks },
		"garbage":           func(s *shelf) { s.chunks[0] = random(press.Chunk) },
		"one that is large": func(s *shelf) { s.chunks[0] = append(s.chunks[0], 0) },
	}
	for i := range 64 {
		damage["a bit of byte "+string(rune('0'+i))] = func(s *shelf) { s.chunks[i%len(s.chunks)][i*7%1000] ^= 4 }
	}
	for name, harm := range damage {
		s := &shelf{}
		for i, c := range good.chunks {
			s.set(i, c)
		}
		harm(s)
		got, err := read(&p, s, sha(b), len(b), packed.Chunks)
		if !errors.Is(err, press.ErrDigest) && !bytes.Equal(got, b) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	for _, chunks := range []int{packed.Chunks - 1, packed.Chunks + 1, 0, 1 << 30} {
		if _, err := read(&p, good, sha(b), len(b), chunks); !errors.Is(err, press.ErrDigest) {
			t.Errorf("%d chunks of %d: %v", chunks, packed.Chunks, err)
		}
	}
}

// A body never unpacks to more than its record says.
func TestBounded(t *testing.T) {
	var p press.Press
	b := make([]byte, 64<<20)
	s, packed := pack(t, &p, b)
	for _, size := range []int{0, 1, 1000, len(b) - 1} {
		got, err := read(&p, s, sha(b), size, packed.Chunks)
		if !errors.Is(err, press.ErrDigest) || len(got) > size {
			t.Errorf("%d bytes of %d: %v", len(got), size, err)
		}
	}
	if got, err := read(&p, s, sha(b), len(b)+10, packed.Chunks); err != nil || len(got) != len(b) {
		t.Errorf("a record that says more: %d, %v", len(got), err)
	}
}

func TestAway(t *testing.T) {
	var p press.Press
	away := errors.New("away")
	b := random(100_000)
	_, packed := pack(t, &p, b)
	r, err := p.Open(press.Wanted{SHA: sha(b), Size: int64(len(b)), Chunks: packed.Chunks, Fetch: func(int, int) ([][]byte, error) { return nil, away }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(r); !errors.Is(err, away) || errors.Is(err, press.ErrDigest) {
		t.Errorf("a store that is away: %v", err)
	}
	if err := errors.Join(r.Close(), r.Close()); err != nil {
		t.Error(err)
	}
	if _, err := r.Read(make([]byte, 1)); err == nil {
		t.Error("a closed body was read")
	}
}

// noise is an endless body that does not compress.
type noise struct{ r *rand.Rand }

func (n noise) Read(b []byte) (int, error) {
	for i := 0; i < len(b); i++ {
		b[i] = byte(n.r.Uint32())
	}
	return len(b), nil
}

// A large body takes the memory of a few batches.
func TestConstantMemory(t *testing.T) {
	var p press.Press
	const size = 50 << 20
	src := func() io.Reader { return io.LimitReader(noise{rand.New(rand.NewPCG(3, 4))}, size) }
	sum := sha256.New()
	if _, err := io.Copy(sum, src()); err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	most, batches := uint64(0), 0
	_, err := p.Pack(src(), hex.EncodeToString(sum.Sum(nil)), func(first int, chunks [][]byte) error {
		if first != batches*press.Batch || len(chunks) != press.Batch {
			t.Fatalf("chunks %d to %d in batch %d", first, first+len(chunks), batches)
		}
		if batches++; batches%10 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&now)
			most = max(most, now.HeapAlloc)
		}
		return nil
	})
	if err != nil || batches < size/press.Chunk/press.Batch-1 {
		t.Errorf("%d batches, %v", batches, err)
	}
	if most > before.HeapAlloc+16<<20 {
		t.Errorf("packing %d bytes takes %d", size, most-before.HeapAlloc)
	}
}

func TestConcurrent(t *testing.T) {
	var p press.Press
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			b := bytes.Repeat([]byte{byte(i), byte(i + 1)}, 100_000)
			s, packed := pack(t, &p, b)
			if got, err := read(&p, s, sha(b), len(b), packed.Chunks); err != nil || !bytes.Equal(got, b) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
	wg.Wait()
}
