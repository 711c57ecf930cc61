package archive

import (
	"bufio"
	"errors"
	"io"

	"github.com/nwaples/rardecode/v2"

	"postern/internal/archive/kind"
)

// slow is the weight of a byte that LZMA or RAR expand.
const slow = 2

// watched ends the reading of a library when the walk is over.
type watched struct {
	w *walker
	r io.Reader
	n int64 // bytes taken
}

func (r *watched) Read(p []byte) (int, error) {
	if err := r.w.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := r.r.Read(p)
	r.n += int64(n)
	return n, err
}

// rar reads a RAR from a stream. The dictionary that a member asks for is refused before there is
// room made for it.
func (w *walker) rar(name string, r *bufio.Reader, depth int) (err error) {
	head, _ := r.Peek(bufSize)
	locked := kind.Encrypted("rar", head)
	defer func() {
		if p := recover(); p != nil { // of the library, at bytes it did not expect
			err = w.rarEnd(name, locked, rardecode.ErrCorruptBlockHeader)
		}
	}()
	in := &watched{w: w, r: r}
	z, err := rardecode.NewReader(in, rardecode.MaxDictionarySize(w.lim.Dictionary))
	if err != nil {
		return w.rarEnd(name, locked, err)
	}
	for {
		h, err := z.Next()
		if err != nil {
			return w.rarEnd(name, locked, err)
		}
		if err := w.rarMember(name, h, z, in.n, depth); err != nil {
			return err
		}
	}
}

// rarMember expands one member; taken is what was read of the archive before it.
func (w *walker) rarMember(name string, h *rardecode.FileHeader, r io.Reader, taken int64, depth int) error {
	e := Entry{Name: name + "!" + h.Name, Size: h.UnPackedSize, Packed: h.PackedSize, Dir: h.IsDir, Encrypted: h.Encrypted}
	if h.Encrypted {
		w.encrypted(e.Name)
	}
	if h.IsDir || h.Encrypted || h.LinkType != 0 {
		return w.entry(e)
	}
	if h.UnPackedSize > w.lim.EntryBytes && !h.UnKnownSize {
		return w.bomb("%s expands to more than %d bytes", shown(e.Name), w.lim.EntryBytes)
	}
	if h.Solid { // it may repeat what stands in those before it
		e.Packed += taken
	}
	err := w.member(e, r, slow, depth)
	switch {
	case errors.Is(err, rardecode.ErrDictionaryTooLarge), errors.Is(err, rardecode.ErrMultiVolume), rarForeign(err):
		return w.rarEnd(name, false, err)
	}
	return w.damaged(e.Name, "it is damaged or cut off", err)
}

// rarForeign reports the errors of methods that the library does not know.
func rarForeign(err error) bool {
	return errors.Is(err, rardecode.ErrUnknownVersion) || errors.Is(err, rardecode.ErrUnsupportedDecoder) || errors.Is(err, rardecode.ErrUnknownDecoder)
}

// rarEnd says how the reading of an archive ended.
func (w *walker) rarEnd(name string, locked bool, err error) error {
	switch {
	case errors.Is(err, errBomb) || w.ctx.Err() != nil:
		return err
	case errors.Is(err, io.EOF):
	case errors.Is(err, rardecode.ErrArchiveEncrypted), errors.Is(err, rardecode.ErrArchivedFileEncrypted), locked:
		w.encrypted(name)
	case errors.Is(err, rardecode.ErrDictionaryTooLarge):
		return w.bomb("%s asks for a dictionary of more than %d bytes", shown(name), w.lim.Dictionary)
	case errors.Is(err, rardecode.ErrMultiVolume), errors.Is(err, rardecode.ErrBadVolumeNumber):
		w.unreadable(name, "it is one of several volumes")
	case rarForeign(err):
		w.facts.Foreign = sentence(w.facts.Foreign, shown(name)+" (rar)")
	default:
		w.unreadable(name, "it is damaged or cut off")
	}
	return nil
}
