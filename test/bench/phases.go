package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// A phase is one step of our start: its median over the runs.
type phase struct {
	Name     string  `json:"name"`
	MedianMS float64 `json:"median_ms"`
	about    string
}

// kept is what inspect tells of a sandbox whose record was kept.
type kept struct {
	Created time.Time `json:"created"`
	Started time.Time `json:"started"`
	Phases  []struct {
		Name    string  `json:"name"`
		Seconds float64 `json:"seconds"`
	} `json:"phases"`
	End struct {
		Finished time.Time `json:"finished"`
	} `json:"end"`
}

var phaseTable = []phase{
	{Name: "cli", about: "our process starts, finds the model, makes the specification and the sandbox's directory"},
	{Name: "spec", about: "specification to libcontainer's configuration, the filter from its cache"},
	{Name: "create", about: "libcontainer's checks and state"},
	{Name: "init", about: "cgroup, namespaces, our binary again inside, mounts, up to the exec FIFO"},
	{Name: "exec", about: "from the FIFO through the shim to the program"},
	{Name: "program", about: "it runs, and its end is seen"},
	{Name: "delete", about: "figures read, cgroup removed, the end recorded, our process exits"},
	{Name: "rest", about: "of the whole: records written between the steps"},
}

// phases measures the steps of our start with filter, by keeping the records. A kept record is written at the end, where
// run without --keep removes the directory.
func (f *fixture) phases(ctx context.Context, runs int) ([]phase, error) {
	samples := map[string][]time.Duration{}
	for i := range runs {
		s := slot{i % atOnce, true}
		began := time.Now()
		one, err := f.timed(ctx, s, []string{f.mmbox, "run", "--keep", "--id", s.id(), modelName})
		if err != nil {
			return nil, err
		}
		text, err := f.command(ctx, f.mmbox, "--format", "json", "inspect", s.id())
		if err != nil {
			return nil, err
		}
		var k kept
		if err := json.Unmarshal(text, &k); err != nil {
			return nil, fmt.Errorf("inspect: %w", err)
		}
		if len(k.Phases) == 0 || k.End.Finished.IsZero() {
			return nil, fmt.Errorf("inspect of %s has no phases or no end: %s", s.id(), text)
		}
		k.divide(began, one.wall, samples)
		if _, err := f.command(ctx, f.mmbox, "rm", s.id()); err != nil {
			return nil, err
		}
	}
	var list []phase
	for _, p := range phaseTable {
		p.MedianMS = ms(median(samples[p.Name]))
		list = append(list, p)
	}
	return list, nil
}

// divide adds the steps of one start that took wall since began.
func (k kept) divide(began time.Time, wall time.Duration, into map[string][]time.Duration) {
	rest := wall
	add := func(name string, d time.Duration) {
		into[name] = append(into[name], d)
		rest -= d
	}
	add("cli", k.Created.Sub(began))
	for _, p := range k.Phases {
		add(p.Name, time.Duration(p.Seconds*float64(time.Second)))
	}
	add("program", k.End.Finished.Sub(k.Started))
	add("delete", began.Add(wall).Sub(k.End.Finished))
	add("rest", rest)
}
