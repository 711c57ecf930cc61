package seek_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"postern/abuse/cases/dossier"
	"postern/abuse/cases/flow"
	"postern/abuse/cases/seek"
	"postern/internal/entity"
)

var noon = time.Date(2026, 6, 8, 12, 0, 0, 0, time.FixedZone("CST", 8*3600))

// TestQueries: the index that leaves the fewest to look at is asked, in the order that is shown.
func TestQueries(t *testing.T) {
	endOfDay := time.Date(2026, 6, 9, 0, 0, 0, 0, noon.Location()).UnixMilli() - 1
	for name, c := range map[string]struct {
		s    seek.Search
		want entity.Query
	}{
		"queue": {
			seek.Search{},
			entity.Query{Index: "queue", Rising: true},
		},
		"queue by name, a page of it": {
			seek.Search{View: "queue", Limit: 7, After: "1/x"},
			entity.Query{Index: "queue", Rising: true, Limit: 7, After: "1/x"},
		},
		"mine": {
			seek.Search{View: "mine", Owner: "anna"},
			entity.Query{Index: "owner", Value: "anna", Rising: true},
		},
		"nobody's": {
			seek.Search{View: "unowned"},
			entity.Query{Index: "owner", Value: "-", Rising: true},
		},
		"nobody's in a state": {
			seek.Search{View: "unowned", State: "triage"},
			entity.Query{Index: "state", Value: "TRIAGE", Rising: true},
		},
		"within the hour": {
			seek.Search{View: "breach"},
			entity.Query{Index: "queue", Rising: true, From: 1, To: noon.Add(time.Hour).UnixMilli()},
		},
		"until the day ends where the team is": {
			seek.Search{View: "today"},
			entity.Query{Index: "queue", Rising: true, From: 1, To: endOfDay},
		},
		"today, of an owner": {
			seek.Search{View: "today", Owner: "anna"},
			entity.Query{Index: "owner", Value: "anna", Rising: true, From: 1, To: endOfDay},
		},
		"contained": {
			seek.Search{View: "contained"},
			entity.Query{Index: "state", Value: "CONTAINED", Rising: true},
		},
		"on probation": {
			seek.Search{View: "probation"},
			entity.Query{Index: "state", Value: "PROBATION", Rising: true},
		},
		"waiting for a guarantee": {
			seek.Search{View: "guarantee"},
			entity.Query{Index: "view", Value: "guarantee", Rising: true},
		},
		"not ours": {
			seek.Search{View: "p0"},
			entity.Query{Index: "grade", Value: "P0", Rising: true},
		},
		"a grade": {
			seek.Search{Grade: "p3"},
			entity.Query{Index: "grade", Value: "P3", Rising: true},
		},
		"a category before a priority": {
			seek.Search{Category: "s1", Priority: "u2"},
			entity.Query{Index: "category", Value: "S1", Rising: true},
		},
		"an account": {
			seek.Search{Account: "anna@example.com"},
			entity.Query{Index: "account", Value: "anna@example.com"},
		},
		"an account in a state": {
			seek.Search{Account: "anna@example.com", State: "TRIAGE"},
			entity.Query{Index: "account", Value: "anna@example.com"},
		},
		"an account, the next deadline first": {
			seek.Search{View: "queue", Account: "anna@example.com", Order: "due"},
			entity.Query{Index: "queue", Rising: true},
		},
		"a source": {
			seek.Search{Source: "EVIL.example"},
			entity.Query{Index: "source", Value: "evil.example"},
		},
		"a domain": {
			seek.Search{Domains: []string{"example.com"}},
			entity.Query{Index: "domain", Value: "example.com"},
		},
		"all": {
			seek.Search{View: "all"},
			entity.Query{Index: "opened"},
		},
		"closed": {
			seek.Search{View: "done"},
			entity.Query{Index: "opened"},
		},
		"a state that is over": {
			seek.Search{State: "closed"},
			entity.Query{Index: "opened"},
		},
		"the youngest first": {
			seek.Search{Order: "new", Grade: "P4"},
			entity.Query{Index: "opened"},
		},
	} {
		got, err := c.s.Queries(noon)
		if err != nil || len(got) != 1 || got[0] != c.want {
			t.Errorf("%s: %+v %v", name, got, err)
		}
	}
	if got, err := (seek.Search{Domains: []string{"a.example", "b.example"}}).Queries(noon); err != nil || len(got) != 2 || got[1].Value != "b.example" {
		t.Errorf("%+v %v", got, err)
	}
}

// one is a case that something is known of everywhere.
func one() *dossier.Case {
	return &dossier.Case{
		ID:         "A-2026-000042",
		Kind:       dossier.Local,
		Subject:    "account anna@example.com",
		State:      flow.Triage,
		Account:    "anna@example.com",
		Owner:      "olga",
		Priority:   2,
		Grade:      4,
		Categories: []dossier.Category{dossier.Unsolicited},
		Sentence:   "DKIM verified; queue ID 4cTx1Z2yQ3",
		Source:     dossier.Source{IP: netip.MustParseAddr("203.0.113.7"), Login: "anna-login", Serial: "serial-7"},
	}
}

