package vm

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// needVM keeps the unit tier quick: a boot costs seconds, and the first one downloads a kernel.
func needVM(t *testing.T) {
	t.Helper()
	if os.Getenv("MMBOX_TEST_VM") != "1" {
		t.Skip("boots virtual machines: set MMBOX_TEST_VM=1, as make vm does")
	}
}

// runShell runs a script in a machine and returns its exit code and what it wrote.
func runShell(t *testing.T, m Machine, script string) (code int, stdout, stderr string, err error) {
	t.Helper()
	m.Timeout = cmp.Or(m.Timeout, 2*time.Minute)
	var out, errs bytes.Buffer
	code, err = m.Run(t.Context(), Command{Args: []string{"sh", "-c", script}}, &out, &errs)
	return code, out.String(), errs.String(), err
}

// TestGuest checks from inside that the guest is fit for the project's tests, with either kind of PID 1.
func TestGuest(t *testing.T) {
	needVM(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	testdata, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, systemd := range []bool{false, true} {
		t.Run(fmt.Sprintf("systemd=%t", systemd), func(t *testing.T) {
			m := Machine{
				Systemd: systemd,
				Timeout: 5 * time.Minute,
				Files:   []File{{Host: self, Guest: "/run/test/vm.test"}},
				Share:   []Share{{Host: testdata, Guest: "/run/test/testdata"}},
			}
			var out bytes.Buffer
			start := time.Now()
			code, err := m.Run(t.Context(), Command{
				Args: []string{"/run/test/vm.test", "-test.v", "-test.run=^TestInside$", "-test.timeout=3m"},
				Env:  []string{fmt.Sprintf("MMBOX_VM_INSIDE=systemd=%t", systemd)},
				Dir:  "/run/test",
			}, &out, &out)
			t.Logf("%v\n%s", time.Since(start), out.String())
			if err != nil || code != 0 || !strings.Contains(out.String(), "\n--- PASS: TestInside") {
				t.Errorf("test inside: exit %d, %v", code, err)
			}
		})
	}
}

// TestOutput checks that output arrives whole and unmixed, results reach the host and so does the exit code.
func TestOutput(t *testing.T) {
	needVM(t)
	results := t.TempDir()
	m := Machine{Share: []Share{{Host: results, Guest: "/out", Writable: true}}}
	const size = 8 << 20
	code, stdout, stderr, err := runShell(t, m, fmt.Sprintf(`
		echo warning >/dev/kmsg
		head -c %d /dev/zero | tr '\0' '\r' >/dev/stdout
		echo error >&2; echo again >/dev/stderr
		echo result >/out/result; chmod 640 /out/result; chown 7:8 /out/result
		cat /proc/sys/kernel/random/boot_id >/etc/mmbox-vm-test
		exit 42`, size))
	if code != 42 || err != nil {
		t.Errorf("exit %d, %v; want 42", code, err)
	}
	if sha256.Sum256([]byte(stdout)) != sha256.Sum256(bytes.Repeat([]byte{'\r'}, size)) {
		t.Errorf("stdout: %d bytes, want %d carriage returns", len(stdout), size)
	}
	if stderr != "error\nagain\n" {
		t.Errorf("stderr: %q", stderr)
	}
	if data, err := os.ReadFile(filepath.Join(results, "result")); err != nil || string(data) != "result\n" {
		t.Errorf("result: %q, %v", data, err)
	}
	if _, err := os.Stat("/etc/mmbox-vm-test"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the guest wrote to the host's root: %v", err)
	}
}

func TestSignalAndLeftBehind(t *testing.T) {
	needVM(t)
	code, stdout, stderr, err := runShell(t, Machine{}, `sleep 1000 & echo $!; kill -TERM $$`)
	if code != 128+15 || err != nil || stdout == "" {
		t.Errorf("exit %d, %v, stdout %q; want 143", code, err, stdout)
	}
	if !strings.Contains(stderr, "left behind") {
		t.Errorf("stderr %q does not name the process left behind", stderr)
	}
}

func TestFailures(t *testing.T) {
	needVM(t)
	for _, c := range []struct {
		name    string
		m       Machine
		script  string
		want    error
		console string
	}{
		{"command's timeout", Machine{Timeout: time.Second}, "echo before; sleep 1000", ErrTimeout, "limit 1s"},
		{"boot's timeout", Machine{BootTimeout: time.Millisecond}, "echo never", ErrBootTimeout, "limit 1ms"},
		{"panic", Machine{}, "echo before; echo c >/proc/sysrq-trigger; sleep 1000", ErrPanic, "sysrq triggered crash"},
		{"power off", Machine{}, "echo before; echo o >/proc/sysrq-trigger; sleep 1000", ErrVanished, "Power down"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, stdout, _, err := runShell(t, c.m, c.script)
			var failed *GuestError
			if !errors.Is(err, c.want) || !errors.As(err, &failed) || !strings.Contains(err.Error(), c.console) {
				t.Errorf("%v\nwant %v with %q", err, c.want, c.console)
			}
			if want := c.want != ErrBootTimeout; (stdout == "before\n") != want {
				t.Errorf("stdout %q", stdout)
			}
		})
	}
}

func TestCancel(t *testing.T) {
	needVM(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen := writerFunc(func(p []byte) (int, error) { cancel(); return len(p), nil })
	start := time.Now()
	_, err := Machine{}.Run(ctx, Command{Args: []string{"sh", "-c", "echo here; sleep 1000"}}, seen, io.Discard)
	if !errors.Is(err, context.Canceled) || time.Since(start) > time.Minute {
		t.Errorf("after %v: %v, want %v", time.Since(start), err, context.Canceled)
	}
	// A writer that fails ends the machine as well, rather than hanging it on a full pipe.
	_, err = Machine{}.Run(t.Context(), Command{Args: []string{"sh", "-c", "cat /dev/zero"}}, fullDisk{}, fullDisk{})
	if !errors.Is(err, errFull) {
		t.Errorf("full disk: %v, want %v", err, errFull)
	}
	if left := qemuChildren(t); len(left) != 0 {
		t.Errorf("QEMU still runs: %v", left)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// qemuChildren lists the processes that this one has started and that still exist.
func qemuChildren(t *testing.T) []string {
	t.Helper()
	lists, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil || len(lists) == 0 {
		t.Fatalf("no lists of children: %v", err)
	}
	var children []string
	for _, list := range lists {
		data, err := os.ReadFile(list)
		if errors.Is(err, os.ErrNotExist) {
			continue // a thread that ended meanwhile
		}
		if err != nil {
			t.Fatal(err)
		}
		children = append(children, strings.Fields(string(data))...)
	}
	return children
}
