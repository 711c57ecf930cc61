// Package rtf takes rich text apart as far as it matters for what acts when a letter is opened:
// the objects in it, its template and its fields. It reads leniently, as word processors do, for
// those who write such letters hide what is in them behind junk that a word processor skips.
package rtf

import (
	"bytes"
	"strconv"
	"unicode/utf8"
)

// Facts is what was found in one letter.
type Facts struct {
	Template string // what it names as its template
	Fields   []byte // the instructions of its fields, blanks between them
	Objects  []Object
	Updates  bool // an object is loaded anew when the letter is opened (\objupdate)
	Links    bool // an object is a link that loads itself (\objautlink)
	Cut      bool // it is larger or more involved than is looked at
}

// Object is an object in a letter, its bytes not yet told apart.
type Object struct {
	Class string // as the letter says, "" = it does not
	Data  []byte // as a word processor decodes it
	Loose []byte // with what stands in groups that it should skip, and nothing dropped
}

// Bounds of what is looked at.
const (
	MaxBytes   = 16 << 20 // of a letter
	MaxDepth   = 2000     // groups inside groups that are told apart
	MaxObjects = 50
	maxDecoded = 8 << 20 // bytes of all objects together
	maxText    = 4 << 10 // of a template or a class
	maxFields  = 64 << 10
	maxFigures = 12 // of the number of a control word
	maxHop     = 16 // characters that stand for one of Unicode
	maxWord    = 16 // letters of a control word by which it is told from others
)

// dest is where the text of a group goes.
type dest byte

const (
	text dest = iota
	ignored
	data
	class
	template
	field
)

// group is the state that the end of a group restores.
type group struct {
	dest   dest
	object int  // in whose bytes it stands, counted from 1; 0 = none
	hop    int  // characters that stand for one of Unicode (\uc)
	fresh  bool // nothing but \* has come yet
}

// skipped are the destinations that need no \* to be none of the text around them.
var skipped = map[string]bool{
	"author": true, "colortbl": true, "comment": true, "company": true, "doccomm": true, "filetbl": true, "fonttbl": true, "footer": true,
	"footnote": true, "header": true, "info": true, "keywords": true, "listtable": true, "operator": true, "pict": true, "private": true,
	"rxe": true, "stylesheet": true, "subject": true, "tc": true, "title": true, "txe": true, "xe": true,
}

// Read takes a letter apart. Whatever the bytes are, there are facts.
func Read(b []byte) Facts {
	s := &scanner{in: b[:min(len(b), MaxBytes)], now: group{hop: 1}}
	s.f.Cut = len(b) > MaxBytes
	for s.at < len(s.in) {
		s.step()
	}
	s.f.Template = string(bytes.TrimSpace(s.template))
	for i := range s.f.Objects {
		o := &s.f.Objects[i]
		o.Data, o.Loose = s.strict[i].out, s.loose[i].out
	}
	return s.f
}

type scanner struct {
	in       []byte
	at       int
	now      group
	outer    []group
	deeper   int  // groups beyond MaxDepth
	star     bool // \* came, and no word yet
	hop      int  // characters that stand for one of Unicode that came
	class    []byte
	template []byte
	strict   []hexer // of each object
	loose    []hexer
	decoded  int
	f        Facts
}

// step takes one character, control or mark of a group.
func (s *scanner) step() {
	c := s.in[s.at]
	s.at++
	switch c {
	case '{':
		s.open()
	case '}':
		s.shut()
	case '\\':
		s.control()
	case '\r', '\n':
	default:
		s.now.fresh = s.now.fresh && (c == ' ' || c == '\t')
		s.char(c)
		if s.now.dest <= ignored && s.now.object == 0 && !s.now.fresh {
			s.pass()
		}
	}
}

// pass goes on to what may matter behind text that does not.
func (s *scanner) pass() {
	for s.at < len(s.in) && s.in[s.at] != '\\' && s.in[s.at] != '{' && s.in[s.at] != '}' {
		s.at++
	}
}

