package bodies

import (
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
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

// Folders is over how many folders bodies are spread.
const Folders = 256

// Clear removes what a process that died was writing. It must run before anything is written.
func (b *Bodies) Clear() (n int, err error) {
	dir := filepath.Join(b.dir, tmpDir)
	files, err := b.disk.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	for n, f := range files {
		if err := b.disk.Remove(filepath.Join(dir, f.Name())); err != nil {
			return n, err
		}
	}
	return len(files), nil
}

// Look compares the bodies and notes of a folder with the bodies that rows named before: which
// files nobody names, and which bodies are not there. Other names are left alone.
func (b *Bodies) Look(folder int, known map[string]struct{}) (orphans, missing []string, err error) {
	files, err := b.disk.ReadDir(filepath.Join(b.dir, fmt.Sprintf("%02x", folder)))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	found := make(map[string]struct{}, len(files))
	for _, f := range files {
		sha, kind := split(f.Name())
		if kind == suffix {
			found[sha] = struct{}{}
		}
		if _, ok := known[sha]; kind != "" && !ok && !slices.Contains(orphans, sha) {
			orphans = append(orphans, sha)
		}
	}
	for sha := range known {
		if _, ok := found[sha]; !ok {
			missing = append(missing, sha)
		}
	}
	return orphans, missing, nil
}

// Swept is what Sweep found.
type Swept struct {
	Temp    int      // files half written by a process that died
	Orphans int      // files of bodies no row names
	Missing []string // bodies that rows name and that are not there
}

// Sweep removes what a crash left behind: every temp file, and every body that known does
// not hold. It must run before anything is written.
func (b *Bodies) Sweep(known map[string]struct{}) (out Swept, err error) {
	if out.Temp, err = b.Clear(); err != nil {
		return out, err
	}
	var named [Folders]map[string]struct{}
	for sha := range known {
		n := slot(sha)
		if named[n] == nil {
			named[n] = map[string]struct{}{}
		}
		named[n][sha] = struct{}{}
	}
	for n := range named {
		orphans, missing, err := b.Look(n, named[n])
		if err != nil {
			return out, err
		}
		for _, sha := range orphans {
			if err := b.Remove(sha); err != nil {
				return out, err
			}
		}
		out.Orphans += len(orphans)
		out.Missing = append(out.Missing, missing...)
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
