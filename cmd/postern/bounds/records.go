package bounds

import (
	"fmt"
	"time"

	"postern/cmd/postern/features"
	"postern/cmd/postern/rulecalls"
	"postern/internal/config"
	"postern/internal/entity"
	"postern/rules/replay"
)

// Records bound the records of the abuse desk, and the bytes they rest on.
func Records(c *config.Config) []Row {
	caps := c.Store.Caps
	return []Row{
		{"records", "bytes of a record", fmt.Sprint(entity.MaxData), "refused", ""},
		{"records", "octets of its ID", fmt.Sprint(entity.MaxID), "refused", ""},
		{"records", "keys it is found by", fmt.Sprint(entity.MaxKeys), "refused", ""},
		{"records", "octets of a key", fmt.Sprint(entity.MaxValue), "refused", ""},
		{"records", "records of a page", fmt.Sprint(entity.MaxPage), "the next page", ""},
		{"records", "bytes of a page", fmt.Sprint(entity.MaxWeight), "the next page", ""},
		{"records", "bytes of a blob", fmt.Sprint(entity.MaxBlob), "refused", ""},
		{"records", "stored bytes of mail to abuse@", caps.Intake.String(), "refused for now", "store.caps.intake"},
		{"records", "stored bytes of evidence of cases", caps.Cases.String(), "refused for now", "store.caps.cases"},
		{"records", "stored bytes of letters and licence copies", caps.Papers.String(), "refused for now", "store.caps.papers"},
		{"rehearsal", "days that features of mail are kept", fmt.Sprint(int(time.Duration(c.Rules.Replay.Keep) / (24 * time.Hour))), "the oldest go", "rules.replay.keep"},
		{"rehearsal", "stored bytes of them, of a node", c.Rules.Replay.Bytes.String(), "a sample is kept, then the oldest go", "rules.replay.bytes"},
		{"rehearsal", "bytes of records that are written together", fmt.Sprint(features.BlockSize), "the next block", ""},
		{"rehearsal", "blocks that wait for a store which is away", fmt.Sprint(features.MaxBlocks), "features are dropped and counted, mail passes", ""},
		{"rehearsal", "recipients of a message", fmt.Sprint(replay.MaxTo), "the rest is not judged again", ""},
		{"rehearsal", "findings of a message", fmt.Sprint(replay.MaxFindings), "the rest is not kept", ""},
		{"rehearsal", "examples of one kind of flip", fmt.Sprint(replay.MaxExamples), "the rest is counted", ""},
		{"rehearsal", "rule files of a proposal", fmt.Sprint(rulecalls.MaxRuleFiles), "refused", ""},
		{"backup", "how often at most a run is made", config.LeastBackup.String(), "the configuration is refused", ""},
		{"backup", "bytes of a key or of a file of the configuration", "16777216", "the run fails, with an alert", ""},
		{"backup", "runs that stand on a full one", "999", "a full one", ""},
	}
}
