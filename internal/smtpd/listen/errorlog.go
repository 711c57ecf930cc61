package listen

import (
	"fmt"
	"log/slog"

	"postern/internal/smtpd/command"
)

// ErrorLog gives go-smtp's few complaints to the log.
type ErrorLog struct{ Log *slog.Logger }

// Printf logs one complaint.
func (e ErrorLog) Printf(format string, v ...any) {
	e.Log.Error("smtp session", "error", command.Printable(fmt.Sprintf(format, v...), 4000))
}

// Println logs one complaint.
func (e ErrorLog) Println(v ...any) {
	e.Log.Error("smtp session", "error", command.Printable(fmt.Sprintln(v...), 4000))
}
