package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestQuantile(t *testing.T) {
	d := []time.Duration{5, 1, 4, 2, 3}
	for q, want := range map[float64]time.Duration{0: 1, 0.2: 1, 0.5: 3, 0.99: 5, 1: 5} {
		if got := quantile(d, q); got != want {
			t.Errorf("quantile %g: got %d, want %d", q, got, want)
		}
	}
	if d[0] != 5 {
		t.Error("quantile sorted its argument")
	}
}

func TestBudgets(t *testing.T) {
	all := []series{
		{Contender: crun, Mode: tight, Filter: true, MedianMS: 10},
		{Contender: runcNew, Mode: tight, Filter: true, MedianMS: 20},
		{Contender: ours, Mode: tight, Filter: true, MedianMS: 12},
		{Contender: ours, Mode: isolated, Filter: true, MedianMS: 1}, // nothing to hold it against
		{Contender: ours, Mode: tight, Filter: false, MedianMS: 1},   // likewise
	}
	relate(all)
	got := budgets(all)
	want := []budget{{runcNew, tight, 0.6, 0.6, true}, {crun, tight, 1, 1.2, false}}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestParseCalls(t *testing.T) {
	for text, want := range map[string]int{
		"% time\n100.00    0.001904         136        14           total\n": 14,
		"% time\n100.00    0.001904         136      4743       212 total\n": 4743,
	} {
		if got, err := parseCalls(text); err != nil || got != want {
			t.Errorf("%q: got %d, %v; want %d", text, got, err, want)
		}
	}
	if _, err := parseCalls("cut short"); err == nil {
		t.Error("a summary without a total gave no error")
	}
}

func TestChoose(t *testing.T) {
	if _, err := choose([]string{"podman"}); err == nil || !strings.Contains(err.Error(), crun) {
		t.Errorf("an unknown contender gave %v; want an error that names the known ones", err)
	}
	list, err := choose([]string{ours, plain})
	if err != nil || len(list) != 2 || list[0].name != plain || list[1].name != ours {
		t.Errorf("got %v, %v", list, err)
	}
}

// TestQuick measures for real, as root, with all contenders: MMBOX_TEST_BENCH=1, and MMBOX_BENCH_BINARY names an mmbox
// that was built.
func TestQuick(t *testing.T) {
	if os.Getenv("MMBOX_TEST_BENCH") == "" {
		t.Skip("it starts sandboxes, and runc is built for it: set MMBOX_TEST_BENCH=1")
	}
	binary := os.Getenv("MMBOX_BENCH_BINARY")
	if binary == "" {
		binary = "../../bin/mmbox"
	}
	dir := t.TempDir()
	program, figures := filepath.Join(dir, "bench"), filepath.Join(dir, "figures.json")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v: %s", err, out)
	}
	out, err := exec.Command(program, "--quick", "--mmbox", binary, "--json", figures).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	text, err := os.ReadFile(figures)
	if err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	checkReport(t, r, string(out))
	for _, pattern := range []string{"/var/tmp/mmbox-bench-*", "/sys/fs/cgroup/*/mmbox/*/bundle-bench-*", "/sys/fs/cgroup/mmbox/*/bundle-bench-*"} {
		if left, err := filepath.Glob(pattern); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	}
}

func checkReport(t *testing.T, r report, table string) {
	t.Helper()
	names := contenderNames()
	if want := len(names) * 3 * 2; len(r.Series) != want || len(r.Calls) != len(names)*2 {
		t.Fatalf("%d series, %d counts of calls; want %d, %d", len(r.Series), len(r.Calls), want, len(names)*2)
	}
	for _, s := range r.Series {
		sane := s.Samples > 0 && s.LeastMS > 0 && s.MedianMS >= s.LeastMS && s.P99MS >= s.MedianMS && s.CPUMS > 0 && s.Ratio[crun] > 0 && s.Ratio[runcNew] > 0
		if !sane || !strings.Contains(table, s.Contender) {
			t.Errorf("%+v", s)
		}
		if (s.Contender == crun) != (s.Ratio[crun] == 1) {
			t.Errorf("%s is %g × crun", s.Contender, s.Ratio[crun])
		}
	}
	for _, c := range r.Calls {
		if c.Calls < 5 {
			t.Errorf("%s makes %d system calls", c.Contender, c.Calls)
		}
	}
	if len(r.Phases) != len(phaseTable) || len(r.Budgets) != 6 {
		t.Errorf("%d phases, %d budgets; want %d, 6", len(r.Phases), len(r.Budgets), len(phaseTable))
	}
	for _, p := range r.Phases {
		if p.MedianMS <= 0 && p.Name != "rest" {
			t.Errorf("phase %s: %g ms", p.Name, p.MedianMS)
		}
	}
}
