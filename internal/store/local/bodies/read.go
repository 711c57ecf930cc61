package bodies

import (
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// reader decompresses a body and verifies it at its end.
type reader struct {
	bodies *Bodies
	file   fs.File
	dec    *zstd.Decoder
	hash   hash.Hash
	sha    string
	err    error
}

// Read implements io.Reader. Damage to the compressed file is ErrDigest too.
func (r *reader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if r.dec == nil {
		return 0, fs.ErrClosed
	}
	n, err := r.dec.Read(p)
	r.hash.Write(p[:n])
	switch {
	case err == nil:
	case errors.Is(err, io.EOF):
		r.err = io.EOF
		if hex.EncodeToString(r.hash.Sum(nil)) != r.sha {
			r.err = ErrDigest
		}
	case isPathError(err):
		r.err = err
	default:
		r.err = errors.Join(ErrDigest, err)
	}
	return n, r.err
}

func isPathError(err error) bool {
	var pe *fs.PathError
	return errors.As(err, &pe)
}

// Close gives the decoder back and closes the file. A second call does nothing.
func (r *reader) Close() error {
	if r.dec == nil {
		return nil
	}
	if err := r.dec.Reset(nil); err == nil {
		r.bodies.decs.Put(r.dec)
	}
	r.dec = nil
	return r.file.Close()
}

// Swept is what Sweep found.
type Swept struct {
	Temp    int      // files half written by a process that died
	Orphans int      // files of bodies no row names
	Missing []string // bodies that rows name and that are not there
}

// Sweep removes what a crash left behind: every temp file, and every body that known does
// not hold. It must run before anything is written. Other names are left alone.
func (b *Bodies) Sweep(known map[string]struct{}) (Swept, error) {
	var out Swept
	n, err := b.clear(tmpDir, func(string) bool { return true })
	out.Temp = n
	if err != nil {
		return out, err
	}
	dirs, err := b.disk.ReadDir(b.dir)
	if err != nil {
		return out, err
	}
	found := make(map[string]struct{}, len(known))
	for _, d := range dirs {
		if len(d.Name()) != 2 || !d.IsDir() {
			continue
		}
		n, err := b.clear(d.Name(), func(name string) bool {
			sha, kind := split(name)
			if kind == "" {
				return false
			}
			if _, ok := known[sha]; !ok {
				return true
			}
			if kind == suffix {
				found[sha] = struct{}{}
			}
			return false
		})
		out.Orphans += n
		if err != nil {
			return out, err
		}
	}
	for sha := range known {
		if _, ok := found[sha]; !ok {
			out.Missing = append(out.Missing, sha)
		}
	}
	return out, nil
}

// split cuts the name of a body or its notes; kind is "" for a foreign file.
func split(name string) (sha, kind string) {
	for _, kind := range []string{suffix, notes} {
		if sha, ok := strings.CutSuffix(name, kind); ok && ValidName(sha) {
			return sha, kind
		}
	}
	return "", ""
}

// clear removes the files of one folder that gone names.
func (b *Bodies) clear(folder string, gone func(name string) bool) (n int, err error) {
	dir := filepath.Join(b.dir, folder)
	files, err := b.disk.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	for _, f := range files {
		if !gone(f.Name()) {
			continue
		}
		if err := b.disk.Remove(filepath.Join(dir, f.Name())); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
