// Package msg lists the files that a message of Outlook carries ([MS-OXMSG]).
package msg

import (
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf16"

	"postern/internal/archive/cfb"
)

// The streams that matter: a stream is named by its property and type ([MS-OXMSG] section 2.2.1.1).
const (
	properties = "__properties_version1.0"
	stream     = "__substg1.0_"
	content    = stream + "37010102"
	longName   = stream + "3707"
	shortName  = stream + "3704"
	wide       = "001f"
	narrow     = "001e"

	maxName = 1024 // bytes of a name
)

// File is a file that is attached, to the message or to one inside it.
type File struct {
	Name string // as written, the longer of two; attacker text. One without has a number
	Size int64  // as declared

	entry cfb.Entry
	in    *cfb.File
}

// Data is the content.
func (f File) Data() []byte { return f.in.Read(f.entry, f.Size) }

// Is reports whether a compound file is a message.
func Is(c *cfb.File) bool { return c.Has(properties) }

// Files are the files of a message and of the messages in it, at most so many; more says that
// there are others. The list is taken as it is stored, the tree says only what they are called.
func Files(c *cfb.File, most int) (files []File, more bool) {
	parents := c.Parents()
	names := titles(c, parents)
	for i, e := range c.Entries {
		if e.Storage || !strings.EqualFold(e.Name, content) {
			continue
		}
		if len(files) >= most {
			return files, true
		}
		name := names[parents[i]]
		if name == "" || parents[i] < 0 {
			name = fmt.Sprintf("attachment %d", len(files)+1)
		}
		files = append(files, File{Name: name, Size: e.Size, entry: e, in: c})
	}
	return files, c.Cut
}

// titles are the names of attachments, by the entry that holds them, parents being that of each.
func titles(c *cfb.File, parents []int) map[int]string {
	out, long := map[int]string{}, map[int]bool{}
	for i, e := range c.Entries {
		lower := strings.ToLower(e.Name)
		at, isLong := parents[i], strings.HasPrefix(lower, longName)
		if at < 0 || long[at] || !isLong && !strings.HasPrefix(lower, shortName) {
			continue
		}
		var name string
		switch b := c.Read(e, maxName); {
		case strings.HasSuffix(lower, wide):
			name = decode(b)
		case strings.HasSuffix(lower, narrow):
			name = string(b)
		}
		if name = strings.TrimRight(name, "\x00"); name != "" {
			out[at], long[at] = name, isLong
		}
	}
	return out
}

func decode(b []byte) string {
	var units []uint16
	for ; len(b) >= 2; b = b[2:] {
		units = append(units, binary.LittleEndian.Uint16(b))
	}
	return string(utf16.Decode(units))
}
