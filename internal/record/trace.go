package record

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"
)

// WriteText renders rows for people: what came, from where, what became of each copy, and
// why. Row text is clean, so it is fit for a terminal.
func WriteText(w io.Writer, rows []Row) error {
	out := bufio.NewWriter(w)
	for i, r := range rows {
		if i > 0 {
			fmt.Fprintln(out)
		}
		writeRow(out, r)
	}
	return out.Flush()
}

func writeRow(w io.Writer, r Row) {
	fmt.Fprintf(w, "%s  %s  %s via %s\n", r.Time.Format(time.RFC3339), r.ID, r.Direction, r.Listener)
	line(w, "from", sender(r.From)+account(r.Account))
	line(w, "client", client(r.Client))
	line(w, "subject", r.Subject)
	line(w, "message-id", r.MessageID)
	line(w, "size", fmt.Sprintf("%d bytes", r.Size))
	line(w, "verdict", fmt.Sprintf("%s, score %s", r.Action, r.Score))
	line(w, "symbols", strings.Join(r.Symbols, " "))
	for _, u := range r.Unchecked {
		line(w, "unchecked", u.Step+": "+u.Reason)
	}
	if r.DNSCut {
		line(w, "dns", "lookups were left out, the budget of the message was spent (DNS_BUDGET)")
	}
	for _, f := range r.To {
		line(w, "to", f.String())
	}
	line(w, "answered", r.Reply)
	line(w, "took", r.Delay.String())
}

func line(w io.Writer, name, value string) {
	if value != "" {
		fmt.Fprintf(w, "  %-11s %s\n", name, value)
	}
}

func sender(from string) string {
	if from == "" {
		return "<> (null sender)"
	}
	return from
}

func account(name string) string {
	if name == "" {
		return ""
	}
	return " (account " + name + ")"
}

func client(c Client) string {
	out := c.IP
	if c.Name != "" {
		out += " " + c.Name
	}
	if c.Helo != "" {
		out += ", HELO " + c.Helo
	}
	if c.TLS != "" {
		out += ", " + c.TLS
	}
	return out
}

// String is one recipient's fate in one line.
func (f Fate) String() string {
	var b strings.Builder
	b.WriteString(f.Address + ": " + f.State)
	if len(f.Stripped) > 0 {
		b.WriteString(", stripped " + strings.Join(f.Stripped, " "))
	}
	if f.Greylisted {
		b.WriteString(", asked to come again as a first contact")
	}
	if f.Hold != "" {
		b.WriteString(" as " + f.Hold)
	}
	if f.Backend != "" {
		b.WriteString(" by " + f.Backend)
	}
	if f.Action != "" {
		fmt.Fprintf(&b, " (%s, score %s, policy %s)", f.Action, f.Score, f.Policy)
	}
	if len(f.Softened) > 0 {
		b.WriteString(", DMARC softened by " + strings.Join(f.Softened, " "))
	}
	if f.Reply != "" {
		b.WriteString(": " + f.Reply)
	}
	if f.Ambiguous {
		b.WriteString(" [the connection was lost after the final dot]")
	}
	return b.String()
}

// String is the times in words.
func (d Delay) String() string {
	var parts []string
	add := func(name string, ms int64) {
		if ms >= 0 {
			parts = append(parts, fmt.Sprintf("%s %d ms", name, ms))
		}
	}
	add("receive", d.Receive)
	add("check", d.Check)
	add("relay", d.Relay)
	add("total", d.Total)
	return strings.Join(parts, ", ")
}
