package xarf

import (
	"fmt"
	"time"

	"postern/abuse/complaint/letter"
)

// Mail is a document on its way by mail.
type Mail struct {
	From, To  string // addresses
	MessageID string // with angle brackets
	Date      time.Time
	Subject   string
	Words     string // for a person
	Language  string // of Words
	UserAgent string
	Document  Document
}

// WriteMail makes a document a message: a feedback report of the type xarf with the document
// as its third part.
func WriteMail(m Mail) ([]byte, error) {
	doc, err := Write(m.Document)
	if err != nil {
		return nil, err
	}
	out, err := letter.Write(letter.Letter{
		From: m.From, To: m.To, MessageID: m.MessageID, Date: m.Date, Subject: m.Subject, Words: m.Words, Language: m.Language,
		Fields: []letter.Field{{Name: "Feedback-Type", Value: "xarf"}, {Name: "User-Agent", Value: m.UserAgent}, {Name: "Version", Value: "1"}},
		Type:   "application/json; name=\"xarf.json\"", Body: doc, Base64: true,
	})
	if err != nil {
		return nil, fmt.Errorf("xarf: %w", err)
	}
	return out, nil
}
