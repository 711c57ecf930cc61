package api

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// Bounds of a complaint that is handed in.
const (
	MaxComplaint = 8 << 20 // octets
	MaxKey       = 200     // octets of an Idempotency-Key
)

// callTake is the call that a complaint is handed in with.
const callTake = "complaint.take"

// taken are the parameters of that call.
type taken struct {
	Key      string `json:"key,omitempty"`
	Document []byte `json:"document"`
}

// complaint takes a report as it is: ARF, XARF or a mail. The same Idempotency-Key, or without
// one the same octets, is the same report.
func (s *server) complaint(w http.ResponseWriter, r *http.Request) {
	if lacks, ok := s.o.May(r.Context(), callTake); !ok {
		if lacks == "" {
			lacks = "complaints are not taken here"
		}
		say(w, http.StatusForbidden, lacks)
		return
	}
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	multipart := strings.HasPrefix(kind, "multipart/")
	if err != nil || kind != "application/json" && kind != "application/xarf+json" && kind != "message/rfc822" && !multipart {
		say(w, http.StatusUnsupportedMediaType, "a complaint is application/xarf+json, application/json, message/rfc822 or multipart/report")
		return
	}
	t := taken{Key: r.Header.Get("Idempotency-Key")}
	if len(t.Key) > MaxKey {
		say(w, http.StatusBadRequest, "Idempotency-Key has more than "+strconv.Itoa(MaxKey)+" octets")
		return
	}
	t.Document, err = io.ReadAll(http.MaxBytesReader(w, r.Body, MaxComplaint))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		say(w, http.StatusRequestEntityTooLarge, "a complaint has at most "+strconv.Itoa(MaxComplaint)+" octets")
		return
	case err != nil:
		return // the caller has gone
	case len(t.Document) == 0:
		say(w, http.StatusBadRequest, "the complaint is empty")
		return
	}
	if multipart { // the body alone says nothing of its boundary
		t.Document = append([]byte("MIME-Version: 1.0\r\nContent-Type: "+r.Header.Get("Content-Type")+"\r\n\r\n"), t.Document...)
	}
	raw, err := json.Marshal(t)
	if err != nil {
		say(w, http.StatusInternalServerError, "the complaint could not be handed on")
		return
	}
	out, err := s.o.Call(r.Context(), callTake, raw)
	if err != nil {
		s.failure(w, callTake, err)
		return
	}
	write(w, http.StatusAccepted, out)
}

// failure says what became of a call.
func (s *server) failure(w http.ResponseWriter, name string, err error) {
	status, words := s.refusal(name, err)
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "60")
	}
	say(w, status, words)
}

func (s *server) refusal(name string, err error) (int, string) {
	status, words := s.o.Explain(err)
	if status >= http.StatusInternalServerError {
		s.o.Log.Error("a call over HTTP failed", "call", name, "error", err)
	}
	return status, words
}
