package segment_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"postern/internal/store/redis/journal/segment"
)

var marker = [8]byte{1, 2, 3, 4, 5, 6, 7, 8}

func frame(typ uint8, state segment.State, id, payload string) []byte {
	h := segment.Head{Type: typ, State: state, Kind: "hold", ID: id, Payload: int64(len(payload)), Sum: segment.Sum([]byte(payload)), Until: 7}
	if typ == segment.BodyFrame {
		h = segment.Head{Type: typ, SHA: strings.Repeat(id, 32)[:32], Payload: h.Payload, Sum: h.Sum}
	}
	return append(h.Encode(marker), payload...)
}

func file(frames ...[]byte) []byte {
	return append(append([]byte(segment.Format), marker[:]...), bytes.Join(frames, nil)...)
}

// scan lists the IDs found, and the payloads that Record reads.
func scan(t testing.TB, b []byte, bodies bool) (segment.Found, string) {
	t.Helper()
	var ids []string
	out, err := segment.Scan(bytes.NewReader(b), int64(len(b)), bodies, func(h segment.Head, off int64) error {
		if h.Type == segment.SetFrame {
			record, err := segment.Record(bytes.NewReader(b), off, h.Size(), marker)
			ids = append(ids, h.ID+"="+string(record))
			return err
		}
		ids = append(ids, "body")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out, strings.Join(ids, " ")
}

func TestScan(t *testing.T) {
	a, b, c := frame(segment.SetFrame, segment.Live, "a", "one"), frame(segment.BodyFrame, 0, "b", strings.Repeat("x", 70_000)), frame(segment.SetFrame, segment.Ended, "c", "")
	whole := file(a, b, c)
	at := func(i int, b []byte) []byte { b = bytes.Clone(b); b[i] ^= 1; return b }
	begin := segment.HeadLen
	for _, tc := range []struct {
		name   string
		bytes  []byte
		bodies bool
		want   string
		good   int
		bad    int
	}{
		{"whole", whole, true, "a=one body c=", len(whole), 0},
		{"nothing", file(), true, "", begin, 0},
		{"a bit of the first head", at(begin+20, whole), false, "body c=", len(whole), 1},
		{"a bit of its marker", at(begin, whole), false, "body c=", len(whole), 1},
		{"a bit of its name", at(begin+len(a)-4, whole), false, "body c=", len(whole), 1},
		{"a bit of its record", at(begin+len(a)-1, whole), false, "body c=", len(whole), 1},
		{"a bit of the body, skipped", at(begin+len(a)+5000, whole), false, "a=one body c=", len(whole), 0},
		{"a bit of the body, verified", at(begin+len(a)+5000, whole), true, "a=one c=", len(whole), 1},
		{"cut in the last head", whole[:len(whole)-1], false, "a=one body", len(whole) - len(c), 0},
		{"cut in the body", whole[:begin+len(a)+500], false, "a=one", begin + len(a), 0},
		{"zeros at the end", append(bytes.Clone(whole), make([]byte, 200_000)...), false, "a=one body c=", len(whole), 0},
		{"a marker and nothing", append(bytes.Clone(whole), marker[:]...), false, "a=one body c=", len(whole), 0},
		{"a frame of another segment", append(file(a, bytes.ReplaceAll(c, marker[:], []byte("strange!"))), a...), false, "a=one a=one", begin + 2*len(a) + len(c), 1},
		{"two markers in a row", append(append(file(a), marker[:]...), c...), false, "a=one c=", begin + len(a) + 8 + len(c), 1},
	} {
		out, ids := scan(t, tc.bytes, tc.bodies)
		if ids != tc.want || out.Good != int64(tc.good) || len(out.Bad) != tc.bad {
			t.Errorf("%s: %q, good to %d, bad %v; want %q, %d, %d", tc.name, ids, out.Good, out.Bad, tc.want, tc.good, tc.bad)
		}
	}
	for _, b := range [][]byte{nil, []byte("PJ"), []byte("something else altogether")} {
		if _, err := segment.Scan(bytes.NewReader(b), int64(len(b)), true, nil); err == nil {
			t.Errorf("%q is a segment", b)
		}
	}
	want := errors.New("enough")
	if _, err := segment.Scan(bytes.NewReader(whole), int64(len(whole)), true, func(segment.Head, int64) error { return want }); !errors.Is(err, want) {
		t.Errorf("error of visit: %v", err)
	}
}

// A disk that cannot be read is not taken for damage.
func TestScanFault(t *testing.T) {
	b := file(frame(segment.SetFrame, segment.Live, "a", "one"), frame(segment.SetFrame, segment.Live, "b", "two"))
	for _, at := range []int64{0, int64(segment.HeadLen), int64(segment.HeadLen) + 50, int64(len(b)) - 2} {
		_, err := segment.Scan(sick{bytes.NewReader(b), at}, int64(len(b)), true, func(segment.Head, int64) error { return nil })
		if !errors.Is(err, syscall.EIO) {
			t.Errorf("fault at %d: %v", at, err)
		}
	}
}

// sick fails reads that reach a place.
type sick struct {
	io.ReaderAt
	at int64
}

func (s sick) ReadAt(p []byte, off int64) (int, error) {
	if off <= s.at && s.at < off+int64(len(p)) {
		return 0, syscall.EIO
	}
	return s.ReaderAt.ReadAt(p, off)
}

func TestRecordIsVerified(t *testing.T) {
	b := file(frame(segment.SetFrame, segment.Live, "a", "one"))
	n := int64(len(b) - segment.HeadLen)
	b[len(b)-1] ^= 1
	if _, err := segment.Record(bytes.NewReader(b), int64(segment.HeadLen), n, marker); !errors.Is(err, segment.ErrCorrupt) {
		t.Errorf("a damaged record: %v", err)
	}
	if _, err := segment.Record(bytes.NewReader(b), int64(segment.HeadLen)+1, n, marker); !errors.Is(err, segment.ErrFrame) {
		t.Errorf("no record: %v", err)
	}
}

// memFile is a body in memory.
type memFile struct {
	*bytes.Reader
	closed int
}

func (f *memFile) Close() error             { f.closed++; return nil }
func (*memFile) Stat() (fs.FileInfo, error) { return nil, nil }

func TestPack(t *testing.T) {
	var c segment.Coders
	dir := t.TempDir()
	for _, size := range []int{0, 1, 100_000, 3 << 20} {
		raw := make([]byte, size)
		if _, err := rand.Read(raw); err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(raw)
		p, err := c.Pack(segment.OS{}, dir, string(sum[:]), bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		h := segment.Head{Type: segment.BodyFrame, SHA: string(sum[:]), Payload: p.Size(), Sum: p.Sum()}
		text, err := io.ReadAll(p.Reader())
		if err != nil || segment.Sum(text) != p.Sum() {
			t.Fatalf("%d: %v", size, err)
		}
		whole := append(h.Encode(marker), text...)
		for _, spoiled := range []bool{false, true} {
			if spoiled {
				whole[len(whole)-1] ^= 1
			}
			f := &memFile{Reader: bytes.NewReader(whole)}
			r, err := c.Unpack(f, 0, int64(len(whole)), string(sum[:]))
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r)
			if good := err == nil && bytes.Equal(got, raw); good == spoiled || spoiled && !errors.Is(err, segment.ErrCorrupt) {
				t.Errorf("%d bytes, spoiled %v: %v", size, spoiled, err)
			}
			if _, again := r.Read(make([]byte, 1)); again == nil {
				t.Error("there is more after the end")
			}
			r.Close()
			r.Close()
			if f.closed != 1 {
				t.Errorf("closed %d times", f.closed)
			}
		}
		if err := p.Discard(); err != nil {
			t.Error(err)
		}
	}
	wrong := strings.Repeat("w", 32)
	if _, err := c.Pack(segment.OS{}, dir, wrong, bytes.NewReader(make([]byte, 100))); !errors.Is(err, segment.ErrCorrupt) {
		t.Errorf("wrong digest: %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*")); len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestMatches(t *testing.T) {
	sum := sha256.Sum256([]byte("body"))
	for text, want := range map[string]error{"body": nil, "other": segment.ErrCorrupt} {
		if err := segment.Matches(strings.NewReader(text), string(sum[:])); !errors.Is(err, want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if err := segment.Matches(io.MultiReader(strings.NewReader("body"), broken{}), string(sum[:])); !errors.Is(err, os.ErrPermission) {
		t.Errorf("broken reader: %v", err)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, os.ErrPermission }

func TestDisk(t *testing.T) {
	var d segment.OS
	dir := filepath.Join(t.TempDir(), "d")
	for range 2 {
		if err := d.Mkdir(dir); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "f")
	f, err := d.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("text")); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if _, err := d.Create(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("created twice: %v", err)
	}
	if err := segment.Trim(d, path, 2); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(path); string(b) != "te" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	if err := segment.Trim(d, path+"none", 2); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("trim of nothing: %v", err)
	}
	if err := errors.Join(d.Rename(path, path+"2"), d.SyncDir(dir), d.Remove(path+"2")); err != nil {
		t.Error(err)
	}
	if err := d.SyncDir(path); err == nil {
		t.Error("a folder that is not there was synced")
	}
	a, err := segment.Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := segment.Lock(path); err == nil {
		t.Error("locked twice")
	}
	a.Close()
	if b, err := segment.Lock(path); err != nil {
		t.Error(err)
	} else {
		b.Close()
	}
	if !segment.NoSpace(&os.PathError{Err: syscall.ENOSPC}) || segment.NoSpace(syscall.EIO) {
		t.Error("NoSpace")
	}
}

// FuzzScan reads hostile bytes: no panic, little memory, and what is read is verified.
func FuzzScan(f *testing.F) {
	a, b := frame(segment.SetFrame, segment.Live, "a", "one"), frame(segment.BodyFrame, 0, "b", "xyz")
	f.Add(file(a, b))
	f.Add(file(a, marker[:], b[1:], a))
	f.Add(append(file(), bytes.Repeat(marker[:], 100)...))
	huge := segment.Head{Type: segment.SetFrame, Kind: "k", ID: "i", Payload: 1 << 62}
	f.Add(file(huge.Encode(marker), a))
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) >= segment.HeadLen {
			copy(in, file()) // the rest is what is interesting
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		last := int64(0)
		out, err := segment.Scan(bytes.NewReader(in), int64(len(in)), true, func(h segment.Head, off int64) error {
			if off < last || off+h.Size() > int64(len(in)) {
				t.Fatalf("a frame at %d of %d bytes", off, h.Size())
			}
			last = off + h.Size()
			return nil
		})
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > uint64(1<<20+4*len(in)) && len(in) < 1<<16 {
			t.Errorf("%d bytes allocated for %d", n, len(in))
		}
		if err == nil && (out.Good < last || out.Good > int64(len(in))) {
			t.Errorf("good to %d of %d, last %d", out.Good, len(in), last)
		}
	})
}
