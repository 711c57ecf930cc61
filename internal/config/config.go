// Package config reads postern.yaml: one struct, its defaults, strict loading with every
// error at its place, and the effective configuration in print.
package config

import (
	"time"

	"postern/internal/config/desk"
	"postern/internal/config/value"
)

// Config is the whole of postern.yaml.
type Config struct {
	Hostname       string               `yaml:"hostname" json:"hostname,omitempty" jsonschema:"description=the name we give in banner\\, HELO and Received"`
	State          string               `yaml:"state" json:"state,omitempty" jsonschema:"description=folder of the embedded store\\, spool and control socket"`
	Store          Store                `yaml:"store" json:"store,omitempty"`
	Listeners      []Listener           `yaml:"listeners" json:"listeners,omitempty"`
	TrustedRelays  []Prefix             `yaml:"trusted_relays" json:"trusted_relays,omitempty" jsonschema:"description=hosts whose Received lines are believed when looking for the client"`
	Limits         Limits               `yaml:"limits" json:"limits,omitempty"`
	Rates          map[string]Rate      `yaml:"rates" json:"rates,omitempty" jsonschema:"description=messages per minute\\, hour and day by ip\\, net\\, domain\\, account\\, recipient; recipients by account_recipients; refusals by bad_recipient and errors"`
	Backends       map[string][]Backend `yaml:"backends" json:"backends,omitempty"`
	Routes         map[string]Route     `yaml:"routes" json:"routes,omitempty"`
	TestInbox      value.TestInbox      `yaml:"test_inbox" json:"test_inbox,omitempty" jsonschema:"description=domains whose mail is kept for tests and goes nowhere"`
	Egress         string               `yaml:"egress" json:"egress,omitempty"`
	Relay          Relay                `yaml:"relay" json:"relay,omitempty"`
	RecipientCache RecipientCache       `yaml:"recipient_cache" json:"recipient_cache,omitempty"`
	DNS            DNS                  `yaml:"dns" json:"dns,omitempty"`
	ClamAV         ClamAV               `yaml:"clamav" json:"clamav,omitempty"`
	Lists          []List               `yaml:"lists" json:"lists,omitempty"`
	Auth           Auth                 `yaml:"auth" json:"auth,omitempty"`
	Senders        Senders              `yaml:"senders" json:"senders,omitempty"`
	Abuse          Abuse                `yaml:"abuse" json:"abuse,omitempty" jsonschema:"description=the abuse desk"`
	Reports        Reports              `yaml:"reports" json:"reports,omitempty"`
	QRCodes        bool                 `yaml:"qr_codes" json:"qr_codes,omitempty" jsonschema:"description=links in the QR codes of pictures are judged like others; pictures are read in processes of their own"`
	People         []string             `yaml:"people" json:"people,omitempty" jsonschema:"description=full names of people of yours whom strangers may pretend to be"`
	Headers        Headers              `yaml:"headers" json:"headers,omitempty"`
	Greylist       Greylist             `yaml:"greylist" json:"greylist,omitempty"`
	Learning       value.Learning       `yaml:"learning" json:"learning,omitempty" jsonschema:"description=what is learned of what people call spam and good"`
	Campaigns      value.Campaigns      `yaml:"campaigns" json:"campaigns,omitempty" jsonschema:"description=copies of one letter\\, recognised by a fuzzy hash of its words"`
	Quarantine     Quarantine           `yaml:"quarantine" json:"quarantine,omitempty"`
	Rules          value.Rules          `yaml:"rules" json:"rules,omitempty"`
	Admin          Admin                `yaml:"admin" json:"admin,omitempty"`
	Public         value.Public         `yaml:"public" json:"public,omitempty" jsonschema:"description=pages for everybody: held mail for its recipients\\, references of refusals\\, the form for complaints"`
	Digests        value.Digests        `yaml:"digests" json:"digests,omitempty" jsonschema:"description=letters that tell recipients of their held mail"`
	Desk           Desk                 `yaml:"desk" json:"desk,omitempty" jsonschema:"description=the desk in the browser\\, for who has signed in"`
	API            Web                  `yaml:"api" json:"api,omitempty" jsonschema:"description=calls over HTTP for who has a token"`
	Alerts         Alerts               `yaml:"alerts" json:"alerts,omitempty"`
	Backup         Backup               `yaml:"backup" json:"backup,omitempty"`
	Log            Log                  `yaml:"log" json:"log,omitempty"`
}

