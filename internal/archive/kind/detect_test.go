package kind_test

import (
	"strings"
	"testing"

	"postern/internal/archive/kind"
)

func TestDetect(t *testing.T) {
	for in, want := range map[string]string{
		"PK\x03\x04rest":                       "zip",
		"\x1f\x8b\x08rest":                     "gzip",
		"BZh91AY&SYrest":                       "bzip2",
		"BZh91 is no bzip2":                    "",
		"7z\xbc\xaf\x27\x1c":                   "7z",
		"Rar!\x1a\x07\x01\x00":                 "rar",
		"\xfd7zXZ\x00":                         "xz",
		"MSCF\x00\x00\x00\x00":                 "cab",
		"\x60\xea\x2c\x00\x22\x02\x00\x00\x00": "arj",
		"\x60\xea too small":                   "",
		"0000000**ACE**rest":                   "ace",
		"xx-lh5-rest":                          "lha",
		"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1":     "ole",
		"070701rest":                           "cpio",
		"%PDF-1.7":                             "",
		"":                                     "",
		strings.Repeat("\x00", 1024):           "",
		strings.Repeat("text ", 300):           "",
	} {
		if got := kind.Detect([]byte(in)); got != want {
			t.Errorf("%.20q: %q, want %q", in, got, want)
		}
	}
	for _, k := range []string{"zip", "gzip", "bzip2", "tar"} {
		if !kind.Readable(k) {
			t.Errorf("%s is not readable", k)
		}
	}
}

// FuzzEncrypted looks for crashes in the readers of foreign headers.
func FuzzEncrypted(f *testing.F) {
	for _, s := range []string{"Rar!\x1a\x07\x01\x00\x00\x00\x00\x00\x05\x02\x03\x01\x01\x01", "Rar!\x1a\x07\x00\x00\x00\x74\x00\x80\x20\x00\xff\xff\xff\xff",
		"7z\xbc\xaf\x27\x1c\x00\x04\x00\x00\x00\x00aaaaaaaabbbbbbbbcccc"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(_ *testing.T, b []byte) {
		for _, k := range []string{"rar", "7z", "ole", "arj"} {
			kind.Encrypted(k, b)
		}
		kind.Detect(b)
	})
}
