package keys_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"postern/cmd/postern/rulecalls/keys"
	"postern/rules"
)

// written is a key in a file of rules as somebody would write it.
type written struct {
	path string
	text string
	at   string // the caret stands behind this
}

// everyKey has each key of files of rules once.
func everyKey() []written {
	return []written{
		{
			path: "symbols",
			at:   "symbols:",
			text: `
symbols:
  HOUSE_ONE: {score: 1, describe: One}
`,
		},
		{
			path: "symbols.*",
			at:   "HOUSE_ONE:",
			text: `
symbols:
  HOUSE_ONE: {score: 1, describe: One}
`,
		},
		{
			path: "symbols.*.score",
			at:   "score:",
			text: `
symbols:
  HOUSE_ONE:
    describe: One
    score: 1.5
`,
		},
		{
			path: "symbols.*.action",
			at:   "action:",
			text: `
symbols:
  HOUSE_ONE:
    describe: One
    action: quarantine
`,
		},
		{
			path: "symbols.*.stage",
			at:   "stage:",
			text: `
symbols:
  HOUSE_ONE:
    describe: One
    action: reject
    stage: rcpt
`,
		},
		{
			path: "symbols.*.unless",
			at:   "unless:",
			text: `
symbols:
  HOUSE_ONE:
    describe: One
    unless: [ARC_TRUSTED]
`,
		},
		{
			path: "symbols.*.describe",
			at:   "describe:",
			text: `
symbols:
  HOUSE_ONE:
    describe: One
    score: 1
`,
		},
		{
			path: "patterns",
			at:   "patterns:",
			text: `
patterns:
  - id: HOUSE_ONE
    describe: One
    in: subject
    match: 'prize'
    score: 1
`,
		},
		{
			path: "patterns[].id",
			at:   "id:",
			text: `
patterns:
  - id: HOUSE_ONE
    describe: One
    in: subject
    match: 'prize'
    score: 1
`,
		},
		{
			path: "patterns[].describe",
			at:   "describe:",
			text: `
patterns:
  - id: HOUSE_ONE
    describe: One
    in: subject
    match: 'prize'
    score: 1
`,
		},
		{
			path: "patterns[].in",
			at:   "in:",
			text: `
patterns:
  - id: HOUSE_ONE
    describe: One
    in: subject
    match: 'prize'
    score: 1
`,
		},
		{
			path: "patterns[].match",
			at:   "match:",
			text: `
patterns:
  - id: HOUSE_ONE
    describe: One
    in: subject
    match: 'prize'
    score: 1
`,
		},
		{
			path: "patterns[].times",
			at:   "times:",
			text: `
patterns:
  - id: HOUSE_ONE
    describe: One
    in: body
    match: 'prize'
    times: 3
    score: 1
`,
		},
		{
			path: "patterns[].quiet",
			at:   "quiet:",
			text: `
patterns:
  - id: HOUSE_ONE
    describe: One
    in: body
    match: 'prize'
    quiet: true
`,
		},
		{
			path: "patterns[].score",
			at:   "score:",
			text: `
patterns:
  - id: HOUSE_ONE
    describe: One
    in: subject
    match: 'prize'
    score: 2.0
`,
		},
		{
			path: "patterns[].action",
			at:   "action:",
			text: `
patterns:
  - id: HOUSE_ONE
    describe: One
    in: subject
    match: 'prize'
    action: quarantine
`,
		},
		{
			path: "patterns[].unless",
			at:   "unless:",
			text: `
patterns:
  - id: HOUSE_ONE
    describe: One
    in: subject
    match: 'prize'
    score: 1
    unless: [DKIM_PASS]
`,
		},
		{
			path: "patterns[].tests",
			at:   "tests:",
			text: `
patterns:
  - id: HOUSE_ONE
    describe: One
    in: subject
    match: 'prize'
    tests:
      hit: ["You won a prize"]
      miss: ["the price list"]
`,
		},
		{
			path: "patterns[].tests.hit",
			at:   "hit:",
			text: `
patterns:
  - id: HOUSE_ONE
    describe: One
    in: subject
    match: 'prize'
    tests:
      hit: ["You won a prize"]
`,
		},
		{
			path: "patterns[].tests.miss",
			at:   "miss:",
			text: `
patterns:
  - id: HOUSE_ONE
    describe: One
    in: subject
    match: 'prize'
    tests:
      miss: ["the price list"]
`,
		},
		{
			path: "composites",
			at:   "composites:",
			text: `
composites:
  - id: HOUSE_ALL
    describe: All
    when: SPF_FAIL and DKIM_FAIL
    score: 1
`,
		},
		{
			path: "composites[].id",
			at:   "id:",
			text: `
composites:
  - id: HOUSE_ALL
    describe: All
    when: SPF_FAIL and DKIM_FAIL
    score: 1
`,
		},
		{
			path: "composites[].describe",
			at:   "describe:",
			text: `
composites:
  - id: HOUSE_ALL
    describe: All
    when: SPF_FAIL and DKIM_FAIL
    score: 1
`,
		},
		{
			path: "composites[].when",
			at:   "when:",
			text: `
composites:
  - id: HOUSE_ALL
    describe: All
    when: SPF_FAIL and DKIM_FAIL
    score: 1
`,
		},
		{
			path: "composites[].quiet",
			at:   "quiet:",
			text: `
composites:
  - id: HOUSE_TWO
    describe: Two
    when: SPF_FAIL and DMARC_FAIL
    quiet: true
`,
		},
		{
			path: "composites[].score",
			at:   "score:",
			text: `
composites:
  - id: HOUSE_ALL
    describe: All
    when: SPF_FAIL and DKIM_FAIL
    score: 4.0
`,
		},
		{
			path: "composites[].action",
			at:   "action:",
			text: `
composites:
  - id: HOUSE_ALL
    describe: All
    when: SPF_FAIL and DKIM_FAIL
    action: reject
`,
		},
		{
			path: "composites[].stage",
			at:   "stage:",
			text: `
composites:
  - id: HOUSE_ALL
    describe: All
    when: SPF_FAIL
    action: reject
    stage: rcpt
`,
		},
		{
			path: "policies",
			at:   "policies:",
			text: `
policies:
  sales:
    quarantine: 9
`,
		},
		{
			path: "policies.*",
			at:   "sales:",
			text: `
policies:
  sales:
    quarantine: 9
`,
		},
		{
			path: "policies.*.extends",
			at:   "extends:",
			text: `
policies:
  sales:
    extends: default
`,
		},
		{
			path: "policies.*.tag",
			at:   "tag:",
			text: `
policies:
  sales:
    tag: 4
`,
		},
		{
			path: "policies.*.greylist",
			at:   "greylist:",
			text: `
policies:
  sales:
    greylist: off
`,
		},
		{
			path: "policies.*.quarantine",
			at:   "quarantine:",
			text: `
policies:
  sales:
    quarantine: 9
`,
		},
		{
			path: "policies.*.reject",
			at:   "reject:",
			text: `
policies:
  sales:
    reject: 20
`,
		},
		{
			path: "policies.*.most",
			at:   "most:",
			text: `
policies:
  sales:
    most: quarantine
`,
		},
		{
			path: "policies.*.unscannable",
			at:   "unscannable:",
			text: `
policies:
  sales:
    unscannable: quarantine
`,
		},
		{
			path: "policies.*.encrypted",
			at:   "encrypted:",
			text: `
policies:
  sales:
    encrypted: tag
`,
		},
		{
			path: "policies.*.attachments",
			at:   "attachments:",
			text: `
policies:
  sales:
    attachments:
      hold: [program]
`,
		},
		{
			path: "policies.*.attachments.refuse",
			at:   "refuse:",
			text: `
policies:
  sales:
    attachments:
      refuse: [program]
`,
		},
		{
			path: "policies.*.attachments.hold",
			at:   "hold:",
			text: `
policies:
  sales:
    attachments:
      hold: [program]
`,
		},
		{
			path: "policies.*.attachments.tag",
			at:   "tag:",
			text: `
policies:
  sales:
    attachments:
      tag: [program]
`,
		},
		{
			path: "policies.*.keep_days",
			at:   "keep_days:",
			text: `
policies:
  sales:
    keep_days: 30
`,
		},
		{
			path: "policies.*.antivirus.scan",
			at:   "scan:",
			text: `
policies:
  sales:
    antivirus:
      scan: true
`,
		},
		{
			path: "policies.*.antivirus.infected",
			at:   "infected:",
			text: `
policies:
  sales:
    antivirus:
      infected: strip
`,
		},
		{
			path: "policies.*.antivirus.keep_original",
			at:   "keep_original:",
			text: `
policies:
  sales:
    antivirus:
      keep_original: false
`,
		},
		{
			path: "policies.*.dmarc.reject",
			at:   "reject:",
			text: `
policies:
  sales:
    dmarc:
      reject: hold
`,
		},
		{
			path: "policies.*.dmarc.quarantine",
			at:   "quarantine:",
			text: `
policies:
  sales:
    dmarc:
      quarantine: tag
`,
		},
		{
			path: "policies.*.dmarc.on_list",
			at:   "on_list:",
			text: `
policies:
  sales:
    dmarc:
      on_list: tag
`,
		},
		{
			path: "policies.*.antivirus",
			at:   "antivirus:",
			text: `
policies:
  sales:
    antivirus: {infected: tag}
`,
		},
		{
			path: "policies.*.dmarc",
			at:   "dmarc:",
			text: `
policies:
  sales:
    dmarc: {reject: hold}
`,
		},
		{
			path: "recipients",
			at:   "recipients:",
			text: `
recipients:
  "*@example.com": default
`,
		},
		{
			path: "recipients.*",
			at:   "sales@example.com:",
			text: `
recipients:
  sales@example.com: default
`,
		},
		{
			path: "accounts",
			at:   "accounts:",
			text: `
accounts:
  "*": outgoing
`,
		},
		{
			path: "accounts.*",
			at:   "ann@example.com:",
			text: `
accounts:
  ann@example.com: outgoing
`,
		},
	}
}