// Store says where state lives.
type Store struct {
	Home       string    `yaml:"home" json:"home,omitempty" jsonschema:"enum=local,enum=redis"`
	Addrs      []string  `yaml:"addrs" json:"addrs,omitempty" jsonschema:"description=host:port or unix:/path of the server\\, of the sentinels\\, or of some nodes of the cluster"`
	Sentinel   string    `yaml:"sentinel" json:"sentinel,omitempty" jsonschema:"description=name of the master that the sentinels at addrs watch"`
	Cluster    bool      `yaml:"cluster" json:"cluster,omitempty"`
	User       string    `yaml:"user" json:"user,omitempty"`
	Password   string    `yaml:"password_file" json:"password_file,omitempty"`
	SentinelAs StoreUser `yaml:"sentinel_auth" json:"sentinel_auth,omitempty"`
	TLS        StoreTLS  `yaml:"tls" json:"tls,omitempty"`
	Prefix     string    `yaml:"prefix" json:"prefix,omitempty" jsonschema:"description=in front of every key and channel"`
	Durability string    `yaml:"durability" json:"durability,omitempty" jsonschema:"enum=strict,enum=redis,description=strict keeps what was promised in the node's own journal as well; redis trusts Redis alone"`
	KeyFile    string    `yaml:"key_file" json:"key_file,omitempty" jsonschema:"description=keys in hex\\, one a line\\, the same on all nodes: they seal records that act"`
	Journal    Size      `yaml:"journal" json:"journal,omitempty" jsonschema:"description=largest size of the node's journal"`
	Caps       StoreCaps `yaml:"caps" json:"caps,omitempty"`
	Traffic    Duration  `yaml:"traffic" json:"traffic,omitempty" jsonschema:"description=how long trace finds a message"`
}

// StoreUser is a user of a server.
type StoreUser struct {
	User     string `yaml:"user" json:"user,omitempty"`
	Password string `yaml:"password_file" json:"password_file,omitempty"`
}

// StoreTLS is how Redis is reached over TLS.
type StoreTLS struct {
	CA         string `yaml:"ca" json:"ca,omitempty" jsonschema:"description=PEM file\\, or system; empty: no TLS"`
	Cert       string `yaml:"cert" json:"cert,omitempty" jsonschema:"description=our own certificate\\, where the server asks for one"`
	Key        string `yaml:"key" json:"key,omitempty"`
	ServerName string `yaml:"server_name" json:"server_name,omitempty"`
}

// StoreCaps bound what bodies take in Redis, each kind by itself; 0 = quarantine.cap for holds, no
// bound for the others. Intake, cases and papers are bounded in the embedded home too.
type StoreCaps struct {
	Holds    Size `yaml:"holds" json:"holds,omitempty"`
	Evidence Size `yaml:"evidence" json:"evidence,omitempty"`
	Outbox   Size `yaml:"outbox" json:"outbox,omitempty"`
	Traffic  Size `yaml:"traffic" json:"traffic,omitempty"`
	Sent     Size `yaml:"sent" json:"sent,omitempty" jsonschema:"description=the send log; when it is reached the oldest rows go"`
	Intake   Size `yaml:"intake" json:"intake,omitempty" jsonschema:"description=what arrived at abuse@"`
	Cases    Size `yaml:"cases" json:"cases,omitempty" jsonschema:"description=evidence of cases"`
	Papers   Size `yaml:"papers" json:"papers,omitempty" jsonschema:"description=letters and licence copies"`
}

