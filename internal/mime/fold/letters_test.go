package fold_test

import (
	"testing"

	"postern/internal/mime/fold"
)

// TestHonestLanguages: letters of all scripts as people write them hide nothing, and stay.
func TestHonestLanguages(t *testing.T) {
	for _, text := range []string{
		"Добрый день, Анна! Отправляю вам протокол встречи и счёт за ноябрь.",
		"Спасибо за заказ. Доставка будет завтра с 10 до 18 часов, курьер позвонит.",
		"Вот и всё. До встречи в среду, не забудьте паспорт и копию договора.",
		"Скиньте PDF на email или в Telegram, пожалуйста; SMSка тоже пойдёт.",
		"Обновите iOS и Android, а потом зайдите в VIPы через IP-адрес.",
		"Доброго дня! Надсилаю вам рахунок за листопад, їжте на здоров'я.",
		"Прывітанне, дасылаю вам дакумент, калі ласка, праверце ўсё.",
		"Здраво, шаљем вам записник са састанка. Хвала, Љиљана и Ђорђе.",
		"Добър ден, изпращам ви фактурата за месец ноември.",
		"Сәлеметсіз бе, құжаттарды жіберіп отырмын, рақмет.",
		"Сайн байна уу, баримт бичгийг илгээж байна.",
		"Καλημέρα σας, σας στέλνω το τιμολόγιο και τα πρακτικά της συνάντησης.",
		"Η παραγγελία σας έφτασε. Στείλτε μου ένα email ή πάρτε τηλέφωνο.",
		"Ο κύριος Νίκος και η κυρία Ελένη θα έρθουν την Τρίτη στις 9 π.μ.",
		"您好，附件是十一月份的发票和会议纪要，请查收，谢谢。",
		"请在周五之前把 PDF 文件发到我的 Email，或加微信 abc123。",
		"您好，附件為十一月份的發票與會議記錄，請查收。",
		"こんにちは。会議の議事録をお送りします。ＰＣでご確認ください。",
		"お世話になっております。ﾒｰﾙありがとうございます。",
		"안녕하세요, 회의록과 영수증을 첨부합니다. PDF 파일을 확인하세요.",
		"שלום רב, מצורף פרוטוקול הישיבה. נא לאשר קבלה עד יום ראשון.",
		"הקובץ file.pdf מצורף\u200e, תודה\u200f!",
		"مرحبا، أرفق لكم محضر الاجتماع والفاتورة، مع الشكر.",
		"الملف report.pdf مرفق\u200e، شكرا\u200f!",
		"سلام، کتاب\u200cها و نامه\u200cهای شما را می\u200cفرستم. خانه\u200cام.",
		"آپ کا خط مل گیا، شکریہ۔ فائل PDF میں ہے۔",
		"नमस्ते, बैठक का विवरण संलग्न है। क्\u200dष और श्\u200dर।",
		"வணக்கம், கூட்டத்தின் குறிப்புகள் இணைக்கப்பட்டுள்ளன.",
		"สวัสดีครับ\u200bผมส่งเอกสาร\u200bการประชุม\u200bมาให้",
		"សួស្តី\u200bខ្ញុំ\u200bផ្ញើ\u200bឯកសារ\u200bឲ្យ\u200bអ្នក",
		"Բարև ձեզ, ուղարկում եմ ժողովի արձանագրությունը։",
		"გამარჯობა, გიგზავნით შეხვედრის ოქმს და ინვოისს.",
		"Xin chào, tôi gửi biên bản cuộc họp và hóa đơn tháng mười một.",
		"Merhaba, toplantı tutanağını ve kasım faturasını gönderiyorum, ığüşöç.",
		"Dzień dobry, przesyłam protokół i fakturę. Łódź, źdźbło, żółć.",
		"Dobrý den, posílám zápis ze schůze. Příliš žluťoučký kůň.",
		"Jó napot, küldöm a jegyzőkönyvet. Árvíztűrő tükörfúrógép.",
		"Bună ziua, vă trimit procesul-verbal și factura, mulțumesc.",
		"Schöne Grüße aus München, das Päckchen für Frau Müller kommt übermorgen.",
		"Donau\u00addampf\u00adschiff\u00adfahrts\u00adgesell\u00adschaft und Wort\u00adtrennung.",
		"Chère Hélène, voici le compte rendu de la réunion d'été, à bientôt.",
		"Hola, señor Núñez: le envío el acta de la reunión de ayer. ¿Qué tal?",
		"Olá, João, segue a ata da reunião de amanhã, atenção à lição.",
		"Hej, här kommer protokollet från mötet i Malmö. Blåbær og rødgrød.",
		"The NFκB pathway, TNFα and IFNγ at 5 μm and 10 kΩ, Δt of π-Mesons.",
		"Ju\u200cly 4 at No\u200con, tom\u200corrow through M\u200cay 7.",
		"👨\u200d👩\u200d👧 🏳️\u200d🌈 👩\u200d💻 with ❤️ from us, ™ and ² and ½.",
		"“Quoted” — it’s 100 €… and so on, naïve café, 20 °C.",
	} {
		if s := fold.Look(text); s.Mixed > 0 {
			t.Errorf("%q: %+v", text, s)
		}
		if n := fold.Apart([]byte(text)); n > 0 {
			t.Errorf("%q: taken apart at %d places", text, n)
		}
	}
}