// What the help says may be written is read by those who read the files, and a caret at the key
// finds its help.
func TestEveryKeyOfRulesIsReadAndFound(t *testing.T) {
	all, err := keys.Of("rules")
	if err != nil {
		t.Fatal(err)
	}
	tested, loaded := map[string]bool{}, map[string]bool{}
	for _, w := range everyKey() {
		tested[w.path] = true
		end := strings.Index(w.text, w.at) + len(w.at)
		line := strings.Count(w.text[:end], "\n") + 1
		column := end - strings.LastIndexByte(w.text[:end], '\n') - 1
		path := keys.PathAt(w.text, line, column)
		found, beside := keys.Find(all, path)
		if found == nil || found.Path != w.path {
			t.Errorf("%s: the caret stands at %q and finds %v", w.path, path, found)
			continue
		}
		if len(beside) == 0 && !strings.HasSuffix(w.path, ".*") {
			t.Errorf("%s: nothing may stand there", w.path)
		}
		read := loaded[w.text]
		loaded[w.text] = true
		if read {
			continue
		}
		if _, err := rules.LoadFS(rules.Layer{FS: fstest.MapFS{"a.yaml": {Data: []byte(w.text)}}}); err != nil {
			t.Errorf("%s: %v", w.path, err)
		}
	}
	for _, k := range all {
		if !tested[k.Path] {
			t.Errorf("%s is not tested", k.Path)
		}
	}
}
