package office

import (
	"bytes"
	"encoding/binary"
)

// runs are the names of macros that the programs call by themselves.
var runs = []string{
	"autoopen", "auto_open", "autoexec", "autoclose", "auto_close", "autonew", "document_open", "documentopen", "document_close",
	"document_new", "workbook_open", "workbook_activate", "workbook_beforeclose", "workbook_close", "presentation_open",
	"slideshowbegin", "onslideshowpagechange", "inkpicture1_painted",
}

// auto is the name of a macro in a module that runs by itself, "" if there is none.
func auto(module []byte) string {
	source := bytes.ToLower(source(module))
	for _, name := range runs {
		for rest := source; ; {
			i := bytes.Index(rest, []byte("sub "+name))
			if i < 0 {
				break
			}
			rest = rest[i+len("sub ")+len(name):]
			if len(rest) == 0 || rest[0] == '(' || rest[0] == ' ' || rest[0] == '\r' || rest[0] == '\n' {
				return name
			}
		}
	}
	return ""
}

// source finds and unpacks the text of a module. Where it begins stands in another stream; every
// module begins with the same word, of which the packed form shows the first eight letters.
func source(module []byte) []byte {
	i := bytes.Index(module, []byte("\x00Attribut"))
	if i < 3 {
		return nil
	}
	return unpack(module[i-3:])
}

// unpack undoes the compression of macros ([MS-OVBA] section 2.4.1) as far as it goes.
func unpack(b []byte) []byte {
	if len(b) < 3 || b[0] != 1 {
		return nil
	}
	b = b[1:]
	var out []byte
	for len(b) >= 2 && len(out) < maxSource {
		head := binary.LittleEndian.Uint16(b)
		n := min(int(head&0xfff)+3, len(b))
		if head>>12&7 != 3 || n < 2 {
			return out
		}
		chunk := b[2:n]
		b = b[n:]
		if head&0x8000 == 0 {
			out = append(out, chunk...)
			continue
		}
		out = tokens(out, chunk)
	}
	return out
}

// tokens undoes one packed chunk.
func tokens(out, chunk []byte) []byte {
	start := len(out)
	for len(chunk) > 0 {
		flags := chunk[0]
		chunk = chunk[1:]
		for bit := 0; bit < 8 && len(chunk) > 0; bit++ {
			if flags>>bit&1 == 0 {
				out = append(out, chunk[0])
				chunk = chunk[1:]
				continue
			}
			if len(chunk) < 2 {
				return out
			}
			token := binary.LittleEndian.Uint16(chunk)
			chunk = chunk[2:]
			width := 4 // bits of the offset: as many as the chunk so far needs
			for 1<<width < len(out)-start {
				width++
			}
			back := int(token>>(16-width)) + 1
			length := int(token&(1<<(16-width)-1)) + 3
			if width > 12 || back > len(out)-start {
				return out
			}
			for ; length > 0; length-- {
				out = append(out, out[len(out)-back])
			}
		}
		if len(out)-start > 1<<13 {
			return out
		}
	}
	return out
}
