package page

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"postern/internal/desk/words"
)

// Spoken makes calls whose refusals are in the reader's language: said by their codes, and a
// sentence that has none with what kind of refusal it is before its English.
func Spoken(calls Caller, book *words.Book) Caller { return &spoken{calls, book} }

type spoken struct {
	Caller
	book *words.Book
}

// Call implements Caller.
func (s *spoken) Call(ctx context.Context, name string, params, result any) error {
	err := s.Caller.Call(ctx, name, params, result)
	l := s.book.Match(Of(ctx).Language, "")
	err = speak(l, err)
	var e *Error
	key := ""
	if errors.As(err, &e) {
		key = fmt.Sprintf("common.refused-%d", e.Status)
	}
	if e == nil || e.spoken || e.Words == "" || l.Name == words.Default || !l.Has(key) {
		return err
	}
	kind := *e
	kind.Words = l.Say(key, "words", e.Words)
	return &kind
}

// Spoken is a refusal that has a code in the language of whoever asked; every other error is as
// it was.
func (k *Kit) Spoken(r *http.Request, err error) error { return speak(k.Language(r), err) }

// speak says a refusal in a language, once.
func speak(l *words.Language, err error) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	text, ok := l.Said(e.Said)
	switch {
	case e.spoken:
		return err
	case e.Waits != "":
		text = l.Say("common.waits-second", "id", e.Waits)
	case !ok:
		return err
	}
	spoken := *e
	spoken.Words, spoken.spoken = text, true
	return &spoken
}
