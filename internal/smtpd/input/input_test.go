package input

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestBuffer(t *testing.T) {
	var b Buffer
	src := iotest.OneByteReader(strings.NewReader("abcdef"))
	for range 3 {
		if err := b.Fill(src); err != nil {
			t.Fatal(err)
		}
	}
	b.Skip(1)
	if string(b.Bytes()) != "bc" || len(b.buf) != firstSize {
		t.Fatalf("%q in %d", b.Bytes(), len(b.buf))
	}
	b.Room(4)
	if err := b.Fill(src); err != nil || string(b.Bytes()) != "bcd" {
		t.Fatalf("%q %v", b.Bytes(), err)
	}
	b.Room(2) // less than what waits: nothing is lost
	if string(b.Bytes()) != "bcd" || len(b.buf) != 4 {
		t.Fatalf("%q in %d", b.Bytes(), len(b.buf))
	}
	b.Skip(3)
	for range 2 {
		if err := b.Fill(src); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Fill(src); !errors.Is(err, io.EOF) || string(b.Bytes()) != "ef" {
		t.Fatalf("%q %v", b.Bytes(), err)
	}
}

// An error that comes with octets is seen by the next Fill.
func TestDataBeforeError(t *testing.T) {
	var b Buffer
	src := iotest.DataErrReader(strings.NewReader("x"))
	if err := b.Fill(src); err != nil || string(b.Bytes()) != "x" {
		t.Fatalf("%q %v", b.Bytes(), err)
	}
	if err := b.Fill(src); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
}
