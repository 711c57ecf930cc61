package rig

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"

	"postern/cmd/postern/calls"
	"postern/quarantine"
)

// Files is what lies in a state folder.
type Files struct {
	Bodies []string // paths of bodies under their final names
	Temp   []string // paths of what is being written
	Bad    []string // bodies that do not hash to their names
}

// Look reads a state folder; every body is unpacked and hashed.
func (r *Rig) Look() Files {
	r.t.Helper()
	var f Files
	err := filepath.WalkDir(r.State, func(path string, d fs.DirEntry, err error) error {
		switch {
		case os.IsNotExist(err):
			return nil // removed meanwhile
		case err != nil:
			return err
		case !d.Type().IsRegular():
		case temporary(r.State, path):
			f.Temp = append(f.Temp, path)
		case strings.HasSuffix(path, ".zst"):
			f.Bodies = append(f.Bodies, path)
			if why := unpack(path); why != "" {
				f.Bad = append(f.Bad, path+": "+why)
			}
		}
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return f
}

// temporary reports whether a file is one that only a write under way has.
func temporary(state, path string) bool {
	rel, err := filepath.Rel(state, path)
	if err != nil {
		return false
	}
	return strings.HasPrefix(rel, "spool/") || strings.HasPrefix(rel, "bodies/tmp/") ||
		strings.HasSuffix(rel, ".new") || strings.HasSuffix(rel, ".tmp")
}

// unpack says what is wrong with a stored body, "" when nothing is.
func unpack(path string) string {
	f, err := os.Open(path)
	if os.IsNotExist(err) {
		return "" // removed meanwhile
	}
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	z, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return err.Error()
	}
	defer z.Close()
	h := sha256.New()
	if _, err := io.Copy(h, z); err != nil {
		return err.Error()
	}
	if sum := hex.EncodeToString(h.Sum(nil)); sum+".zst" != filepath.Base(path) {
		return "its bytes hash to " + sum
	}
	return ""
}

// rawOf asks for the bytes of a hold, with the reason that infected ones need.
func rawOf(h quarantine.Hold) calls.Piece {
	if h.Infected() {
		return calls.Piece{ID: h.ID, Note: "to compare it with what came in"}
	}
	return calls.Piece{ID: h.ID}
}

// Verify reads every hold over the control socket and returns how many there are and those
// whose bytes are not what came in.
func (r *Rig) Verify() (n int, bad []string) {
	r.t.Helper()
	for _, h := range r.Holds() {
		var raw calls.Raw
		r.Call("quarantine.raw", rawOf(h), &raw)
		n++
		if sum := sha256.Sum256(raw.Body); hex.EncodeToString(sum[:]) != h.SHA256 || int64(len(raw.Body)) != h.Size {
			bad = append(bad, h.ID)
		}
	}
	return n, bad
}
