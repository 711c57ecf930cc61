package demo

import (
	"bytes"
	"fmt"
	"time"
)

// complaints are what becomes of mail that a local account should not have sent: somebody who
// got it complains, and somebody complains with proof that is none.
func (w *World) complaints(now time.Time) []Sample {
	const eve, shop = "eve@example.com", "Eve's watches"
	pitch := mail(now, "Eve <"+eve+">", "frank@friend.example", shop, "Finest watches, today at a tenth of their price. Everybody in your address book should have one,\r\nand so should you. Answer with your bank account and we send it tomorrow.\r\n")
	return []Sample{
		{Name: "outbound spam of an account", Login: eve, From: eve, To: []string{"frank@friend.example"}, Body: pitch, Code: 250, Where: "delivered"},
		{Name: "complaint with the whole mail", Client: signedIP, ClientID: "out.signed.example", From: "grace@signed.example", To: []string{"abuse@example.com"},
			Make: func() ([]byte, error) {
				copied, err := w.sentBy(eve)
				if err != nil {
					return nil, err
				}
				return w.sign("signed.example", report(now, "grace@signed.example", "I never asked for this.", copied))
			},
			Code: 250, Where: "with the abuse desk: proof P4, one vote against eve@example.com"},
		{Name: "forged complaint", Client: signedIP, ClientID: "out.signed.example", From: "rival@signed.example", To: []string{"abuse@example.com"},
			Make: func() ([]byte, error) {
				copied, err := w.sentBy("ada@example.com")
				if err != nil {
					return nil, err
				}
				forged := bytes.Replace(copied, []byte("Noon is fine."), []byte("Cheap pills for everybody, without any prescription, from our own warehouse."), 1)
				return w.sign("signed.example", report(now, "rival@signed.example", "This person sends me pills.", forged))
			},
			Code: 250, Where: "with the abuse desk: forged, nobody is punished"},
	}
}

// sentBy is the last message of an account as the next server got it, from its own signature on.
func (w *World) sentBy(account string) ([]byte, error) {
	all := w.Egress.Transactions()
	for i := len(all) - 1; i >= 0; i-- {
		if at := bytes.Index(all[i].Body, []byte("DKIM-Signature")); all[i].From == account && at >= 0 {
			return all[i].Body[at:], nil
		}
	}
	return nil, fmt.Errorf("nothing signed went out of %s", account)
}

func report(now time.Time, from, words string, copied []byte) []byte {
	return fmt.Appendf(nil, "From: <%s>\r\nTo: <abuse@example.com>\r\nSubject: A complaint about mail of yours\r\nDate: %s\r\nMessage-ID: <%x@demo.example>\r\nMIME-Version: 1.0\r\n"+
		"Content-Type: multipart/mixed; boundary=\"=_demo\"\r\n\r\n--=_demo\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n%s\r\n--=_demo\r\nContent-Type: message/rfc822\r\n\r\n%s\r\n--=_demo--\r\n",
		from, now.Format(time.RFC1123Z), len(copied)*7919+len(words), words, copied)
}
