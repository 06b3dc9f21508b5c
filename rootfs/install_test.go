package rootfs

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mmbox/models"
	"mmbox/rootfs/tree"
)

// smallELF is a program without code: static, or with an interpreter.
func smallELF(t testing.TB, foreign bool, interp string) string {
	t.Helper()
	self, err := elf.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer self.Close()
	h := elf.Header64{Type: uint16(elf.ET_EXEC), Machine: uint16(self.Machine), Version: 1, Phoff: 64, Ehsize: 64, Phentsize: 56}
	if foreign {
		h.Machine = uint16(elf.EM_MIPS)
	}
	copy(h.Ident[:], elf.ELFMAG)
	h.Ident[elf.EI_CLASS], h.Ident[elf.EI_DATA], h.Ident[elf.EI_VERSION] = byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), 1
	parts := []any{&h}
	if interp != "" {
		h.Phnum = 1
		parts = append(parts, elf.Prog64{Type: uint32(elf.PT_INTERP), Off: 120, Filesz: uint64(len(interp) + 1)}, []byte(interp+"\x00"))
	}
	var b bytes.Buffer
	for _, p := range parts {
		if err := binary.Write(&b, binary.LittleEndian, p); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

// source writes a model's directory: model.yaml from what differs, and files by path. Paths in root/ are programs.
func source(t testing.TB, body string, files map[string]string) string {
	t.Helper()
	base := t.TempDir()
	head := "schema: mmbox/v1\nname: tiny\nversion: 1.0.0\ntask: test\nlicense: MIT\nresources: {cpu: 1, memory: 32Mi, pids: 8, tmp: 1Mi}\n"
	all := map[string]string{"model.yaml": head + body}
	for p, content := range files {
		all[p] = content
	}
	for p, content := range all {
		p = filepath.Join(base, p)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		mode := os.FileMode(0o644)
		if strings.Contains(p, "/root/") && !strings.HasSuffix(p, ".txt") {
			mode = 0o755
		}
		if err := os.WriteFile(p, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
	}
	return base
}

const tiny = "rootfs: [{dir: root}]\nfiles: {/m/w: {source: w}}\nrun: {infer: {args: [/p]}}\ngolden: [{input_file: in.txt, output: x}]\n"

func tinySource(t testing.TB, weights string) string {
	t.Helper()
	return source(t, tiny, map[string]string{"root/p": smallELF(t, false, ""), "w": weights, "in.txt": "in"})
}

func newStore(t testing.TB) *models.Store {
	t.Helper()
	s, err := models.Open(filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestInstall(t *testing.T) {
	store, src := newStore(t), tinySource(t, "weights")
	var steps []string
	m, err := Install(t.Context(), store, src, Options{Progress: func(e Event) { steps = append(steps, e.Step) }})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(steps, "; "); got != `file w; file in.txt; layer 1 of 1: dir "root"; root of tiny` {
		t.Errorf("steps: %s", got)
	}
	trees, err := tree.Open(store.TreesDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := trees.Verify(t.Context(), m); err != nil {
		t.Error(err)
	}
	if wrong := store.Verify(m); len(wrong) > 0 {
		t.Error(wrong)
	}
	if got := text(t, trees, m.Root); !strings.Contains(got, "/m/w 0444 \"weights\"") || !strings.Contains(got, "/p 0555") {
		t.Errorf("root:\n%s", got)
	}

	again, err := Install(t.Context(), store, filepath.Join(src, "model.yaml"), Options{})
	if !errors.Is(err, ErrUpToDate) || again == nil || again.Digest != m.Digest || !again.Installed.Equal(m.Installed) {
		t.Errorf("again: %+v, %v", again, err)
	}
	if _, err := Install(t.Context(), store, tinySource(t, "others"), Options{}); !errors.Is(err, models.ErrExists) || errors.Is(err, ErrUpToDate) {
		t.Errorf("other content: %v", err)
	}
	other, err := Install(t.Context(), newStore(t), tinySource(t, "weights"), Options{})
	if err != nil || other.Digest != m.Digest || other.Root != m.Root {
		t.Errorf("elsewhere: %+v, %v", other, err)
	}
	garbage, err := trees.Garbage(map[models.Digest]bool{m.Root: true, m.Layers[0]: true})
	if err != nil || len(garbage) != 0 {
		t.Errorf("garbage %+v, %v", garbage, err)
	}
}

// TestInstallShares: two models on one base have its files once on disk.
func TestInstallShares(t *testing.T) {
	store, p := newStore(t), smallELF(t, false, "")
	var where []string
	for _, name := range []string{"one", "two"} {
		src := source(t, tiny, map[string]string{"root/p": p, "w": name, "in.txt": ""})
		text, err := os.ReadFile(filepath.Join(src, "model.yaml"))
		if err == nil {
			err = os.WriteFile(filepath.Join(src, "model.yaml"), bytes.Replace(text, []byte("tiny"), []byte(name), 1), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		m, err := Install(t.Context(), store, src, Options{})
		if err != nil {
			t.Fatal(err)
		}
		where = append(where, filepath.Join(store.TreesDir(), "sha256", m.Root.Hex(), "root/p"))
	}
	if where[0] == where[1] || inode(t, where[0]) != inode(t, where[1]) {
		t.Errorf("%v are not one file under two names", where)
	}
}

func TestInstallRefused(t *testing.T) {
	p := smallELF(t, false, "")
	infer := "rootfs: [{dir: root}]\nrun: {infer: {args: [%s]}}\n"
	for name, tc := range map[string]struct {
		body  string
		files map[string]string
		want  []string
	}{
		"no such program":     {fmt.Sprintf(infer, "/bin/p"), map[string]string{"root/usr/p": p}, []string{`args[0] "/bin/p": not found in the root`, `did you mean "/usr/p"?`}},
		"nothing like it":     {fmt.Sprintf(infer, "/bin/q"), map[string]string{"root/p": p}, []string{`args[0] "/bin/q": not found in the root: add the layer that holds it`}},
		"not executable":      {fmt.Sprintf(infer, "/p.txt"), map[string]string{"root/p.txt": p}, []string{`"/p.txt" is not executable: chmod +x`}},
		"directory":           {fmt.Sprintf(infer, "/d"), map[string]string{"root/d/x": ""}, []string{`"/d" is not a file`}},
		"data as program":     {"rootfs: [{dir: root}]\nfiles: {/m/p: {source: p}}\nrun: {infer: {args: [/m/p]}}\n", map[string]string{"root/x": "", "p": p}, []string{"all of files are data"}},
		"foreign":             {fmt.Sprintf(infer, "/p"), map[string]string{"root/p": smallELF(t, true, "")}, []string{`"/p": made for mips`, "this machine is"}},
		"no interpreter":      {fmt.Sprintf(infer, "/p"), map[string]string{"root/p": smallELF(t, false, "/lib/ld-x.so")}, []string{`interpreter "/lib/ld-x.so", needed by "/p"`, "add the package or layer that holds it"}},
		"no script's program": {fmt.Sprintf(infer, "/s"), map[string]string{"root/s": "#!/usr/bin/python3\n"}, []string{`interpreter of script "/s"`, "/usr/bin/python3", "add the package or layer that holds it"}},
		"no working dir":      {"rootfs: [{dir: root}]\nrun: {serve: {args: [/p], dir: /work, protocol: lines}}\n", map[string]string{"root/p": p}, []string{"run.serve", `dir "/work": no such directory`}},
		"wrong weights":       {"rootfs: [{dir: root}]\nfiles: {/m/w: {source: w, sha256: " + strings.Repeat("a", 64) + "}}\nrun: {infer: {args: [/p]}}\n", map[string]string{"root/p": p, "w": "weights"}, []string{`file "/m/w"`, strings.Repeat("a", 64), models.DigestOf([]byte("weights")).Hex()}},
		"no weights":          {"rootfs: [{dir: root}]\nfiles: {/m/w: {source: w}}\nrun: {infer: {args: [/p]}}\n", map[string]string{"root/p": p}, []string{`file "/m/w"`, "no such file"}},
		"remote weights":      {"rootfs: [{dir: root}]\nfiles: {/m/w: {source: 'https://example.org/w', sha256: " + strings.Repeat("a", 64) + "}}\nrun: {infer: {args: [/p]}}\n", map[string]string{"root/p": p}, []string{"not supported yet"}},
		"no layer":            {fmt.Sprintf(infer, "/p"), nil, []string{`layer dir "root"`, "no such file"}},
		"no golden input":     {fmt.Sprintf(infer, "/p") + "golden: [{input_file: gone, output: x}]\n", map[string]string{"root/p": p}, []string{`golden input "gone"`}},
		"proc is a file":      {fmt.Sprintf(infer, "/p"), map[string]string{"root/p": p, "root/proc": ""}, []string{`"/proc" is a file`}},
		"unknown key":         {"weights: x\n", nil, []string{"weights"}},
		"dir is a file":       {"rootfs: [{dir: root/p}]\nrun: {infer: {args: [/p]}}\n", map[string]string{"root/p": p}, []string{`layer dir "root/p"`, "is not a directory", "use tar"}},
		"tar is a directory":  {"rootfs: [{tar: root}]\nrun: {infer: {args: [/p]}}\n", map[string]string{"root/p": p}, []string{`layer tar "root"`, "is a directory: use dir"}},
		"another archive":     {"rootfs: [{tar: a, sha256: " + strings.Repeat("a", 64) + "}]\nrun: {infer: {args: [/p]}}\n", map[string]string{"a": "<html>not found</html>"}, []string{strings.Repeat("a", 64), models.DigestOf([]byte("<html>not found</html>")).Hex()}},
	} {
		t.Run(name, func(t *testing.T) {
			store := newStore(t)
			m, err := Install(t.Context(), store, source(t, tc.body, tc.files), Options{})
			if err == nil {
				t.Fatalf("installed %+v", m)
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q lacks %q", err, want)
				}
			}
			if all, err := store.List(); len(all) > 0 || err != nil {
				t.Errorf("left %v, %v", all, err)
			}
			if left, _ := filepath.Glob(filepath.Join(store.TreesDir(), "tmp-*")); len(left) > 0 {
				t.Errorf("left %v", left)
			}
		})
	}
	if _, err := Install(t.Context(), newStore(t), t.TempDir(), Options{}); err == nil || !strings.Contains(err.Error(), "has no model.yaml") {
		t.Errorf("empty directory: %v", err)
	}
	outside := source(t, tiny, map[string]string{"root/p": p, "in.txt": ""})
	if err := os.Symlink("/etc/shadow", filepath.Join(outside, "w")); err != nil {
		t.Fatal(err)
	}
	if _, err := Install(t.Context(), newStore(t), outside, Options{}); err == nil || !strings.Contains(err.Error(), "escapes") {
		t.Errorf("weights are a link out: %v", err)
	}
}

// TestInstallFifo: a fifo in the place of a file is refused, and not waited for.
func TestInstallFifo(t *testing.T) {
	p := smallELF(t, false, "")
	for body, name := range map[string]string{tiny: "w", "rootfs: [{tar: a.tar}]\nrun: {infer: {args: [/p]}}\n": "a.tar"} {
		src := source(t, body, map[string]string{"root/p": p, "in.txt": ""})
		if err := unix.Mkfifo(filepath.Join(src, name), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Install(t.Context(), newStore(t), src, Options{}); err == nil || !strings.Contains(err.Error(), "is not a regular file") {
			t.Errorf("%s is a fifo: %v", name, err)
		}
	}
}

func TestInstallCancelled(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("Ctrl-C"))
	store := newStore(t)
	if _, err := Install(ctx, store, tinySource(t, "w"), Options{}); err == nil {
		t.Error("installed")
	}
	if all, err := store.List(); len(all) > 0 || err != nil {
		t.Errorf("left %v, %v", all, err)
	}
}

// TestInstallAtOnce: of many installs of one model, one adds it and the others find it.
func TestInstallAtOnce(t *testing.T) {
	store, src := newStore(t), tinySource(t, "w")
	var wg sync.WaitGroup
	results := make([]error, 16)
	for i := range results {
		wg.Go(func() { _, results[i] = Install(context.Background(), store, src, Options{}) })
	}
	wg.Wait()
	added := 0
	for _, err := range results {
		if err == nil {
			added++
		} else if !errors.Is(err, ErrUpToDate) {
			t.Error(err)
		}
	}
	if added != 1 {
		t.Errorf("%d added it", added)
	}
}

// TestInstallAgainIsFast holds the budget: what is installed already takes at most 50 ms, however large it is.
func TestInstallAgainIsFast(t *testing.T) {
	files := map[string]string{"root/p": smallELF(t, false, ""), "w": strings.Repeat("w", 64<<20), "in.txt": ""}
	for i := range 1000 {
		files[fmt.Sprint("root/d/", i)] = fmt.Sprint(i)
	}
	store, src := newStore(t), source(t, tiny, files)
	time.Sleep(2 * granularity)
	if _, err := Install(t.Context(), store, src, Options{}); err != nil {
		t.Fatal(err)
	}
	best := time.Hour
	for range 5 {
		start := time.Now()
		if _, err := Install(t.Context(), store, src, Options{}); !errors.Is(err, ErrUpToDate) {
			t.Fatal(err)
		}
		best = min(best, time.Since(start))
	}
	t.Logf("%v", best)
	if best > 50*time.Millisecond {
		t.Errorf("took %v", best)
	}
}

const crashEnv = "MMBOX_TEST_CRASH" // STORE:SOURCE

func TestMain(m *testing.M) {
	if dirs := os.Getenv(crashEnv); dirs != "" {
		os.Exit(installOver(dirs))
	}
	os.Exit(m.Run())
}

// installOver installs and removes until it is killed.
func installOver(dirs string) int {
	dir, src, _ := strings.Cut(dirs, ":")
	store, err := models.Open(dir)
	for n := 0; err == nil; n++ {
		if err = os.WriteFile(filepath.Join(src, "root/changing.txt"), []byte(fmt.Sprint(os.Getpid(), n)), 0o644); err != nil {
			break
		}
		if _, err = Install(context.Background(), store, src, Options{}); err == nil || errors.Is(err, models.ErrExists) || errors.Is(err, ErrUpToDate) {
			err = store.Remove("tiny", "1.0.0")
		}
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// TestKilled: whenever an install is killed, what is in the store is whole, the next install works, and sweeping leaves
// nothing behind.
func TestKilled(t *testing.T) {
	files := map[string]string{"root/p": smallELF(t, false, ""), "w": strings.Repeat("w", 1<<20), "in.txt": ""}
	for i := range 200 {
		files[fmt.Sprintf("root/d%d/%d", i%7, i)] = strings.Repeat(fmt.Sprint(i), 1000)
	}
	store, src := newStore(t), source(t, tiny, files)
	trees, err := tree.Open(store.TreesDir())
	if err != nil {
		t.Fatal(err)
	}
	interrupted := 0
	for range 25 {
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), crashEnv+"="+store.Dir()+":"+src)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20*time.Millisecond + rand.N(150*time.Millisecond))
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err == nil || cmd.ProcessState.Exited() {
			t.Fatalf("it ended by itself: %v: %s", err, stderr.String())
		}
		all, err := store.List()
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range all {
			if err := trees.Verify(t.Context(), &m); err != nil {
				t.Fatal(err)
			}
		}
		left, err := filepath.Glob(filepath.Join(store.TreesDir(), "tmp-*"))
		if err != nil {
			t.Fatal(err)
		}
		interrupted += min(len(left), 1)
		finished, err := filepath.Glob(filepath.Join(store.TreesDir(), "sha256/*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, dir := range finished {
			if err := trees.VerifyTree(t.Context(), models.Digest("sha256:"+filepath.Base(dir))); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := trees.Sweep(nil); err != nil {
			t.Fatal(err)
		}
		if left, _ := filepath.Glob(filepath.Join(store.TreesDir(), "tmp-*")); len(left) > 0 {
			t.Fatalf("swept, yet %v", left)
		}
		if len(all) > 0 {
			if err := store.Remove("tiny", "1.0.0"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if interrupted == 0 {
		t.Error("no kill came while a tree was being built: the test proves nothing")
	}
	if _, err := Install(t.Context(), store, src, Options{}); err != nil {
		t.Error(err)
	}
}
