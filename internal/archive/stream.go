package archive

import (
	"archive/tar"
	"bufio"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"io"
	"path"
	"strings"

	"postern/internal/archive/kind"
)

// counter counts the packed bytes a decompressor took.
type counter struct {
	r *bufio.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// ReadByte lets decompressors read no further than they need.
func (c *counter) ReadByte() (byte, error) {
	b, err := c.r.ReadByte()
	if err == nil {
		c.n++
	}
	return b, err
}

// stream reads a compressed file: the tar in it, or its one member.
func (w *walker) stream(k, name string, r *bufio.Reader, depth int) error {
	in := &counter{r: r}
	e := Entry{Name: name + "!" + stem(name), Packed: -1}
	m := &meter{w: w, name: e.Name, cost: 1}
	if k == "gzip" {
		z, err := gzip.NewReader(in)
		if err != nil {
			w.unreadable(name, "its gzip header is damaged")
			return nil
		}
		if z.Name != "" {
			e.Name = name + "!" + z.Name
		}
		m.r = z
	} else {
		m.r, m.cost = bzip2.NewReader(in), 4
	}
	br := bufio.NewReaderSize(&ratio{m: m, in: in}, bufSize)
	head, err := br.Peek(kind.Head)
	switch {
	case err != nil && !errors.Is(err, io.EOF):
	case kind.Detect(head) == "tar":
		err = w.tar(name, br, depth)
	default:
		at := len(w.facts.Entries)
		if err = w.entry(e); err == nil {
			err = w.content(e, head, br, depth)
			defer func() { w.facts.Entries[at].Size = m.n }()
		}
	}
	if err == nil {
		_, err = io.Copy(io.Discard, br)
	}
	w.facts.Largest = max(w.facts.Largest, m.n)
	if err == nil || errors.Is(err, errBomb) || w.ctx.Err() != nil {
		return err
	}
	// Junk behind a whole gzip stream is ordinary padding.
	if !errors.Is(err, gzip.ErrHeader) || m.n == 0 {
		w.unreadable(name, "its compressed data is damaged or cut off")
	}
	return nil
}

// ratio watches how a stream of unknown length expands.
type ratio struct {
	m  *meter
	in *counter
}

func (r *ratio) Read(p []byte) (int, error) {
	r.m.packed = max(r.in.n, 1)
	return r.m.Read(p)
}

// stem is the name of what a compressed file holds.
func stem(name string) string {
	if i := strings.LastIndexByte(name, '!'); i >= 0 {
		name = name[i+1:]
	}
	return strings.TrimSuffix(name, path.Ext(name))
}

// tar reads a tar from a stream. Links and devices are listed and never followed.
func (w *walker) tar(name string, r io.Reader, depth int) error {
	t := tar.NewReader(r)
	for {
		h, err := t.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return w.damaged(name, "its tar structure is damaged or cut off", err)
		}
		e := Entry{Name: name + "!" + h.Name, Size: h.Size, Packed: -1}
		switch h.Typeflag {
		case tar.TypeReg, tar.TypeCont:
			if err := w.tarFile(name, e, h, t, depth); err != nil {
				return err
			}
			continue
		case tar.TypeGNUSparse:
			w.unreadable(name, "a member is sparse")
		case tar.TypeDir:
			e.Dir = true
		}
		if err := w.entry(e); err != nil {
			return err
		}
	}
}

func (w *walker) tarFile(name string, e Entry, h *tar.Header, t io.Reader, depth int) error {
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse") {
			w.unreadable(name, "a member is sparse")
			return w.entry(e)
		}
	}
	if h.Size > w.lim.EntryBytes {
		return w.bomb("%s expands to more than %d bytes", shown(e.Name), w.lim.EntryBytes)
	}
	return w.damaged(e.Name, "it is damaged or cut off", w.member(e, t, 1, depth))
}

// damaged turns an error of a format into a fact; what ends the walk is handed on.
func (w *walker) damaged(name, why string, err error) error {
	if err != nil && !errors.Is(err, errBomb) && w.ctx.Err() == nil {
		w.unreadable(name, why)
		return nil
	}
	return err
}