// TLS is a certificate and key in PEM files, reloaded when they change.
type TLS struct {
	Cert     string `yaml:"cert" json:"cert,omitempty"`
	Key      string `yaml:"key" json:"key,omitempty"`
	ClientCA string `yaml:"client_ca" json:"client_ca,omitempty" jsonschema:"description=CA whose client certificates identify local servers (smarthost)"`
	Implicit bool   `yaml:"implicit" json:"implicit,omitempty" jsonschema:"description=TLS from the first byte (port 465)"`
}

// The kinds of listeners.
const (
	KindInbound    = "inbound"
	KindSubmission = "submission"
	KindSmarthost  = "smarthost"
)

// What an account may write as From and MAIL FROM.
const (
	SendersOwn    = "own"    // its own addresses, and those of Senders that name it
	SendersHosted = "hosted" // any address of a routed domain
	SendersAny    = "any"
)

// Listener is one address we take mail on.
type Listener struct {
	Name              string   `yaml:"name" json:"name"`
	Kind              string   `yaml:"kind" json:"kind" jsonschema:"enum=inbound,enum=submission,enum=smarthost"`
	Addr              string   `yaml:"addr" json:"addr"`
	TLS               TLS      `yaml:"tls" json:"tls,omitempty"`
	ProxyFrom         []Prefix `yaml:"proxy_from" json:"proxy_from,omitempty"`
	XclientFrom       []Prefix `yaml:"xclient_from" json:"xclient_from,omitempty"`
	GreetPause        Duration `yaml:"greet_pause" json:"greet_pause,omitempty"`
	Framing           string   `yaml:"framing" json:"framing,omitempty" jsonschema:"enum=refuse,enum=normalize"`
	Backend           string   `yaml:"backend" json:"backend,omitempty" jsonschema:"description=where AUTH and mail of a submission listener go"`
	Networks          []Prefix `yaml:"networks" json:"networks,omitempty" jsonschema:"description=local servers that may send through a smarthost listener"`
	AccountHeader     string   `yaml:"account_header" json:"account_header,omitempty"`
	MailFromIsAccount bool     `yaml:"mail_from_is_account" json:"mail_from_is_account,omitempty"`
	Senders           string   `yaml:"senders" json:"senders,omitempty" jsonschema:"enum=own,enum=hosted,enum=any,description=what an account may write as From and MAIL FROM: its own addresses\\, any address of a hosted domain\\, anything"`
}

// Limits bound what one client, one network or all of them can ask for.
type Limits struct {
	Sessions   int      `yaml:"sessions" json:"sessions,omitempty"`
	PerIP      int      `yaml:"per_ip" json:"per_ip,omitempty"`
	Per64      int      `yaml:"per_64" json:"per_64,omitempty"`
	Errors     int      `yaml:"errors" json:"errors,omitempty"`
	Commands   int      `yaml:"commands" json:"commands,omitempty"`
	Recipients int      `yaml:"recipients" json:"recipients,omitempty"`
	Message    Size     `yaml:"message" json:"message,omitempty"`
	InFlight   Size     `yaml:"in_flight" json:"in_flight,omitempty"`
	Memory     Size     `yaml:"memory" json:"memory,omitempty" jsonschema:"description=bodies up to this size stay in memory\\, larger ones go to a spool file"`
	Idle       Duration `yaml:"idle" json:"idle,omitempty"`
	DataRate   int      `yaml:"data_rate" json:"data_rate,omitempty" jsonschema:"description=bytes per second a client must send at least during DATA"`
	Line       Size     `yaml:"line" json:"line,omitempty"`
	Received   int      `yaml:"received" json:"received,omitempty"`
}

// Rate bounds messages in three windows; 0 = no bound.
type Rate struct {
	Minute int `yaml:"minute" json:"minute,omitempty"`
	Hour   int `yaml:"hour" json:"hour,omitempty"`
	Day    int `yaml:"day" json:"day,omitempty"`
}

