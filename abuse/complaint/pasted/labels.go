package pasted

import "strings"

// role is what a line of a shown header is about.
type role uint8

const (
	none role = iota
	from
	to
	subject
	date
	other
)

// label names the role of a field as mail programs show it. The names are those of programs
// in Chinese (both scripts), English, Russian and Greek.
func label(name string) role {
	switch strings.ToLower(strings.Trim(name, " \t*_\u00a0\u3000")) {
	case "from", "发件人", "寄件者", "寄件人", "發件人", "от", "от кого", "отправитель", "από", "απο", "αποστολέας":
		return from
	case "to", "收件人", "收件者", "кому", "получатель", "προς", "παραλήπτης":
		return to
	case "subject", "主题", "主題", "主旨", "тема", "θέμα", "θεμα":
		return subject
	case "date", "sent", "发送时间", "发送日期", "日期", "時間", "时间", "寄件日期", "傳送時間", "發送時間", "寄件時間", "дата", "отправлено", "ημερομηνία", "στάλθηκε", "αποστολή", "ημ/νία":
		return date
	case "cc", "reply-to", "抄送", "副本", "копия", "κοιν.", "κοινοποίηση", "回复", "attachments", "附件", "вложения", "importance", "重要性", "важность", "organization":
		return other
	}
	return none
}

// markers open a message that a program put inline.
func marker(line string) bool {
	line = strings.ToLower(strings.Trim(line, " \t-_=*>:.\u00a0"))
	switch line {
	case "forwarded message", "original message", "begin forwarded message", "begin forwarded", "weitergeleitete nachricht",
		"转发的邮件", "转发的消息", "转发邮件信息", "原始邮件", "邮件原件", "开始转发的邮件", "以下是转发的邮件", "原始郵件", "轉寄的郵件", "已轉寄的郵件", "開始轉寄郵件",
		"пересылаемое сообщение", "переадресованное сообщение", "перенаправленное сообщение", "исходное сообщение", "начало переадресованного сообщения", "пересылаемое письмо", "начало пересылаемого сообщения",
		"προωθημένο μήνυμα", "προωθούμενο μήνυμα", "αρχικό μήνυμα", "έναρξη προωθημένου μηνύματος", "ξεκίνησε το προωθημένο μήνυμα":
		return true
	}
	return false
}

// ending closes it again.
func ending(line string) bool {
	line = strings.ToLower(strings.Trim(line, " \t-_=*>:.\u00a0"))
	switch line {
	case "end of forwarded message", "end forwarded message", "конец пересылаемого сообщения", "конец переадресованного сообщения", "τέλος προωθημένου μηνύματος", "转发邮件结束":
		return true
	}
	return false
}

// wire rates a field name of a real header: 2 = programs do not show it, so somebody copied
// the source of a message; 1 = usual beside those; 0 = no such name.
func wire(name string) int {
	n := strings.ToLower(name)
	switch n {
	case "received", "return-path", "message-id", "dkim-signature", "authentication-results", "delivered-to", "received-spf",
		"arc-seal", "arc-message-signature", "arc-authentication-results", "domainkey-signature", "mime-version", "content-type",
		"cfbl-address", "cfbl-feedback-id", "feedback-id", "envelope-to", "list-unsubscribe", "x-mailer", "x-originating-ip", "in-reply-to", "references", "sender", "content-transfer-encoding":
		return 2
	case "from", "to", "subject", "date", "cc", "reply-to", "user-agent", "organization", "precedence", "importance", "x-priority":
		return 1
	}
	if strings.HasPrefix(n, "x-") || strings.HasPrefix(n, "resent-") || strings.HasPrefix(n, "content-") || strings.HasPrefix(n, "list-") {
		return 1
	}
	return 0
}
