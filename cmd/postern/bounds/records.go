package bounds

import (
	"fmt"

	"postern/internal/config"
	"postern/internal/entity"
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
		{"backup", "how often at most a run is made", config.LeastBackup.String(), "the configuration is refused", ""},
		{"backup", "bytes of a key or of a file of the configuration", "16777216", "the run fails, with an alert", ""},
		{"backup", "runs that stand on a full one", "999", "a full one", ""},
	}
}
