// Package complaint reads what strangers report about mail that came from us. Whatever the
// bytes are, there is a Report: nothing here fails, and nothing here believes what it reads.
package complaint

import (
	"postern/abuse/complaint/claim"
	"postern/abuse/complaint/dsn"
)

// Claims are the assertions of a report.
type Claims = claim.Claims

// Format is how a report is written.
type Format string

// The formats. Form and API are for reports that never were mail.
const (
	ARF      Format = "arf"      // RFC 5965
	XARF3    Format = "xarf3"    // XARF v3, converted
	XARF4    Format = "xarf4"    // XARF v4
	CFBL     Format = "cfbl"     // a feedback loop: RFC 9477, or one like JMRP
	Forward  Format = "forward"  // the message attached
	Pasted   Format = "pasted"   // the message or its headers inside the text
	DSN      Format = "dsn"      // a bounce
	Plain    Format = "plain"    // words alone
	Form     Format = "form"     // the public form
	API      Format = "api"      // the HTTP API
	Unparsed Format = "unparsed" // none of these; Problems says why
)

// Report is one complaint as far as it could be read.
type Report struct {
	Format   Format
	Feedback string          // abuse, fraud, virus, not-spam, opt-out ... as said, in lower case; "" = not said
	Claims   Claims          // assertions, never believed
	Original []byte          // the reported message or its headers, exact bytes as they stood in the report; nil = none
	Whole    bool            // Original has a body
	Others   [][]byte        // further messages the report carries, at most OthersMost
	Redacted bool            // somebody took addresses out (RFC 6590)
	Text     string          // what a person wrote, decoded, bounded
	Language string          // zh, en, ru, el ...; "" unknown
	Bounced  []dsn.Recipient // what a bounce says
	Problems []string        // why it was read only in part
}

// Options bound a parse. A field that is zero or less means its default.
type Options struct {
	Bytes    int // of the report that are looked at; default 8 MiB
	Text     int // bytes of Text; default 64 KiB
	Depth    int // levels of parts, messages inside messages included; default 12
	Parts    int // parts; default 300
	Problems int // problems that are told; default 20
}
