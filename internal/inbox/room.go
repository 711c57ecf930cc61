package inbox

import (
	"context"
	"errors"
	"time"

	"postern/internal/entity"
)

// Tend forgets what is too old or too much, and bytes that no message became of.
func (b *Box) Tend(ctx context.Context) error {
	if err := b.makeRoom(ctx, 0, 0); err != nil {
		return err
	}
	sums, err := b.Home.BlobsBefore(ctx, entity.Inbox, b.Now().Add(-max(orphaned, b.Limits().Keep)), entity.MaxPage)
	if err != nil {
		return err
	}
	for _, sum := range sums {
		if err := b.Forget(ctx, sum); err != nil {
			return err
		}
	}
	return nil
}

// makeRoom forgets the oldest messages until as many and as large ones as are to come find
// room, and all that are too old.
func (b *Box) makeRoom(ctx context.Context, size int64, more int) error {
	limits := b.Limits()
	for {
		n, err := b.messages().Count(ctx, entity.Query{Index: "all"}, limits.Messages+entity.MaxPage)
		if err != nil || n == 0 {
			return err
		}
		used, _, err := b.Home.BlobBytes(ctx, entity.Inbox)
		if err != nil {
			return err
		}
		old := b.Now().Add(-limits.Keep)
		some := 1
		if over := n + more - limits.Messages; over > 0 {
			some = min(over, entity.MaxPage)
		}
		rows, _, err := b.messages().Find(ctx, entity.Query{Index: "all", Rising: true, Limit: some})
		if err != nil {
			return err
		}
		gone := 0
		for _, row := range rows {
			if n+more-gone <= limits.Messages && (gone > 0 || used+size <= limits.Bytes) && row.Value.At.After(old) {
				break
			}
			if err := b.remove(ctx, row); err != nil {
				return err
			}
			gone++
		}
		if gone == 0 {
			return nil
		}
	}
}

// remove forgets a message, then its bytes. Somebody who was faster is as good.
func (b *Box) remove(ctx context.Context, row entity.Row[Message]) error {
	if err := b.messages().Remove(ctx, row); err != nil && !errors.Is(err, entity.ErrConflict) && !errors.Is(err, entity.ErrNotFound) {
		return err
	}
	return b.Forget(ctx, row.Value.SHA256)
}

// Delete forgets one message.
func (b *Box) Delete(ctx context.Context, id string) (Message, error) {
	row, err := b.messages().Get(ctx, id)
	if err != nil {
		return Message{}, err
	}
	return row.Value, b.remove(ctx, row)
}

// Clear forgets all messages, or those to one recipient, and says how many these were. What
// comes while it works stays.
func (b *Box) Clear(ctx context.Context, to string) (n int, err error) {
	q := entity.Query{Index: "all", To: b.Now().UnixMilli(), Limit: entity.DefaultPer}
	if to != "" {
		q.Index, q.Value = "to", fold(to)
	}
	for {
		rows, _, err := b.messages().Find(ctx, q)
		if err != nil || len(rows) == 0 {
			return n, err
		}
		for _, row := range rows {
			if err := b.remove(ctx, row); err != nil {
				return n, err
			}
			n++
		}
	}
}

// Get returns one message.
func (b *Box) Get(ctx context.Context, id string) (Message, error) {
	row, err := b.messages().Get(ctx, id)
	return row.Value, err
}

// since is the lower bound of a time, 0 = none.
func since(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return max(t.UnixMilli(), 1)
}
