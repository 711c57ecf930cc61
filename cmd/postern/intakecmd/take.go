package intakecmd

import (
	"fmt"
	"io"
	"os"

	"postern/cmd/postern/app"
	"postern/cmd/postern/intakecalls"
	"postern/internal/desk/api"
)

type takeCmd struct {
	File     string `help:"ARF, XARF or a mail, as it is; - is the standard input."`
	Text     string `help:"What somebody said."`
	Reporter string `help:"Of a call by phone: the address that was given."`
	Phone    string `help:"Of a call by phone: the number."`
	Language string `help:"Of the answer: en, zh, ru or el."`
	Key      string `help:"The same for the same complaint; by what it says when left out."`
	Drill    bool   `help:"A fire drill: counted nowhere."`
	JSON     bool   `name:"json" help:"Print JSON."`
}

// Run hands in a complaint.
func (c *takeCmd) Run(a *app.App) error {
	t := intakecalls.Take{Key: c.Key, Text: c.Text, Reporter: c.Reporter, Phone: c.Phone, Language: c.Language, Drill: c.Drill}
	if c.File != "" {
		r := a.Stdin
		if c.File != "-" {
			f, err := os.Open(c.File)
			if err != nil {
				return err
			}
			defer f.Close()
			r = f
		}
		var err error
		if t.Document, err = io.ReadAll(io.LimitReader(r, api.MaxComplaint+1)); err != nil {
			return err
		}
		if len(t.Document) > api.MaxComplaint {
			return app.Usagef("%s: a complaint has at most %d octets", c.File, api.MaxComplaint)
		}
	}
	return app.Call(a, "complaint.take", t, c.JSON, func(r intakecalls.Taken) { fmt.Fprintf(a.Stdout, "taken as %s\n", r.ID) })
}
