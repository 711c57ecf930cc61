package home

import "postern/internal/store/dump"

// Parts are the stores of the home as a backup takes them.
func (h *Home) Parts() dump.Parts { return dump.Parts{Parts: parts(h), History: h.History} }
