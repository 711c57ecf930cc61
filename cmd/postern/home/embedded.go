package home

import (
	"context"
	"time"

	"postern/internal/config"
	"postern/internal/entity"
	"postern/internal/store/local"
	"postern/internal/store/redis/lease"
	"postern/quarantine"
)

func openEmbedded(ctx context.Context, o Options) (*Home, error) {
	h, err := local.Open(ctx, local.Options{Dir: o.Config.State, Log: o.Log, Now: o.Now, Spool: o.Spool, Caps: blobCaps(o.Config)})
	if err != nil {
		return nil, err
	}
	return embedded(h, o), nil
}

// embedded is the home of one node.
func embedded(h *local.Home, o Options) *Home {
	return &Home{
		Name: config.HomeLocal, Holds: h.Holds(), Outbox: h.Outbox(), Lists: h.Lists(), Accounts: h.Accounts(), Audit: h.Audit(), Traffic: h.Traffic(),
		History: h.History(), Greylist: h.Greylist(), Bayes: h.Bayes(), Letters: h.Campaigns(), Reports: h.Reports(), Sent: h.Sent(), Entities: h.Entities(), Jobs: &lease.Local{}, Degraded: h.Degraded, Close: h.Close,
		Status: func(context.Context) Status { return Status{Home: config.HomeLocal} },
		Sizes:  func(ctx context.Context) ([]Size, error) { return embeddedSizes(ctx, h, o.Config) },
	}
}

const day = 24 * time.Hour

func embeddedSizes(ctx context.Context, h *local.Home, c *config.Config) ([]Size, error) {
	st, err := h.Holds().Stats(ctx)
	if err != nil {
		return nil, err
	}
	held := Size{Of: OfHolds, Bytes: st.Bytes, Cap: int64(c.Quarantine.Cap), Days: heldDays}
	for _, s := range []quarantine.State{quarantine.Provisional, quarantine.Held, quarantine.Releasing, quarantine.Refused} {
		held.Items += int64(st.States[s])
	}
	owed, err := h.Outbox().Count(ctx)
	if err != nil {
		return nil, err
	}
	rows, bytes, err := h.Traffic().Size(ctx)
	if err != nil {
		return nil, err
	}
	records := Size{Of: OfRecords}
	if records.Items, records.Bytes, err = h.Entities().Size(ctx); err != nil {
		return nil, err
	}
	log := Size{Of: OfSent, Days: int(time.Duration(c.Abuse.Trace.Keep) / day)}
	if log.Items, log.Bytes, err = h.Sent().Size(ctx); err != nil {
		return nil, err
	}
	learned := Size{Of: OfLearned}
	if learned.Items, learned.Bytes, err = h.Bayes().Size(ctx); err != nil {
		return nil, err
	}
	letters := Size{Of: OfCampaigns, Days: int(time.Duration(c.Campaigns.Keep) / day)}
	if letters.Items, letters.Bytes, err = h.Campaigns().Size(ctx); err != nil {
		return nil, err
	}
	out := []Size{
		held, log, learned, letters, {Of: OfOutbox, Items: int64(owed)},
		{Of: OfTraffic, Items: rows, Bytes: bytes, Days: int(time.Duration(c.Store.Traffic) / day)}, records,
	}
	for _, class := range entity.Classes() {
		one := Size{Of: map[entity.Class]string{entity.Intake: OfIntake, entity.Evidence: OfCases, entity.Papers: OfPapers, entity.Inbox: OfInbox}[class]}
		if one.Items, err = h.Entities().CountBlobs(ctx, class); err != nil {
			return nil, err
		}
		if one.Bytes, one.Cap, err = h.Entities().BlobBytes(ctx, class); err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, nil
}

// heldDays is for how long a policy keeps a hold that says nothing else.
const heldDays = 30
