package desk

import (
	"fmt"
	"strings"
	"time"

	"postern/internal/address"
	"postern/internal/config/value"
	"postern/internal/strict"
)

// Trace is how outbound mail is found again when somebody complains about it.
type Trace struct {
	KeyFile    string            `yaml:"key_file" json:"key_file,omitempty" jsonschema:"description=keys of the trace tokens\\, the same on all nodes; empty: trace.keys in the state folder\\, made at the first start"`
	Keep       value.Duration    `yaml:"keep" json:"keep,omitempty" jsonschema:"description=how long the send log is kept"`
	SignAs     string            `yaml:"sign_as" json:"sign_as,omitempty" jsonschema:"description=domain of the gateway that signs all outbound mail beside the author's own; empty: none does"`
	Complaints map[string]string `yaml:"complaints" json:"complaints,omitempty" jsonschema:"description=by domain of the author (or * for all hosted ones): the address in CFBL-Address (RFC 9477); abuse@ is that of the domain itself; off writes none"`
}

// NoComplaints is the value of Trace.Complaints for domains without CFBL-Address.
const NoComplaints = "off"

func defaultTrace() Trace {
	return Trace{Keep: 180 * value.Day, Complaints: map[string]string{"*": "abuse@"}}
}

// ComplaintsFor is the address that takes complaints about mail of a domain, "" = none. hosted
// says that mail for the domain comes here.
func (t Trace) ComplaintsFor(domain string, hosted bool) string {
	to, named := t.Complaints[domain]
	if !named && hosted {
		to = t.Complaints["*"]
	}
	switch {
	case to == NoComplaints || to == "":
		return ""
	case strings.HasSuffix(to, "@"):
		return to + domain
	}
	return to
}

func (t Trace) validate(d *strict.Document) {
	const at = "abuse.trace"
	if t.Keep < 180*value.Day {
		d.Fail(at+".keep", "%s is too short: complaints come late, and retired keys are kept for 180 days", time.Duration(t.Keep))
	}
	if t.SignAs != "" && !address.ValidDomain(t.SignAs) {
		d.Fail(at+".sign_as", "%q is no domain", t.SignAs)
	}
	for domain, to := range t.Complaints {
		key := fmt.Sprintf("%s.complaints.%s", at, domain)
		if domain != "*" && !address.ValidDomain(domain) {
			d.Fail(key, "%q is no domain", domain)
		}
		if to == NoComplaints || to == "" {
			continue
		}
		if local, own := strings.CutSuffix(to, "@"); own {
			to = local + "@example.com"
		}
		if _, err := address.Parse(to, false); err != nil {
			d.Fail(key, "%q is no address, local part with @, or off", t.Complaints[domain])
		}
	}
}
