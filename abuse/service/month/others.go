package month

import (
	"cmp"
	"slices"
	"time"

	"postern/abuse/cases/figures"
	"postern/abuse/service/book"
	"postern/abuse/service/exclusion"
)

func sortTenants(all []Tenant) {
	slices.SortFunc(all, func(a, b Tenant) int {
		return cmp.Or(cmp.Compare(rank(a.State), rank(b.State)), cmp.Compare(a.Domain, b.Domain), cmp.Compare(a.Way, b.Way))
	})
}

// rank puts what is broken first.
func rank(s State) int {
	if s == Broken {
		return 0
	}
	return 1
}

func exclusionSpans(all []exclusion.Exclusion, planned bool) (out []span) {
	for _, e := range all {
		if e.Counts("") && (!planned || e.Planned) {
			out = append(out, span{e.From, e.To})
		}
	}
	return out
}

func faultSpans(all []book.Fault) (out []span) {
	for _, f := range all {
		out = append(out, span{f.Begin, f.Until()})
	}
	return out
}

// faultFigures are the faults, the changes, and what is made of both.
func (m *counting) faultFigures() []Figure {
	faults := promise("fault-minutes", "3", "time in which a fault of the service stood on any node, overlaps counted once, without approved exclusions", "min", AtMost, 100)
	changes := promise("change-minutes", "3", "time of the approved exclusions that are planned changes, overlaps counted once", "min", AtMost, 100)
	available := promise("availability", "3", "100 x (time observed - time with a fault or an unreached door, without approved exclusions) / time observed", "%", AtLeast, 99.99)
	free := promise("fault-free-days", "3", "observed days of the last 365 without a fault and without an unreached minute that counts", "days", AtLeast, 360)
	r := m.out.Groups["service"]
	left := exclusionSpans(m.exclusions, false)
	if r.Observed > 0 {
		stood := length(without(clip(faultSpans(m.faults), m.in), left))
		unseen := float64(r.Unobserved)
		faults = faults.is(minutesOf(stood), map[string]float64{"unobserved": unseen}).doubt(minutesOf(stood)+unseen > 100)
		changed := length(clip(exclusionSpans(m.exclusions, true), m.in))
		changes = changes.is(minutesOf(changed), nil)
		away := length(without(clip(append(faultSpans(m.faults), m.down...), m.in), left))
		base := float64(r.Observed)
		available = available.is(max(0, share(base-minutesOf(away), base)), map[string]float64{"observed": base, "away": minutesOf(away), "unobserved": unseen})
		available = available.doubt(share(base-minutesOf(away), base+unseen) < 99.99)
	}
	whole := func(e exclusion.Exclusion) bool { return e.Counts("") }
	faults.Exclusions = excluded(m.exclusions, m.in, whole)
	changes.Exclusions = excluded(m.exclusions, m.in, func(e exclusion.Exclusion) bool { return e.Counts("") && e.Planned })
	available.Exclusions = excluded(m.exclusions, m.in, func(exclusion.Exclusion) bool { return true })
	return []Figure{faults, changes, available, m.freeDays(free)}
}

// freeDays looks back a year from the end of the period. A day nobody looked at is not free.
func (m *counting) freeDays(f Figure) Figure {
	back := span{m.in.to.AddDate(0, 0, -year), m.in.to}
	faults := without(faultSpans(m.faults), exclusionSpans(m.exclusions, false))
	probe := &counting{Source: m.Source, zone: m.zone, days: m.days, groups: map[string]*Reach{}, exclusions: m.exclusions, quiet: true}
	var free, faulty, unseen float64
	m.dates(back, func(date string, from, to time.Time) {
		var r Reach
		probe.walk(date, from, to, &r)
		switch {
		case r.Counted > 0 || length(clip(faults, span{from, to})) > 0:
			faulty++
		case r.Observed == 0:
			unseen++
		default:
			free++
		}
	})
	if free+faulty == 0 {
		return f
	}
	f.Exclusions = excluded(m.exclusions, back, func(exclusion.Exclusion) bool { return true })
	of := map[string]float64{"free": free, "faulty": faulty, "unobserved": unseen}
	if f = f.is(free, of); f.State == Broken && free+unseen >= *f.Limit {
		f.State, f.Note = Unknown, "there are days at which nobody looked"
	}
	return f
}

// Names of samples.
const (
	Signatures  = "signatures"
	Page        = "page"
	PageNarrow  = "page-narrow"
	Incremental = "backup"
	Full        = "backup-full"
	Oldest      = "backup-oldest"
)

// age is a sample over the month. best: the node that was best off on a day stands for all.
func (m *counting) age(name string, best bool) (out book.Age) {
	m.dates(m.in, func(date string, _, _ time.Time) {
		var day book.Age
		for _, d := range m.days[date] {
			a := d.Ages[name]
			switch {
			case a.Count == 0:
			case best && day.Count > 0:
				if a.Max < day.Max {
					day = a
				}
			default:
				day = day.Plus(a)
			}
		}
		out = out.Plus(day)
	})
	return out
}