// Backend is one server of a pool.
type Backend struct {
	Addr       string      `yaml:"addr" json:"addr"`
	Protocol   string      `yaml:"protocol" json:"protocol,omitempty" jsonschema:"enum=smtp,enum=lmtp"`
	Priority   int         `yaml:"priority" json:"priority,omitempty"`
	TLS        string      `yaml:"tls" json:"tls,omitempty" jsonschema:"enum=none,enum=opportunistic,enum=required"`
	CA         string      `yaml:"ca" json:"ca,omitempty"`
	ServerName string      `yaml:"server_name" json:"server_name,omitempty"`
	XClient    bool        `yaml:"xclient" json:"xclient,omitempty"`
	XForward   bool        `yaml:"xforward" json:"xforward,omitempty"`
	Auth       BackendAuth `yaml:"auth" json:"auth,omitempty"`
	MaxConns   int         `yaml:"max_conns" json:"max_conns,omitempty"`
}

// BackendAuth is how we log in to a backend (egress).
type BackendAuth struct {
	User         string `yaml:"user" json:"user,omitempty"`
	PasswordFile string `yaml:"password_file" json:"password_file,omitempty"`
}

// Route says where mail of a domain goes; the key is a domain or "*.domain".
type Route struct {
	Backend    string `yaml:"backend" json:"backend"`
	Recipients string `yaml:"recipients" json:"recipients,omitempty" jsonschema:"enum=verify,enum=file,enum=any"`
	File       string `yaml:"file" json:"file,omitempty" jsonschema:"description=addresses\\, one a line\\, for recipients: file"`
}

// Relay bounds the way to the backends.
type Relay struct {
	BeforeDot Duration `yaml:"before_dot" json:"before_dot,omitempty" jsonschema:"description=all backends must be ready for the end of the body within this"`
	AfterDot  Duration `yaml:"after_dot" json:"after_dot,omitempty" jsonschema:"description=how long a backend's final answer is awaited"`
	OutboxFor Duration `yaml:"outbox_for" json:"outbox_for,omitempty"`
}

// RecipientCache says how long a probe's answer is believed.
type RecipientCache struct {
	Known   Duration `yaml:"known" json:"known,omitempty"`
	Unknown Duration `yaml:"unknown" json:"unknown,omitempty"`
}

// DNS is the resolver and the budget of one message.
type DNS struct {
	Servers []string `yaml:"servers" json:"servers,omitempty"`
	Timeout Duration `yaml:"timeout" json:"timeout,omitempty"`
	Budget  Duration `yaml:"budget" json:"budget,omitempty"`
	Queries int      `yaml:"queries" json:"queries,omitempty"`
}

// ClamAV is the virus scanner; no addresses = no scanning.
type ClamAV struct {
	Addrs       []string `yaml:"addrs" json:"addrs,omitempty" jsonschema:"description=unix:/path or host:port\\, tried in turn"`
	Timeout     Duration `yaml:"timeout" json:"timeout,omitempty"`
	OnError     string   `yaml:"on_error" json:"on_error,omitempty" jsonschema:"enum=accept,enum=tag,enum=quarantine,enum=defer"`
	StreamMax   Size     `yaml:"stream_max" json:"stream_max,omitempty" jsonschema:"description=clamd's StreamMaxLength"`
	MaxFile     Size     `yaml:"max_file" json:"max_file,omitempty" jsonschema:"description=clamd's MaxFileSize"`
	MaxScan     Size     `yaml:"max_scan" json:"max_scan,omitempty" jsonschema:"description=clamd's MaxScanSize"`
	Connections int      `yaml:"connections" json:"connections,omitempty"`
	Canary      Duration `yaml:"canary" json:"canary,omitempty"`
	WarnAge     Duration `yaml:"warn_age" json:"warn_age,omitempty"`
	MaxAge      Duration `yaml:"max_age" json:"max_age,omitempty"`
}

