package redis

import (
	"context"
	"fmt"
	"path/filepath"

	"postern/internal/store/redis/audit"
	"postern/internal/store/redis/bayes"
	"postern/internal/store/redis/campaign"
	"postern/internal/store/redis/decisions"
	"postern/internal/store/redis/durable"
	"postern/internal/store/redis/durable/ends"
	"postern/internal/store/redis/entities"
	"postern/internal/store/redis/entities/kept"
	"postern/internal/store/redis/greylist"
	"postern/internal/store/redis/history"
	"postern/internal/store/redis/holds"
	"postern/internal/store/redis/journal"
	"postern/internal/store/redis/lease"
	"postern/internal/store/redis/limits"
	"postern/internal/store/redis/outbox"
	"postern/internal/store/redis/reports"
	"postern/internal/store/redis/sent"
	"postern/internal/store/redis/sent/noted"
	"postern/internal/store/redis/traffic"
)

// openShared makes the parts that live in the store alone.
func (h *Home) openShared(context.Context) (err error) {
	o, write := h.o, h.write
	h.far = holds.New(holds.Options{Conn: h.conn, Ring: o.Ring, Now: o.Now, Log: o.Log, Write: write, Caps: holds.Caps{Holds: o.Caps.Holds, Evidence: o.Caps.Evidence}})
	h.owes = outbox.New(outbox.Options{Conn: h.conn, Ring: o.Ring, Node: o.Node, Now: o.Now, Log: o.Log, Write: write, Cap: o.Caps.Outbox, Spool: o.Spool})
	h.Holds, h.Outbox = h.far, h.owes
	if h.things, err = entities.New(entities.Options{Conn: h.conn, Ring: o.Ring, Now: o.Now, Log: o.Log, Caps: o.Caps.Blobs, Spool: o.Spool}); err != nil {
		return err
	}
	h.Entities = h.things
	h.History = history.New(h.conn, history.Options{Log: o.Log, Now: o.Now})
	h.closers = append(h.closers, h.History.Close)
	h.Greylist = greylist.New(h.conn, 0)
	h.Limits = limits.New(h.conn)
	h.Bayes = bayes.New(h.conn)
	h.Campaigns = campaign.New(h.conn, campaign.Options{Log: o.Log, Now: o.Now, Keep: o.Letters})
	h.closers = append(h.closers, h.Campaigns.Close)
	h.Jobs = lease.New(h.conn, o.Node, o.Now)
	if h.rows, err = traffic.Open(traffic.Options{Conn: h.conn, Now: o.Now, Log: o.Log, Keep: o.Keep, Cap: o.Caps.Traffic, Write: write}); err != nil {
		return err
	}
	h.Traffic = h.rows
	if h.log, err = sent.New(sent.Options{Conn: h.conn, Ring: o.Ring, Now: o.Now, Log: o.Log, Cap: o.Caps.Sent, Event: o.Event}); err != nil {
		return err
	}
	h.Sent = h.log
	h.closers = append(h.closers, h.rows.Close)
	h.Reports, err = reports.New(reports.Options{Conn: h.conn, Now: o.Now, Log: o.Log, Write: write})
	return err
}

// openJournal puts the node's own journal beside what a promise rests on.
func (h *Home) openJournal(context.Context) (err error) {
	if !h.o.Strict {
		return nil
	}
	h.journal, err = journal.Open(journal.Options{Dir: filepath.Join(h.o.Dir, "journal"), Max: h.o.Journal, Now: h.o.Now, Log: h.o.Log})
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	h.closers = append(h.closers, h.journal.Close)
	d := durable.Options{Now: h.o.Now, Log: h.o.Log, Alarm: h.alarm, Born: h.beat.Born}
	h.held = durable.NewHolds(h.far, h.journal, d)
	h.owed = durable.NewOutbox(h.owes, &ends.Store{Conn: h.conn, Ring: h.o.Ring, Log: h.o.Log}, h.journal, d)
	h.kept = kept.New(h.things, h.journal, h.o.Spool, d)
	h.noted = noted.New(h.log, h.journal, noted.Options{Now: h.o.Now, Log: h.o.Log})
	h.Sent = h.noted
	h.Holds, h.Outbox, h.Entities = hinted{h.held, h.publish}, h.owed, h.kept
	return nil
}

func (h *Home) openDecisions(ctx context.Context) (err error) {
	h.Decisions, err = decisions.Open(ctx, decisions.Options{
		File: filepath.Join(h.o.Dir, "decisions"), Conn: h.conn, Ring: h.o.Ring, Node: h.o.Node, Format: 1, Now: h.o.Now, Log: h.o.Log,
		Publish: h.publish, Event: h.o.Event,
	})
	if err == nil {
		h.closers = append(h.closers, h.Decisions.Close)
	}
	return err
}

func (h *Home) openAudit(context.Context) (err error) {
	h.trail, err = audit.Open(audit.Options{File: filepath.Join(h.o.Dir, "audit"), Conn: h.conn, Ring: h.o.Ring, Node: h.o.Node, Now: h.o.Now, Log: h.o.Log, Event: h.o.Event})
	if err != nil {
		return err
	}
	h.Audit = h.trail
	h.closers = append(h.closers, h.trail.Close)
	return nil
}

// Close writes out what waits and ends the connections, in the opposite order of Open.
func (h *Home) Close() error {
	h.work.Wait()
	return closeAll(h.closers)
}
