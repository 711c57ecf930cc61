package sign_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"postern/filter"
	"postern/internal/stamp/keys"
)

// pattern is a body of any size that takes no memory.
type pattern struct{ head string }

func (p pattern) ReadAt(b []byte, off int64) (int, error) {
	const line = "a line of a large attachment, seventy characters long, with some bla\r\n"
	n := 0
	if off < int64(len(p.head)) {
		n = copy(b, p.head[off:])
	}
	for n < len(b) {
		n += copy(b[n:], line[(off+int64(n)-int64(len(p.head)))%int64(len(line)):])
	}
	return n, nil
}

// A large body is hashed as it streams by.
func TestBodyIsNotCopied(t *testing.T) {
	w := newWorld(t, "example.com")
	m := w.message("")
	m.Body, m.Size = pattern{plain}, 50<<20
	r := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := w.stamper.Open(nil, m); err != nil {
				b.Fatal(err)
			}
		}
	})
	if got := r.AllocedBytesPerOp(); got > 512<<10 {
		t.Errorf("%d bytes are allocated for a body of %d", got, m.Size)
	}
}

func BenchmarkSign(b *testing.B) {
	for _, alg := range []string{"none", keys.RSA, keys.Ed25519} {
		for _, size := range []int64{20 << 10, 25 << 20} {
			b.Run(fmt.Sprintf("%s/%dk", alg, size>>10), func(b *testing.B) {
				w := newWorld(b)
				if alg != "none" {
					w.add("example.com", keys.New{Algorithm: alg, Selector: "s"})
				}
				m := w.message("")
				m.Body, m.Size = strings.NewReader(plain+strings.Repeat("0123456789abcdef 0123456789abcdef 0123456789abcdef 0123456789\r\n", int(size)/63)), size
				block := w.stamper.Block(m, filter.Verdict{}, filter.Report{}, nil)
				b.SetBytes(size)
				b.ReportAllocs()
				for b.Loop() {
					r, _, err := w.stamper.Open(block, m)
					if err != nil {
						b.Fatal(err)
					}
					if _, err := io.Copy(io.Discard, r); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
