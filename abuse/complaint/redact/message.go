package redact

import "bytes"

// Message redacts people in a message wherever they stand in it, whatever the case of their ASCII
// letters. It breaks the signatures of the message.
func (r Redactor) Message(raw []byte, people []string) []byte {
	for _, address := range people {
		if len(address) > 2 {
			raw = replaceFold(raw, []byte(address), []byte(r.Address(address)))
		}
	}
	return raw
}

// replaceFold replaces old in b, whatever the case of its ASCII letters.
func replaceFold(b, old, with []byte) []byte {
	low, key := lower(b), lower(old)
	var out []byte
	for {
		i := bytes.Index(low, key)
		if i < 0 {
			return append(out, b...)
		}
		out = append(append(out, b[:i]...), with...)
		b, low = b[i+len(old):], low[i+len(old):]
	}
}

func lower(b []byte) []byte {
	out := bytes.Clone(b)
	for i, c := range out {
		if c >= 'A' && c <= 'Z' {
			out[i] = c | 0x20
		}
	}
	return out
}
