package recipient

import (
	"container/list"
	"strings"
)

// lru keeps the entries used last. It has no lock of its own.
type lru[V any] struct {
	max   int
	order *list.List // of *slot[V], the latest in front
	byKey map[string]*list.Element
}

type slot[V any] struct {
	key   string
	value V
}

func newLRU[V any](size int) *lru[V] {
	return &lru[V]{max: size, order: list.New(), byKey: map[string]*list.Element{}}
}

func (l *lru[V]) get(key string) (v V, ok bool) {
	e, ok := l.byKey[key]
	if !ok {
		return v, false
	}
	l.order.MoveToFront(e)
	return e.Value.(*slot[V]).value, true
}

func (l *lru[V]) put(key string, v V) {
	if e, ok := l.byKey[key]; ok {
		e.Value.(*slot[V]).value = v
		l.order.MoveToFront(e)
		return
	}
	if l.order.Len() >= l.max {
		l.remove(l.order.Back())
	}
	l.byKey[key] = l.order.PushFront(&slot[V]{key, v})
}

func (l *lru[V]) drop(key string) {
	if e, ok := l.byKey[key]; ok {
		l.remove(e)
	}
}

// dropSuffix drops every entry whose key ends so; it walks the whole list.
func (l *lru[V]) dropSuffix(suffix string) {
	for key, e := range l.byKey {
		if strings.HasSuffix(key, suffix) {
			l.remove(e)
		}
	}
}

func (l *lru[V]) remove(e *list.Element) {
	delete(l.byKey, e.Value.(*slot[V]).key)
	l.order.Remove(e)
}
