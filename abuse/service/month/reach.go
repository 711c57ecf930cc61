package month

import (
	"time"

	"postern/abuse/service/book"
	"postern/abuse/service/exclusion"
)

const notSeen = "nobody looked in some minutes, and they could have failed"

// dates calls f for each day of a period with its begin and its end.
func (m *counting) dates(in span, f func(date string, from, to time.Time)) {
	y, mo, d := in.from.In(m.zone).Date()
	for i := 0; ; i++ {
		from := time.Date(y, mo, d+i, 0, 0, 0, 0, m.zone)
		if !from.Before(in.to) {
			return
		}
		to := time.Date(y, mo, d+i+1, 0, 0, 0, 0, m.zone)
		if to.After(in.to) {
			to = in.to
		}
		f(from.Format(time.DateOnly), from, to)
	}
}

// reach is the reachability of the service.
func (m *counting) reach() []Figure {
	var total Reach
	m.dates(m.in, func(date string, from, to time.Time) { m.walk(date, from, to, &total) })
	m.out.Groups["service"] = total
	minutes := promise("unreached-minutes", "1", "minutes in which a probe of the service's doors failed on all nodes, without those of approved exclusions", "min", AtMost, 44)
	reached := promise("reachability", "1", "100 x (minutes observed - minutes left out - unreached minutes) / (minutes observed - minutes left out)", "%", AtLeast, 99.9)
	if total.Observed == 0 {
		return []Figure{minutes, reached}
	}
	of := map[string]float64{
		"minutes": float64(total.Minutes), "observed": float64(total.Observed), "failed": float64(total.Failed), "excluded": float64(total.Excluded),
		"left_out": float64(total.OutOfCount), "unobserved": float64(total.Unobserved),
	}
	minutes.Exclusions = excluded(m.exclusions, m.in, func(exclusion.Exclusion) bool { return true })
	reached.Exclusions = minutes.Exclusions
	unseen := float64(total.Unobserved)
	minutes = minutes.is(float64(total.Counted), of).doubt(float64(total.Counted)+unseen > 44)
	if base := float64(total.Observed - min(total.Observed, leftOutOfObserved(total))); base > 0 {
		reached = reached.is(share(base-float64(total.Counted), base), of)
		worst := share(base-float64(total.Counted), base+unseen)
		reached = reached.doubt(worst < 99.9)
	}
	return []Figure{minutes, reached}
}

// leftOutOfObserved is how many observed minutes do not count.
func leftOutOfObserved(r Reach) int { return r.Observed + r.Unobserved + r.OutOfCount - r.Minutes }

// delays are those of mail, on its way out and in.
func (m *counting) delays() []Figure {
	var out []Figure
	for _, w := range []struct{ way, clause, end string }{
		{book.Send, "2", "the start of its transfer"},
		{book.Receive, "2", "the answer of the mailbox's server"},
	} {
		var all book.Delay
		var slowMean, slowMax, domains float64
		for domain, ways := range m.tenants {
			d, ok := ways[w.way]
			if !ok {
				continue
			}
			all = all.Plus(d)
			t := tenant(domain, w.way, d)
			m.out.Tenants = append(m.out.Tenants, t)
			if d.Count == 0 {
				continue
			}
			domains++
			if *t.Mean > 60 {
				slowMean++
			}
			if d.Over >= 2 {
				slowMax++
			}
		}
		mean := promise(w.way+"-delay-mean", w.clause, "sum of the times from the full receipt of a message to "+w.end+" / messages; judged for each domain", "s", AtMost, 60)
		longest := stated(w.way+"-delay-max", w.clause, "longest time from the full receipt of a message to "+w.end, "s")
		late := promise(w.way+"-delay-late", w.clause, "messages later than an hour, of the domain that has most of them", "messages", Below, 2)
		held := stated(w.way+"-held", w.clause, "copies that went to the quarantine; they have no delay", "copies")
		if all.Count > 0 {
			of := map[string]float64{"messages": float64(all.Count), "sum_s": float64(all.Sum) / 1000, "domains": domains, "domains_broken": slowMean}
			if mean = mean.is(float64(all.Sum)/1000/float64(all.Count), of); slowMean > 0 {
				mean.State, mean.Note = Broken, "the mean of some domains is above the limit"
			}
			longest = longest.is(float64(all.Max)/1000, nil)
			late = late.is(float64(m.mostLate(w.way)), map[string]float64{"messages": float64(all.Count), "late": float64(all.Over), "domains_broken": slowMax})
		}
		if all.Count > 0 || all.Held > 0 {
			held = held.is(float64(all.Held), nil)
		}
		out = append(out, mean, longest, late, held)
	}
	sortTenants(m.out.Tenants)
	return out
}

func (m *counting) mostLate(way string) (most int64) {
	for _, ways := range m.tenants {
		most = max(most, ways[way].Over)
	}
	return most
}

func tenant(domain, way string, d book.Delay) Tenant {
	t := Tenant{Domain: domain, Way: way, Delay: d, State: NoData}
	if d.Count == 0 {
		return t
	}
	mean, longest := float64(d.Sum)/1000/float64(d.Count), float64(d.Max)/1000
	t.Mean, t.Max, t.State = &mean, &longest, Kept
	if mean > 60 || d.Over >= 2 {
		t.State = Broken
	}
	return t
}
