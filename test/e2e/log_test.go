package e2e

import (
	"os"
	"strings"
	"testing"
)

// floodManifest prints 40 MB, tries to change what it printed, and stays.
const floodManifest = `rootfs: [{dir: root}]
run:
  infer:
    args: [/busybox, sh, -c, "busybox yes 0123456789abcde | busybox head -c 40000000; busybox truncate -s 0 /proc/self/fd/1; busybox truncate -s 100000000000 /proc/self/fd/1; echo done; exec busybox sleep 1000"]
resources: {cpu: 1, memory: 32Mi, pids: 16, tmp: 1Mi}
`

// A program cannot fill the disk by printing, nor change what it has printed: its log has a size, and it has only a pipe
// to it.
func TestLogIsBoundedAndOutOfReach(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	if err := os.Link(base+"/models/shell/root/bin/busybox", l.model("flood")+"/root/busybox"); err != nil {
		t.Fatal(err)
	}
	l.installed("flood", strings.ReplaceAll(floodManifest, "busybox ", "/busybox "))
	l.ok("start", "flood")
	l.eventually("the flood is over", func() bool { return strings.HasSuffix(l.ok("logs", "--tail", "1", "flood"), "done\n") })
	log := l.inspect("flood").Log
	const full = 16 << 20
	for _, path := range []string{log, log + ".1"} {
		info, err := os.Stat(path)
		if err != nil || info.Size() > full {
			t.Errorf("log %s: %v, %v", path, info, err)
		}
	}
	if lines := strings.Count(l.ok("logs", "flood"), "\n"); lines < full/16 || lines > 2*full/16 {
		t.Errorf("logs gives %d lines", lines)
	}
	if tail := strings.Split(l.ok("logs", "--tail", "1500000", "flood"), "\n"); tail[1] != "0123456789abcde" {
		t.Errorf("a tail longer than the log begins with %q", tail[:2])
	}
	l.ok("rm", "--force", "flood")
	for _, path := range []string{log, log + ".1"} {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s is left", path)
		}
	}
}
