package bounds

import (
	"fmt"
	"time"

	"postern/blocklist/link"
	"postern/filter/auth"
	"postern/filter/auth/arc"
	"postern/filter/auth/dkim"
	"postern/filter/auth/signature"
	"postern/filter/auth/spf"
	"postern/filter/history"
	"postern/internal/canon"
	"postern/internal/config"
	"postern/internal/report/aggregate"
	"postern/internal/report/tlsreport"
	"postern/internal/stamp/keys"
	storegrey "postern/internal/store/local/greylist"
	storehistory "postern/internal/store/local/history"
)

// Proof bound the work of telling who sent a message.
func Proof() []Row {
	row := func(what string, value any, past string) Row {
		return Row{"authentication", what, Shown(value), past, ""}
	}
	return []Row{
		row("terms of SPF that ask the DNS", spf.MaxTerms, "permerror"), row("SPF answers without a record", spf.MaxVoid, "permerror"),
		row("hosts of one mx or ptr term of SPF", spf.MaxNames, "permerror"), row("questions of SPF", spf.MaxQuestions, "permerror"),
		row("octets of a header that is signed", canon.MaxHeader, "signatures are not looked at"), row("fields of such a header", canon.MaxFields, "signatures are not looked at"),
		row("DKIM signatures", dkim.MaxSignatures, "the rest is not looked at"), row("ARC sets", canon.MaxSets, "the chain fails"),
		row("keys of an ARC chain", arc.MaxKeys, "the chain fails"), row("difference of clocks in signatures", signature.Skew, "expired, or from the future"),
		row("domains of authors", auth.MaxAuthors, "FROM_MALFORMED, permerror"), row("domains of links asked about", link.Most, "a part of them, in the ledger"),
		row("bits of an RSA key that signs, at least", keys.MinBits, "refused"), row("bits of an RSA key that signs, at most", keys.MaxBits, "refused"),
		row("time a retired key must stay in the DNS", keys.KeepRetired, "it may go"),
	}
}

// Shown is a bound as the configuration writes it.
func Shown(value any) string {
	if d, ok := value.(time.Duration); ok {
		return config.Duration(d).String()
	}
	return fmt.Sprint(value)
}

// Memory bound what is remembered, and reports.
func Memory(c *config.Config) []Row {
	row := func(what string, value any, past, key string) Row {
		return Row{"memory", what, Shown(value), past, key}
	}
	return []Row{
		row("keys of history", storehistory.MaxKeys, "the oldest go", ""), row("time a source or list is remembered", history.Keep, "forgotten", ""),
		row("time a correspondent is remembered", history.KeepCorrespondent, "forgotten", ""), row("signatures watched for replay", history.MaxSignatures, "the oldest go", ""),
		row("envelopes of one signature in an hour", history.ReplayEnvelopes, history.SignatureReplayed, ""),
		row("senders who wait, and sources who came again, each", storegrey.Rows, "the oldest go", ""),
		row("time a first contact waits", c.Greylist.Wait, "taken", "greylist.wait"), row("time in which it may come again", c.Greylist.RetryWithin, "a new first contact", "greylist.retry_within"),
		row("time a source is remembered that came again", c.Greylist.Remember, "a new first contact", "greylist.remember"),
		row("bytes of a DMARC report we send", c.Reports.Size, "not sent, noted", "reports.size"), row("reports we send in a day", c.Reports.Day, "the next day", "reports.day"),
		row("bytes of a received DMARC report, unpacked", aggregate.MaxBytes, "not read, in the log", ""), row("records of one", aggregate.MaxRecords, "not read, in the log", ""),
		row("bytes of a received TLS report, unpacked", tlsreport.MaxBytes, "not read, in the log", ""), row("time reports are kept", c.Reports.Keep, "dropped", "reports.keep"),
	}
}