// page is the mean time of pages: those over narrow lines are promised less, and counted apart.
func (m *counting) page(f Figure, name string) Figure {
	if a := m.age(name, false); a.Count > 0 {
		return f.is(a.Sum/float64(a.Count), map[string]float64{"pages": float64(a.Count), "max_s": a.Max})
	}
	return f
}

// ages are the signatures, the pages, and what nobody tells us.
func (m *counting) ages() []Figure {
	page := m.page(promise("page-mean", "3", "sum of the times of the probe's own page / pages", "s", AtMost, 10), Page)
	narrow := m.page(promise("page-mean-narrow", "3", "sum of the times of pages over narrow lines / pages", "s", AtMost, 30), PageNarrow)
	billing := promise("billing-error", "3", "disputed or credited invoices / billed customers", "share", AtMost, 3e-5)
	billing.Note = "this program sees no invoices"
	signatures := promise("signature-age", "5", "largest age of the virus signatures, sampled through the month", "h", AtMost, 7*24)
	if a := m.age(Signatures, false); a.Count > 0 {
		signatures = signatures.is(a.Max/3600, map[string]float64{"samples": float64(a.Count), "last_h": a.Last / 3600})
	}
	return []Figure{page, narrow, billing, signatures}
}

// caseFigures are those of the abuse desk.
func (m *counting) caseFigures() []Figure {
	frt := stated("first-response", "9", "FRT = sum of the first response times / first responses of people", "h")
	inDay := promise("first-in-day", "4.2", "100 x cases of people with a first decision within one working day / those that had one or are late", "%", AtLeast, 100)
	result := stated("time-to-result", "4.2g", "sum of the times from receipt to the result that was sent / results", "h")
	in72 := promise("result-in-72h", "4.2g", "100 x cases of people with a result within 72 h / those that had one or are late", "%", AtLeast, 100)
	c := m.out.Cases
	if c == nil {
		return []Figure{frt, inDay, result, in72}
	}
	return []Figure{meanOf(frt, c.First), shareOf(inDay, c.FirstInDay), meanOf(result, c.Result), shareOf(in72, c.ResultIn72)}
}

func meanOf(f Figure, t *figures.Times) Figure {
	if t == nil {
		return f
	}
	return f.is(t.Mean/3600, map[string]float64{"count": float64(t.Count), "sum_h": t.Sum / 3600, "p50_h": t.P50 / 3600, "p90_h": t.P90 / 3600, "max_h": t.Max / 3600})
}

func shareOf(f Figure, s *figures.Share) Figure {
	if s == nil {
		return f
	}
	return f.is(100*s.Share, map[string]float64{"in_time": float64(s.Part), "of": float64(s.Of)})
}

// listFigures are the published lists of servers.
func (m *counting) listFigures() []Figure {
	lag := stated("list-lag", "4.2d", "longest time from the publication of a list to its effect here", "h")
	late := promise("lists-late", "4.2d", "published lists that were not in effect one working day after their publication", "lists", Below, 1)
	var longest, n, behind float64
	for _, l := range m.out.Lists {
		end := l.Applied
		if l.Dropped {
			continue
		}
		n++
		if end.IsZero() {
			end = m.Now()
		}
		longest = max(longest, end.Sub(l.Published).Hours())
		if end.After(l.Due) {
			behind++
		}
	}
	if n == 0 {
		return []Figure{lag, late}
	}
	return []Figure{lag.is(longest, map[string]float64{"lists": n}), late.is(behind, map[string]float64{"lists": n})}
}

// backups are the ages of the runs, and the trial.
func (m *counting) backups() []Figure {
	out := []Figure{
		promise("backup-age", "7", "largest age of the last backup, sampled through the month", "h", AtMost, 24),
		promise("backup-full-age", "7", "largest age of the last full backup, sampled through the month", "h", AtMost, 72),
	}
	for i, name := range []string{Incremental, Full} {
		if a := m.age(name, true); a.Count > 0 {
			out[i] = out[i].is(a.Max/3600, map[string]float64{"samples": float64(a.Count), "last_h": a.Last / 3600})
		}
	}
	oldest := promise("backup-kept", "7", "age of the oldest backup that is kept, as last sampled", "days", AtLeast, 30)
	if a := m.age(Oldest, false); a.Count > 0 {
		oldest = oldest.is(a.Last/86400, nil)
		if oldest.State == Broken {
			oldest.State, oldest.Note = Unknown, "backups may not have been made for that long yet"
		}
	}
	proof := promise("restore-proofs", "7", "backups that were restored for a trial and found whole", "proofs", AtLeast, 1)
	if len(m.out.Proofs) > 0 {
		good := 0.0
		for _, p := range m.out.Proofs {
			if p.OK {
				good++
			}
		}
		proof = proof.is(good, map[string]float64{"tried": float64(len(m.out.Proofs))})
	}
	return append(out, oldest, proof)
}
