package runtime

import (
	"os"
	"strings"
	"testing"
)

// GOMAXPROCS is set for libcontainer's part inside alone: neither the model nor this process sees it.
func TestStartLeavesTheEnvironmentAsItWas(t *testing.T) {
	b := newBench(t)
	for _, before := range []string{"", "3"} {
		t.Setenv("GOMAXPROCS", before) // puts it back in the end
		if before == "" {
			os.Unsetenv("GOMAXPROCS")
		}
		out, end := b.run("/bin/busybox", "env")
		if end.ExitCode != 0 || !strings.Contains(out, "PATH=") || strings.Contains(out, "GOMAXPROCS") {
			t.Errorf("exit %d, the model's environment is %q", end.ExitCode, out)
		}
		if after, set := os.LookupEnv("GOMAXPROCS"); after != before || set != (before != "") {
			t.Errorf("GOMAXPROCS was %q, is %q, set %t", before, after, set)
		}
	}
}
