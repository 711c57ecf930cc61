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

func TestEncrypted(t *testing.T) {
	seven := func(header string) string {
		start := "7z\xbc\xaf\x27\x1c\x00\x04CRC4" + "\x05\x00\x00\x00\x00\x00\x00\x00" + string(rune(len(header))) + "\x00\x00\x00\x00\x00\x00\x00CRC4"
		return start + "data." + header
	}
	const rar4 = "Rar!\x1a\x07\x00"
	const rar5 = "Rar!\x1a\x07\x01\x00"
	for name, tc := range map[string]struct {
		kind, head string
		want       bool
	}{
		"7z with AES":             {"7z", seven("\x17\x06\x24\x06\xf1\x07\x01\x0a"), true},
		"7z without":              {"7z", seven("\x17\x06\x23\x03\x01\x01\x05"), false},
		"7z cut off":              {"7z", seven("\x17\x06\x24\x06\xf1\x07\x01\x0a")[:35], false},
		"rar 4 headers":           {"rar", rar4 + "cc\x73\x80\x00\x0d\x00......", true},
		"rar 4 second file":       {"rar", rar4 + "cc\x73\x00\x00\x0d\x00......" + "cc\x74\x00\x80\x0b\x00\x02\x00\x00\x00xx" + "cc\x74\x04\x80\x0b\x00\x02\x00\x00\x00xx", true},
		"rar 4 open":              {"rar", rar4 + "cc\x73\x00\x00\x0d\x00......" + "cc\x74\x00\x80\x0b\x00\x02\x00\x00\x00xx", false},
		"rar 4 size 0":            {"rar", rar4 + "cc\x73\x00\x00\x00\x00......", false},
		"rar 5 headers":           {"rar", rar5 + "crc.\x03\x04\x00\x00", true},
		"rar 5 file":              {"rar", rar5 + "crc.\x03\x01\x00\x00" + "crc.\x04\x02\x00\x00\x00", false},
		"rar 5 encryption record": {"rar", rar5 + "crc.\x03\x01\x00\x00" + "crc.\x06\x02\x01\x02\x00\x01\x01", true},
		"rar 5 other record":      {"rar", rar5 + "crc.\x03\x01\x00\x00" + "crc.\x06\x02\x01\x02\x00\x01\x03", false},
		"office":                  {"ole", "\xd0\xcf..E\x00n\x00c\x00r\x00y\x00p\x00t\x00e\x00d\x00P\x00a\x00c\x00k\x00a\x00g\x00e\x00", true},
		"office open":             {"ole", "\xd0\xcf..W\x00o\x00r\x00d\x00", false},
		"other kind":              {"cab", "anything", false},
		"empty":                   {"rar", "", false},
	} {
		if got := kind.Encrypted(tc.kind, []byte(tc.head)); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
