package archive

import (
	"bytes"
	"errors"
	"io"

	"postern/internal/archive/cfb"
	"postern/internal/archive/image"
	"postern/internal/archive/kind"
	"postern/internal/archive/msg"
	"postern/internal/archive/seven"
)

// seven reads a 7z: its directory first, then folder by folder what is packed together.
func (w *walker) seven(name string, r io.ReaderAt, size int64, depth int) error {
	const perName = 600 // bytes of a directory for each member
	a, err := seven.Open(r, size, seven.Limits{Entries: w.lim.Entries, Header: int64(w.lim.Entries+100) * perName, Dictionary: w.lim.Dictionary})
	if err != nil {
		head := make([]byte, min(size, bufSize))
		if n, _ := r.ReadAt(head, 0); errors.Is(err, seven.ErrDamaged) && kind.Encrypted("7z", head[:n]) {
			err = seven.ErrEncrypted
		}
		return w.sevenEnd(name, err)
	}
	for _, f := range a.Empty {
		if err := w.entry(Entry{Name: name + "!" + f.Name, Dir: f.Dir}); err != nil {
			return err
		}
	}
	var total int64
	for _, f := range a.Folders {
		if total += f.Size; total > w.lim.Bytes {
			return w.bomb("it says it expands to more bytes than are read")
		}
	}
	for _, f := range a.Folders {
		if err := w.folder(name, f, depth); err != nil {
			return err
		}
	}
	return nil
}

// folder expands what a 7z packed as one.
func (w *walker) folder(name string, f *seven.Folder, depth int) (err error) {
	done := 0 // members counted
	defer func() {
		if p := recover(); p != nil { // of a library, at bytes it did not expect
			err = w.rest(name, f, done, "it is damaged")
		}
	}()
	if f.Size > freeRatio && f.Size/max(f.Packed, 1) > w.lim.Ratio {
		return w.bomb("%s expands more than %d times", shown(name), w.lim.Ratio)
	}
	in, err := f.Open()
	switch {
	case f.Encrypted:
		for _, m := range f.Files {
			w.encrypted(name + "!" + m.Name)
		}
		return w.rest(name, f, 0, "")
	case f.Method != "":
		w.facts.Foreign = sentence(w.facts.Foreign, shown(name)+" ("+f.Method+")")
		return w.rest(name, f, 0, "")
	case errors.Is(err, seven.ErrDictionary):
		return w.sevenEnd(name, err)
	case err != nil:
		return w.rest(name, f, 0, "it is damaged")
	}
	for _, m := range f.Files {
		e := Entry{Name: name + "!" + m.Name, Size: m.Size, Packed: f.Packed}
		at := len(w.facts.Entries)
		done++
		err := w.member(e, io.LimitReader(in, m.Size), slow, depth)
		if errors.Is(err, errBomb) || w.ctx.Err() != nil {
			return err
		}
		if err != nil || w.facts.Entries[at].Size != m.Size {
			w.unreadable(e.Name, "it is damaged")
			return w.rest(name, f, done, "")
		}
	}
	return nil
}

// rest lists the members of a folder from one on that were not expanded; why is said once.
func (w *walker) rest(name string, f *seven.Folder, from int, why string) error {
	if why != "" {
		w.unreadable(name, why)
	}
	for _, m := range f.Files[from:] {
		if err := w.entry(Entry{Name: name + "!" + m.Name, Size: m.Size, Packed: f.Packed, Encrypted: f.Encrypted}); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) sevenEnd(name string, err error) error {
	switch {
	case errors.Is(err, seven.ErrEncrypted):
		w.encrypted(name)
	case errors.Is(err, seven.ErrTooMany):
		return w.bomb("its directory lists more members than are read")
	case errors.Is(err, seven.ErrDictionary):
		return w.bomb("%s asks for a dictionary of more than %d bytes", shown(name), w.lim.Dictionary)
	case errors.Is(err, seven.ErrVolume):
		w.unreadable(name, "it is cut off, or one of several volumes")
	default:
		w.unreadable(name, "its directory is damaged")
	}
	return nil
}

// disk reads an image of a disk.
func (w *walker) disk(name string, r io.ReaderAt, size int64, depth int) error {
	files, err := image.Files(r, size, w.lim.Entries)
	switch {
	case errors.Is(err, image.ErrTooMany):
		return w.bomb("its directories list more than is read")
	case err != nil:
		w.unreadable(name, "a directory in it is damaged")
	}
	for _, f := range files {
		e := Entry{Name: name + "!" + f.Name, Size: f.Size, Packed: f.Size, Dir: f.Dir}
		if f.Outside {
			w.unreadable(e.Name, "it lies outside the image")
		}
		if f.Dir || f.Outside {
			err = w.entry(e)
		} else {
			err = w.damaged(e.Name, "it is damaged", w.member(e, f.Open(r), 1, depth))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// letter reads the files of an Outlook message; another compound file has none.
func (w *walker) letter(name string, r io.Reader, depth int) error {
	b, err := io.ReadAll(io.LimitReader(r, w.lim.Nested))
	if err != nil {
		return err
	}
	c, err := cfb.Open(b)
	if err != nil || !msg.Is(c) {
		return nil //nolint:nilerr // what a damaged one is stands with the checks of office files
	}
	if depth > w.lim.Depth {
		return w.bomb("archives are nested more than %d deep", w.lim.Depth)
	}
	files, more := msg.Files(c, w.lim.Entries)
	if more {
		return w.bomb("it holds more members than are read")
	}
	for _, f := range files {
		e, data := Entry{Name: name + "!" + f.Name, Size: f.Size, Packed: f.Size}, f.Data()
		if err := w.damaged(e.Name, "it is damaged", w.member(e, bytes.NewReader(data), 1, depth)); err != nil {
			return err
		}
		if int64(len(data)) < f.Size {
			w.unreadable(e.Name, "it is cut off")
		}
	}
	return nil
}
