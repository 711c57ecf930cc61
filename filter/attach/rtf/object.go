package rtf

import "bytes"

// hexer joins hexadecimal digits.
type hexer struct {
	out  []byte
	half byte
	odd  bool
}

func (h *hexer) digit(v byte) {
	if h.odd {
		h.out = append(h.out, h.half<<4|v)
	}
	h.half, h.odd = v, !h.odd
}

// object begins an object whose bytes are the text of the group.
func (s *scanner) object() {
	if len(s.f.Objects) >= MaxObjects {
		s.f.Cut = true
		s.now.dest, s.now.object = ignored, 0
		return
	}
	s.f.Objects = append(s.f.Objects, Object{Class: string(bytes.TrimSpace(s.class))})
	s.strict, s.loose = append(s.strict, hexer{}), append(s.loose, hexer{})
	s.now.dest, s.now.object = data, len(s.f.Objects)
}

// room reports whether so many more bytes of objects may be kept.
func (s *scanner) room(n int) bool {
	if s.decoded+n > maxDecoded {
		s.f.Cut = true
		return false
	}
	s.decoded += n
	return true
}

// digit takes a character in an object; one that is no digit is junk.
func (s *scanner) digit(c byte) {
	v, ok := digit(c)
	i := s.now.object - 1
	if !ok || s.loose[i].odd && !s.room(1) {
		return
	}
	s.loose[i].digit(v)
	if s.now.dest == data {
		s.strict[i].digit(v)
	}
}

// byte takes \'hh. In an object Word skips both digits, whatever they are, and forgets a
// digit before them that has no second.
func (s *scanner) byte() {
	two := s.in[s.at:min(len(s.in), s.at+2)]
	if s.now.object > 0 {
		s.at += len(two)
		if s.now.dest == data {
			s.strict[s.now.object-1].odd = false
		}
		return
	}
	if len(two) < 2 {
		return
	}
	high, ok := digit(two[0])
	low, also := digit(two[1])
	if ok && also {
		s.at += 2
		s.char(high<<4 | low)
	}
}

// raw takes the bytes behind \bin. More than there are is a lie, and nothing is skipped.
func (s *scanner) raw(n int) {
	if n <= 0 || n > len(s.in)-s.at {
		return
	}
	b := s.in[s.at : s.at+n]
	s.at += n
	if i := s.now.object - 1; i >= 0 && s.room(n) {
		s.loose[i].out = append(s.loose[i].out, b...)
		if s.now.dest == data {
			s.strict[i].out = append(s.strict[i].out, b...)
		}
	}
}

func digit(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}
