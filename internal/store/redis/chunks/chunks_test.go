package chunks_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"runtime"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/redis/go-redis/v9"

	"postern/internal/store/redis/chunks"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/redistest"
	"postern/quarantine"
)

const commit conn.Script = chunks.Keep + `
if not keep(2) then return redis.error_reply('POSTERN torn') end
return redis.call('SET', KEYS[1], 'there')
`

func sum(text []byte) string {
	s := sha256.Sum256(text)
	return hex.EncodeToString(s[:])
}

func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

// put writes a body as an owner does.
func put(ctx context.Context, c *conn.Conn, k *chunks.Chunks, name, sha string, r io.Reader) (chunks.Body, error) {
	var done *redis.Cmd
	base := c.Key("{"+name+"}", "b")
	b, err := k.Write(ctx, base, sha, r, func(p redis.Pipeliner, b chunks.Body) {
		done = commit.Run(ctx, p, append([]string{c.Key("{"+name+"}", "e")}, b.Keys(base)...))
	})
	if err == nil {
		err = done.Err()
	}
	return b, err
}

func get(ctx context.Context, c *conn.Conn, k *chunks.Chunks, name string, b chunks.Body) ([]byte, error) {
	r, err := k.Open(ctx, c.Key("{"+name+"}", "b"), b)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// both runs a test on Debian's server and on miniredis.
func both(t *testing.T, f func(t *testing.T, c *conn.Conn)) {
	t.Run("redis", func(t *testing.T) { f(t, redistest.Empty(t, redistest.Server(t))) })
	t.Run("mini", func(t *testing.T) { f(t, redistest.Mini(t)) })
}

func TestRoundTrip(t *testing.T) {
	both(t, func(t *testing.T, c *conn.Conn) {
		k := chunks.New(c)
		keys(t, c) // greets the server
		for name, text := range map[string][]byte{
			"empty": nil, "one": []byte("x"), "mail": bytes.Repeat([]byte("Subject: x\r\n"), 9000), "piece": noise(chunks.Size - 100), "pieces": noise(3 * chunks.Size), "batches": noise(20*chunks.Size + 7),
		} {
			before := c.Trips()
			b, err := put(t.Context(), c, k, name, sum(text), bytes.NewReader(text))
			if err != nil {
				t.Fatal(name, err)
			}
			trips := c.Trips() - before
			if want := b.Stored/(16*chunks.Size) + 1; trips < want || trips > want+1 { // a new connection greets
				t.Errorf("%s: %d round trips, want %d", name, trips, want)
			}
			if b.Size != int64(len(text)) || b.SHA256 != sum(text) || b.Chunks == 0 {
				t.Errorf("%s: %+v", name, b)
			}
			got, err := get(t.Context(), c, k, name, b)
			if err != nil || !bytes.Equal(got, text) {
				t.Errorf("%s: %d bytes of %d, %v", name, len(got), len(text), err)
			}
			stored := int64(0)
			for _, key := range b.Keys(c.Key("{"+name+"}", "b")) {
				n, err := c.Client().StrLen(t.Context(), key).Result()
				if ttl := c.Client().TTL(t.Context(), key).Val(); err != nil || n > chunks.Size || ttl > 0 {
					t.Errorf("%s: %d bytes that live for %v, %v", key, n, ttl, err)
				}
				stored += n
			}
			if stored != b.Stored {
				t.Errorf("%s: %d bytes are stored, %d said", name, stored, b.Stored)
			}
		}
	})
}

func keys(t *testing.T, c *conn.Conn) int {
	t.Helper()
	n, err := c.Client().DBSize(t.Context()).Result()
	if err != nil {
		t.Fatal(err)
	}
	return int(n)
}

type broken struct{ after io.Reader }

var errBroken = errors.New("disk")

func (b *broken) Read(p []byte) (int, error) {
	n, err := b.after.Read(p)
	if errors.Is(err, io.EOF) {
		err = errBroken
	}
	return n, err
}

func TestNothingHalfStays(t *testing.T) {
	both(t, func(t *testing.T, c *conn.Conn) {
		k := chunks.New(c)
		for _, text := range [][]byte{[]byte("small"), noise(30 * chunks.Size)} {
			if _, err := put(t.Context(), c, k, "a", sum([]byte("other")), bytes.NewReader(text)); !errors.Is(err, quarantine.ErrCorrupt) {
				t.Errorf("a wrong digest: %v", err)
			}
			if _, err := put(t.Context(), c, k, "a", "", bytes.NewReader(text)); !errors.Is(err, quarantine.ErrCorrupt) {
				t.Errorf("no digest: %v", err)
			}
			if _, err := put(t.Context(), c, k, "a", sum(text), &broken{bytes.NewReader(text)}); !errors.Is(err, errBroken) {
				t.Errorf("a source that breaks: %v", err)
			}
			if n := keys(t, c); n != 0 {
				t.Errorf("%d keys stay of %d bytes", n, len(text))
			}
		}
	})
}

// dying ends its caller's context in the middle, as a process that dies.
type dying struct {
	r    io.Reader
	n    int
	stop func()
}

func (d *dying) Read(p []byte) (int, error) {
	n, err := d.r.Read(p)
	if d.n -= n; d.n < 0 {
		d.stop()
	}
	return n, err
}

func TestPiecesLiveShortlyUntilCommitted(t *testing.T) {
	both(t, func(t *testing.T, c *conn.Conn) {
		k := chunks.New(c)
		text := noise(30 * chunks.Size)
		seen := 0
		r := &dying{bytes.NewReader(text), 20 * chunks.Size, func() {
			key := c.Key("{a}", "b", "0")
			if ttl := c.Client().TTL(t.Context(), key).Val(); ttl > 0 && ttl <= chunks.Unsettled {
				seen++
			}
		}}
		if _, err := put(t.Context(), c, k, "a", sum(text), r); err != nil || seen == 0 {
			t.Errorf("uncommitted pieces with a time to live: seen %d times, %v", seen, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		if _, err := put(ctx, c, k, "b", sum(text), &dying{bytes.NewReader(text), 20 * chunks.Size, cancel}); err == nil {
			t.Error("the body of a caller that went away was stored")
		}
	})
}

func TestTornBodyIsNotCommitted(t *testing.T) {
	both(t, func(t *testing.T, c *conn.Conn) {
		k := chunks.New(c)
		text := noise(30 * chunks.Size)
		r := &dying{bytes.NewReader(text), 20 * chunks.Size, func() { c.Client().Unlink(t.Context(), c.Key("{a}", "b", "3")) }}
		b, err := put(t.Context(), c, k, "a", sum(text), r)
		if conn.Refused(err) != "torn" {
			t.Fatalf("a piece went away before the end: %v", err)
		}
		if n := c.Client().Exists(t.Context(), c.Key("{a}", "e")).Val(); n != 0 {
			t.Error("the record was written")
		}
		if ttl := c.Client().TTL(t.Context(), c.Key("{a}", "b", "5")).Val(); ttl <= 0 {
			t.Error("a piece of a torn body became lasting")
		}
		k.Drop(t.Context(), c.Key("{a}", "b"), b)
		if n := keys(t, c); n != 0 {
			t.Errorf("%d keys stay", n)
		}
	})
}

func TestDamageIsFound(t *testing.T) {
	both(t, func(t *testing.T, c *conn.Conn) {
		k := chunks.New(c)
		text := noise(10 * chunks.Size)
		base := c.Key("{a}", "b")
		r, ctx := c.Client(), t.Context()
		packed := func(text []byte) []byte {
			enc, err := zstd.NewWriter(nil)
			if err != nil {
				t.Fatal(err)
			}
			return enc.EncodeAll(text, nil)
		}
		for name, harm := range map[string]func(b *chunks.Body){
			"a piece is gone":       func(*chunks.Body) { r.Del(ctx, base+":9") },
			"a piece is empty":      func(*chunks.Body) { r.Set(ctx, base+":0", "", 0) },
			"a piece is too long":   func(*chunks.Body) { r.Set(ctx, base+":0", noise(chunks.Size+1), 0) },
			"a piece is a list":     func(*chunks.Body) { r.Del(ctx, base+":2"); r.RPush(ctx, base+":2", "x") },
			"pieces are swapped":    func(*chunks.Body) { r.Set(ctx, base+":1", r.Get(ctx, base+":2").Val(), 0) },
			"fewer pieces are said": func(b *chunks.Body) { b.Chunks-- },
			"another body":          func(b *chunks.Body) { r.Set(ctx, base+":0", packed([]byte("other")), 0); b.Chunks = 1 },
			"a bomb": func(b *chunks.Body) {
				r.Set(ctx, base+":0", packed(make([]byte, 64<<20)), 0)
				b.Chunks, b.SHA256, b.Size = 1, sum(make([]byte, 64<<20)), 1000
			},
		} {
			b, err := put(ctx, c, k, "a", sum(text), bytes.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			harm(&b)
			got, err := get(ctx, c, k, "a", b)
			want := quarantine.ErrCorrupt
			if name == "a piece is a list" {
				want = conn.ErrAway
			}
			if !errors.Is(err, want) {
				t.Errorf("%s: %d bytes, %v", name, len(got), err)
			}
			r.Del(ctx, base+":2")
		}
	})
}

func TestStoreAway(t *testing.T) {
	s := redistest.Server(t)
	c := redistest.Empty(t, s)
	k := chunks.New(c)
	text := noise(20 * chunks.Size)
	b, err := put(t.Context(), c, k, "a", sum(text), bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	s.Kill()
	if _, err := put(t.Context(), c, k, "b", sum(text), bytes.NewReader(text)); !errors.Is(err, conn.ErrAway) {
		t.Errorf("write: %v", err)
	}
	if _, err := get(t.Context(), c, k, "a", b); !errors.Is(err, conn.ErrAway) || errors.Is(err, quarantine.ErrCorrupt) {
		t.Errorf("read: %v", err)
	}
}

func TestReaderAfterClose(t *testing.T) {
	c := redistest.Mini(t)
	k := chunks.New(c)
	b, err := put(t.Context(), c, k, "a", sum([]byte("x")), bytes.NewReader([]byte("x")))
	if err != nil {
		t.Fatal(err)
	}
	r, err := k.Open(t.Context(), c.Key("{a}", "b"), b)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(r.Close(), r.Close()); err != nil {
		t.Error(err)
	}
	if _, err := r.Read(make([]byte, 1)); err == nil {
		t.Error("read after close")
	}
}

// stream gives n bytes of noise without holding them, and looks at the heap once a while.
type stream struct {
	block []byte
	n     int
	peak  *uint64
}

func (s *stream) Read(p []byte) (int, error) {
	if s.n == 0 {
		return 0, io.EOF
	}
	m := copy(p[:min(len(p), s.n)], s.block[(large-s.n)%len(s.block):])
	if s.n/(10<<20) != (s.n-m)/(10<<20) {
		*s.peak = max(*s.peak, heap())
	}
	s.n -= m
	return m, nil
}

// large is the size of a large body.
const large = 50 << 20

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestLargeBodyInLittleMemory(t *testing.T) {
	const size = large
	c := redistest.Empty(t, redistest.Server(t))
	k := chunks.New(c)
	block := noise(1<<20 + 13)
	h := sha256.New()
	var peak uint64
	if _, err := io.Copy(h, &stream{block, size, &peak}); err != nil {
		t.Fatal(err)
	}
	before := heap()
	peak = 0
	start := time.Now()
	b, err := put(t.Context(), c, k, "a", hex.EncodeToString(h.Sum(nil)), &stream{block, size, &peak})
	if err != nil {
		t.Fatal(err)
	}
	if peak > before+16<<20 {
		t.Errorf("%d bytes in use while writing", peak-before)
	}
	t.Logf("%d bytes in %d pieces written in %v with %d bytes of memory", size, b.Chunks, time.Since(start), int64(peak)-int64(before))
	r, err := k.Open(t.Context(), c.Key("{a}", "b"), b)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if n, err := io.Copy(io.Discard, r); n != size || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	if now := heap(); now > before+32<<20 {
		t.Errorf("%d bytes in use after reading", now-before)
	}
}

func TestCommitWithoutAnAnswerKeepsTheBody(t *testing.T) {
	both(t, func(t *testing.T, c *conn.Conn) {
		k := chunks.New(c)
		text, base := []byte("text"), c.Key("{a}", "b")
		b, err := k.Write(t.Context(), base, sum(text), bytes.NewReader(text), func(p redis.Pipeliner, b chunks.Body) {
			commit.Run(t.Context(), p, append([]string{c.Key("{a}", "e")}, b.Keys(base)...))
			p.LRange(t.Context(), c.Key("{a}", "e"), 0, 1) // fails after the commit
		})
		if err == nil {
			t.Fatal("no error")
		}
		if got, err := get(t.Context(), c, k, "a", b); err != nil || !bytes.Equal(got, text) {
			t.Errorf("%q, %v", got, err)
		}
	})
}
