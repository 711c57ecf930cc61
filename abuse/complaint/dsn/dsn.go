// Package dsn reads reports about delivery (RFC 3464) and the bounces of mailers that write
// in words of their own.
package dsn

// Report is what a bounce says.
type Report struct {
	Recipients []Recipient
	MTA        string // Reporting-MTA, without its type
	Original   []byte // the returned message or its headers as they stood; nil = none
	Whole      bool   // Original has a body
	Standard   bool   // it has a part of type message/delivery-status
}

// Recipient is one recipient a bounce is about. Strings are valid UTF-8 without controls.
type Recipient struct {
	Final      string // address the last host tried, without its type
	Original   string // address the sender used, if the report says it
	Action     string // failed, delayed, delivered, relayed, expanded; "" = not said
	Status     string // enhanced code such as "5.1.1"; "" = not said
	Remote     string // host that answered, without its type
	Diagnostic string // its words, without their type
}