// List is a DNS list.
type List struct {
	Name    string            `yaml:"name" json:"name"`
	Zone    string            `yaml:"zone" json:"zone"`
	Of      string            `yaml:"of" json:"of,omitempty" jsonschema:"enum=ip,enum=helo,enum=domain,enum=link"`
	Codes   map[string]string `yaml:"codes" json:"codes,omitempty" jsonschema:"description=answer to symbol"`
	KeyFile string            `yaml:"key_file" json:"key_file,omitempty"`
}

// Auth is SPF, DKIM, DMARC and ARC.
type Auth struct {
	AuthservID     string              `yaml:"authserv_id" json:"authserv_id,omitempty"`
	TrustedSealers map[string][]string `yaml:"trusted_sealers" json:"trusted_sealers,omitempty" jsonschema:"description=by domain of the author (or *): the ARC sealers that are believed about it"`
	ArcSeal        bool                `yaml:"arc_seal" json:"arc_seal,omitempty" jsonschema:"description=seal what is relayed inbound (RFC 8617)"`
	ArcDomain      string              `yaml:"arc_domain" json:"arc_domain,omitempty" jsonschema:"description=the domain whose key seals; the hostname by default"`
	Forwarders     []Forwarder         `yaml:"forwarders" json:"forwarders,omitempty"`
}

// Forwarder is a host that forwards mail of others to us on behalf of our users.
type Forwarder struct {
	Name     string   `yaml:"name" json:"name"`
	Networks []Prefix `yaml:"networks" json:"networks,omitempty"`
	Hosts    []string `yaml:"hosts" json:"hosts,omitempty" jsonschema:"description=confirmed reverse names\\, or *.domain"`
	For      []string `yaml:"for" json:"for,omitempty" jsonschema:"description=recipients or recipient domains it forwards for; all by default"`
}

// Senders says which accounts may write under which address, beside their own.
type Senders struct {
	Allow map[string][]string `yaml:"allow" json:"allow,omitempty" jsonschema:"description=address or @domain to the accounts that may write as it"`
	File  string              `yaml:"file" json:"file,omitempty" jsonschema:"description=the same\\, one address and its accounts a line"`
}

// Reports are those of DMARC and TLS: what we send, and the addresses at which we receive.
type Reports struct {
	Send    bool     `yaml:"send" json:"send,omitempty" jsonschema:"description=send DMARC aggregate reports once a day"`
	From    string   `yaml:"from" json:"from,omitempty" jsonschema:"description=the From of our reports; best in a domain that asks for none"`
	Org     string   `yaml:"org" json:"org,omitempty"`
	Contact string   `yaml:"contact" json:"contact,omitempty"`
	Size    Size     `yaml:"size" json:"size,omitempty" jsonschema:"description=largest report\\, compressed"`
	Day     int      `yaml:"day" json:"day,omitempty" jsonschema:"description=most reports a day"`
	Receive []string `yaml:"receive" json:"receive,omitempty" jsonschema:"description=recipients whose DMARC and TLS reports are read into the table"`
	Keep    Duration `yaml:"keep" json:"keep,omitempty"`
}

// Headers names what we write; exactly these names are removed from mail that comes in.
type Headers struct {
	Verdict   string `yaml:"verdict" json:"verdict,omitempty"`
	Reasons   string `yaml:"reasons" json:"reasons,omitempty"`
	Unchecked string `yaml:"unchecked" json:"unchecked,omitempty"`
	SpamFlag  string `yaml:"spam_flag" json:"spam_flag,omitempty"`
	SpamScore string `yaml:"spam_score" json:"spam_score,omitempty"`
	Stripped  string `yaml:"stripped" json:"stripped,omitempty"`
	Trace     string `yaml:"trace" json:"trace,omitempty" jsonschema:"description=of the token that outbound mail is traced by"`
}

// Greylist is first contact's waiting time.
type Greylist struct {
	Wait        Duration `yaml:"wait" json:"wait,omitempty"`
	RetryWithin Duration `yaml:"retry_within" json:"retry_within,omitempty"`
	Remember    Duration `yaml:"remember" json:"remember,omitempty"`
}

