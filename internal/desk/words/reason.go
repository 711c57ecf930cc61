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
