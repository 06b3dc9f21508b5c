// Package metrics will turn what cgroups and /proc tell of sandboxes into samples: for node_exporter's textfile
// collector, and for alert rules and a dashboard that belong to them.
//
// This version has none of that: what a sandbox uses now is shown by mmbox inspect, and what it used by its record.
package metrics
