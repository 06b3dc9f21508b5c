package models

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The test binary runs itself as these children.
const (
	childEnv = "MMBOX_MODELS_TEST_CHILD"
	rootEnv  = "MMBOX_MODELS_TEST_ROOT"
)

func TestMain(m *testing.M) {
	var err error
	switch os.Getenv(childEnv) {
	case "":
		os.Exit(m.Run())
	case "install":
		err = installForever(os.Getenv(rootEnv))
	case "full":
		err = fillDisk(os.Getenv(rootEnv))
	case "read-only":
		err = writeReadOnly(os.Getenv(rootEnv))
	}
	if err != nil {
		fmt.Println("child:", err)
		os.Exit(1)
	}
}

func child(t *testing.T, name, root string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childEnv+"="+name, rootEnv+"="+root)
	cmd.Stderr = os.Stderr
	return cmd
}

// installForever adds models and removes every third until it is killed, and says what it has finished.
func installForever(root string) error {
	s, err := Open(root)
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		name := fmt.Sprintf("m%d-%d", os.Getpid(), i)
		if _, err := put(s, name, "1.0.0", strings.Repeat(name, 5000)); err != nil {
			return err
		}
		fmt.Println("added", name)
		if i%3 == 2 {
			fmt.Println("removing", name)
			if err := s.Remove(name, "1.0.0"); err != nil {
				return err
			}
			fmt.Println("removed", name)
		}
	}
}

// TestKillLosesNothing kills an installing process at random moments. What it said was added must be there and sound, what
// it said was removed must be gone, and nothing is damaged.
func TestKillLosesNothing(t *testing.T) {
	root := filepath.Join(t.TempDir(), "store")
	s := openStore(t, root)
	state := map[string]string{}
	interrupted := int64(0)
	for range 30 {
		cmd := child(t, "install", root)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			what, name, _ := strings.Cut(lines.Text(), " ")
			state[name] = what
			if rand.IntN(4) == 0 {
				break
			}
		}
		time.Sleep(time.Duration(rand.IntN(3000)) * time.Microsecond)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() {
			what, name, _ := strings.Cut(lines.Text(), " ")
			state[name] = what
		}
		if err := cmd.Wait(); err == nil || cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Fatalf("the child was not killed: %v %v", err, state)
		}
		checkAfterKill(t, s, state)
		g, err := s.Sweep()
		if err != nil {
			t.Fatal(err)
		}
		interrupted += int64(len(g.Temps))
		checkAfterKill(t, s, state)
	}
	t.Logf("%d models, %d unfinished files and directories swept", len(state), interrupted)
	if len(state) < 30 {
		t.Errorf("only %d models: the test shows nothing", len(state))
	}
}

func checkAfterKill(t *testing.T, s *Store, state map[string]string) {
	t.Helper()
	all, err := s.List()
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, m := range all {
		there[m.Manifest.Name] = true
		for _, err := range s.Verify(&m) {
			t.Error(err)
		}
	}
	for name, what := range state {
		if what == "added" && !there[name] || what == "removed" && there[name] {
			t.Errorf("%s was %s, and listed is %v", name, what, there[name])
		}
	}
}

// onTmpfs runs a child that has a tmpfs of its own, in a mount namespace that ends with it, so that nothing stays mounted.
func onTmpfs(t *testing.T, name string) {
	t.Helper()
	root := t.TempDir()
	cmd := child(t, name, root)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
		}
	}
	if out, err := cmd.Output(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if left := tree(t, root); len(left) != 1 {
		t.Errorf("seen from outside: %v", left)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mounts), root) {
		t.Errorf("%s is still mounted", root)
	}
}

func TestFullDisk(t *testing.T) { onTmpfs(t, "full") }