func (s *scanner) open() {
	s.star, s.hop = false, 0
	if len(s.outer) >= MaxDepth {
		s.deeper++
		s.f.Cut = true
		return
	}
	s.outer = append(s.outer, s.now)
	s.now.fresh = true
}

func (s *scanner) shut() {
	s.star, s.hop = false, 0
	if s.deeper > 0 {
		s.deeper--
		return
	}
	n := len(s.outer)
	if n == 0 {
		return // more ends than beginnings: word processors read on
	}
	if s.now.dest == class && s.outer[n-1].dest != class {
		s.named()
	}
	s.now, s.outer = s.outer[n-1], s.outer[:n-1]
}

// named gives the class that was read to the object before it, if that has none; else it is that
// of the next.
func (s *scanner) named() {
	name := string(bytes.TrimSpace(s.class))
	if n := len(s.f.Objects); n > 0 && s.f.Objects[n-1].Class == "" {
		s.f.Objects[n-1].Class = name
		s.class = nil
	}
}

// char takes one character of text.
func (s *scanner) char(c byte) {
	if s.now.object > 0 {
		s.digit(c)
		return
	}
	if s.hop > 0 {
		s.hop--
		return
	}
	s.put(c)
}

// put keeps text where it matters.
func (s *scanner) put(b ...byte) {
	switch s.now.dest {
	case class:
		s.class = bounded(s.class, maxText, b)
	case template:
		s.template = bounded(s.template, maxText, b)
	case field:
		s.f.Fields = bounded(s.f.Fields, maxFields, b)
	}
}

func bounded(to []byte, most int, b []byte) []byte {
	if len(to)+len(b) > most {
		return to
	}
	return append(to, b...)
}

// control takes what follows a backslash: a word with its number, or one character.
func (s *scanner) control() {
	if s.at >= len(s.in) {
		return
	}
	c := s.in[s.at]
	switch {
	case letter(c):
		name, number := s.word()
		s.obey(name, number)
		s.now.fresh, s.star = false, false
		return
	case c == '\'':
		s.at++
		s.byte()
	case c == '*':
		s.at++
		s.star = true
		return
	default:
		s.at++
		if c == '\\' || c == '{' || c == '}' {
			s.char(c)
		}
	}
	s.now.fresh = false
}

// word reads a control word, its number and the blank that ends it.
func (s *scanner) word() (name []byte, number int) {
	start := s.at
	for s.at < len(s.in) && letter(s.in[s.at]) {
		s.at++
	}
	name = s.in[start:min(s.at, start+maxWord)]
	start = s.at
	if s.at+1 < len(s.in) && s.in[s.at] == '-' && figure(s.in[s.at+1]) {
		s.at++
	}
	for s.at < len(s.in) && figure(s.in[s.at]) {
		s.at++
	}
	if s.at > start {
		number, _ = strconv.Atoi(string(s.in[start:min(s.at, start+maxFigures)]))
	}
	if s.at < len(s.in) && s.in[s.at] == ' ' {
		s.at++
	}
	return name, number
}

// obey does what a control word says.
func (s *scanner) obey(name []byte, number int) {
	switch string(name) {
	case "objdata":
		s.object()
	case "objclass":
		s.now.dest, s.now.object, s.class = class, 0, nil
	case "template":
		s.now.dest, s.now.object = template, 0
	case "fldinst":
		s.now.dest, s.now.object = field, 0
		s.put(' ')
	case "object":
		s.class = nil
	case "objupdate":
		s.f.Updates = true
	case "objautlink":
		s.f.Links = true
	case "bin":
		s.raw(number)
	case "uc":
		s.now.hop = max(0, min(number, maxHop))
	case "u":
		s.put(utf8.AppendRune(nil, rune(uint16(number)))...)
		s.hop = s.now.hop
	default:
		if s.now.fresh && (s.star || skipped[string(name)]) {
			s.now.dest = ignored
		}
	}
}

func letter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

func figure(c byte) bool { return c >= '0' && c <= '9' }
