// Package oddity names what can be odd about the structure of a message, and which of it makes
// the message unscannable.
package oddity

import "strings"

// Anomaly is one oddity of a message.
type Anomaly struct {
	Kind   Kind
	Path   string // of the part
	Detail string // may hold text of the message
}

// Kind names an oddity. As a string it is the stem of a symbol.
type Kind string

// The oddities. Those of the first group say that a limit was met, those of the second that
// mail programs will disagree about what the message holds; both make it unscannable. Those
// of the third are worth a symbol at most: every reading is kept and can be scanned.
const (
	TooDeep         Kind = "TOO_DEEP"          // more levels of parts than mime.Limits.Depth
	TooManyParts    Kind = "TOO_MANY_PARTS"    // more parts than mime.Limits.Parts
	TooManyFields   Kind = "TOO_MANY_FIELDS"   // more header fields than mime.Limits.Fields
	HeaderTooLong   Kind = "HEADER_TOO_LONG"   // a header block beyond mime.Limits.Header
	TooManyReadings Kind = "TOO_MANY_READINGS" // more readings of one thing than are kept
	TooMuchWork     Kind = "TOO_MUCH_WORK"     // the readings together exceed mime.Limits.Work

	Partial            Kind = "PARTIAL"              // message/partial: the content is spread over messages
	ExternalBody       Kind = "EXTERNAL_BODY"        // message/external-body: the content is elsewhere
	TwoBoundaries      Kind = "TWO_BOUNDARIES"       // two boundaries, each of which finds parts
	TypeConflict       Kind = "TYPE_CONFLICT"        // Content-Type readings that disagree whether there are parts
	EncodingConflict   Kind = "ENCODING_CONFLICT"    // Content-Transfer-Encoding readings with different results
	EncodedMultipart   Kind = "ENCODED_MULTIPART"    // parts appear only when the encoding of a multipart is undone
	HeaderEndConflict  Kind = "HEADER_END_CONFLICT"  // readers disagree where the header ends, and it matters
	LineEndConflict    Kind = "LINE_END_CONFLICT"    // taking bare CR for a line end shows another structure
	PartOutside        Kind = "PART_OUTSIDE"         // an attachment in a preamble or behind the last delimiter
	NestedBoundaryGame Kind = "NESTED_BOUNDARY_GAME" // a boundary that begins with the outer one and is taken for it

	BoundaryMissing Kind = "BOUNDARY_MISSING"  // multipart without a boundary that occurs; guessed if possible
	BoundaryLong    Kind = "BOUNDARY_LONG"     // more than 70 characters
	BoundaryOpen    Kind = "BOUNDARY_OPEN"     // no closing delimiter
	BoundaryReused  Kind = "BOUNDARY_REUSED"   // the boundary of an outer multipart again
	ParamOdd        Kind = "PARAM_ODD"         // comments, open quotes, missing separators, doubled parameters
	TypeTwice       Kind = "TYPE_TWICE"        // several Content-Type fields
	TypeBroken      Kind = "TYPE_BROKEN"       // a Content-Type that names no type
	EncodingTwice   Kind = "ENCODING_TWICE"    // several Content-Transfer-Encoding fields
	EncodingUnknown Kind = "ENCODING_UNKNOWN"  // an encoding nobody knows
	Base64Broken    Kind = "BASE64_BROKEN"     // junk, or data behind the padding
	QuotedBroken    Kind = "QUOTED_BROKEN"     // escapes that are none
	EmbeddedFile    Kind = "EMBEDDED_FILE"     // uuencode, yEnc or BinHex inside text
	HeaderNoColon   Kind = "HEADER_NO_COLON"   // a header line that is no field
	HeaderBlankName Kind = "HEADER_BLANK_NAME" // blanks before the colon
	HeaderLeading   Kind = "HEADER_LEADING"    // the header begins with a blank
	HeaderNUL       Kind = "HEADER_NUL"        // NUL in a header
	HeaderBadName   Kind = "HEADER_BAD_NAME"   // controls or 8-bit bytes in a name, or no name
	HeaderBareCR    Kind = "HEADER_BARE_CR"    // CR without LF in a header
	HeaderBlankFold Kind = "HEADER_BLANK_FOLD" // a continuation line of blanks only
	HeaderNoEnd     Kind = "HEADER_NO_END"     // no empty line behind the header
	FromTwice       Kind = "FROM_TWICE"        // several From fields
	NameConflict    Kind = "NAME_CONFLICT"     // file names that disagree
	NameControl     Kind = "NAME_CONTROL"      // NUL, control or direction marks in a file name
	NamePath        Kind = "NAME_PATH"         // a file name with a path in it
	NameLong        Kind = "NAME_LONG"         // a file name beyond mime.Limits.Name, its end kept
	CharsetUnknown  Kind = "CHARSET_UNKNOWN"   // a charset no table has
	CharsetUTF7     Kind = "CHARSET_UTF7"      // text in UTF-7, which hides ASCII from who does not read it
	BodyNUL         Kind = "BODY_NUL"          // NUL in an unencoded body
	MixedLineEnds   Kind = "MIXED_LINE_ENDS"   // bare LF or bare CR beside CRLF
	TNEF            Kind = "TNEF"              // files and texts in Outlook's own wrapping
	TNEFBroken      Kind = "TNEF_BROKEN"       // such a wrapping that is cut off or contradicts itself
)

