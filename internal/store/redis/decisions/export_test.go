package decisions

// Cut makes f say why the store cannot be reached, before each call.
func (o *Options) Cut(f func() error) { o.cut = f }

// Dirty is how many records the store must still be given.
func (d *Decisions) Dirty() int {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return len(d.dirty)
}

// Texts are all records as they are stored, removals too.
func (d *Decisions) Texts() map[string]string {
	d.mu.RLock()
	defer d.mu.RUnlock()
	all := map[string]string{}
	for field, h := range d.records {
		all[field] = string(h.text)
	}
	return all
}

// FieldOf is the name of a record in the store.
func FieldOf(kind, name string) string { return fieldOf(kind, name) }

// SweepNow makes the next Sync compare everything.
func (d *Decisions) SweepNow() {
	d.syncing.Lock()
	defer d.syncing.Unlock()
	d.next = d.o.Now()
}
