package recipients

import (
	"strings"

	"postern/quarantine"
)

// sorts are what a recipient or a sender is told of a symbol, by how its name begins. The
// first that fits counts.
var sorts = [...][2]string{
	{"VIRUS", "virus"}, {"STRIP_", "virus"}, {"ARCHIVE_", "attachment"}, {"ATTACH_", "attachment"}, {"OWN_BLOCK", "block"},
	{"RBL_", "list"}, {"DBL_", "list"}, {"SURBL_", "list"}, {"URIBL_", "list"},
	{"SPF_", "proof"}, {"DKIM_", "proof"}, {"DMARC_", "proof"}, {"ARC_", "proof"}, {"FROM_", "proof"}, {"PTR_", "proof"}, {"HELO_", "proof"}, {"SENDER_", "proof"},
	{"LINK_", "link"}, {"FORM_", "phishing"}, {"PHISH", "phishing"}, {"FORGED_", "phishing"}, {"SPOOF", "phishing"},
	{"UNSCANNABLE", "unread"}, {"ENCRYPTED", "unread"}, {"MAIL_ENCRYPTED", "unread"}, {"MIME_", "unread"},
}

// Sort is the sort of a symbol: the words have own.reason-SORT.
func Sort(symbol string) string {
	for _, s := range sorts {
		if strings.HasPrefix(symbol, s[0]) {
			return s[1]
		}
	}
	return "spam"
}

// reason is the one sort of reason for which a message is held: what makes it unsafe, else what
// counted most; the reasons begin with the largest action.
func reason(h *quarantine.Hold) string {
	if h.Unsafe() {
		return "virus"
	}
	if len(h.Reasons) == 0 {
		if len(h.Unchecked) > 0 {
			return "unread"
		}
		return "spam"
	}
	worst := h.Reasons[0]
	for _, r := range h.Reasons[1:] {
		if worst.Score != 0 && r.Score > worst.Score {
			worst = r
		}
	}
	return Sort(worst.Symbol)
}
