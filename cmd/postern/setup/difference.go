package setup

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"postern/internal/config"
)

// Difference names the keys in which configurations differ, sorted, by when the new one takes
// effect: "rates.ip", "listeners[mx].limits", "abuse.answers.off".
type Difference struct {
	Reload  []string `json:"reload"`
	Restart []string `json:"restart"`
}

// Differ compares a configuration with that which is in force, and with the one the process began
// with: what only a restart takes over is measured by that.
func Differ(started, inForce, next *config.Config) Difference {
	d := Difference{Reload: []string{}, Restart: []string{}}
	each(inForce, next, func(key string, restart bool) {
		if !restart {
			d.Reload = append(d.Reload, key)
		}
	})
	each(started, next, func(key string, restart bool) {
		if restart {
			d.Restart = append(d.Restart, key)
		}
	})
	slices.Sort(d.Reload)
	slices.Sort(d.Restart)
	return d
}

// each tells the keys in which two configurations differ. Whether a key needs a restart says
// NeedsRestart, of the old configuration with that one change.
func each(old, now *config.Config, tell func(key string, restart bool)) {
	w := walk{old: old, tell: tell}
	w.value("", reflect.ValueOf(old).Elem(), reflect.ValueOf(now).Elem(), func(v reflect.Value) *config.Config {
		c, ok := v.Interface().(config.Config)
		if !ok {
			return old
		}
		return &c
	})
}

type walk struct {
	old  *config.Config
	tell func(key string, restart bool)
}

// value compares one place; with makes the old configuration with another value there.
func (w walk) value(key string, old, now reflect.Value, with func(reflect.Value) *config.Config) {
	if alike(old, now) {
		return
	}
	switch {
	case old.Kind() == reflect.Struct && len(keysOf(old.Type())) > 0:
		for i, name := range keysOf(old.Type()) {
			w.value(below(key, name), old.Field(i), now.Field(i), func(v reflect.Value) *config.Config {
				whole := reflect.New(old.Type()).Elem()
				whole.Set(old)
				whole.Field(i).Set(v)
				return with(whole)
			})
		}
	case old.Kind() == reflect.Map && old.Type().Key().Kind() == reflect.String:
		w.entries(key, old, now, with)
	case old.Kind() == reflect.Slice && old.Len() == now.Len() && old.Type().Elem().Kind() == reflect.Struct && len(keysOf(old.Type().Elem())) > 0:
		for i := range old.Len() {
			w.value(key+"["+called(old.Index(i), i)+"]", old.Index(i), now.Index(i), func(v reflect.Value) *config.Config {
				whole := reflect.MakeSlice(old.Type(), old.Len(), old.Len())
				reflect.Copy(whole, old)
				whole.Index(i).Set(v)
				return with(whole)
			})
		}
	default:
		w.tell(key, NeedsRestart(w.old, with(now)) != "")
	}
}

// entries compares the entries of a map.
func (w walk) entries(key string, old, now reflect.Value, with func(reflect.Value) *config.Config) {
	names := map[string]bool{}
	for _, m := range []reflect.Value{old, now} {
		for _, k := range m.MapKeys() {
			names[k.String()] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		k := reflect.ValueOf(name).Convert(old.Type().Key())
		was, is := old.MapIndex(k), now.MapIndex(k)
		changed := func(v reflect.Value) *config.Config {
			whole := reflect.MakeMap(old.Type())
			for _, other := range old.MapKeys() {
				whole.SetMapIndex(other, old.MapIndex(other))
			}
			whole.SetMapIndex(k, v)
			return with(whole)
		}
		if was.IsValid() && is.IsValid() {
			w.value(below(key, name), was, is, changed)
			continue
		}
		w.tell(below(key, name), NeedsRestart(w.old, changed(is)) != "")
	}
}

// keysOf are the keys of a section by the number of their field; none for what is one value.
func keysOf(t reflect.Type) map[int]string {
	out := map[int]string{}
	for i := range t.NumField() {
		if name, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ","); name != "" && name != "-" && t.Field(i).IsExported() {
			out[i] = name
		}
	}
	return out
}

func below(key, name string) string {
	if strings.ContainsAny(name, ".[]\"") {
		name = fmt.Sprintf("%q", name)
	}
	if key == "" {
		return name
	}
	return key + "." + name
}

// called is the name of an element of a list, or its place.
func called(v reflect.Value, i int) string {
	if f := v.FieldByName("Name"); f.IsValid() && f.Kind() == reflect.String && f.String() != "" {
		return f.String()
	}
	return fmt.Sprint(i)
}

// alike: a list that is not there is an empty one.
func alike(a, b reflect.Value) bool {
	switch a.Kind() {
	case reflect.Map, reflect.Slice:
		if a.Len()+b.Len() == 0 {
			return true
		}
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}