// fillDisk writes more than fits, then what fits, and looks at what is left.
func fillDisk(root string) error {
	if err := syscall.Mount("tmpfs", root, "tmpfs", 0, "size=256k"); err != nil {
		return err
	}
	s, err := Open(root)
	if err != nil {
		return err
	}
	if _, err := put(s, "small", "1.0.0", "small"); err != nil {
		return err
	}
	_, err = put(s, "large", "1.0.0", strings.Repeat("x", 1<<20))
	want := "; the file system of " + root + " is full: free some space (mmbox gc removes what no model uses) and try again"
	if !errors.Is(err, syscall.ENOSPC) || !strings.HasSuffix(err.Error(), want) {
		return fmt.Errorf("a blob on a full disk: got %v, want …%s", err, want)
	}
	if g, err := s.Garbage(); err != nil || g.Size() != 0 || len(g.Temps) != 0 {
		return fmt.Errorf("left on the full disk: %v, %v", g, err)
	}
	// A record that no longer fits: the blob is there, the model must not be.
	blob, err := s.PutBlob(strings.NewReader(strings.Repeat("y", 200<<10)), "")
	if err != nil {
		return err
	}
	if err := fillRest(root); err != nil {
		return err
	}
	small, err := s.Find("small")
	if err != nil {
		return err
	}
	m := *small
	m.Manifest.Name, m.Files = "record", map[string]Blob{"/a": blob}
	if err := s.Add(&m, []byte("x")); !errors.Is(err, syscall.ENOSPC) || !strings.HasSuffix(err.Error(), want) {
		return fmt.Errorf("a record on a full disk: got %v", err)
	}
	if all, err := s.List(); err != nil || len(all) != 1 || len(s.Verify(&all[0])) != 0 {
		return fmt.Errorf("after the full disk: %v, %v", all, err)
	}
	if g, err := s.Garbage(); err != nil || len(g.Temps) != 0 {
		return fmt.Errorf("left on the full disk: %v, %v", g, err)
	}
	if err := os.Remove(filepath.Join(root, "filler")); err != nil {
		return err
	}
	if g, err := s.Sweep(); err != nil || len(g.Blobs) != 1 {
		return fmt.Errorf("sweep: %v, %v", g, err)
	}
	_, err = put(s, "large", "1.0.0", strings.Repeat("x", 100<<10))
	return err
}

// fillRest takes the last page of a file system.
func fillRest(root string) error {
	f, err := os.Create(filepath.Join(root, "filler"))
	if err != nil {
		return err
	}
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		return err
	}
	return f.Close()
}

func TestReadOnlyFileSystem(t *testing.T) { onTmpfs(t, "read-only") }

// writeReadOnly reads and writes a store on a file system that has become read-only.
func writeReadOnly(root string) error {
	if err := syscall.Mount("tmpfs", root, "tmpfs", 0, "size=1m"); err != nil {
		return err
	}
	s, err := Open(root)
	if err != nil {
		return err
	}
	m, err := put(s, "tiny", "1.0.0", "w")
	if err != nil {
		return err
	}
	unlock, err := s.Lock(context.Background())
	if err != nil {
		return err
	}
	if err := unlock(); err != nil {
		return err
	}
	if err := syscall.Mount("", root, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		return err
	}
	want := "; " + root + " cannot be written to: choose another directory with --root"
	_, putErr := s.PutBlob(strings.NewReader("other"), "")
	absent, err := Open(filepath.Join(root, "below"))
	if err != nil {
		return err
	}
	_, makeErr := absent.PutBlob(strings.NewReader("other"), "")
	m.Manifest.Version = "2.0.0"
	for what, err := range map[string]error{"put": putErr, "add": s.Add(m, nil), "remove": s.Remove("tiny", "1.0.0")} {
		if !errors.Is(err, syscall.EROFS) || !strings.HasSuffix(err.Error(), want) {
			return fmt.Errorf("%s on a read-only file system: got %v, want …%s", what, err, want)
		}
	}
	if !errors.Is(makeErr, syscall.EROFS) {
		return fmt.Errorf("a new store on a read-only file system: %v", makeErr)
	}
	found, err := s.Find("tiny")
	if err != nil || len(s.Verify(found)) != 0 {
		return fmt.Errorf("reading on a read-only file system: %v, %v", found, err)
	}
	if unlock, err = s.RLock(context.Background()); err != nil {
		return fmt.Errorf("a reader's lock on a read-only file system: %w", err)
	}
	if _, err := absent.List(); err != nil {
		return fmt.Errorf("an absent store: %w", err)
	}
	return unlock()
}
