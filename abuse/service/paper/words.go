package paper

import (
	"postern/abuse/service/month"
)

// Languages are those a report can be printed in.
func Languages() []string { return []string{"en", "zh", "ru", "el"} }

// words are those of one language; what is missing is said in English.
type words struct {
	tag     string // of the page
	head    map[string]string
	states  map[month.State]string
	figures map[string]string
}

func languages() map[string]words {
	return map[string]words{"en": english(), "zh": chinese(), "ru": russian(), "el": greek()}
}

func english() words {
	return words{
		tag: "en",
		head: map[string]string{
			"title": "Service report", "made": "made", "zone": "time zone", "running": "The month is not over: these are the figures so far.",
			"figure": "Figure", "clause": "Clause", "value": "Value", "promise": "Promise", "state": "State", "formula": "Formula", "remedy": "Remedy",
			"outages": "Unreached minutes", "faults": "Faults", "exclusions": "Times that do not count", "tenants": "Delays by domain", "lists": "Published lists", "proofs": "Restored backups",
			"from": "From", "to": "To", "minutes": "Minutes", "group": "Doors", "why": "Why", "by": "Proposed by", "decided": "Decided by", "domain": "Domain", "way": "Way", "mean": "Mean, s", "max": "Longest, s", "late": "Late", "held": "Held", "messages": "Messages",
			"none": "none", "node": "Node", "what": "What", "counted": "counts", "cut": "Not all rows are shown; the export has them.", "stands": "stands",
			"at most": "at most", "at least": "at least", "below": "below", "sign": "Approved by, date, seal",
		},
		states: map[month.State]string{month.Kept: "kept", month.Broken: "broken", month.Unknown: "unknown", month.NoData: "no data", month.Stated: "stated"},
		figures: map[string]string{
			"unreached-minutes": "Minutes not reached", "reachability": "Reachability",
			"send-delay-mean": "Delay of sending, mean", "send-delay-max": "Delay of sending, longest", "send-delay-late": "Sent later than an hour", "send-held": "Outbound copies held",
			"receive-delay-mean": "Delay of receiving, mean", "receive-delay-max": "Delay of receiving, longest", "receive-delay-late": "Received later than an hour", "receive-held": "Inbound copies held",
			"fault-minutes": "Time of faults", "change-minutes": "Time of planned changes", "availability": "Availability", "fault-free-days": "Days without a fault", "page-mean": "Time of a page, mean",
			"billing-error": "Errors in bills", "signature-age": "Age of virus signatures", "first-response": "First response time", "first-in-day": "First decision within a working day",
			"time-to-result": "Time to the result", "result-in-72h": "Result within 72 hours", "list-lag": "Processing of published lists", "lists-late": "Published lists in effect too late",
			"backup-age": "Age of the last backup", "backup-full-age": "Age of the last full backup", "backup-kept": "Oldest backup kept", "restore-proofs": "Backups restored for a trial",
		},
	}
}

