package wording

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

// Listed are what a notice about a listing of our own says.
type Listed struct {
	Case, Desk, Host string
	Subject, List    string
	Codes            []string
	Text             string // of the list
	Since            time.Time
}

// listingPhrases are what a notice about a listing says, in one language.
type listingPhrases struct{ subject, what, listed, list, answer, since, works, end string }

func ofListing(language string) listingPhrases {
	switch language {
	case "zh":
		return listingPhrases{"本单位地址被列入黑名单的报告 %s", "我方的下列地址或域名被第三方列入黑名单。", "被列对象", "名单", "名单的答复", "自(UTC)", "我们正在查明原因,并在消除之后申请移除。", "如有疑问请直接回复本邮件。"}
	case "ru":
		return listingPhrases{"Наш адрес в чёрном списке %s", "Наш адрес или домен, указанный ниже, внесён в чёрный список.", "Что внесено", "Список", "Ответ списка", "С (UTC)", "Мы выясняем причину и просим об исключении, только когда она устранена.", "На это письмо можно ответить."}
	case "el":
		return listingPhrases{"Καταχώριση δικής μας διεύθυνσης σε λίστα αποκλεισμού %s", "Η παρακάτω διεύθυνση ή τομέας μας βρίσκεται σε λίστα αποκλεισμού.", "Τι καταχωρίστηκε", "Λίστα", "Απάντηση της λίστας", "Από (UTC)", "Αναζητούμε την αιτία και ζητούμε διαγραφή μόνο αφού αρθεί.", "Μπορείτε να απαντήσετε σε αυτό το μήνυμα."}
	}
	return listingPhrases{"Our address is on a block list %s", "The address or domain of ours below is on a block list.", "Listed", "List", "Answer of the list", "Since (UTC)", "We look for the cause, and ask for removal only when it is ended.", "You can answer this message."}
}

// ListingSubject is that of a notice about a listing of our own.
func ListingSubject(language, caseID string) string {
	return fmt.Sprintf(ofListing(language).subject, caseID)
}

// Listing is a notice to the national body about a listing of our own: opening, or words of our
// own where that is empty, and the facts.
func Listing(language, opening string, l Listed) string {
	w := ofListing(language)
	var b strings.Builder
	opening = strings.TrimSpace(opening)
	fmt.Fprintf(&b, "%s\n\n%s: %s\n%s: %s\n", cmp.Or(opening, w.what), w.listed, l.Subject, w.list, l.List)
	if answer := strings.TrimSpace(strings.Join(l.Codes, " ") + " " + strings.Join(strings.Fields(l.Text), " ")); answer != "" {
		fmt.Fprintf(&b, "%s: %s\n", w.answer, answer)
	}
	if !l.Since.IsZero() {
		fmt.Fprintf(&b, "%s: %s\n", w.since, l.Since.UTC().Format(time.DateTime))
	}
	if opening == "" {
		fmt.Fprintf(&b, "\n%s\n%s\n", w.works, w.end)
	}
	fmt.Fprintf(&b, "\n%s\n%s\n%s\n", l.Case, l.Desk, l.Host)
	return b.String()
}
