package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"postern/internal/desk/once"
)

// once makes a call that acts, or says again what it was answered before.
func (s *server) once(w http.ResponseWriter, r *http.Request, name, key string, raw []byte) {
	if len(key) > MaxKey {
		say(w, http.StatusBadRequest, "Idempotency-Key has more than "+strconv.Itoa(MaxKey)+" octets")
		return
	}
	u := once.Use{Caller: s.o.Caller(r.Context()), Key: key, Request: append([]byte(name+"\n"), raw...), Secret: s.o.Secret(name)}
	a, again, err := s.o.Keys.Do(r.Context(), u, func() once.Answer {
		out, err := s.o.Call(r.Context(), name, raw)
		if err != nil {
			status, words := s.refusal(name, err)
			return once.Answer{Status: status, Body: problem(status, words)}
		}
		body, err := json.Marshal(out)
		if err != nil {
			return once.Answer{Status: http.StatusInternalServerError, Body: problem(http.StatusInternalServerError, "the answer could not be written")}
		}
		return once.Answer{Status: http.StatusOK, Body: body}
	})
	switch {
	case errors.Is(err, once.ErrRunning):
		w.Header().Set("Retry-After", "5")
		say(w, http.StatusConflict, once.ErrRunning.Error())
	case errors.Is(err, once.ErrOther):
		say(w, http.StatusUnprocessableEntity, once.ErrOther.Error())
	case errors.Is(err, once.ErrFull):
		say(w, http.StatusTooManyRequests, once.ErrFull.Error())
	case err != nil:
		s.o.Log.Error("an Idempotency-Key could not be kept", "call", name, "error", err)
		w.Header().Set("Retry-After", "5")
		say(w, http.StatusServiceUnavailable, "the store does not answer")
	default:
		tell(w, a, again)
	}
}

func tell(w http.ResponseWriter, a once.Answer, again bool) {
	if again {
		w.Header().Set("Idempotent-Replayed", "true")
	}
	switch {
	case again && a.Body == nil:
		w.WriteHeader(http.StatusNoContent)
		return
	case a.Status == http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "60")
	}
	w.Header().Set("Content-Type", "application/json")
	if a.Status >= http.StatusBadRequest {
		w.Header().Set("Content-Type", "application/problem+json")
	}
	w.WriteHeader(a.Status)
	_, _ = w.Write(append(a.Body, '\n')) // the caller has gone: nobody to tell
}
