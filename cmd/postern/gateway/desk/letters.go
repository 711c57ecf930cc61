package desk

import (
	"postern/abuse/notice/edition"
	"postern/abuse/notice/letter"
)

// newLetters reads the words of the letters: the program's own, those of the operator's folder
// over them, and what people of the desk wrote over both.
func (d *Desk) newLetters(dir string) (*edition.Desk, error) {
	book, err := letter.Open(dir)
	if err != nil {
		return nil, err
	}
	return &edition.Desk{Store: d.p.Entities, Book: book, Now: d.p.Now, Log: d.p.Log, Audit: d.p.Audit}, nil
}
