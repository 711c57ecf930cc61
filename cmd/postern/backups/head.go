package backups

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"postern/internal/alert"
	"postern/internal/record/head"
)

// SendHead sends the head of a day to everybody who gets alerts: written down elsewhere, it
// proves later what the audit was.
func SendHead(to []alert.Sender) func(context.Context, head.Head) error {
	return func(ctx context.Context, h head.Head) error {
		text, err := json.MarshalIndent(h, "", " ")
		if err != nil {
			return err
		}
		a := alert.Alert{
			Key: "audit-head", Severity: alert.Notice, Node: h.Node, At: h.At, Since: h.At,
			Summary: fmt.Sprintf("audit of %s: %d entries, hash %s", h.Day, h.Seq, h.Hash), Detail: string(text),
		}
		var errs []error
		for _, s := range to {
			errs = append(errs, s.Send(ctx, a))
		}
		return errors.Join(errs...)
	}
}
