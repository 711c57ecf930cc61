package home

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"time"

	"postern/abuse/service/book"

	"postern/cmd/postern/features"
	"postern/internal/config"
	"postern/internal/entity"
	"postern/internal/opfiles"
	"postern/internal/record/trend"
	"postern/internal/store/move"
	"postern/internal/store/redis"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/sealed"
)

// openShared opens the home on Redis.
func openShared(ctx context.Context, o Options) (*Home, error) {
	c := o.Config.Store
	where, err := connection(c)
	if err != nil {
		return nil, err
	}
	ring, err := sealed.Read(c.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("store.key_file: %w", err)
	}
	if c.Durability != durabilityStrict {
		o.Log.Warn("store.durability is redis: what is held stands in Redis alone; what Redis loses in a failover, a flush or a crash is lost, though it was answered for")
	}
	where.Log = o.Log // it alone says that the store is away
	if o.Passive {
		where.Log = slog.New(slog.DiscardHandler) // a command ends with that
	}
	h, err := redis.Open(ctx, redis.Options{
		Conn: where, Ring: ring, Dir: filepath.Join(o.Config.State, "redis"), Node: o.Config.Hostname, Version: o.Version, Rules: o.Rules, Passive: o.Passive,
		Strict: c.Durability == durabilityStrict, Journal: int64(c.Journal), Keep: time.Duration(c.Traffic), Letters: time.Duration(o.Config.Campaigns.Keep), Spool: o.Spool,
		Caps: redis.Caps{Holds: capOr(c.Caps.Holds, o.Config.Quarantine.Cap), Evidence: int64(c.Caps.Evidence), Outbox: int64(c.Caps.Outbox), Traffic: int64(c.Caps.Traffic), Sent: int64(c.Caps.Sent), Blobs: blobCaps(o.Config)},
		Now:  o.Now, Log: slog.New(Quiet(o.Log.Handler())), Event: o.Event,
	})
	if err != nil {
		return nil, err
	}
	return shared(h, o.Config), nil
}

const durabilityStrict = "strict"

func blobCaps(c *config.Config) map[entity.Class]int64 {
	caps := c.Store.Caps
	return map[entity.Class]int64{entity.Intake: int64(caps.Intake), entity.Evidence: int64(caps.Cases), entity.Papers: int64(caps.Papers), entity.Inbox: int64(c.TestInbox.Bytes)}
}

func capOr(c, other config.Size) int64 {
	if c == 0 {
		return int64(other)
	}
	return int64(c)
}

// shared is the home of several nodes.
func shared(h *redis.Home, c *config.Config) *Home {
	return &Home{
		Name: config.HomeRedis, Holds: h.Holds, Outbox: h.Outbox, Lists: h.Decisions.Lists(), Accounts: h.Decisions.Accounts(), Audit: h.Audit,
		Traffic: h.Traffic, History: h.History, Greylist: h.Greylist, Bayes: h.Bayes, Letters: h.Campaigns, Reports: h.Reports, Sent: h.Sent, Entities: h.Entities, Limits: h.Limits, Jobs: h.Jobs,
		Degraded: h.Degraded, Loops: h.Loops(), Close: h.Close,
		Status: func(ctx context.Context) Status { return statusOf(h.Status(ctx)) },
		Sizes:  func(ctx context.Context) ([]Size, error) { return sharedSizes(ctx, h, c) },
		Reindex: func(ctx context.Context, step func(Reindexed)) (Reindexed, error) {
			done, err := h.Reindex(ctx, func(n int) { step(Reindexed{Holds: n}) })
			return Reindexed{Holds: done.Holds.Holds, Outbox: done.Outbox, Records: done.Entities.Records, Blobs: done.Entities.Blobs, Damaged: done.Holds.Damaged + done.Entities.Damaged}, err
		},
	}
}

// connection turns the configured store into that of the connection.
func connection(c config.Store) (conn.Options, error) {
	out := conn.Options{Addrs: c.Addrs, Sentinel: c.Sentinel, Cluster: c.Cluster, User: c.User, SentinelUser: c.SentinelAs.User, Prefix: c.Prefix}
	var err error
	for _, secret := range []struct {
		path string
		to   *string
	}{{c.Password, &out.Password}, {c.SentinelAs.Password, &out.SentinelPassword}} {
		if secret.path == "" {
			continue
		}
		if *secret.to, err = config.ReadSecret(secret.path); err != nil {
			return out, err
		}
	}
	out.TLS, err = storeTLS(c.TLS)
	return out, err
}

func storeTLS(c config.StoreTLS) (*tls.Config, error) {
	if c.CA == "" {
		return nil, nil
	}
	out := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName}
	if c.CA != "system" {
		text, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, err
		}
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("store.tls.ca: %s holds no certificate", c.CA)
		}
	}
	if c.Cert != "" {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, fmt.Errorf("store.tls: %w", err)
		}
		out.Certificates = []tls.Certificate{pair}
	}
	return out, nil
}

