package runtime

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"mmbox/cgroups"
	"mmbox/isolation"
	"mmbox/seccomp"
)

// A bench is a state directory of a test's own, with a root file system that has busybox.
type bench struct {
	t    *testing.T
	dir  Dir
	root string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("these tests make sandboxes: run them as root")
	}
	base, err := os.MkdirTemp("/var/tmp", "mmbox-test-")
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, root: filepath.Join(base, "root")}
	for _, dir := range []string{"proc", "dev", "tmp", "bin"} {
		if err := os.MkdirAll(filepath.Join(b.root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(base, 0o755); err != nil {
		t.Fatal(err)
	}
	busybox, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Fatalf("%v: install busybox-static", err)
	}
	if err := os.WriteFile(filepath.Join(b.root, "bin/busybox"), busybox, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("busybox", filepath.Join(b.root, "bin/sh")); err != nil {
		t.Fatal(err)
	}
	if b.dir, err = OpenDir(filepath.Join(base, "state")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if list, err := b.dir.List(); err != nil || len(list) > 0 {
			t.Errorf("%d sandboxes left, %v", len(list), err)
		}
		repairs, err := b.dir.Sweep(context.Background(), false)
		if err != nil {
			t.Error(err)
		}
		for _, r := range repairs {
			if strings.Contains(r.Name, base) || r.Kind != "users" { // the ids of others are swept too
				t.Errorf("left behind: %v", r)
			}
		}
		if err := os.RemoveAll(base); err != nil {
			t.Error(err)
		}
	})
	return b
}

func (b *bench) create(id string, args ...string) *Sandbox {
	b.t.Helper()
	var policy isolation.Policy
	s, err := b.dir.Create(Blueprint{
		Record:        Record{ID: id},
		UserNamespace: policy.UserNamespace(),
		Specification: func(users isolation.Range) *specs.Spec {
			return policy.Spec(isolation.Surroundings{
				Hostname: id, Root: b.root, Users: users, Cgroup: b.dir.Cgroup(id),
				Limits: cgroups.Limits{CPU: 1000, Memory: 32 << 20, PIDs: 16}, Tmp: 1 << 20,
				Process: isolation.Process{Args: args}, Filter: seccomp.Default().Spec(),
			})
		},
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

func (b *bench) filters() string { return filepath.Join(filepath.Dir(b.root), "filters") }

// run runs a program to its end and returns its output.
func (b *bench) run(args ...string) (string, *End) {
	b.t.Helper()
	s := b.create("test", args...)
	r, w, err := os.Pipe()
	if err != nil {
		b.t.Fatal(err)
	}
	defer r.Close()
	_, err = s.Launch(Launch{Out: w, Err: w, Filters: b.filters()})
	w.Close()
	if err != nil {
		b.t.Fatal(err)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		b.t.Fatal(err)
	}
	end, err := s.Reap()
	if err != nil {
		b.t.Fatal(err)
	}
	b.delete(s)
	return string(out), end
}

func (b *bench) delete(s *Sandbox) {
	b.t.Helper()
	if err := s.Delete(context.Background()); err != nil {
		b.t.Error(err)
	}
}

func TestRun(t *testing.T) {
	b := newBench(t)
	out, end := b.run("/bin/sh", "-c", "id -u; hostname; cat /proc/self/status; ulimit -n; ulimit -Hc; busybox ls /proc/self/fd; exit 3")
	if end.ExitCode != 3 || end.Signal != "" || end.OOMKilled {
		t.Errorf("end %+v", end)
	}
	for _, want := range []string{"1000\ntest\n", "\nSeccomp:\t2\n", "\nNoNewPrivs:\t1\n", "\nCapEff:\t0000000000000000\n", "\nCapBnd:\t0000000000000000\n", "\n1024\n0\n", "\n0\n1\n2\n3\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("output lacks %q:\n%s", want, out)
		}
	}
}

func TestRunReportsOOM(t *testing.T) {
	b := newBench(t)
	// A quarter of a gigabyte at most, where 32 MiB are allowed.
	_, end := b.run("/bin/sh", "-c", "busybox dd if=/dev/zero of=/dev/null bs=256M count=1")
	if !end.OOMKilled {
		t.Errorf("end %+v", end)
	}
}

func TestLaunchReportsWhatCannotBeExecuted(t *testing.T) {
	b := newBench(t)
	for program, code := range map[string]int{"/no/such": 127, "/tmp": 126} {
		s := b.create("test", program)
		_, err := s.Launch(Launch{Filters: b.filters()})
		var failed *LaunchError
		if !errors.As(err, &failed) || failed.Code != code {
			t.Errorf("launch of %s gave %v; want code %d", program, err, code)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		b.delete(s)
	}
	s := b.create("test", "/no/such")
	s.Remove = true
	if _, err := s.Launch(Launch{Filters: b.filters()}); err == nil {
		t.Error("no error")
	}
	if _, err := b.dir.Open("test"); !errors.Is(err, ErrNotFound) {
		t.Errorf("a sandbox to be removed when it ends is left after a failed launch: %v", err)
	}
}

func TestSignalsAndPause(t *testing.T) {
	b := newBench(t)
	s := b.create("test", "/bin/sh", "-c", "busybox sleep 100")
	if _, err := s.Launch(Launch{Filters: b.filters()}); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		do   func() error
		err  error
		then Status
	}{
		{s.Resume, ErrNotPaused, Running},
		{s.Pause, nil, Paused},
		{s.Pause, ErrPaused, Paused},
		{s.Resume, nil, Running},
	} {
		if err := step.do(); !errors.Is(err, step.err) {
			t.Errorf("got %v; want %v", err, step.err)
		}
		if status, err := s.Status(); status != step.then || err != nil {
			t.Errorf("status %v, %v; want %v", status, err, step.then)
		}
	}
	if err := s.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	end, err := s.Reap()
	if err != nil || end.ExitCode != 143 || end.Signal != "SIGKILL" || s.Requested != "SIGTERM" {
		t.Errorf("end %+v, %v, requested %q", end, err, s.Requested)
	}
	b.delete(s)
}

func TestExec(t *testing.T) {
	b := newBench(t)
	s := b.create("test", "/bin/sh", "-c", "busybox sleep 100")
	if _, err := s.Launch(Launch{Filters: b.filters()}); err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	extra, err := s.Exec(context.Background(), Launch{Out: w, Err: w, Filters: b.filters()}, func(p *specs.Process) {
		p.Args = []string{"/bin/sh", "-c", "id -u; cat /proc/self/status /proc/1/cmdline; exit 5"}
	})
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	out, _ := io.ReadAll(r)
	if code, err := extra.Wait(); code != 5 || err != nil {
		t.Errorf("exit %d, %v", code, err)
	}
	for _, want := range []string{"1000\n", "\nSeccomp:\t2\n", "\nNoNewPrivs:\t1\n", "\nCapEff:\t0000000000000000\n", "sleep"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("output lacks %q:\n%s", want, out)
		}
	}
	if _, err := s.Exec(context.Background(), Launch{Filters: b.filters()}, func(p *specs.Process) { p.Args = []string{"/nothing"} }); err == nil {
		t.Error("executing nothing gave no error")
	}
	// A start that is given up leaves nothing unreaped that would keep the sandbox from ending.
	given, up := context.WithCancel(context.Background())
	up()
	if _, err := s.Exec(given, Launch{Filters: b.filters()}, func(p *specs.Process) { p.Args = []string{"/bin/sh", "-c", "busybox sleep 100"} }); !errors.Is(err, context.Canceled) {
		t.Errorf("a start that was given up gave %v", err)
	}
	if err := s.Signal(unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Reap(); err != nil {
		t.Fatal(err)
	}
	b.delete(s)
}

func TestWaitEndsWithContext(t *testing.T) {
	b := newBench(t)
	s := b.create("test", "/bin/sh")
	other, err := b.dir.Open("test")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if err := other.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("wait gave %v", err)
	}
	if err := other.Delete(context.Background()); !errors.Is(err, ErrRunning) {
		t.Errorf("delete gave %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if status, err := other.Status(); status != Lost || err != nil {
		t.Errorf("status %v, %v; want %v", status, err, Lost)
	}
	b.delete(other)
}

// Looking at a sandbox must not make it look alive to somebody who wants to remove it.
func TestLookingDoesNotHoldTheLease(t *testing.T) {
	b := newBench(t)
	done := make(chan struct{})
	looked := make(chan struct{})
	go func() {
		defer close(looked)
		for {
			select {
			case <-done:
				return
			default:
			}
			if s, err := b.dir.Open("test"); err == nil {
				_, _ = s.Status() // it may be removed meanwhile
				_ = s.Wait(context.Background())
			}
		}
	}()
	for range 200 {
		s := b.create("test", "/bin/sh")
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		b.delete(s)
	}
	close(done)
	<-looked
}

// A signal arrives also where it cannot be noted that it was delivered as SIGKILL.
func TestSignalArrivesUnnoted(t *testing.T) {
	b := newBench(t)
	s := b.create("test", "/bin/sh", "-c", "busybox sleep 100")
	if _, err := s.Launch(Launch{Filters: b.filters()}); err != nil {
		t.Fatal(err)
	}
	note := filepath.Join(s.path(), requestFile)
	if err := os.Mkdir(note, 0o700); err != nil { // a file cannot be renamed over it
		t.Fatal(err)
	}
	if err := s.Signal(unix.SIGTERM); err == nil {
		t.Error("it was noted")
	}
	if err := os.Remove(note); err != nil {
		t.Fatal(err)
	}
	if end, err := s.Reap(); err != nil || end.Signal != "SIGKILL" {
		t.Errorf("end %+v, %v", end, err)
	}
	b.delete(s)
}
