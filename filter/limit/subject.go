package limit

import (
	"net/netip"

	"postern/filter"
	"postern/internal/address"
)

// Rate bounds messages in three windows; 0 = no bound.
type Rate struct{ Minute, Hour, Day int }

func (r Rate) none() bool { return r == Rate{} }

// Config is what is bounded. An IPv6 client counts as its /64, its network as its /48: nobody
// is handed less. MaxKeys bounds memory, in equal shares for each kind: 0 = 200,000 keys of
// about 300 bytes, 500 where nodes share.
type Config struct {
	IP, Net, Domain, Account, Recipient Rate

	AccountRecipients Rate // recipients of an account's messages
	BadRecipient      Rate // unknown recipients asked for by an address
	Errors            Rate // 5xx answers to an address

	MaxKeys int
}

// kinds are how many symbols share MaxKeys, as equals.
const (
	defaultKeys = 200_000
	kinds       = 10
)

// none reports that nothing is bounded.
func (c Config) none() bool { return c == Config{MaxKeys: c.MaxKeys} }

func (c Config) keys() int {
	if c.MaxKeys <= 0 {
		return defaultKeys
	}
	return c.MaxKeys
}

// subject is one thing that is bounded.
type subject struct {
	symbol, kind, name string
	rate               Rate
	recipient          string // Finding.For
}

// sender are the subjects of a stranger's message whatever its recipients.
func (c Config) sender(m *filter.Message) []subject {
	return []subject{
		{symbol: RateIP, kind: "address", name: ipKey(m.Client.IP), rate: c.IP},
		{symbol: RateNet, kind: "network", name: netKey(m.Client.IP), rate: c.Net},
		{symbol: RateDomain, kind: "sender domain", name: domainKey(m), rate: c.Domain},
	}
}

func (c Config) account(m *filter.Message) subject {
	return subject{symbol: RateAccount, kind: "account", name: address.Normalize(m.Account), rate: c.Account}
}

func (c Config) accountRecipients(m *filter.Message, recipient string) subject {
	return subject{symbol: RateAccountRcpt, kind: "account", name: address.Normalize(m.Account), rate: c.AccountRecipients, recipient: recipient}
}

func (c Config) recipient(address string) subject {
	return subject{symbol: RateRecipient, kind: "recipient", name: recipientKey(address), rate: c.Recipient, recipient: address}
}

// refusals are the subjects that Done counts and nothing reserves.
func (c Config) refusals(ip netip.Addr) (bad, all subject) {
	name := ipKey(ip)
	return subject{symbol: RateBadRcpt, kind: "address", name: name, rate: c.BadRecipient},
		subject{symbol: RateErrors, kind: "address", name: name, rate: c.Errors}
}
