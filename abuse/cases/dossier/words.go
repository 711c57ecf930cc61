package dossier

import "strings"

// Searched is the text of a case that people search: its number, who it is about, and what is proved.
func (c *Case) Searched() string {
	said := []string{c.ID, c.Account, c.Subject, c.Owner, c.Source.Helo, c.Source.Domain, c.Source.Login, c.Source.Serial, c.Class}
	if c.Source.IP.IsValid() {
		said = append(said, c.Source.IP.String())
	}
	return strings.ToLower(strings.Join(append(said, c.Sentence), "\n"))
}
