package words

// Reason is what a symbol of the default rules says in a language, where describe, the sentence
// of the rule in force, is the default one in English or not known; ok is false else. What an
// operator wrote is never translated.
func (b *Book) Reason(l *Language, symbol, describe string) (text string, ok bool) {
	key := "symbols." + symbol
	if !l.Has(key) {
		return "", false
	}
	if describe != "" && b.by[Default].Say(key) != describe {
		return "", false
	}
	return l.Say(key), true
}

// helpPart is the part with what the keys of configuration, rules and calendars mean.
const helpPart = "keys."

// Help is what a key of the operator's files means, said in a language; what the words do not
// have stays as it is in English.
func (b *Book) Help(l *Language, english string) string {
	if key, ok := b.help[english]; ok && l.Has(key) {
		return l.Say(key)
	}
	return english
}