func chinese() words {
	return words{
		tag: "zh-CN",
		head: map[string]string{
			"title": "服务报告", "made": "生成于", "zone": "时区", "running": "本月尚未结束,以下为截至目前的数据。",
			"figure": "指标", "clause": "条款", "value": "数值", "promise": "承诺", "state": "结果", "formula": "计算公式", "remedy": "补偿",
			"outages": "不可达的分钟", "faults": "故障", "exclusions": "不计入的时间", "tenants": "各域的延迟", "lists": "公布的名单", "proofs": "备份恢复演练",
			"from": "开始", "to": "结束", "minutes": "分钟", "group": "入口", "why": "原因", "by": "提出人", "decided": "审批人", "domain": "域", "way": "方向", "mean": "平均(秒)", "max": "最长(秒)", "late": "超时", "held": "隔离", "messages": "邮件",
			"none": "无", "node": "节点", "what": "内容", "counted": "计入", "cut": "此处未列出全部记录,导出文件中完整。", "stands": "未结束",
			"at most": "不超过", "at least": "不低于", "below": "低于", "sign": "批准人、日期、盖章",
		},
		states: map[month.State]string{month.Kept: "达标", month.Broken: "未达标", month.Unknown: "无法判定", month.NoData: "无数据", month.Stated: "仅列示"},
		figures: map[string]string{
			"unreached-minutes": "不可达分钟数", "reachability": "联通率",
			"send-delay-mean": "发送延迟(平均)", "send-delay-max": "发送延迟(最长)", "send-delay-late": "发送超过一小时", "send-held": "外发隔离份数",
			"receive-delay-mean": "接收延迟(平均)", "receive-delay-max": "接收延迟(最长)", "receive-delay-late": "接收超过一小时", "receive-held": "来信隔离份数",
			"fault-minutes": "故障时间", "change-minutes": "计划变更时间", "availability": "可用率", "fault-free-days": "无故障天数", "page-mean": "页面平均时间",
			"billing-error": "计费差错率", "signature-age": "病毒库时效", "first-response": "首次响应时间", "first-in-day": "一个工作日内首次处理",
			"time-to-result": "处理结果时间", "result-in-72h": "72 小时内答复结果", "list-lag": "公布名单的处理时间", "lists-late": "逾期处理的名单",
			"backup-age": "最近备份的时间", "backup-full-age": "最近完整备份的时间", "backup-kept": "最早保留的备份", "restore-proofs": "恢复演练",
		},
	}
}

func russian() words {
	return words{
		tag: "ru",
		head: map[string]string{
			"title": "Отчёт об услуге", "made": "составлен", "zone": "часовой пояс", "running": "Месяц не окончен: это данные на сегодня.",
			"figure": "Показатель", "clause": "Пункт", "value": "Значение", "promise": "Обязательство", "state": "Итог", "formula": "Формула", "remedy": "Возмещение",
			"outages": "Минуты недоступности", "faults": "Сбои", "exclusions": "Время вне зачёта", "tenants": "Задержки по доменам", "lists": "Опубликованные списки", "proofs": "Пробные восстановления",
			"from": "С", "to": "До", "minutes": "Минут", "group": "Вход", "why": "Причина", "by": "Предложил", "decided": "Решил", "domain": "Домен", "way": "Направление", "mean": "Средняя, с", "max": "Наибольшая, с", "late": "Опоздало", "held": "В карантине", "messages": "Писем",
			"none": "нет", "node": "Узел", "what": "Что", "counted": "в зачёте", "cut": "Показаны не все строки; в выгрузке они есть.", "stands": "длится",
			"at most": "не более", "at least": "не менее", "below": "меньше", "sign": "Утвердил, дата, печать",
		},
		states: map[month.State]string{month.Kept: "соблюдено", month.Broken: "нарушено", month.Unknown: "неизвестно", month.NoData: "нет данных", month.Stated: "для сведения"},
		figures: map[string]string{
			"unreached-minutes": "Минут недоступности", "reachability": "Доступность входов",
			"send-delay-mean": "Задержка отправки, средняя", "send-delay-max": "Задержка отправки, наибольшая", "send-delay-late": "Отправлено позже часа", "send-held": "Исходящих в карантине",
			"receive-delay-mean": "Задержка получения, средняя", "receive-delay-max": "Задержка получения, наибольшая", "receive-delay-late": "Получено позже часа", "receive-held": "Входящих в карантине",
			"fault-minutes": "Время сбоев", "change-minutes": "Время плановых работ", "availability": "Работоспособность", "fault-free-days": "Дней без сбоев", "page-mean": "Время страницы, среднее",
			"billing-error": "Ошибки в счетах", "signature-age": "Возраст вирусных баз", "first-response": "Время первого ответа", "first-in-day": "Первое решение за рабочий день",
			"time-to-result": "Время до итога", "result-in-72h": "Итог за 72 часа", "list-lag": "Обработка опубликованных списков", "lists-late": "Списки с опозданием",
			"backup-age": "Возраст последней копии", "backup-full-age": "Возраст последней полной копии", "backup-kept": "Самая старая копия", "restore-proofs": "Пробные восстановления",
		},
	}
}

