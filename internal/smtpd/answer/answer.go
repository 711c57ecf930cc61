// Package answer finds the words for what a session refuses.
package answer

import (
	"errors"
	"strings"

	"github.com/emersion/go-smtp"

	"postern/filter"
	"postern/internal/address"
	"postern/internal/smtpd/command"
)

// TryLater is the answer to every fault of ours.
func TryLater() *command.Reply { return command.NewReply(451, 3, 0, "try again later") }

// Error is what go-smtp writes; the reference is added to refusals.
func Error(r *command.Reply, id string) error {
	text := r.Text
	if id != "" && r.Code >= 400 && !strings.Contains(text, id) {
		text = command.Printable(text, 440) + " (ref " + id + ")"
	}
	return &smtp.SMTPError{Code: r.Code, EnhancedCode: r.Enhanced, Message: command.Printable(text, longest)}
}

// longest is what of a reply's text fits into one line of SMTP.
const longest = 490

// Refusal is Error with the address of the page about the refusal behind it, where pages begin
// with at and there is room.
func Refusal(r *command.Reply, id, at string) error {
	if id == "" || at == "" || r.Code < 400 {
		return Error(r, id)
	}
	page := " " + at + id
	cut := *r
	if !strings.Contains(cut.Text, id) {
		cut.Text = command.Printable(cut.Text, max(200, 440-len(page)))
	}
	err := Error(&cut, id)
	if e := new(smtp.SMTPError); errors.As(err, &e) && len(e.Message)+len(page) <= longest {
		e.Message += page
	}
	return err
}

// BadAddress says what is wrong with an address; detail is its X.1.detail.
func BadAddress(err error, detail int) *command.Reply {
	switch {
	case errors.Is(err, address.ErrUTF8):
		return command.NewReply(553, 6, 7, "non-ASCII address without SMTPUTF8")
	case errors.Is(err, address.ErrRoute):
		return command.NewReply(550, 1, detail, "source routes are not taken")
	}
	return command.NewReply(501, 1, detail, "bad address syntax")
}

// Verdict is the answer to a verdict before the body; nil goes on.
func Verdict(v filter.Verdict) *command.Reply {
	code := 0
	switch v.Action {
	case filter.Reject:
		code = 550
	case filter.Defer:
		code = 451
	default:
		return nil
	}
	if r, ok := command.ParseReply(v.Public); ok && r.Code/100 == code/100 {
		return r
	}
	text := v.Public
	if text == "" {
		text = "not accepted by local policy"
	}
	return command.NewReply(code, 7, 1, text)
}
