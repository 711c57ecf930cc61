package quarantine

import "strings"

// Unsafe reports whether the message was held as malware: its recipient alone does not release
// it.
func (h *Hold) Unsafe() bool {
	for _, r := range h.Reasons {
		if r.Symbol == "VIRUS" || r.Symbol == "STRIP_FAILED" || r.Symbol == "ARCHIVE_BOMB" || strings.Contains(","+r.Step+",", ",clamav,") {
			return true
		}
	}
	return false
}

// Infected reports whether a virus was found in the message: its bytes are not handed out as others
// are.
func (h *Hold) Infected() bool {
	for _, r := range h.Reasons {
		if r.Symbol == "VIRUS" || r.Symbol == "STRIP_FAILED" {
			return true
		}
	}
	return false
}
