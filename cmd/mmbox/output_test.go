package main

import (
	"encoding/json"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"mmbox/models"
)

func TestJSON(t *testing.T) {
	for _, c := range []struct {
		result any
		want   string
	}{
		{map[string]any{"b": []string{}, "a": 1}, "{\n  \"schema_version\": 1,\n  \"a\": 1,\n  \"b\": []\n}\n"},
		{struct {
			A string `json:"a"`
		}{"x<y"}, "{\n  \"schema_version\": 1,\n  \"a\": \"x\\u003cy\"\n}\n"},
		{struct{}{}, "{\n  \"schema_version\": 1\n}\n"},
		{map[string]any{}, "{\n  \"schema_version\": 1\n}\n"},
	} {
		m, stdout, _ := files(t)
		if err := m.json(c.result); err != nil {
			t.Fatal(err)
		}
		if got := stdout(); got != c.want || !json.Valid([]byte(got)) {
			t.Errorf("%v:\ngot  %s\nwant %s", c.result, got, c.want)
		}
	}
	m, stdout, _ := files(t)
	if err := m.json(map[string]any{"f": func() {}}); err == nil || stdout() != "" {
		t.Errorf("what JSON cannot hold: %v, %q", err, stdout())
	}
}

func TestList(t *testing.T) {
	head, rows := []string{"ID", "STATUS"}, [][]string{{"a", "running"}, {"longer", "stopped (0)"}}
	m, stdout, _ := files(t)
	if err := m.list("things", []string{"a"}, head, rows); err != nil {
		t.Fatal(err)
	}
	if want := "ID       STATUS\na        running\nlonger   stopped (0)\n"; stdout() != want {
		t.Errorf("got\n%swant\n%s", stdout(), want)
	}

	m, stdout, _ = files(t)
	m.settings.json = true
	var none []string
	if err := m.list("things", none, head, nil); err != nil {
		t.Fatal(err)
	}
	if want := "{\n  \"schema_version\": 1,\n  \"things\": []\n}\n"; stdout() != want {
		t.Errorf("no things: got\n%swant\n%s", stdout(), want)
	}

	m, stdout, _ = files(t)
	if err := m.table(head, nil); err != nil || stdout() != "ID   STATUS\n" {
		t.Errorf("an empty table: %q, %v", stdout(), err)
	}
}

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 1 << 20: "1.0 MiB", 5 << 30: "5.0 GiB", 3 << 40: "3.0 TiB",
		2048 << 40: "2048.0 TiB", 1<<20 - 1: "1.0 MiB", 1<<30 - 1: "1.0 GiB",
	} {
		if got := bytes(n); got != want {
			t.Errorf("%d bytes: %q, want %q", n, got, want)
		}
	}
}

func TestAgo(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 s", 59 * time.Second: "59 s", 90 * time.Second: "1 min", 59 * time.Minute: "59 min", 3 * time.Hour: "3 h",
		47 * time.Hour: "47 h", 49 * time.Hour: "2 days", 400 * 24 * time.Hour: "400 days",
	} {
		if got := ago(time.Now().Add(-d)); got != want {
			t.Errorf("%v ago: %q, want %q", d, got, want)
		}
	}
	if got := ago(time.Time{}); got != "-" {
		t.Errorf("never: %q", got)
	}
	if got := ago(time.Now().Add(time.Hour)); got != "0 s" { // a clock that was set back
		t.Errorf("in the future: %q, want 0 s", got)
	}
}

func TestPairs(t *testing.T) {
	got, err := pairs("env", []string{"A=1,2", "B=", "C==x", "A=3"})
	if err != nil || len(got) != 3 || got["A"] != "3" || got["B"] != "" || got["C"] != "=x" {
		t.Errorf("got %v, %v", got, err)
	}
	for _, text := range []string{"", "A", "=x", "A=\x00"} {
		if got, err := pairs("env", []string{text}); err == nil {
			t.Errorf("pair %q is %v", text, got)
		}
	}
}

// TestNamesInJSON: every key of a result is in snake_case. What others define keeps their names: the OCI specification.
func TestNamesInJSON(t *testing.T) {
	var walk func(reflect.Type, string)
	seen := map[reflect.Type]bool{}
	snake := regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)
	walk = func(of reflect.Type, at string) {
		switch of.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Array:
			walk(of.Elem(), at)
		case reflect.Struct:
			if seen[of] || strings.Contains(of.PkgPath(), "opencontainers") || of == reflect.TypeFor[time.Time]() {
				return
			}
			seen[of] = true
			for i := range of.NumField() {
				f := of.Field(i)
				tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
				if !f.IsExported() || tag == "-" {
					continue
				}
				if !f.Anonymous && !snake.MatchString(tag) {
					t.Errorf("%s.%s of %s is %q in JSON", at, f.Name, of, tag)
				}
				walk(f.Type, at+"."+f.Name)
			}
		}
	}
	for _, result := range []any{inspection{}, listed{}, waited{}, verdict{}, collection{}, diagnosis{}, setting{}, failure{}, models.Model{}} {
		walk(reflect.TypeOf(result), reflect.TypeOf(result).Name())
	}
}
