package seven

import (
	"bufio"
	"compress/bzip2"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/ulikunitz/xz/lzma"
)

// The methods that are read, by their numbers.
const (
	mCopy    = 0x00
	mDelta   = 0x03
	mLZMA    = 0x030101
	mLZMA2   = 0x21
	mDeflate = 0x040108
	mBzip2   = 0x040202
	mBCJ2    = 0x0303011b
	mAES     = 0x06f10701
)

// branches are filters that rewrite the targets of jumps in machine code and nothing else. What a
// file is does not depend on them, and they are left as they are.
func branches(m uint64) bool {
	switch m {
	case 0x03030103, 0x03030205, 0x03030401, 0x03030501, 0x03030701, 0x03030805, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b:
		return true
	}
	return false
}

// judge notes whether a coder can be read.
func (f *Folder) judge(k coder) {
	switch {
	case k.method == mAES:
		f.Encrypted = true
	case branches(k.method) && k.in == 1, k.method == mBCJ2 && k.in == 4:
	case k.in == 1 && (k.method == mCopy || k.method == mDelta || k.method == mLZMA || k.method == mLZMA2 || k.method == mDeflate || k.method == mBzip2):
	default:
		f.Method = fmt.Sprintf("7z method %x", k.method)
	}
}

// open makes the stream that goes out of a coder; size is how long it is.
func (k coder) open(in []io.Reader, size int64, room *int64) (io.Reader, error) {
	switch k.method {
	case mLZMA:
		return k.lzma(in[0], size, room)
	case mLZMA2:
		return k.lzma2(in[0], size, room)
	case mDeflate:
		return flate.NewReader(bufio.NewReader(in[0])), nil
	case mBzip2:
		return bzip2.NewReader(bufio.NewReader(in[0])), nil
	case mDelta:
		if len(k.props) != 1 {
			return nil, ErrDamaged
		}
		return &delta{r: in[0], last: make([]byte, int(k.props[0])+1)}, nil
	case mBCJ2:
		return newBranch(in), nil
	}
	return in[0], nil // a copy, or a filter for machine code
}

// window takes from room the dictionary that a stream of that size can use; 0 means there is too
// little.
func window(asked uint64, size int64, room *int64) int {
	asked = min(asked, uint64(max(size, 0)))
	asked = max(asked, lzma.MinDictCap)
	if *room < 0 || asked > uint64(*room) {
		return 0
	}
	*room -= int64(asked)
	return int(asked)
}

func (k coder) lzma(in io.Reader, size int64, room *int64) (io.Reader, error) {
	if len(k.props) != 5 {
		return nil, ErrDamaged
	}
	w := window(uint64(binary.LittleEndian.Uint32(k.props[1:])), size, room)
	if w == 0 {
		return nil, ErrDictionary
	}
	head := make([]byte, lzma.HeaderLen)
	head[0] = k.props[0]
	binary.LittleEndian.PutUint32(head[1:], uint32(w))
	binary.LittleEndian.PutUint64(head[5:], uint64(size))
	r, err := lzma.ReaderConfig{DictCap: w}.NewReader(&joined{head: head, r: bufio.NewReader(in)})
	if err != nil {
		return nil, ErrDamaged
	}
	return r, nil
}

func (k coder) lzma2(in io.Reader, size int64, room *int64) (io.Reader, error) {
	if len(k.props) != 1 || k.props[0] > 40 {
		return nil, ErrDamaged
	}
	p := uint(k.props[0])
	w := window((2|uint64(p&1))<<(p/2+11), size, room)
	if w == 0 {
		return nil, ErrDictionary
	}
	r, err := lzma.Reader2Config{DictCap: w}.NewReader2(bufio.NewReader(in))
	if err != nil {
		return nil, ErrDamaged
	}
	return r, nil
}

// joined is a header of the older form before a stream that has none.
type joined struct {
	head []byte
	r    *bufio.Reader
}

func (j *joined) Read(p []byte) (int, error) {
	if len(j.head) > 0 {
		n := copy(p, j.head)
		j.head = j.head[n:]
		return n, nil
	}
	return j.r.Read(p)
}

// ReadByte keeps the decoder from a call of Read for each byte.
func (j *joined) ReadByte() (byte, error) {
	if len(j.head) > 0 {
		b := j.head[0]
		j.head = j.head[1:]
		return b, nil
	}
	return j.r.ReadByte()
}

// delta adds to each byte the one that stands a fixed way before it.
type delta struct {
	r    io.Reader
	last []byte
	at   int
}

func (d *delta) Read(p []byte) (int, error) {
	n, err := d.r.Read(p)
	for i := range p[:n] {
		p[i] += d.last[d.at]
		d.last[d.at] = p[i]
		d.at = (d.at + 1) % len(d.last)
	}
	return n, err
}
