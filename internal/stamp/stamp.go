// Package stamp writes the header block the gateway puts before a message, with the
// signature or seal that stands in front of it, and removes from the message what pretends to
// be such a block. Nothing else of a message is changed.
package stamp

import (
	"bytes"
	"io"
	"strings"

	"postern/filter"
)

// Names are the names of the fields we write, and who we are in them.
type Names struct {
	Verdict, Reasons, Unchecked string
	Stripped                    string // names the parts that were left out; "" = never written
	SpamFlag, SpamScore         string
	Trace                       string // of the token of outbound mail; "" = never written
	AuthservID                  string // RFC 8601 section 2.5; "" = Hostname
	Hostname                    string // our name in Received
}

// DefaultNames are the names of a configuration that says nothing.
func DefaultNames(hostname string) Names {
	return Names{
		Verdict: "X-Postern-Verdict", Reasons: "X-Postern-Reasons", Unchecked: "X-Postern-Unchecked",
		Stripped: "X-Postern-Stripped", SpamFlag: "X-Spam-Flag", SpamScore: "X-Spam-Score",
		Trace: "X-Postern-Trace", AuthservID: hostname, Hostname: hostname,
	}
}

// authservID is who speaks in Authentication-Results.
func (n Names) authservID() string {
	if n.AuthservID == "" {
		return n.Hostname
	}
	return n.AuthservID
}

// Stamper writes blocks. It is safe for concurrent use.
type Stamper struct {
	Names Names
	Key   []byte        // of the trace tokens, the same on every node; nil = no tokens
	AV    func() string // "ClamAV 1.4.6/27000/2026-11-22", or "" when nothing scans

	Tracer Tracer                            // of outbound mail; nil = no token and no address for complaints
	Signer Signer                            // of outbound mail; nil = nothing is signed
	Sealer Sealer                            // of inbound mail; nil = nothing is sealed
	Alert  func(key, text string, over bool) // sealing fails, or works again; nil = nobody is told
}

// Signer makes the signatures of outbound mail; *sign.Signer is one.
type Signer interface {
	// Sign returns whole fields, each line ended by CRLF, for the message that open reads
	// from its start, as often as it is called; nothing where none belong there. An error
	// keeps the message here: it should be signed and cannot be.
	Sign(m *filter.Message, open func() (io.Reader, error)) ([]byte, error)
}

// Sealer makes the ARC set (RFC 8617) of inbound mail.
type Sealer interface {
	// Seal returns whole fields, each line ended by CRLF, for the message that open reads:
	// our block, then the body. After an error the message goes on without a seal.
	Seal(block []byte, m *filter.Message, open func() (io.Reader, error)) ([]byte, error)
}

// Block is our header block for recipients that share a verdict, each line ended by CRLF.
// Outbound it holds a Received field and what the message is traced by.
func (s *Stamper) Block(m *filter.Message, v filter.Verdict, r filter.Report, to []string) []byte {
	var b bytes.Buffer
	s.received(&b, m, to)
	if m.Direction == filter.Outbound {
		s.trace(&b, m, to)
		return b.Bytes()
	}
	authResults(&b, s.Names.authservID(), results(r), m.SMTPUTF8)
	s.verdict(&b, m, v)
	writeField(&b, s.Names.Reasons, reasonWords(v.Reasons))
	writeField(&b, s.Names.Unchecked, uncheckedWords(v.Failures))
	if len(v.Strip) > 0 && s.Names.Stripped != "" {
		writeField(&b, s.Names.Stripped, strippedWords(v.Strip))
	}
	flag := "NO"
	if v.Action >= filter.Tag {
		flag = "YES"
	}
	writeField(&b, s.Names.SpamFlag, []string{flag})
	writeField(&b, s.Names.SpamScore, []string{v.Score.String()})
	return b.Bytes()
}

func (s *Stamper) verdict(b *bytes.Buffer, m *filter.Message, v filter.Verdict) {
	av := ""
	if s.AV != nil {
		av = s.AV()
	}
	if av == "" {
		av = "none"
	}
	writeField(b, s.Names.Verdict, []string{
		v.Action.String() + ";",
		"score=" + v.Score.String() + ";",
		"policy=" + atom(v.Policy) + ";",
		"id=" + atom(m.ID) + ";",
		"rules=" + atom(v.Rules) + ";",
		"av=" + quote(av, false),
	})
}

// describeMax bounds one sentence in a header, in bytes.
const describeMax = 200

// reasonWords is the account of the score: "SYMBOL +1.50 sentence; ...". Details are left
// out, they hold what strangers wrote.
func reasonWords(reasons []filter.Reason) []string {
	if len(reasons) == 0 {
		return []string{"none"}
	}
	var words []string
	for i, r := range reasons {
		sign := "+"
		if r.Score < 0 {
			sign = ""
		}
		words = append(words, atom(r.Symbol), sign+r.Score.String())
		words = append(words, sentence(r.Describe)...)
		if i < len(reasons)-1 {
			words = end(words, ";")
		}
	}
	return words
}

// end puts a mark behind the last word; beside an encoded word there must be a blank (RFC 2047
// section 5), else it is not read as one.
func end(words []string, mark string) []string {
	if last := len(words) - 1; !strings.HasSuffix(words[last], "?=") {
		words[last] += mark
		return words
	}
	return append(words, mark)
}

// uncheckedWords is the ledger of what was not checked: "clamav (timed out), dns (...)".
func uncheckedWords(failures []filter.Failure) []string {
	if len(failures) == 0 {
		return []string{"none"}
	}
	inner := strings.NewReplacer("(", "[", ")", "]", `\`, "/", ",", ";")
	var words []string
	for i, f := range failures {
		words = append(words, atom(f.Step))
		reason := sentence(inner.Replace(f.Reason))
		if len(reason) == 0 {
			reason = []string{"no reason"}
		}
		mark := ")"
		if i < len(failures)-1 {
			mark = "),"
		}
		if strings.HasPrefix(reason[0], "=?") {
			words = append(words, "(")
		} else {
			reason[0] = "(" + reason[0]
		}
		words = append(words, end(reason, mark)...)
	}
	return words
}

// strippedWords is the paths of the parts that were left out: "1.2, 1.3".
func strippedWords(paths []string) []string {
	var words []string
	for i, p := range paths {
		word := atom(p)
		if i < len(paths)-1 {
			word += ","
		}
		words = append(words, word)
	}
	return words
}
