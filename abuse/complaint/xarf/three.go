package xarf

import (
	"strings"

	"postern/abuse/complaint/claim"
)

// three reads version 3, in the two ways its fields were named.
func (r *reading) three(o object) {
	d := &r.doc
	d.Version = o.text("Version")
	who, rep := o.object("ReporterInfo"), o.object("Report")
	more, src := rep.object("AdditionalInfo"), rep.object("Source")
	d.Reporter = Party{Org: who.text("ReporterOrg"), Contact: who.text("ReporterOrgEmail", "ReporterContactEmail"), Domain: who.text("ReporterOrgDomain")}
	if _, domain, ok := strings.Cut(d.Reporter.Contact, "@"); ok && d.Reporter.Domain == "" {
		d.Reporter.Domain = strings.ToLower(domain)
	}
	d.Sender, d.ID = d.Reporter, rep.text("ReportID")
	r.when(rep.raw("Date"))
	if d.Source = rep.text("SourceIp", "SourceIP"); d.Source == "" {
		d.Source = src.text("IP", "Domain", "Value", "URL")
	}
	if n := rep.number("SourcePort"); n != 0 {
		r.port(n)
	} else {
		r.port(src.number("Port"))
	}
	d.Category, d.Type = kind3(rep.text("ReportType"))
	d.Protocol = strings.ToLower(first(rep.text("Protocol"), more.text("Protocol")))
	d.MailFrom = claim.Address(first(rep.raw("SmtpMailFromAddress"), more.raw("SMTPFrom")))
	d.RcptTo = claim.Address(first(rep.raw("SmtpRcptToAddress"), more.raw("SMTPTo")))
	d.Subject = first(rep.text("SmtpMessageSubject"), more.text("Subject"))
	d.UserAgent, d.Description = rep.text("UserAgent"), first(rep.text("AttackDescription"), more.text("Description"))
	d.URL = first(rep.text("Url", "URL"), first(more.text("URL", "Url"), src.text("URL")))
	d.Count, d.EvidenceSource = rep.number("AttackCount"), more.text("DetectionMethod")
	list := rep.list("Samples")
	if list == nil {
		list = rep.list("Attachment")
	}
	for _, e := range r.items(list) {
		encoded, said := e.yes("Base64Encoded")
		r.evidence(e, "ContentType", "Description", []string{"Payload", "Data"}, "", encoded || !said)
	}
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// kind3 is the category and type of version 4 for a ReportType of version 3.
func kind3(name string) (category, kind string) {
	name = strings.NewReplacer("-", "_", " ", "_").Replace(strings.ToLower(name))
	switch name {
	case "spam":
		return "messaging", "spam"
	case "login_attack", "port_scan", "ddos":
		return "connection", name
	case "phishing", "malware", "fraud":
		return "content", name
	case "botnet", "bot":
		return "infrastructure", "botnet"
	case "copyright":
		return "copyright", "copyright"
	}
	return "", name
}
