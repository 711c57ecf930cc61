// Package view turns decoded bodies into what checks look at: text, HTML as text, URLs.
package view

// URL is one link found in a body.
type URL struct {
	Raw  string // as written, entities decoded
	Host string // lower-case A-label or address without port and user; "" if it has none
	Text string // what an HTML link shows instead; "" when found in text
}
