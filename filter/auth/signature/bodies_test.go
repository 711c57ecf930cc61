package signature_test

import (
	"bytes"
	"crypto/sha256"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"postern/filter/auth/signature"
)

func TestBodiesAreReadOnceForAllForms(t *testing.T) {
	var b signature.Bodies
	for _, relaxed := range []bool{true, false, true} {
		b.Need(relaxed)
	}
	in := strings.NewReader("a  b \r\n\r\n")
	if err := b.Hash(in); err != nil || in.Len() != 0 {
		t.Fatal(in.Len(), err)
	}
	for relaxed, want := range map[bool]string{false: "a  b \r\n", true: "a b\r\n"} {
		sum := sha256.Sum256([]byte(want))
		if got := b.Of(relaxed); !bytes.Equal(got.Sum(), sum[:]) {
			t.Errorf("relaxed %v: another digest than that of %q", relaxed, want)
		}
	}
}

func TestNoFormReadsNothing(t *testing.T) {
	var b signature.Bodies
	if err := b.Hash(iotest.ErrReader(io.ErrUnexpectedEOF)); err != nil {
		t.Error(err)
	}
	b.Need(true)
	if err := b.Hash(iotest.ErrReader(io.ErrUnexpectedEOF)); err == nil {
		t.Error("a body that cannot be read is no error")
	}
}
