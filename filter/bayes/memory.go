package bayes

// Memory counts tokens in memory alone, to try what learning would be worth. The zero value has
// learned nothing.
type Memory struct {
	all    Count
	counts map[uint64]Count
}

// Learn counts a message that has these tokens, each once.
func (m *Memory) Learn(class Class, tokens []uint64) {
	if m.counts == nil {
		m.counts = map[uint64]Count{}
	}
	for _, t := range tokens {
		c := m.counts[t]
		c.Add(class, 1)
		m.counts[t] = c
	}
	m.all.Add(class, 1)
}

// Judge says how likely a message is spam, and how many messages that rests on.
func (m *Memory) Judge(tokens []uint64) (Judgement, Count) {
	counts := make([]Count, len(tokens))
	for i, t := range tokens {
		counts[i] = m.counts[t]
	}
	return Combine(tokens, counts, m.all), m.all
}
