package letter

import "strings"

// phrase is one sentence in all languages, in the order of Languages.
type phrase [4]string

func (p phrase) in(language string) string {
	for i, l := range Languages() {
		if l == language {
			return p[i]
		}
	}
	return p[0]
}

// NoProof is said where there is no sentence about how a mail was tied to its source.
func NoProof(language string) string {
	return phrase{"the mail was found by its content and time.", "该邮件依据其内容和时间查明。", "письмо найдено по содержанию и времени.", "το μήνυμα βρέθηκε από το περιεχόμενο και την ώρα."}.in(language)
}

// Unknown stands for an address that the reported mail does not show.
func Unknown(language string) string {
	return phrase{"an unknown sender", "未知发件人", "неизвестного отправителя", "άγνωστο αποστολέα"}.in(language)
}

// Masked shows of an address what its owner recognises.
func Masked(address, language string) string {
	i := strings.LastIndexByte(address, '@')
	if i < 1 {
		return Unknown(language)
	}
	return string([]rune(address)[:1]) + "…" + address[i:]
}

// Measure says in general words what was done, for the state a case came into and the level of
// its measure; "" where there is nothing to say.
func Measure(language, state string, level int) string {
	switch state {
	case "WARNED":
		return phrase{"The sender was warned and must remove the cause.", "已警告发件人并要求其消除原因。", "Отправитель предупреждён и обязан устранить причину.", "Ο αποστολέας προειδοποιήθηκε και πρέπει να άρει την αιτία."}.in(language)
	case "SUSPENDED":
		return phrase{"Sending was stopped.", "已停止其发信。", "Отправка остановлена.", "Η αποστολή διακόπηκε."}.in(language)
	case "TERMINATED":
		return phrase{"The service was ended for good.", "服务已被永久终止。", "Обслуживание прекращено навсегда.", "Η υπηρεσία διακόπηκε οριστικά."}.in(language)
	case "PROBATION":
		return phrase{"20 % of the usual number, doubled after each three days without a complaint.", "先为通常数量的 20 %,每连续三天无投诉即加倍。", "20 % обычного объёма; удваивается после каждых трёх дней без жалоб.", "20 % του συνηθισμένου αριθμού, διπλάσιο μετά από κάθε τρεις ημέρες χωρίς καταγγελία."}.in(language)
	case "REJECTED", "RELEASED":
		return phrase{"We found nothing that the terms of use forbid.", "未发现违反服务条款的情形。", "Нарушений условий не обнаружено.", "Δεν βρέθηκε παραβίαση των όρων."}.in(language)
	case "RESOLVED":
		return phrase{"The cause was found and removed.", "已查明并消除原因。", "Причина найдена и устранена.", "Η αιτία βρέθηκε και άρθηκε."}.in(language)
	}
	if level > 0 {
		return phrase{"A measure was taken.", "已采取措施。", "Мера принята.", "Λήφθηκε μέτρο."}.in(language)
	}
	return ""
}