// TestDisguises: what people read is what comes out.
func TestDisguises(t *testing.T) {
	for _, x := range []struct{ in, want string }{
		{"Рауpаl", "Paypal"},
		{"Pаypаl", "Paypal"},
		{"Ρayρal", "Paypal"},
		{"Аmаzоn", "Amazon"},
		{"Аррlе", "Apple"},
		{"Мicrоsоft", "Microsoft"},
		{"Gооglе", "Google"},
		{"Nеtflіх", "Netflix"},
		{"Ваnk", "Bank"},
		{"сlick hеrе", "click here"},
		{"vеrіfу уоur ассоunt", "verify your account"},
		{"раsswоrd", "password"},
		{"invоісе", "invoice"},
		{"unsubsсribе", "unsubscribe"},
		{"urgеnt", "urgent"},
		{"bіtсоіn", "bitcoin"},
		{"lоttеrу winnеr", "lottery winner"},
		{"ԁelivery", "delivery"},
		{"ԝallet", "wallet"},
		{"ѕecurity", "security"},
		{"һelp", "help"},
		{"օrder", "order"},
		{"Ꮃallet", "Wallet"},
		{"ꓑassword", "Password"},
		{"𝐯𝐞𝐫𝐢𝐟𝐲", "verify"},
		{"𝓋𝑒𝓇𝒾𝒻𝓎", "verify"},
		{"𝘃𝗲𝗿𝗶𝗳𝘆", "verify"},
		{"𝚟𝚎𝚛𝚒𝚏𝚢", "verify"},
		{"ｖｅｒｉｆｙ", "verify"},
		{"ⓥⓔⓡⓘⓕⓨ", "verify"},
		{"🅅🄴🅁🄸🄵🅈", "VERIFY"},
		{"🅥🅔🅡🅘🅕🅨", "VERIFY"},
		{"🆅🅴🆁🅸🅵🆈", "VERIFY"},
		{"ᴠᴇʀɪꜰʏ", "verify"},
		{"v\u200be\u200br\u200bi\u200bf\u200by", "verify"},
		{"v\u2060erify", "verify"},
		{"v\u00ade\u00adrify", "verify"},
		{"ver\ufeffify", "verify"},
		{"v\u202eer\u202cify", "verify"},
		{"v\u0336e\u0336r\u0336i\u0336f\u0336y\u0336", "verify"},
		{"Вы выигpaли пpиз", "Вы выиграли приз"},
		{"oплaтитe cчёт", "оплатите счёт"},
		{"пoлyчитe дeньги", "получите деньги"},
		{"σας κερδίσατε δώpο", "σας κερδίσατε δώρο"},
	} {
		if got := string(fold.Text([]byte(x.in))); got != x.want {
			t.Errorf("%q: %q, want %q", x.in, got, x.want)
		}
	}
}
