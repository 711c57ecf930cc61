package bounds

import (
	"fmt"

	"postern/abuse/behaviour/geo"
	"postern/abuse/behaviour/logins"
	"postern/abuse/connect/queue"
)

// Signals bound what speaks for or against local accounts.
func Signals() []Row {
	return []Row{
		{"signals", "bytes of an mmdb file", fmt.Sprint(geo.MaxFile), "not read, with an alert", ""},
		{"signals", "logins and signals of them that wait for the store, a node", fmt.Sprint(logins.Waiting), "left out, in the log", ""},
		{"signals", "accounts with failed logins remembered, a node", fmt.Sprint(logins.MaxKnown), "any one is forgotten", ""},
		{"signals", "messages that a Postfix was told to hold and that are not seen in its queue yet", fmt.Sprint(queue.AnsweredMost), "they are put on hold, and stay so when the measure ends; logged", ""},
		{"signals", "messages of a Postfix queue that are looked through for held accounts", fmt.Sprint(queue.MaxQueue), "none of its mail is held, with an alert", ""},
		{"signals", "how long the logins of an account are kept", logins.Keep.String(), "forgotten", ""},
	}
}
