package samples

import "encoding/binary"

// Attachments is a message of Outlook with files. One whose name is empty has none; a nil Data is
// a message inside it that carries the files that follow.
func Attachments(files ...Member) []byte {
	members := []Member{{"__properties_version1.0", make([]byte, 32)}, {"__nameid_version1.0", nil}}
	holds := map[int][]int{0: {1, 2}}
	at := 0 // the message in hand
	add := func(in int, m Member) int {
		members = append(members, m)
		holds[in] = append(holds[in], len(members))
		return len(members)
	}
	for _, f := range files {
		storage := add(at, Member{Name: "__attach_version1.0_#00000000"})
		if f.Name != "" {
			add(storage, Member{"__substg1.0_3704001F", little("SHORT~1.TXT")})
			add(storage, Member{"__substg1.0_3707001F", little(f.Name)})
		}
		if f.Data == nil {
			at = add(storage, Member{Name: "__substg1.0_3701000D"})
			continue
		}
		add(storage, Member{"__substg1.0_37010102", f.Data})
	}
	b := Compound(nil, members...)
	dir := b[512*(1+int(binary.LittleEndian.Uint32(b[48:]))):]
	for in, list := range holds {
		binary.LittleEndian.PutUint32(dir[in*128+76:], uint32(list[0]))
		for i, entry := range list[1:] {
			binary.LittleEndian.PutUint32(dir[list[i]*128+72:], uint32(entry))
		}
	}
	return b
}

// little is a text in UTF-16.
func little(s string) []byte {
	var out []byte
	for _, r := range s {
		out = binary.LittleEndian.AppendUint16(out, uint16(r))
	}
	return out
}
