package engine

import (
	"context"
	"fmt"
	"strings"
	"time"

	"postern/abuse/signal"
	"postern/internal/said"
)

// ComplaintRate is the rule of complaints.
const ComplaintRate = "complaint-rate"

// lookups bounds how many days and providers are counted in the send log for one account.
const lookups = 20

type daily struct {
	day, provider string
}

// complaints makes one signal of an account's votes: the highest rate of a provider and a day
// on which the mail was sent. One delivered copy has one vote.
func (e *Engine) complaints(ctx context.Context, account string, all []signal.Signal) (s signal.Signal, ok bool, err error) {
	votes, copies := map[daily]int{}, map[string]bool{}
	for _, v := range all {
		if v.Votes <= 0 || v.Weight <= 0 || v.SentAt.IsZero() || v.Copy != "" && copies[v.Copy] {
			continue
		}
		copies[v.Copy] = true
		votes[daily{v.SentAt.UTC().Format(time.DateOnly), strings.ToLower(v.Provider)}] += v.Votes
	}
	asked := 0
	for d, n := range votes {
		if n < 300 { // a rate of one or two votes is none
			continue
		}
		if asked++; asked > lookups {
			break
		}
		delivered, err := e.deliveries(ctx, account, d)
		if err != nil {
			return s, false, err
		}
		rate, enough := signal.ComplaintRate(n, delivered)
		if !enough || rate < rateFloor {
			continue
		}
		ok = true
		s = signal.Signal{
			ID: ComplaintRate + ":" + account, Family: signal.Complaints, Rule: ComplaintRate, Account: account, At: e.Now(), Weight: 25,
		}.Saying(said.Say("seen.complaint-rate", "%s votes for %d copies that %s took on %s", "votes", fmt.Sprintf("%d.%02d", n/100, n%100), "copies", delivered, "provider", d.provider, "day", d.day))
	}
	return s, ok, nil
}

// deliveries counts the copies that a provider took of an account's mail of a day.
func (e *Engine) deliveries(ctx context.Context, account string, d daily) (n int, err error) {
	from, err := time.Parse(time.DateOnly, d.day)
	if err != nil {
		return 0, err
	}
	cursor := ""
	for {
		rows, next, err := e.Sent.ByAccount(ctx, account, from, from.Add(24*time.Hour-time.Nanosecond), cursor, page)
		if err != nil {
			return n, err
		}
		for _, r := range rows {
			for _, c := range r.Copies {
				if c.Accepted() && strings.HasSuffix(strings.ToLower(c.Recipient), "@"+d.provider) {
					n++
				}
			}
		}
		if cursor = next; next == "" {
			return n, nil
		}
	}
}
