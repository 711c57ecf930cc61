package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"postern/internal/store/local/bodies"
)

// Reindexed counts what Reindex made again.
type Reindexed struct {
	Holds   int
	Outbox  int
	Records int      // of the rooms, taken over from the old file as far as it can be read
	Blobs   int      // what those rest on
	Lost    []string // digests of bodies that are damaged or have no notes, and of damaged blobs: moved to DIR/lost
}

// Reindex makes postern.db again from the bodies and the notes beside them, and sets the old
// file aside. Holds come back as held, also those that were released or given up since: look
// before releasing. Own lists, account states and the audit stand in no note: they come only
// from a backup. Records of the rooms are read from the old file, those that can be; their blobs
// are found again by their names. The home must not be open.
func Reindex(ctx context.Context, o Options) (out Reindexed, err error) {
	o = o.defaults()
	h, err := enter(o)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	path := filepath.Join(h.dir, "postern.db")
	aside := path + ".old-" + o.Now().UTC().Format("20060102T150405.000")
	for _, suffix := range []string{"-wal", "-shm", ""} {
		if err := os.Rename(path+suffix, aside+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return out, err
		}
	}
	if err := os.Remove(suspect(path)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return out, err
	}
	o.reindex = true
	if err := h.open(ctx, o); err != nil {
		return out, err
	}
	lost := filepath.Join(h.dir, "lost")
	if err := o.Disk.Mkdir(lost); err != nil {
		return out, err
	}
	all, err := h.files.All()
	if err != nil {
		return out, err
	}
	for _, sha := range all {
		if err := h.restore(ctx, sha, lost, &out); err != nil {
			return out, fmt.Errorf("body %s: %w", sha, err)
		}
	}
	return out, h.restoreEntities(ctx, aside, lost, o.Log, &out)
}

// restoreEntities takes over records from the old file and finds blobs again.
func (h *Home) restoreEntities(ctx context.Context, old, lost string, log *slog.Logger, out *Reindexed) error {
	blobs, damaged, err := h.entities.Restore(ctx, lost)
	out.Blobs, out.Lost = blobs, append(out.Lost, damaged...)
	if err != nil {
		return err
	}
	if _, err := os.Stat(old); err != nil {
		return nil //nolint:nilerr // there is no old file
	}
	if out.Records, err = h.entities.Salvage(ctx, old); err != nil {
		log.Error("not all records could be read from the old database: restore it from a backup for the rest", "file", old, "read", out.Records, "error", err)
	}
	return ctx.Err()
}

// restore makes the rows of one body again, or sets the body aside.
func (h *Home) restore(ctx context.Context, sha, lost string, out *Reindexed) error {
	stored, err := h.files.Verify(sha)
	if err != nil && !errors.Is(err, bodies.ErrDigest) {
		return err
	}
	found := 0
	if err == nil {
		lines, err := h.files.Notes(sha)
		if err != nil {
			return err
		}
		for _, line := range lines {
			held, err := h.holds.Restore(ctx, sha, line, stored)
			if err != nil {
				return err
			}
			owed, err := h.outbox.Restore(ctx, sha, line, stored)
			if err != nil {
				return err
			}
			if held {
				out.Holds++
				found++
			}
			if owed {
				out.Outbox++
				found++
			}
		}
	}
	if found > 0 {
		return nil
	}
	out.Lost = append(out.Lost, sha)
	return h.files.SetAside(sha, lost)
}
