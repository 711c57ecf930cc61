package page

import (
	"context"
	"errors"
	"fmt"

	"postern/internal/desk/words"
)

// Spoken makes calls whose refusals are in the reader's language: whole where pages know them,
// else with what kind of refusal it is before the English words of the call.
func Spoken(calls Caller, book *words.Book) Caller { return &spoken{calls, book} }

type spoken struct {
	Caller
	book *words.Book
}

// Call implements Caller.
func (s *spoken) Call(ctx context.Context, name string, params, result any) error {
	err := s.Caller.Call(ctx, name, params, result)
	var e *Error
	if !errors.As(err, &e) || e.Words == "" {
		return err
	}
	said, l := *e, s.book.Match(Of(ctx).Language, "")
	key := fmt.Sprintf("common.refused-%d", e.Status)
	switch {
	case e.Waits != "":
		said.Words = l.Say("common.waits-second", "id", e.Waits)
	case l.Name == "en" || !l.Has(key):
		return err
	default:
		said.Words = l.Say(key, "words", e.Words)
	}
	return &said
}
