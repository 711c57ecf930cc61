package demo

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"postern/internal/mailtest"
	"postern/internal/stamp/seal"
)

// Sample is one message that somebody sends to the gateway, and what should become of it.
type Sample struct {
	Name     string
	Client   string // address it comes from, by XCLIENT
	ClientID string // its host name
	From     string
	To       []string
	Body     []byte
	Make     func() ([]byte, error) // the body, made when its turn comes; nil: Body
	Size     int                    // SIZE= said at MAIL; 0 = none
	Login    string                 // local account; "" = mail from outside
	Pause    time.Duration          // the sender waits so long before

	Code  int    // first digits of the answer that is expected
	Where string // where each copy should end: see Row.Where
}

const gtube = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"

// Samples are the messages of the demo.
func (w *World) Samples(now time.Time) ([]Sample, error) {
	infected, err := infectedZip()
	if err != nil {
		return nil, err
	}
	signed, err := w.sign("signed.example", mail(now, "Grace <grace@signed.example>", "ada@example.com", "Signed and in order", "This one carries a signature that verifies.\r\n"))
	if err != nil {
		return nil, err
	}
	plain := mail(now, "Frank <frank@friend.example>", "ada@example.com", "Lunch on Friday?", "Shall we meet at noon?\r\n\r\nFrank\r\n")
	lure := mail(now, "Account Service <service@crook.example>", "bob@example.com", "You are a LOTTERY WINNER",
		"Dear lottery winner,\r\n\r\nYou have won 1,500,000 US dollars in the international lottery. To claim your prize\r\nsend your bank account details and a processing fee by Western Union to our agent.\r\nThis is strictly confidential. God bless.\r\n")
	all := []Sample{
		{Name: "plain", Client: friendIP, ClientID: "mail.friend.example", From: "frank@friend.example", To: []string{"ada@example.com"}, Body: plain, Code: 250, Where: "delivered"},
		{Name: "signed", Client: signedIP, ClientID: "out.signed.example", From: "grace@signed.example", To: []string{"ada@example.com"}, Body: signed, Code: 250, Where: "delivered"},
		{Name: "spoofed bank", Client: crookIP, ClientID: "mx.crook.example", From: "info@bank.example", To: []string{"ada@example.com"},
			Body: mail(now, "Your Bank <info@bank.example>", "ada@example.com", "Your statement", "Please see your statement.\r\n"), Code: 550, Where: "refused"},
		{Name: "GTUBE", Client: friendIP, ClientID: "mail.friend.example", From: "frank@friend.example", To: []string{"ada@example.com"},
			Body: mail(now, "Frank <frank@friend.example>", "ada@example.com", "A test for filters", gtube+"\r\n"), Code: 550, Where: "refused"},
		{Name: "EICAR in a zip", Client: friendIP, ClientID: "mail.friend.example", From: "frank@friend.example", To: []string{"ada@example.com"},
			Body: withAttachment(now, "invoice.zip", infected), Code: 550, Where: "refused, a copy kept as evidence"},
		{Name: "blocklisted IP", Client: listedIP, ClientID: "host.listed.example", From: "x@friend.example", To: []string{"ada@example.com"}, Body: plain, Code: 550, Where: "refused"},
		{Name: "unknown recipient", Client: friendIP, ClientID: "mail.friend.example", From: "frank@friend.example", To: []string{"nobody@example.com"}, Body: plain, Code: 550, Where: "refused"},
		{Name: "two recipients, one refuses", Client: crookIP, ClientID: "mx.crook.example", From: "promo@crook.example", To: []string{"bob@example.com", "strict@example.com"},
			Body: mail(now, "Promo <promo@crook.example>", "bob@example.com", "Congratulations!! You have been selected", "Act now! Limited time offer for you.\r\n"),
			Code: 250, Where: "delivered; held (rejected-beside)"},
		{Name: "too large", Client: friendIP, ClientID: "mail.friend.example", From: "frank@friend.example", To: []string{"ada@example.com"}, Body: plain, Size: 5_000_000, Code: 552, Where: "refused"},
		{Name: "lottery", Client: crookIP, ClientID: "mx.crook.example", From: "service@crook.example", To: []string{"bob@example.com"}, Body: lure, Code: 250, Where: "held (quarantine)"},
		{Name: "outbound", Login: "ada@example.com", From: "ada@example.com", To: []string{"frank@friend.example"},
			Body: mail(now, "Ada <ada@example.com>", "frank@friend.example", "Re: Lunch on Friday?", "Noon is fine.\r\n"), Code: 250, Where: "delivered"},
		{Name: "outbound, suspended account", Login: "mallory@example.com", From: "mallory@example.com", To: []string{"frank@friend.example"},
			Body: mail(now, "Mallory <mallory@example.com>", "frank@friend.example", "Hello", "Hello.\r\n"), Code: 550, Where: "refused"},
	}
	posted, err := w.posted(now)
	if err != nil {
		return nil, err
	}
	offer := mail(now, "Shop <shop@crook.example>", "carol@example.com", "Special offer", "Only this week.\r\n")
	all = append(all,
		Sample{Name: "EICAR, policy strips", Client: friendIP, ClientID: "mail.friend.example", From: "frank@friend.example", To: []string{"carol@example.com"},
			Body: withAttachment(now, "invoice.zip", infected), Code: 250, Where: "delivered, a copy kept as evidence"},
		Sample{Name: "bank's mail by trusted list", Client: listsIP, ClientID: "mx.lists.example", From: "talk-bounces@lists.example", To: []string{"carol@example.com"},
			Body: posted, Code: 250, Where: "delivered"},
		Sample{Name: "doubtful, first contact", Client: crookIP, ClientID: "mx.crook.example", From: "shop@crook.example", To: []string{"carol@example.com"},
			Body: offer, Code: 451, Where: "with the sender, who tries again"},
		Sample{Name: "the same, a second later", Client: crookIP, ClientID: "mx.crook.example", From: "shop@crook.example", To: []string{"carol@example.com"},
			Body: offer, Pause: 1100 * time.Millisecond, Code: 250, Where: "delivered"},
	)
	return append(all, w.complaints(now)...), nil
}

