package decode

import (
	"bytes"
	"strings"
)

// File is a file carried inside text by an encoding older than MIME.
type File struct {
	Kind   string // uuencode, yenc, binhex
	Name   string // raw bytes as written
	Data   []byte
	Damage Damage
}

// Files finds the files that text carries, at most limit of them.
func Files(text []byte, limit int) []File {
	var out []File
	for rest := text; len(out) < limit; {
		i := lineStart(rest, "begin ")
		if i < 0 {
			break
		}
		f, n, ok := uu(rest[i:])
		if ok {
			out = append(out, f)
		}
		rest = rest[i+n:]
	}
	for rest := text; len(out) < limit; {
		i := lineStart(rest, "=ybegin ")
		if i < 0 {
			break
		}
		f, n := yenc(rest[i:])
		out = append(out, f)
		rest = rest[i+n:]
	}
	if len(out) < limit {
		if i := bytes.Index(text, []byte("(This file must be converted with BinHex")); i >= 0 {
			if f, ok := binhex(text[i:]); ok {
				out = append(out, f)
			}
		}
	}
	return out
}

// lineStart finds mark at the beginning of a line; -1 if there is none.
func lineStart(b []byte, mark string) int {
	m := []byte(mark)
	for at := 0; ; {
		i := bytes.Index(b[at:], m)
		if i < 0 {
			return -1
		}
		at += i
		if at == 0 || b[at-1] == '\n' || b[at-1] == '\r' {
			return at
		}
		at++
	}
}

// line cuts the first line off b, without its line end.
func line(b []byte) (l, rest []byte) {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		return bytes.TrimRight(b, "\r"), nil
	}
	return bytes.TrimRight(b[:i], "\r"), b[i+1:]
}

// UU decodes a body whose transfer encoding is uuencode; without a begin line it returns
// src itself.
func UU(src []byte) (f File, ok bool) {
	i := lineStart(src, "begin ")
	if i < 0 {
		return File{Data: src}, false
	}
	f, _, ok = uu(src[i:])
	return f, ok
}

// uu reads "begin MODE NAME" and what follows; n is the number of bytes it took.
func uu(src []byte) (f File, n int, ok bool) {
	head, rest := line(src)
	taken := len(src) - len(rest)
	mode, name, _ := strings.Cut(strings.TrimSpace(string(head[len("begin "):])), " ")
	if mode == "" || strings.Trim(mode, "01234567") != "" || len(mode) > 6 {
		return f, taken, false
	}
	f = File{Kind: "uuencode", Name: strings.TrimSpace(name)}
	good := 0
	for len(rest) > 0 {
		var l []byte
		l, rest = line(rest)
		if bytes.HasPrefix(l, []byte("end")) && len(bytes.TrimSpace(l)) == 3 {
			return f, len(src) - len(rest), true
		}
		want := 0
		if len(l) > 0 {
			want = int(l[0]-' ') & 63
		}
		switch {
		case len(l) == 0 || want == 0:
			continue
		case (len(l)-1)*3/4+2 < want || l[0] < ' ' || l[0] > '`':
			f.Damage |= Junk
			if good == 0 {
				return f, taken, false
			}
			continue
		}
		good++
		f.Data = uuLine(f.Data, l[1:], want)
	}
	f.Damage |= Incomplete
	return f, len(src), good > 0
}

func uuLine(out, l []byte, want int) []byte {
	for want > 0 && len(l) > 0 {
		var q [4]byte
		for i := range q {
			if i < len(l) {
				q[i] = (l[i] - ' ') & 63
			}
		}
		three := [3]byte{q[0]<<2 | q[1]>>4, q[1]<<4 | q[2]>>2, q[2]<<6 | q[3]}
		out = append(out, three[:min(want, 3)]...)
		want -= 3
		l = l[min(4, len(l)):]
	}
	return out
}

// yenc reads "=ybegin ... name=NAME" up to "=yend".
func yenc(src []byte) (f File, n int) {
	head, rest := line(src)
	f = File{Kind: "yenc", Data: make([]byte, 0, 4096)}
	if i := bytes.Index(head, []byte("name=")); i >= 0 {
		f.Name = strings.TrimSpace(string(head[i+len("name="):]))
	}
	for len(rest) > 0 {
		var l []byte
		l, rest = line(rest)
		switch {
		case bytes.HasPrefix(l, []byte("=yend")):
			return f, len(src) - len(rest)
		case bytes.HasPrefix(l, []byte("=ypart")):
			continue
		}
		for i := 0; i < len(l); i++ {
			c := l[i]
			if c == '=' && i+1 < len(l) {
				i++
				c = l[i] - 64
			}
			f.Data = append(f.Data, c-42)
		}
	}
	f.Damage |= Incomplete
	return f, len(src)
}
