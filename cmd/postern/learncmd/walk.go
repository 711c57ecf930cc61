package learncmd

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"postern/cmd/postern/learning"
)

// walk gives every message below the paths to f: of files, of folders and Maildirs with all
// below them, and of mbox files.
func walk(paths []string, f func(ref string, body []byte) error) error {
	for _, path := range paths {
		err := filepath.WalkDir(path, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir():
				return skip(path, d)
			case strings.HasPrefix(d.Name(), ".") || ofMaildir(d.Name()):
				return nil
			}
			return file(path, f)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// skip passes over what is being delivered to a Maildir just now.
func skip(path string, d fs.DirEntry) error {
	if d.Name() != "tmp" {
		return nil
	}
	for _, beside := range []string{"cur", "new"} {
		if _, err := os.Stat(filepath.Join(filepath.Dir(path), beside)); err != nil {
			return nil //nolint:nilerr // no Maildir
		}
	}
	return filepath.SkipDir
}

// ofMaildir are files of Dovecot and others beside the messages.
func ofMaildir(name string) bool {
	return strings.HasPrefix(name, "dovecot") || slices.Contains([]string{"subscriptions", "maildirfolder", "maildirsize"}, name)
}

func file(path string, f func(string, []byte) error) error {
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // it was read alone
	r := bufio.NewReaderSize(in, 64<<10)
	if head, err := r.Peek(5); err == nil && string(head) == "From " {
		return mbox(path, r, f)
	}
	body, err := io.ReadAll(io.LimitReader(r, learning.MaxMessage+1))
	if err != nil || len(body) == 0 {
		return err
	}
	return f(path, body)
}

// mbox splits at lines that begin with "From " behind an empty one (RFC 4155), and takes one ">"
// from quoted ones.
func mbox(path string, r *bufio.Reader, f func(string, []byte) error) error {
	var body bytes.Buffer
	n, empty := 0, true
	give := func() error {
		if body.Len() == 0 {
			return nil
		}
		n++
		defer body.Reset()
		return f(fmt.Sprintf("%s:%d", path, n), slices.Clone(body.Bytes()))
	}
	for {
		line, err := r.ReadBytes('\n')
		if empty && bytes.HasPrefix(line, []byte("From ")) {
			if gerr := give(); gerr != nil {
				return gerr
			}
		} else if body.Len() <= learning.MaxMessage {
			if bytes.HasPrefix(bytes.TrimLeft(line, ">"), []byte("From ")) && line[0] == '>' {
				line = line[1:]
			}
			body.Write(line)
		}
		empty = len(bytes.TrimSpace(line)) == 0
		if errors.Is(err, io.EOF) {
			return give()
		}
		if err != nil {
			return err
		}
	}
}