// Quarantine bounds what is held.
type Quarantine struct {
	Cap            Size     `yaml:"cap" json:"cap,omitempty"`
	RejectedBeside Duration `yaml:"rejected_beside" json:"rejected_beside,omitempty"`
	Evidence       Duration `yaml:"evidence" json:"evidence,omitempty"`
}

// Admin is the listener for metrics, health and readiness.
type Admin struct {
	Addr string `yaml:"addr" json:"addr,omitempty"`
}

// Alerts is where trouble is said.
type Alerts struct {
	Mail    []string `yaml:"mail" json:"mail,omitempty"`
	Backend string   `yaml:"backend" json:"backend,omitempty" jsonschema:"description=backend that takes alert mail; the recipient's route by default"`
	Webhook Webhook  `yaml:"webhook" json:"webhook,omitempty"`
}

// Webhook is a signed POST of each alert.
type Webhook struct {
	URL        string `yaml:"url" json:"url,omitempty"`
	SecretFile string `yaml:"secret_file" json:"secret_file,omitempty"`
}

// Log is how much is said.
type Log struct {
	Level string `yaml:"level" json:"level,omitempty" jsonschema:"enum=debug,enum=info,enum=warn,enum=error"`
}

const day = value.Day

// Default is the configuration before any file is read.
func Default() *Config {
	second, minute, hour := Duration(time.Second), Duration(time.Minute), Duration(time.Hour)
	return &Config{
		State: "/var/lib/postern",
		Store: Store{
			Home: "local", User: "postern", Prefix: "postern", Durability: "strict", Journal: 5e9, Traffic: 90 * day,
			Caps: StoreCaps{Evidence: 2e9, Outbox: 2e9, Traffic: 5e9, Sent: 10e9, Intake: 2e9, Cases: 2e9, Papers: 500e6},
		},
		Limits: Limits{
			Sessions: 2000, PerIP: 50, Per64: 100, Errors: 10, Commands: 500, Recipients: 200,
			Message: 50e6, InFlight: 512e6, Memory: 256e3, Idle: 60 * second, DataRate: 500, Line: 64e3, Received: 100,
		},
		Relay:          Relay{BeforeDot: 60 * second, AfterDot: 300 * second, OutboxFor: 5 * day},
		RecipientCache: RecipientCache{Known: 12 * hour, Unknown: 5 * minute},
		DNS:            DNS{Timeout: 2 * second, Budget: 8 * second, Queries: 100},
		ClamAV: ClamAV{
			Timeout: 30 * second, OnError: "defer", StreamMax: 25e6, MaxFile: 25e6, MaxScan: 100e6,
			Connections: 4, Canary: hour, WarnAge: day, MaxAge: 7 * day,
		},
		Headers: Headers{
			Verdict: "X-Postern-Verdict", Reasons: "X-Postern-Reasons", Unchecked: "X-Postern-Unchecked",
			SpamFlag: "X-Spam-Flag", SpamScore: "X-Spam-Score", Stripped: "X-Postern-Stripped", Trace: "X-Postern-Trace",
		},
		Abuse:      desk.Default(),
		Digests:    value.DefaultDigests(),
		TestInbox:  value.DefaultTestInbox(),
		Reports:    Reports{Size: 10e6, Day: 1000, Keep: 400 * day},
		QRCodes:    true,
		Greylist:   Greylist{Wait: 5 * minute, RetryWithin: 48 * hour, Remember: 35 * day},
		Learning:   value.DefaultLearning(),
		Campaigns:  value.DefaultCampaigns(),
		Quarantine: Quarantine{Cap: 20e9, RejectedBeside: 3 * day, Evidence: 90 * day},
		Rules:      value.DefaultRules(),
		Admin:      Admin{Addr: "127.0.0.1:9925"},
		Backup:     defaultBackup(),
		Log:        Log{Level: "info"},
	}
}
