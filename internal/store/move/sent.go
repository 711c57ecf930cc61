package move

import "context"

// sent takes over the send log. A row that is there already is joined with what the old home
// knows of it.
func (r *run) sent(ctx context.Context) error {
	for cursor := ""; ; {
		rows, next, err := r.From.Sent.Since(ctx, cursor, page)
		if err != nil || len(rows) == 0 {
			return err
		}
		for _, row := range rows {
			if err := r.To.Sent.Begin(ctx, row); err != nil {
				return err
			}
			r.out.Sent++
		}
		r.step()
		cursor = next
	}
}
