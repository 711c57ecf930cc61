package segment

import (
	"bytes"
	"errors"
	"io"
)

// Span is a part of a segment that cannot be read.
type Span struct{ From, To int64 }

// Found is what scan knows of a segment.
type Found struct {
	Marker [8]byte
	Good   int64  // where the last good frame ends
	Bad    []Span // before Good
}

// Scan reads the frames of a segment and skips bodies by their length, unless they are to be
// verified too. What cannot be read is stepped over; memory stays small whatever the bytes.
// The error is the disk's, or errFrame when this is no segment at all.
func Scan(r io.ReaderAt, size int64, bodies bool, visit func(h Head, off int64) error) (Found, error) {
	marker, err := ReadMarker(r)
	if err != nil {
		return Found{}, err
	}
	out := Found{Marker: marker, Good: int64(HeadLen)}
	buf, large := make([]byte, 4<<10), make([]byte, 64<<10) // most records are read with their heads
	for off := out.Good; off < size; {
		h, err := readHead(r, off, size, marker, buf)
		if err != nil && !errors.Is(err, ErrFrame) {
			return out, err
		}
		whole := err == nil
		var next int64
		if whole {
			next = off + h.Size()
			if h.Size() <= int64(len(buf)) {
				whole = Sum(buf[h.Len():h.Size()]) == h.Sum
			} else if h.Type == SetFrame || bodies {
				sum, err := PayloadSum(r, off, h, large)
				if err != nil {
					return out, err
				}
				whole = sum == h.Sum
			}
		} else if next, err = seek(r, off+1, size, marker, buf); err != nil {
			return out, err
		}
		if whole {
			if out.Good < off {
				out.Bad = append(out.Bad, Span{out.Good, off})
			}
			if err := visit(h, off); err != nil {
				return out, err
			}
			out.Good = next
		}
		off = next
	}
	return out, nil
}

// seek finds the next place that begins with a good head; size when there is none.
func seek(r io.ReaderAt, off, size int64, marker [8]byte, buf []byte) (int64, error) {
	const window = 64 << 10
	b := make([]byte, window+len(marker))
	for ; off < size; off += window {
		n, err := r.ReadAt(b[:min(int64(len(b)), size-off)], off)
		if err != nil && !errors.Is(err, io.EOF) {
			return size, err
		}
		for at := 0; ; at++ {
			i := bytes.Index(b[at:n], marker[:])
			if i < 0 || at+i >= window {
				break
			}
			at += i
			if _, err := readHead(r, off+int64(at), size, marker, buf); err == nil {
				return off + int64(at), nil
			} else if !errors.Is(err, ErrFrame) {
				return size, err
			}
		}
	}
	return size, nil
}