func statusOf(s redis.Status) Status {
	out := Status{Home: config.HomeRedis, Since: s.Conn.Since, Trips: s.Conn.Trips, Waited: s.Conn.Waited, Commands: s.Conn.Commands, Lax: s.Lax, Drift: s.Drift, Schema: s.Schema, Dropped: s.Dropped}
	if !s.Conn.Up {
		out.Away = s.Conn.Reason
	}
	if j := s.Journal; j != nil {
		out.Journal = &Journal{Live: j.Live, Tombstones: j.Tombstones, Bytes: j.Bytes, Unpushed: j.OldestUnpushed, Pushed: j.Pushed}
	}
	for _, n := range s.Nodes {
		out.Nodes = append(out.Nodes, Node{Name: n.Name, Version: n.Version, Rules: n.Rules, Schema: n.Schema, Seen: n.At, Started: n.Started})
	}
	return out
}

func sharedSizes(ctx context.Context, h *redis.Home, c *config.Config) ([]Size, error) {
	s, err := h.Sizes(ctx)
	if err != nil {
		return nil, err
	}
	rows, taken, err := h.Sent.Size(ctx)
	if err != nil {
		return nil, err
	}
	tokens, counted, err := h.Bayes.Size(ctx)
	if err != nil {
		return nil, err
	}
	letters, about, err := h.Campaigns.Size(ctx)
	if err != nil {
		return nil, err
	}
	return []Size{
		{Of: OfLearned, Items: tokens, Bytes: counted},
		{Of: OfCampaigns, Items: letters, Bytes: about, Days: int(time.Duration(c.Campaigns.Keep) / day)},
		{Of: OfHolds, Items: s.Holds.Holds, Bytes: s.Holds.Total(), Cap: capOr(c.Store.Caps.Holds, c.Quarantine.Cap), Days: heldDays},
		{Of: OfOutbox, Items: int64(s.Owed), Bytes: s.OwedIn, Cap: int64(c.Store.Caps.Outbox)},
		{Of: OfTraffic, Items: s.Traffic.Rows, Bytes: s.Traffic.Bytes, Cap: int64(c.Store.Caps.Traffic), Days: int(time.Duration(c.Store.Traffic) / day)},
		{Of: OfSent, Items: rows, Bytes: taken, Cap: int64(c.Store.Caps.Sent), Days: int(time.Duration(c.Abuse.Trace.Keep) / day)},
		{Of: OfJournal, Bytes: s.Journal, Cap: int64(c.Store.Journal)},
		{Of: OfRecords, Items: s.Records.Items, Bytes: s.Records.Bytes},
		{Of: OfIntake, Items: s.Blobs[entity.Intake].Items, Bytes: s.Blobs[entity.Intake].Bytes, Cap: int64(c.Store.Caps.Intake)},
		{Of: OfCases, Items: s.Blobs[entity.Evidence].Items, Bytes: s.Blobs[entity.Evidence].Bytes, Cap: int64(c.Store.Caps.Cases)},
		{Of: OfPapers, Items: s.Blobs[entity.Papers].Items, Bytes: s.Blobs[entity.Papers].Bytes, Cap: int64(c.Store.Caps.Papers)},
		{Of: OfInbox, Items: s.Blobs[entity.Inbox].Items, Bytes: s.Blobs[entity.Inbox].Bytes, Cap: int64(c.TestInbox.Bytes)},
	}, nil
}

// parts are the stores of a home as a move takes them.
func parts(h *Home) move.Parts {
	entities, _ := h.Entities.(move.Entities)
	return move.Parts{
		Entities: entities,
		Holds:    h.Holds, Outbox: h.Outbox, Lists: h.Lists, Accounts: h.Accounts, Audit: h.Audit, Traffic: h.Traffic, Reports: h.Reports, Greylist: h.Greylist, Sent: h.Sent,
	}
}

// mover moves what the other home keeps into this one. The other one is open for as long as
// that takes.
func mover(h *Home, o Options, other func(context.Context) (*Home, error)) func(context.Context, func(Moved)) (Moved, error) {
	return func(ctx context.Context, step func(Moved)) (out Moved, err error) {
		from, err := other(ctx)
		if err != nil {
			return out, err
		}
		defer func() { err = errors.Join(err, from.Close()) }()
		return (&move.Mover{From: parts(from), To: parts(h), Name: h.Name, Now: o.Now, Log: o.Log, Step: step, Merge: merges()}).Run(ctx)
	}
}

// merges are for the records that a node begins anew in whatever home it works on.
func merges() map[entity.Kind]move.Merge {
	out := map[entity.Kind]move.Merge{opfiles.KnownKind: func(_, there []byte) ([]byte, error) { return there, nil }}
	for _, kind := range trend.Kinds() {
		out[kind] = trend.Merge
	}
	for kind, m := range book.Merges() {
		out[kind] = m
	}
	maps.Copy(out, features.Merges())
	return out
}