func greek() words {
	return words{
		tag: "el",
		head: map[string]string{
			"title": "Αναφορά υπηρεσίας", "made": "συντάχθηκε", "zone": "ζώνη ώρας", "running": "Ο μήνας δεν έχει τελειώσει: στοιχεία έως τώρα.",
			"figure": "Μέγεθος", "clause": "Όρος", "value": "Τιμή", "promise": "Δέσμευση", "state": "Κατάσταση", "formula": "Τύπος", "remedy": "Αποζημίωση",
			"outages": "Λεπτά χωρίς πρόσβαση", "faults": "Βλάβες", "exclusions": "Χρόνοι που δεν μετρούν", "tenants": "Καθυστερήσεις ανά τομέα", "lists": "Δημοσιευμένες λίστες", "proofs": "Δοκιμαστικές επαναφορές",
			"from": "Από", "to": "Έως", "minutes": "Λεπτά", "group": "Είσοδος", "why": "Αιτία", "by": "Πρόταση", "decided": "Απόφαση", "domain": "Τομέας", "way": "Κατεύθυνση", "mean": "Μέση, s", "max": "Μέγιστη, s", "late": "Αργά", "held": "Σε καραντίνα", "messages": "Μηνύματα",
			"none": "καμία", "node": "Κόμβος", "what": "Τι", "counted": "μετρά", "cut": "Δεν φαίνονται όλες οι γραμμές· η εξαγωγή τις έχει.", "stands": "διαρκεί",
			"at most": "έως", "at least": "τουλάχιστον", "below": "κάτω από", "sign": "Έγκριση, ημερομηνία, σφραγίδα",
		},
		states: map[month.State]string{month.Kept: "τηρήθηκε", month.Broken: "παραβιάστηκε", month.Unknown: "άγνωστο", month.NoData: "χωρίς στοιχεία", month.Stated: "ενημερωτικό"},
		figures: map[string]string{
			"unreached-minutes": "Λεπτά χωρίς πρόσβαση", "reachability": "Προσβασιμότητα",
			"send-delay-mean": "Καθυστέρηση αποστολής, μέση", "send-delay-max": "Καθυστέρηση αποστολής, μέγιστη", "send-delay-late": "Αποστολή μετά από μία ώρα", "send-held": "Εξερχόμενα σε καραντίνα",
			"receive-delay-mean": "Καθυστέρηση λήψης, μέση", "receive-delay-max": "Καθυστέρηση λήψης, μέγιστη", "receive-delay-late": "Λήψη μετά από μία ώρα", "receive-held": "Εισερχόμενα σε καραντίνα",
			"fault-minutes": "Χρόνος βλαβών", "change-minutes": "Χρόνος προγραμματισμένων εργασιών", "availability": "Διαθεσιμότητα", "fault-free-days": "Ημέρες χωρίς βλάβη", "page-mean": "Χρόνος σελίδας, μέσος",
			"billing-error": "Λάθη χρέωσης", "signature-age": "Ηλικία υπογραφών ιών", "first-response": "Χρόνος πρώτης απάντησης", "first-in-day": "Πρώτη απόφαση σε μία εργάσιμη",
			"time-to-result": "Χρόνος έως το αποτέλεσμα", "result-in-72h": "Αποτέλεσμα σε 72 ώρες", "list-lag": "Επεξεργασία δημοσιευμένων λιστών", "lists-late": "Λίστες με καθυστέρηση",
			"backup-age": "Ηλικία τελευταίου αντιγράφου", "backup-full-age": "Ηλικία τελευταίου πλήρους αντιγράφου", "backup-kept": "Παλαιότερο αντίγραφο", "restore-proofs": "Δοκιμαστικές επαναφορές",
		},
	}
}
