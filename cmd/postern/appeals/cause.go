package appeals

import (
	"strconv"
	"strings"

	"postern/filter"
	"postern/internal/record"
)

// What a stranger is told of why mail was refused. The words have refused.why-CAUSE and
// refused.do-CAUSE.
const (
	SPF        = "spf"
	DKIM       = "dkim"
	DMARC      = "dmarc"
	Host       = "host" // its name and greeting
	Listed     = "listed"
	Blocked    = "blocked"
	Virus      = "virus"
	Attachment = "attachment"
	Content    = "content"
	Unread     = "unread"
	Rate       = "rate"
	Greylist   = "greylist"
	Later      = "later"
	Mailbox    = "mailbox"
	Sender     = "sender"
	Size       = "size"
	Loop       = "loop"
	Form       = "form"
	Relay      = "relay"
	Policy     = "policy"
)

// Causes are all of them.
func Causes() []string {
	return []string{SPF, DKIM, DMARC, Host, Listed, Blocked, Virus, Attachment, Content, Unread, Rate, Greylist, Later, Mailbox, Sender, Size, Loop, Form, Relay, Policy}
}

// families are the causes of symbols, by how their names begin. The first that fits counts.
var families = [...][2]string{
	{"GREY_", Greylist}, {"SPF_", SPF}, {"DKIM_", DKIM}, {"DMARC_", DMARC}, {"ARC_", DMARC}, {"PTR_", Host}, {"HELO_", Host},
	{"RBL_", Listed}, {"DBL_", Listed}, {"SURBL_", Listed}, {"URIBL_", Listed}, {"OWN_BLOCK", Blocked}, {"SOURCE_", Blocked},
	{"VIRUS", Virus}, {"STRIP_", Virus}, {"ATTACH_", Attachment}, {"ARCHIVE_", Attachment}, {"RATE_", Rate}, {"BACKSCATTER", Policy},
	{"UNSCANNABLE", Unread}, {"ENCRYPTED", Unread}, {"MAIL_ENCRYPTED", Unread}, {"MIME_", Unread}, {"SENDER_", Sender}, {"ENVELOPE_", Sender},
	{"LINK_", Content}, {"HIDDEN_", Content}, {"FORM_", Content}, {"PHISH", Content}, {"FORGED_", Content}, {"SPOOF", Content}, {"FROM_", Content}, {"SUBJ_", Content}, {"BODY_", Content}, {"BAYES_", Content}, {"MONEY_", Content},
}

// Sentences that the rules write around reasons, or in place of one.
const (
	spam      = "The message was judged to be spam"
	unchecked = "The message could not be checked completely"
)

// given is the refusal in a row that the client was given: that of the whole message, else the
// first of a recipient. false: the client was told of none.
func given(r record.Row) (string, bool) {
	if refusal(r.Reply) {
		return r.Reply, true
	}
	for _, f := range r.To {
		if (f.State == string(filter.Rejected) || f.State == string(filter.Deferred)) && refusal(f.Reply) {
			return f.Reply, true
		}
	}
	return "", false
}

func refusal(reply string) bool {
	return len(reply) > 4 && (reply[0] == '4' || reply[0] == '5') && reply[3] == ' '
}

// taken takes a reply apart: its enhanced code, "" for none, and the words without the reference.
func taken(reply, reference string) (enhanced, text string) {
	text = reply[4:]
	if code, rest, ok := strings.Cut(text, " "); ok && len(code) >= 5 && code[0] == reply[0] && strings.Count(code, ".") == 2 && strings.Trim(code, "0123456789.") == "" {
		enhanced, text = code, rest
	}
	return enhanced, strings.TrimSpace(strings.Replace(text, "(ref "+reference+")", "", 1))
}

// cause says what a refusal is about. describe is the sentence of a symbol in the rules of now.
func cause(r record.Row, reply string, describe func(symbol string) string) string {
	enhanced, text := taken(reply, r.ID)
	switch {
	case strings.HasPrefix(text, spam):
		return Content
	case strings.HasPrefix(text, unchecked):
		return Later
	}
	best, of := "", ""
	for _, s := range r.Symbols {
		if d := ascii(describe(s)); d != "" && len(d) > len(best) && strings.HasPrefix(text, d) {
			best, of = d, s
		}
	}
	if of != "" {
		for _, f := range families {
			if strings.HasPrefix(of, f[0]) {
				return f[1]
			}
		}
		return Policy
	}
	return byCode(reply[0] == '4', enhanced, text)
}

// byCode goes by the enhanced code (RFC 3463), for what no rule said.
func byCode(temporary bool, enhanced, text string) string {
	part := strings.Split(enhanced, ".")
	if len(part) != 3 {
		part = []string{"", "", ""}
	}
	detail, _ := strconv.Atoi(part[2])
	switch subject := part[1]; {
	case subject == "5" && detail == 3:
		return Rate
	case temporary:
		return Later
	case subject == "1" && (detail == 7 || detail == 8):
		return Sender
	case subject == "1" || subject == "2":
		return Mailbox
	case subject == "3" && detail == 4:
		return Size
	case subject == "4" && detail == 6:
		return Loop
	case subject == "5" || subject == "6":
		return Form
	case subject == "7" && (text == "relaying denied" || strings.HasPrefix(text, "We do not take mail for this domain")):
		return Relay
	}
	return Policy
}

// ascii is a sentence as replies have it.
func ascii(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}