// unscannable are the plain sentences for the kinds that make a message unscannable.
var unscannable = map[Kind]string{
	TooDeep:            "it has more levels of parts than are read",
	TooManyParts:       "it has more parts than are read",
	TooManyFields:      "it has more header fields than are read",
	HeaderTooLong:      "a header is longer than is read",
	TooManyReadings:    "it can be read in more ways than are kept",
	TooMuchWork:        "its structure takes more work to read than is allowed",
	Partial:            "it is a piece of a message that was cut into several",
	ExternalBody:       "its content is not in the message but elsewhere",
	TwoBoundaries:      "it names two boundaries and each of them finds other parts",
	TypeConflict:       "its Content-Type can be read as different structures",
	EncodingConflict:   "its transfer encoding can be read in ways that give different content",
	EncodedMultipart:   "parts are hidden under a transfer encoding that a multipart may not have",
	HeaderEndConflict:  "it is unclear where a header ends, and the content depends on it",
	LineEndConflict:    "bare carriage returns give it a second structure",
	PartOutside:        "an attachment stands outside the parts of a multipart",
	NestedBoundaryGame: "a delimiter line can be taken for that of another multipart",
}

// Unscannable reports whether the kind makes a message unscannable, and the plain sentence
// for it.
func (k Kind) Unscannable() (reason string, yes bool) {
	reason, yes = unscannable[k]
	return reason, yes
}

// Kinds are all kinds there are, in the order declared.
func Kinds() []Kind {
	return []Kind{
		TooDeep, TooManyParts, TooManyFields, HeaderTooLong, TooManyReadings, TooMuchWork,
		Partial, ExternalBody, TwoBoundaries, TypeConflict, EncodingConflict, EncodedMultipart, HeaderEndConflict,
		LineEndConflict, PartOutside, NestedBoundaryGame,
		BoundaryMissing, BoundaryLong, BoundaryOpen, BoundaryReused, ParamOdd, TypeTwice, TypeBroken, EncodingTwice,
		EncodingUnknown, Base64Broken, QuotedBroken, EmbeddedFile, HeaderNoColon, HeaderBlankName, HeaderLeading,
		HeaderNUL, HeaderBadName, HeaderBareCR, HeaderBlankFold, HeaderNoEnd, FromTwice, NameConflict, NameControl,
		NamePath, NameLong, CharsetUnknown, CharsetUTF7, BodyNUL, MixedLineEnds, TNEF, TNEFBroken,
	}
}

// Short bounds text of the message that is kept for people.
func Short(s string) string {
	const most = 120
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}
