package qr

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"io"
)

// Hidden is the word by which the program is started as a helper.
const Hidden = "picture-helper"

// The bytes a helper begins with: what it could lock itself into.
const (
	locked  = 'L' // limits on resources, and no system calls but those for memory and its two pipes
	limited = 'l' // limits on resources alone
)

// Serve is the life of a helper: it locks itself in, then answers each picture with the codes in it.
// It returns io.EOF when its parent is gone. The picture is attacker's; a fault in reading it ends the
// process.
func Serve(in io.Reader, out io.Writer) error {
	mode := byte(locked)
	if err := confine(); err != nil {
		mode = limited
	}
	return answer(mode, in, out)
}

func answer(mode byte, in io.Reader, out io.Writer) error {
	if _, err := out.Write([]byte{mode}); err != nil {
		return err
	}
	r := bufio.NewReader(in)
	for {
		data, err := frame(r, MaxBytes)
		if err != nil {
			return err
		}
		b, err := json.Marshal(decode(data))
		if err != nil {
			return err
		}
		if _, err := out.Write(framed(b)); err != nil {
			return err
		}
	}
}

// frame reads what framed wrote, at most so many bytes.
func frame(r io.Reader, most uint32) ([]byte, error) {
	var n [4]byte
	if _, err := io.ReadFull(r, n[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(n[:])
	if size > most {
		return nil, io.ErrShortBuffer
	}
	b := make([]byte, size)
	_, err := io.ReadFull(r, b)
	return b, err
}

func framed(b []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)
}
