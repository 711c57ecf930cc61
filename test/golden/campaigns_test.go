package golden_test

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"postern/filter"
	"postern/filter/campaign"
	"postern/filter/campaign/opinion"
	"postern/filter/campaign/simhash"
	"postern/internal/config"
	"postern/internal/mailtest/entities"
	"postern/internal/mime"
	"postern/internal/store/storetest/campaigntest"
)

// campaigns are what people said of letters, and what came of them.
func (w *world) campaigns(ctx context.Context, proof filter.Check) (filter.Check, filter.Observer) {
	book := &opinion.Book{Records: &entities.Memory{}, Now: w.now}
	for word, mail := range w.c.Letters {
		raw, err := os.ReadFile(filepath.Join(w.c.Dir, mail))
		if err != nil {
			w.t.Fatal(err)
		}
		p := simhash.Of(mime.Bytes(crlf(raw), mime.DefaultLimits()).Text())
		if p == 0 {
			w.t.Fatalf("%s has too few words", mail)
		}
		if _, err := book.Say(ctx, opinion.Opinion{Print: p, Word: word, By: "ann", Why: "golden"}); err != nil {
			w.t.Fatal(err)
		}
	}
	store := &campaigntest.Memory{}
	burst := config.Default().Campaigns.Burst
	limits := campaign.Limits{Messages: burst.Messages, Sources: burst.Sources, Window: time.Duration(burst.Window)}
	check := &campaign.Check{Store: store, Opinions: book, Results: proof.Check, Now: w.now, Limits: func() campaign.Limits { return limits }}
	return check, &campaign.Observer{Store: store}
}
