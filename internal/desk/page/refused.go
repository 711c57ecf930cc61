package page

import (
	"errors"
	"net/http"
)

// Refused is the refusal of a call that a page says beside its form, so that what was written
// in it is not lost; nil: the call went through, is not the reader's to make, or failed.
func Refused(err error) *Error {
	var e *Error
	if errors.As(err, &e) && e.Status < http.StatusInternalServerError && e.Status != http.StatusForbidden {
		return e
	}
	return nil
}
