package bounds

import (
	"fmt"

	"postern/internal/config"
	"postern/internal/config/value"
	"postern/internal/inbox"
)

// Inbox bounds the mail that is kept for tests.
func Inbox(c *config.Config) []Row {
	i := c.TestInbox
	row := func(what string, value any, past string) Row {
		return Row{"test inbox", what, Shown(value), past, ""}
	}
	return []Row{
		{"test inbox", "messages", fmt.Sprint(i.Messages), "the oldest goes", "test_inbox.messages"},
		{"test inbox", "bytes", i.Bytes.String(), "the oldest goes; a larger message: 552", "test_inbox.bytes"},
		{"test inbox", "age", i.Keep.String(), "forgotten", "test_inbox.keep"},
		row("domains", value.MaxTestDomains, "refused"),
		row("messages that can be configured", value.MaxTestMessages, "refused"),
		row("recipients that a message is found by", inbox.MaxTo, "the others are not named"),
		row("messages of a page", inbox.MaxPage, "refused"),
		row("who waits for a message, on one node", inbox.MaxWaiting, "503"),
		row("time that one waits", inbox.MaxWait, "refused"),
		row("header fields shown", inbox.MaxFields, "cut, and said"),
		row("octets of a header field shown", inbox.MaxField, "cut, and said"),
		row("octets of text and of HTML shown", inbox.MaxShown, "cut, and said"),
		row("attachments named", inbox.MaxAttachments, "cut, and said"),
		row("reasons of a verdict", inbox.MaxReasons, "the others are left out"),
	}
}
