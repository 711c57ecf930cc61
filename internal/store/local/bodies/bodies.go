package bodies

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// ErrDigest says that bytes do not hash to the name they were written or stored under.
var ErrDigest = errors.New("the bytes do not match their digest")

// SyncError says that something written may not be on disk, and that nobody can know: the
// kernel reports a failed write-back once. No further write can be trusted.
type SyncError struct {
	Path string
	Err  error
}

func (e *SyncError) Error() string { return "sync " + e.Path + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *SyncError) Unwrap() error { return e.Err }

const (
	suffix = ".zst"
	notes  = ".jsonl"
	tmpDir = "tmp"
	// maxWindow bounds what decoding one body may allocate.
	maxWindow = 64 << 20
)

// Bodies is a folder of bodies: DIR/ab/<sha256>.zst, and DIR/tmp for what is being written.
type Bodies struct {
	dir   string
	disk  Disk
	locks [256]sync.Mutex
	made  [256]bool // folders that are there, each under its lock
	encs  sync.Pool
	decs  sync.Pool
}

// Open makes the folder for what is being written; dir must exist. Names an earlier process
// left unsynced are made durable.
func Open(dir string, disk Disk) (*Bodies, error) {
	b := &Bodies{dir: dir, disk: disk}
	if err := disk.Mkdir(filepath.Join(dir, tmpDir)); err != nil {
		return nil, err
	}
	found, err := disk.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, d := range found {
		if n, err := strconv.ParseUint(d.Name(), 16, 8); err == nil && len(d.Name()) == 2 {
			b.made[n] = true
		}
	}
	if err := disk.SyncDir(dir); err != nil {
		return nil, &SyncError{Path: dir, Err: err}
	}
	return b, nil
}

// folder makes the folder of a body durably, once. The caller holds Lock(sha).
func (b *Bodies) folder(sha string) error {
	n := slot(sha)
	if b.made[n] {
		return nil
	}
	if err := b.disk.Mkdir(filepath.Join(b.dir, sha[:2])); err != nil {
		return err
	}
	if err := b.disk.SyncDir(b.dir); err != nil {
		return &SyncError{Path: b.dir, Err: err}
	}
	b.made[n] = true
	return nil
}

// slot is the number of the folder and the lock of a body.
func slot(sha string) uint64 {
	n, err := strconv.ParseUint(sha[:min(2, len(sha))], 16, 8)
	if err != nil {
		return 0
	}
	return n
}

// ValidName reports whether sha is 64 lower-case hex digits: fit to be a file name.
func ValidName(sha string) bool {
	if len(sha) != 2*sha256.Size {
		return false
	}
	return strings.Trim(sha, "0123456789abcdef") == ""
}

// Path is the file of a body.
func (b *Bodies) Path(sha string) string {
	return filepath.Join(b.dir, sha[:2], sha+suffix)
}

// Lock keeps others from writing or removing the body until unlock. Bodies share 256 locks:
// never take two.
func (b *Bodies) Lock(sha string) (unlock func()) {
	m := &b.locks[slot(sha)]
	m.Lock()
	return m.Unlock
}

// Write stores the bytes of r under sha, durably: when it returns nil, the file and its name
// are synced. It returns the bytes the file takes. On an error nothing stays under the name.
// The caller holds Lock(sha).
func (b *Bodies) Write(sha string, r io.Reader) (stored int64, err error) {
	if !ValidName(sha) {
		return 0, fmt.Errorf("%w: %.70q is no SHA-256", ErrDigest, sha)
	}
	if err := b.folder(sha); err != nil {
		return 0, err
	}
	f, err := b.disk.CreateTemp(filepath.Join(b.dir, tmpDir), "body-*")
	if err != nil {
		return 0, err
	}
	stored, err = b.fill(f, sha, r)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = b.publish(f.Name(), sha)
	} else if rerr := b.disk.Remove(f.Name()); rerr != nil {
		err = errors.Join(err, rerr)
	}
	if err != nil {
		return 0, err
	}
	return stored, nil
}

// fill compresses r into f and syncs it.
func (b *Bodies) fill(f File, sha string, r io.Reader) (int64, error) {
	enc, err := b.encoder()
	if err != nil {
		return 0, err
	}
	defer b.encs.Put(enc)
	out := &counter{w: f}
	enc.Reset(out)
	h := sha256.New()
	if _, err = io.Copy(enc, io.TeeReader(r, h)); err != nil {
		return 0, errors.Join(err, enc.Close())
	}
	if err = enc.Close(); err != nil {
		return 0, err
	}
	if hex.EncodeToString(h.Sum(nil)) != sha {
		return 0, ErrDigest
	}
	if err = f.Sync(); err != nil {
		return 0, &SyncError{Path: f.Name(), Err: err}
	}
	return out.n, nil
}

// publish gives a synced file its name. A name whose folder could not be synced is taken
// away again.
func (b *Bodies) publish(tmp, sha string) error {
	path := b.Path(sha)
	if err := b.disk.Rename(tmp, path); err != nil {
		return errors.Join(err, b.disk.Remove(tmp))
	}
	dir := filepath.Dir(path)
	if err := b.disk.SyncDir(dir); err != nil {
		return errors.Join(&SyncError{Path: dir, Err: err}, b.disk.Remove(path))
	}
	return nil
}

func (b *Bodies) encoder() (*zstd.Encoder, error) {
	if e, ok := b.encs.Get().(*zstd.Encoder); ok {
		return e, nil
	}
	return zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20), zstd.WithLowerEncoderMem(true))
}

// Read opens a body. The reader gives ErrDigest in place of io.EOF when what was read is not
// what was stored. The error is fs.ErrNotExist when there is no such body.
func (b *Bodies) Read(sha string) (io.ReadCloser, error) {
	if !ValidName(sha) {
		return nil, fs.ErrNotExist
	}
	f, err := b.disk.Open(b.Path(sha))
	if err != nil {
		return nil, err
	}
	dec, ok := b.decs.Get().(*zstd.Decoder)
	if !ok {
		dec, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
	}
	if err == nil {
		err = dec.Reset(f)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &reader{bodies: b, file: f, dec: dec, hash: sha256.New(), sha: sha}, nil
}

// Has reports whether the file of a body is there.
func (b *Bodies) Has(sha string) bool {
	f, err := b.disk.Open(b.Path(sha))
	if err != nil {
		return false
	}
	return f.Close() == nil
}

// Remove removes a body; one that is not there is no error. The caller holds Lock(sha).
func (b *Bodies) Remove(sha string) error {
	if !ValidName(sha) {
		return nil
	}
	for _, path := range []string{b.Path(sha), b.notePath(sha)} {
		if err := b.disk.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
