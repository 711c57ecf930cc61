package live

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"
)

// lines is a stream of events on its way to a reader.
type lines struct {
	w  http.ResponseWriter
	to *http.ResponseController
}

func (l *lines) begin() error {
	// The listener bounds how long a request may take to be read; this one stays open.
	if err := l.to.SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	h := l.w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	return l.write("retry: 5000\n\n")
}

// marks says where the topics stand.
func (l *lines) marks(marks map[string]string) error {
	if len(marks) == 0 {
		return nil
	}
	text, err := json.Marshal(marks)
	if err != nil {
		return err
	}
	return l.write("event: marks\ndata: " + string(text) + "\n\n")
}

func (l *lines) write(text string) error {
	if err := l.to.SetWriteDeadline(time.Now().Add(writeTime)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := l.w.Write([]byte(text)); err != nil {
		return err
	}
	return l.to.Flush()
}
