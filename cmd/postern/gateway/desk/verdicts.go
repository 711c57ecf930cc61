package desk

import "postern/abuse/intake/verdict"

// verdicts are what people found of reports.
func (d *Desk) verdicts() verdict.Book {
	return verdict.Book{Store: d.p.Entities, Cases: d.Cases.Cases, Audit: d.p.Audit}
}
