package home

import "postern/internal/store/move"

// Size is what one kind of state takes.
type Size struct {
	Of    string `json:"of"` // holds, evidence, outbox, traffic ...
	Items int64  `json:"items"`
	Bytes int64  `json:"bytes"`
	Cap   int64  `json:"cap,omitempty"`  // 0: none of its own
	Days  int    `json:"days,omitempty"` // how long an item is kept by default; 0: until it is over
}

// Each is what one item takes on the average; 0 where there is none.
func (s Size) Each() float64 {
	if s.Items <= 0 {
		return 0
	}
	return float64(s.Bytes) / float64(s.Items)
}

// Reindexed counts what was made again from the records themselves.
type Reindexed struct {
	Holds   int `json:"holds"`
	Outbox  int `json:"outbox"`
	Records int `json:"records"`
	Blobs   int `json:"blobs"`
	Damaged int `json:"damaged,omitempty"` // records that do not verify: left alone
}

// Moved is what a move took over.
type Moved = move.Moved

// The kinds of state that grow with the mail.
const (
	OfHolds     = "holds"
	OfEvidence  = "evidence"
	OfOutbox    = "outbox"
	OfTraffic   = "traffic"
	OfHistory   = "history"
	OfGreylist  = "greylist"
	OfReports   = "reports"
	OfJournal   = "journal"
	OfRecords   = "records" // of cases, reports, measures, users ...
	OfIntake    = "intake"  // what arrived at abuse@
	OfCases     = "cases"   // evidence of cases
	OfPapers    = "papers"
	OfInbox     = "test inbox"
	OfSent      = "sent"      // the send log
	OfCampaigns = "campaigns" // fuzzy hashes of letters, with who got copies
	OfLearned   = "learned"   // words, as counts; the messages they are of are records
)
