package main

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"text/tabwriter"
	"time"
)

// schemaVersion is in every JSON result. It rises when a field changes its meaning or goes.
const schemaVersion = 1

// json prints a result with schema_version in front. The result is a struct or a map.
func (m *mmbox) json(result any) error {
	body, err := json.MarshalIndent(result, "", "  ")
	if err != nil {
		return err
	}
	head := fmt.Sprintf("{\n  \"schema_version\": %d", schemaVersion)
	if rest := strings.TrimPrefix(string(body), "{"); strings.TrimSpace(rest) != "}" {
		head += ","
		body = []byte(rest)
	} else {
		body = []byte("\n}")
	}
	_, err = fmt.Fprintf(m.stdout, "%s%s\n", head, body)
	return err
}

// list prints results as a JSON object with one key, or as a table.
func (m *mmbox) list(key string, items any, head []string, rows [][]string) error {
	if m.settings.json {
		if v := reflect.ValueOf(items); v.Kind() == reflect.Slice && v.IsNil() {
			items = []any{}
		}
		return m.json(map[string]any{key: items})
	}
	return m.table(head, rows)
}

// table prints rows under a head, in columns.
func (m *mmbox) table(head []string, rows [][]string) error {
	w := tabwriter.NewWriter(m.stdout, 0, 0, 3, ' ', 0)
	for _, row := range append([][]string{head}, rows...) {
		if len(row) == 0 {
			continue
		}
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	return w.Flush()
}

// warn tells what a host could not enforce.
func (m *mmbox) warn(warnings []string) {
	for _, w := range warnings {
		fmt.Fprintf(m.stderr, "mmbox: warning: %s\n", w)
	}
}

// ago is how long ago a time was, as a person would say it.
func ago(t time.Time) string {
	d := max(time.Since(t), 0) // a clock may have been set back
	switch {
	case t.IsZero():
		return "-"
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// bytes is an amount of memory or disk, as a person would say it.
func bytes(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	f, i := float64(n), 0 // below, 1023.95 is what would be printed as 1024.0
	for f >= 1023.95 && i < len(units)-1 {
		f, i = f/1024, i+1
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", f, units[i])
}
