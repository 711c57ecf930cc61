package rules

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"postern/internal/diff"
	"postern/internal/said"
)

// problem is one thing that is wrong with a text.
type problem struct {
	File    string     `json:"file"`
	Line    int        `json:"line"`
	Column  int        `json:"column"`
	Message string     `json:"message"`
	Said    said.Words `json:"said"`
	Here    bool       `json:"here"`
}

// worth is a symbol whose worth changes.
type worth struct{ Symbol, Before, After string }

// due is a deadline that would be another one.
type due struct {
	Team                string
	From, Before, After time.Time
}

// checked is what a check says.
type checked struct {
	OK       bool        `json:"ok"`
	Problems []problem   `json:"problems"`
	More     int         `json:"more"`
	Warnings []string    `json:"warnings"`
	Tests    int         `json:"tests"`
	Restart  []string    `json:"restart"`
	Revision string      `json:"revision"`
	Changes  []worth     `json:"changes"`
	Due      []due       `json:"due"`
	Diff     []diff.Hunk `json:"diff"`
	Base     string      `json:"base"`
	Changed  bool        `json:"changed"`
}

// Key is a key that may be written.
type Key struct {
	Path     string   `json:"path"`
	Type     string   `json:"type"`
	Values   []string `json:"values"`
	Describe string   `json:"describe"`
	Example  string   `json:"example"`
}

// help is what may stand at a place.
type help struct {
	Path string `json:"path"`
	Key  *Key   `json:"key"`
	Keys []Key  `json:"keys"`
	All  bool   `json:"-"`
}

// why is one reason of a verdict.
type why struct {
	Symbol, Describe, Detail, Mark string
	Score                          int64
}

// judged is a verdict.
type judged struct {
	Action  string `json:"action"`
	Policy  string `json:"policy"`
	Score   int64  `json:"score"`
	Reasons []why  `json:"reasons"`
}

// tried is what a held message would get.
type tried struct {
	Hold      string   `json:"hold"`
	Subject   string   `json:"subject"`
	Now       judged   `json:"now"`
	Then      judged   `json:"then"`
	Flips     bool     `json:"flips"`
	Unchecked []string `json:"unchecked"`
	As        []string `json:"as_it_came"`
}

// hold is a held message to try rules on.
type hold struct {
	ID, Subject, From string
	At                time.Time
}

// answer is what another node made of a file.
type answer struct {
	Node string    `json:"node"`
	At   time.Time `json:"at"`
	OK   bool      `json:"ok"`
	Says string    `json:"says"`
}

// delivery is a file that was sent to the other nodes.
type delivery struct {
	Sent *struct {
		By   string    `json:"by"`
		At   time.Time `json:"at"`
		Node string    `json:"node"`
	} `json:"sent"`
	Answers []answer `json:"answers"`
	Waiting []string `json:"waiting"`
}

// editor is the page of one file.
type editor struct {
	file
	New     bool
	Fresh   string // text as in the form; the file's own at first
	Base    string
	Checked *checked
	Help    help
	Tried   *tried
	Hold    string
	Holds   []hold
	Problem string // what kept it from being saved or tried
	MayAct  bool
	MayTry  bool

	MayReplay bool
	Replayed  *replayed

	Saved    bool
	Restart  []string
	Sent     delivery
	Nodes    []node // the other ones
	Last     *change
	Conflict bool
	Theirs   []diff.Hunk
	Note     string
	Gone     bool
}

// Marks are the lines of the text around the places where something is wrong.
func (e editor) Marks() []mark {
	if e.Checked == nil {
		return nil
	}
	bad := map[int]bool{}
	for _, p := range e.Checked.Problems {
		if p.Here && p.Line > 0 {
			bad[p.Line] = true
		}
	}
	var out []mark
	for i, text := range strings.Split(e.Fresh, "\n") {
		if n := i + 1; bad[n] || bad[n-1] || bad[n+1] {
			out = append(out, mark{n, text, bad[n]})
		}
	}
	return out[:min(len(out), 100)]
}

// mark is a line that is shown because something is wrong at it, or beside it.
type mark struct {
	Line int
	Text string
	Bad  bool
}

// Editable reports whether the reader may change the file.
func (e editor) Editable() bool { return e.MayAct && e.ReadOnly == "" }

// Wrong are the lines at which something is wrong, for the numbers beside the text.
func (e editor) Wrong() string {
	var out []string
	if e.Checked != nil {
		for _, p := range e.Checked.Problems {
			if p.Here && p.Line > 0 {
				out = append(out, fmt.Sprint(p.Line))
			}
		}
	}
	return strings.Join(slices.Compact(out), " ")
}