func TestMatch(t *testing.T) {
	for name, s := range map[string]seek.Search{
		"everything":          {},
		"its owner":           {View: "mine", Owner: "olga"},
		"its state":           {State: "triage"},
		"its priority":        {Priority: "u2"},
		"its grade":           {Grade: "p4"},
		"its category":        {Category: "s1"},
		"its kind":            {Kind: "LOCAL"},
		"its account":         {Account: "anna@example.com"},
		"its domain":          {Domains: []string{"other.example", "example.com"}},
		"its number":          {Text: "a-2026-000042"},
		"its address":         {Text: "203.0.113"},
		"its login":           {Text: "ANNA-login"},
		"words of its proof":  {Text: "dkim 4ctx1z2yq3"},
		"words of two fields": {Text: "olga serial-7"},
		"all":                 {View: "all"},
	} {
		if !s.Match(one()) {
			t.Errorf("%s: it is not found", name)
		}
	}
	for name, s := range map[string]seek.Search{
		"another owner":     {Owner: "petr"},
		"nobody's":          {View: "unowned"},
		"another state":     {State: "VERIFIED"},
		"another priority":  {Priority: "U1"},
		"another grade":     {Grade: "P1"},
		"another category":  {Category: "S5"},
		"another kind":      {Kind: "external"},
		"another account":   {Account: "bert@example.com"},
		"another domain":    {Domains: []string{"other.example"}},
		"the end of one":    {Domains: []string{"ple.com"}},
		"a source":          {Source: "203.0.113.7"}, // of a case elsewhere
		"one word too many": {Text: "anna bert"},
		"closed":            {View: "done"},
		"guarantee":         {View: "guarantee"},
		"p0":                {View: "p0"},
		"contained":         {View: "contained"},
	} {
		if s.Match(one()) {
			t.Errorf("%s: it is found", name)
		}
	}
}

// TestWhatIsOver: cases that are closed or part of another wait for nobody.
func TestWhatIsOver(t *testing.T) {
	closed, merged := one(), one()
	closed.State = flow.Closed
	merged.MergedInto = "A-2026-000001"
	for name, c := range map[string]struct {
		s              seek.Search
		closed, merged bool
	}{
		"queue":           {seek.Search{}, false, false},
		"grade":           {seek.Search{Grade: "P4"}, false, false},
		"mine":            {seek.Search{View: "mine", Owner: "olga"}, false, false},
		"done":            {seek.Search{View: "done"}, true, false},
		"all":             {seek.Search{View: "all"}, true, true},
		"account":         {seek.Search{Account: "anna@example.com"}, true, true},
		"open of account": {seek.Search{View: "queue", Account: "anna@example.com"}, false, false},
		"closed":          {seek.Search{State: "CLOSED"}, true, false},
	} {
		if got := c.s.Match(closed); got != c.closed {
			t.Errorf("%s: the closed one is found: %v", name, got)
		}
		if got := c.s.Match(merged); got != c.merged {
			t.Errorf("%s: the merged one is found: %v", name, got)
		}
	}
}

func TestSource(t *testing.T) {
	c := &dossier.Case{
		ID:     "A-2026-000043",
		Kind:   dossier.External,
		State:  flow.Detected,
		Source: dossier.Source{IP: netip.MustParseAddr("203.0.113.9"), Domain: "Evil.example"},
	}
	for _, s := range []string{"203.0.113.9", "evil.example", "EVIL.EXAMPLE"} {
		if !(seek.Search{Source: s}).Match(c) {
			t.Errorf("%s is not found", s)
		}
	}
	if (seek.Search{Source: "203.0.113.8"}).Match(c) {
		t.Error("a neighbour is found")
	}
}

func TestWhatCannotBeAskedFor(t *testing.T) {
	for name, c := range map[string]struct {
		s    seek.Search
		kind error
	}{
		"view":             {seek.Search{View: "blue"}, dossier.ErrInvalid},
		"order":            {seek.Search{Order: "votes"}, dossier.ErrInvalid},
		"mine of nobody":   {seek.Search{View: "mine"}, dossier.ErrNeeds},
		"owner of unowned": {seek.Search{View: "unowned", Owner: "anna"}, dossier.ErrInvalid},
		"long text":        {seek.Search{Text: strings.Repeat("x", seek.MaxSearch+1)}, dossier.ErrInvalid},
		"many domains":     {seek.Search{Domains: make([]string, seek.MaxDomains+1)}, dossier.ErrInvalid},
		"long page":        {seek.Search{Limit: entity.MaxPage + 1}, dossier.ErrInvalid},
		"page of less":     {seek.Search{Limit: -1}, dossier.ErrInvalid},
	} {
		if _, err := c.s.Queries(noon); !errors.Is(err, c.kind) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, view := range seek.Views() {
		if _, err := (seek.Search{View: view, Owner: map[bool]string{true: "anna"}[view == "mine"]}).Queries(noon); err != nil {
			t.Errorf("%s: %v", view, err)
		}
	}
}
