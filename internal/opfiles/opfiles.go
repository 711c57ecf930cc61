// Package opfiles reads and changes the files that an operator writes: whole, in one step,
// and never over a change that somebody else made in the meantime. What they said before is
// remembered with who changed it.
package opfiles

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"postern/internal/said"
)

// Bounds of what is changed here.
const (
	MaxText  = 256 << 10 // octets of a file that can be changed; larger ones are changed on the machine
	MaxFiles = 1000      // files of a folder
)

// Errors of a shelf. They are wrapped.
var (
	ErrNotFound = said.New("file.there-is-no-such-file", "there is no such file")
	ErrReadOnly = said.New("file.this-file-is-not-changed-here", "this file is not changed here")
	ErrInvalid  = said.New("file.this-is-no-file-of-the-operators", "this is no file of the operator's")
	ErrChanged  = said.New("file.the-file-was-changed-in-the-meantime", "the file was changed in the meantime")
)

// Folder is where files of one kind lie.
type Folder struct {
	Kind     string // begins the IDs of its files
	Dir      string // on this machine; "" with FS
	Only     string // the one file of the folder that counts; "" = every *.yaml
	FS       fs.FS  // files that come with the program: read-only
	ReadOnly bool
}

// File is one file.
type File struct {
	ID       string    `json:"id"` // kind/name
	Kind     string    `json:"kind"`
	Name     string    `json:"name"`
	Path     string    `json:"path,omitempty"` // on this machine
	Size     int64     `json:"size"`
	Modified time.Time `json:"modified,omitzero"`
	Hash     string    `json:"hash"`
	ReadOnly string    `json:"read_only,omitempty"` // why it cannot be changed here: own, large, hidden, link, rights
	Text     string    `json:"text,omitempty"`
}

// Why a file cannot be changed here.
const (
	Builtin = "own"    // it comes with the program
	Large   = "large"  // more than MaxText
	Hidden  = "hidden" // it holds a secret that is not shown
	Link    = "link"   // a symbolic link
	Rights  = "rights" // the gateway may not write here
)

// Shelf is all files.
type Shelf struct {
	Folders func() []Folder

	mu sync.Mutex
}

var goodName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,60}(\.[A-Za-z0-9_-]{1,20}){0,3}\.yaml$`)

// Hash names a text.
func Hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// List is every file, without its text.
func (s *Shelf) List() ([]File, error) {
	out := []File{}
	for _, f := range s.Folders() {
		names, err := f.names()
		if err != nil {
			return nil, err
		}
		for _, n := range names {
			file, err := f.read(n)
			if errors.Is(err, ErrNotFound) {
				continue // it went away just now
			}
			if err != nil {
				return nil, err
			}
			file.Text = ""
			out = append(out, file)
		}
	}
	return out, nil
}

func (f Folder) system() fs.FS {
	if f.FS != nil {
		return f.FS
	}
	return os.DirFS(f.Dir)
}

func (f Folder) names() ([]string, error) {
	if f.Only != "" {
		return []string{f.Only}, nil
	}
	if f.FS == nil && f.Dir == "" {
		return nil, nil
	}
	entries, err := fs.ReadDir(f.system(), ".")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if n := e.Name(); !e.IsDir() && goodName.MatchString(n) {
			names = append(names, n)
		}
	}
	if len(names) > MaxFiles {
		return nil, fmt.Errorf("%s has %d files; at most %d are read", f.Dir, len(names), MaxFiles)
	}
	slices.Sort(names)
	return names, nil
}

// Find is the folder and the name that an ID means.
func (s *Shelf) Find(id string) (Folder, string, error) {
	kind, name, _ := strings.Cut(id, "/")
	if !goodName.MatchString(name) {
		return Folder{}, "", said.Errorf("file.a-name-has-letters-digits-hyphens-and", "%w: a name has letters, digits, hyphens and dots, and ends in .yaml", "kind", ErrInvalid)
	}
	for _, f := range s.Folders() {
		if f.Kind == kind && (f.FS != nil || f.Dir != "") && (f.Only == "" || f.Only == name) {
			return f, name, nil
		}
	}
	return Folder{}, "", ErrNotFound
}

// Read is a file with its text. Secrets in it are not shown.
func (s *Shelf) Read(id string) (File, error) {
	f, name, err := s.Find(id)
	if err != nil {
		return File{}, err
	}
	file, err := f.read(name)
	if masked := Mask(file.Text); masked != file.Text {
		file.Text, file.ReadOnly = masked, Hidden
	}
	return file, err
}

func (f Folder) read(name string) (File, error) {
	out := File{ID: f.Kind + "/" + name, Kind: f.Kind, Name: name}
	if f.FS == nil {
		out.Path = filepath.Join(f.Dir, name)
	}
	in, err := f.system().Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return out, ErrNotFound
	}
	if err != nil {
		return out, err
	}
	defer func() { _ = in.Close() }() // it was only read
	info, err := in.Stat()
	if err != nil {
		return out, err
	}
	if !info.Mode().IsRegular() {
		return out, ErrNotFound
	}
	out.Size, out.Modified = info.Size(), info.ModTime().UTC()
	raw, err := io.ReadAll(io.LimitReader(in, 4<<20))
	if err != nil {
		return out, err
	}
	out.Text = string(raw)
	out.Hash = Hash(out.Text)
	out.ReadOnly = f.locked(out)
	return out, nil
}

// locked says why a file cannot be changed here.
func (f Folder) locked(file File) string {
	switch {
	case f.FS != nil:
		return Builtin
	case f.ReadOnly || !Writable(f.Dir):
		return Rights
	case file.Size > MaxText:
		return Large
	}
	if info, err := os.Lstat(file.Path); err != nil || info.Mode()&fs.ModeSymlink != 0 {
		return Link
	}
	if Mask(file.Text) != file.Text {
		return Hidden
	}
	return ""
}

var secretLine = regexp.MustCompile(`(?mi)^(\s*(?:-\s+)?["']?[a-z_]*(?:password|secret|token|passphrase)["']?\s*:\s*)(\S.*)$|([{,]\s*["']?[a-z_]*(?:password|secret|token|passphrase)["']?\s*:\s*)([^,}\n]+)|(://)([^/\s"'@]+:[^/\s"'@]+@)`)

// masked stands in the place of a secret.
const masked = "••••••"

// Mask hides what may be a secret: values of keys that are called so, and passwords in URLs.
func Mask(text string) string {
	return secretLine.ReplaceAllString(text, "${1}${3}${5}"+masked)
}