// posted is mail of the bank that a list has changed and sealed: its signature is broken.
func (w *World) posted(now time.Time) ([]byte, error) {
	raw, err := w.sign("bank.example", mail(now, "Bea <bea@bank.example>", "talk@lists.example", "About fees", "They stay as they are.\r\n"))
	if err != nil {
		return nil, err
	}
	raw = bytes.Replace(raw, []byte("Subject: "), []byte("Subject: [talk] "), 1)
	raw = append([]byte("Authentication-Results: lists.example; dmarc=pass header.from=bank.example\r\n"), raw...)
	one := seal.Sealer{Domain: "lists.example", Selector: "demo", AuthservID: "lists.example", Key: w.key}
	set, err := one.Seal(bytes.NewReader(raw), "none", now)
	return append(set, raw...), err
}

func mail(now time.Time, from, to, subject, body string) []byte {
	return fmt.Appendf(nil, "From: %s\r\nTo: <%s>\r\nSubject: %s\r\nDate: %s\r\nMessage-ID: <%x@demo.example>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n%s",
		from, to, subject, now.Format(time.RFC1123Z), len(subject)*7919+len(body), body)
}

func withAttachment(now time.Time, name string, content []byte) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "From: Frank <frank@friend.example>\r\nTo: <ada@example.com>\r\nSubject: The invoice\r\nDate: %s\r\nMessage-ID: <zip@demo.example>\r\n", now.Format(time.RFC1123Z))
	b.WriteString("MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"=_demo\"\r\n\r\n--=_demo\r\nContent-Type: text/plain\r\n\r\nSee attached.\r\n--=_demo\r\n")
	fmt.Fprintf(&b, "Content-Type: application/zip; name=%q\r\nContent-Disposition: attachment; filename=%q\r\nContent-Transfer-Encoding: base64\r\n\r\n", name, name)
	text := base64.StdEncoding.EncodeToString(content)
	for len(text) > 76 {
		b.WriteString(text[:76] + "\r\n")
		text = text[76:]
	}
	b.WriteString(text + "\r\n--=_demo--\r\n")
	return []byte(b.String())
}

func infectedZip() ([]byte, error) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	f, err := z.Create("invoice.com")
	if err != nil {
		return nil, err
	}
	if _, err := f.Write(mailtest.EICAR()); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func (w *World) sign(domain string, raw []byte) ([]byte, error) {
	var b bytes.Buffer
	err := dkim.Sign(&b, bytes.NewReader(raw), &dkim.SignOptions{Domain: domain, Selector: "demo", Signer: w.key, HeaderKeys: []string{"From", "To", "Subject", "Date"}})
	return b.Bytes(), err
}
