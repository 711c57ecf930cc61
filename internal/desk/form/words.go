package form

// words are the page in one language.
type words struct {
	Lang, Tag, Name                                         string
	Title, Intro, Email, EmailHint, Text, Message, HowTo    string
	File, Send, Thanks, Keep, Back                          string
	TooMany, TooLarge, Unreadable, Empty, Later, RightsNote string
}

// languages are those the desk answers in; the first is for everybody else.
var languages = []words{
	{
		Lang: "en", Tag: "en", Name: "English",
		Title: "Report abuse", Intro: "Tell us about unwanted or harmful mail that came from here. A person reads every report.",
		Email: "Your mail address (so that we can answer)", EmailHint: "We answer only if you want it; leave it empty to stay unnamed.",
		Text: "What happened?", Message: "The message with all its headers", HowTo: "In most mail programs: “Show original” or “View source”, then copy everything. Without the headers we often cannot find out who sent it.",
		File: "or the message as a file (.eml)", Send: "Send the report", Thanks: "Thank you. Your report was received.", Keep: "Your reference:", Back: "Report something else",
		TooMany: "Many reports came from your network. Please wait a little, or write to the abuse address.", TooLarge: "That is more than we can take here (5 MB). Please leave out attachments, or write to the abuse address.",
		Unreadable: "The form arrived incomplete. Please send it again.", Empty: "Please say what happened, or add the message.",
		Later: "The report could not be kept. Please try again in a minute, or write to the abuse address.", RightsNote: "What you send is kept as evidence and shown only to those who work on it.",
	},
	{
		Lang: "zh", Tag: "zh-Hans", Name: "中文",
		Title: "举报滥用", Intro: "请告诉我们从这里发出的垃圾邮件或有害邮件。每一份举报都由人工阅读。",
		Email: "您的邮箱(便于我们答复)", EmailHint: "只有您愿意时我们才答复;留空即为匿名。",
		Text: "发生了什么?", Message: "带有完整邮件头的原始邮件", HowTo: "在多数邮件程序中选择“显示原文”或“查看源代码”,然后全部复制。没有邮件头,我们往往无法查明发件人。",
		File: "或以文件形式上传邮件(.eml)", Send: "提交举报", Thanks: "谢谢。您的举报已收到。", Keep: "您的编号:", Back: "再举报一封",
		TooMany: "您的网络提交的举报过多。请稍候,或写信给滥用举报邮箱。", TooLarge: "超出此处可接收的大小(5 MB)。请去掉附件,或写信给滥用举报邮箱。",
		Unreadable: "表单不完整,请重新提交。", Empty: "请说明情况,或附上邮件。",
		Later: "举报未能保存。请一分钟后再试,或写信给滥用举报邮箱。", RightsNote: "您提交的内容作为证据保存,只有处理人员可以查看。",
	},
	{
		Lang: "ru", Tag: "ru", Name: "Русский",
		Title: "Сообщить о злоупотреблении", Intro: "Расскажите о нежелательном или вредоносном письме, отправленном отсюда. Каждое сообщение читает человек.",
		Email: "Ваш адрес (чтобы мы могли ответить)", EmailHint: "Мы ответим, только если вы этого хотите; оставьте поле пустым, чтобы не называть себя.",
		Text: "Что произошло?", Message: "Письмо со всеми заголовками", HowTo: "В большинстве программ: «Показать оригинал» или «Исходный текст», затем скопируйте всё. Без заголовков часто нельзя установить отправителя.",
		File: "или письмо файлом (.eml)", Send: "Отправить", Thanks: "Спасибо. Ваше сообщение получено.", Keep: "Ваш номер:", Back: "Сообщить ещё об одном письме",
		TooMany: "Из вашей сети пришло много сообщений. Подождите немного или напишите на адрес для жалоб.", TooLarge: "Здесь принимается не более 5 МБ. Уберите вложения или напишите на адрес для жалоб.",
		Unreadable: "Форма пришла не полностью. Отправьте её ещё раз.", Empty: "Опишите, что произошло, или добавьте письмо.",
		Later: "Сообщение не удалось сохранить. Повторите через минуту или напишите на адрес для жалоб.", RightsNote: "Присланное хранится как доказательство; его видят только те, кто работает с жалобой.",
	},
	{
		Lang: "el", Tag: "el", Name: "Ελληνικά",
		Title: "Αναφορά κατάχρησης", Intro: "Πείτε μας για ανεπιθύμητη ή επιβλαβή αλληλογραφία που στάλθηκε από εδώ. Κάθε αναφορά τη διαβάζει άνθρωπος.",
		Email: "Η διεύθυνσή σας (για να απαντήσουμε)", EmailHint: "Απαντάμε μόνο αν το θέλετε· αφήστε το κενό για να μείνετε ανώνυμοι.",
		Text: "Τι συνέβη;", Message: "Το μήνυμα με όλες τις κεφαλίδες", HowTo: "Στα περισσότερα προγράμματα: «Εμφάνιση πρωτοτύπου» ή «Προβολή κώδικα», και αντιγράψτε τα όλα. Χωρίς τις κεφαλίδες συχνά δεν βρίσκουμε τον αποστολέα.",
		File: "ή το μήνυμα ως αρχείο (.eml)", Send: "Αποστολή αναφοράς", Thanks: "Ευχαριστούμε. Η αναφορά σας ελήφθη.", Keep: "Ο αριθμός σας:", Back: "Νέα αναφορά",
		TooMany: "Ήρθαν πολλές αναφορές από το δίκτυό σας. Περιμένετε λίγο ή γράψτε στη διεύθυνση καταγγελιών.", TooLarge: "Εδώ δεχόμαστε έως 5 MB. Αφαιρέστε τα συνημμένα ή γράψτε στη διεύθυνση καταγγελιών.",
		Unreadable: "Η φόρμα έφτασε ελλιπής. Στείλτε την ξανά.", Empty: "Πείτε τι συνέβη ή προσθέστε το μήνυμα.",
		Later: "Η αναφορά δεν αποθηκεύτηκε. Δοκιμάστε σε ένα λεπτό ή γράψτε στη διεύθυνση καταγγελιών.", RightsNote: "Ό,τι στέλνετε φυλάσσεται ως τεκμήριο και το βλέπουν μόνο όσοι το χειρίζονται.",
	},
}
