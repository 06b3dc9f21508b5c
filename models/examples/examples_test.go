package examples

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"mmbox/models"
)

// patience is how long a model may take here. The slowest needs less than a second on an idle machine.
const patience = time.Minute

// names are the folders that hold a model.
var names = []string{"digits", "langid", "ocr", "vad"}

// Every folder with a manifest is tested, and every manifest is complete and carries its proof.
func TestManifests(t *testing.T) {
	manifests, err := filepath.Glob("*/" + models.ManifestName)
	must(t, err)
	if len(manifests) != len(names) {
		t.Errorf("manifests %v: want one for each of %v", manifests, names)
	}
	for _, name := range names {
		m := load(t, name)
		if m.Name != name || m.License == "" || m.Description == "" || m.Task == "" {
			t.Errorf("%s: name %q, license %q, description %q, task %q: want all of them", name, m.Name, m.License, m.Description, m.Task)
		}
		if len(m.Golden) < 3 {
			t.Errorf("%s: %d golden cases: want several", name, len(m.Golden))
		}
		for path, file := range m.Files {
			if file.SHA256 == "" {
				t.Errorf("%s: %s is not pinned by a digest", name, path)
			}
		}
		if _, err := os.Stat(filepath.Join(name, "README.md")); err != nil {
			t.Error(err)
		}
	}
}

// Each model, alone in a chroot and under another user, answers its golden cases within its limits.
func TestGolden(t *testing.T) {
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			m := load(t, name)
			if os.Geteuid() != 0 {
				t.Skip("chroot needs root")
			}
			fetched(t, name, m)
			root := assemble(t, name, m)
			t.Logf("root: %s", root.describe(t))
			for _, golden := range m.Golden {
				t.Run(golden.Name, func(t *testing.T) {
					out, usage := infer(t, root, m, input(t, name, golden))
					if err := golden.Check(out); err != nil {
						t.Error(err)
					}
					peak := usage.Maxrss * 1024 // at least this process's own: the child starts with its memory
					t.Logf("peak memory %d KiB", usage.Maxrss)
					if peak*3/2 > int64(m.Resources.Memory) {
						t.Errorf("peak memory %d bytes: the limit of %v leaves no margin", peak, m.Resources.Memory)
					}
				})
			}
			if m.Run.Serve != nil {
				t.Run("serve", func(t *testing.T) { serve(t, root, m) })
			}
		})
	}
}

func load(t *testing.T, name string) *models.Manifest {
	t.Helper()
	m, err := models.Load(filepath.Join(name, models.ManifestName))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// debsOf is where fetch --debs keeps the Debian packages of a model.
func debsOf(name string) string {
	cache := os.Getenv("MMBOX_CACHE")
	if cache == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return ""
		}
		cache = filepath.Join(base, "mmbox")
	}
	return filepath.Join(cache, "debs", name)
}

// fetched skips the test of a model that comes over the network and was not fetched. A runner is always built afresh.
func fetched(t *testing.T, name string, m *models.Manifest) {
	t.Helper()
	need := []string{}
	for _, file := range m.Files {
		need = append(need, filepath.Join(name, file.Source))
	}
	for _, layer := range m.RootFS {
		if layer.Debs != nil {
			need = append(need, debsOf(name))
		}
	}
	for _, path := range need {
		if _, err := os.Stat(path); err != nil {
			if name == "digits" {
				t.Fatal(err)
			}
			t.Skipf("%s was not fetched (%v): run models/examples/fetch --debs %s", name, err, name)
		}
	}
	command(t, "./fetch", name)
}

func input(t *testing.T, name string, golden models.Golden) []byte {
	t.Helper()
	if golden.InputFile == "" {
		return []byte(golden.Input)
	}
	content, err := os.ReadFile(filepath.Join(name, golden.InputFile))
	must(t, err)
	return content
}

// program is an entrypoint's command in the root, as a user who owns nothing, with the manifest's environment only.
func program(root tree, entry *models.Entrypoint) *exec.Cmd {
	cmd := exec.Command(entry.Args[0], entry.Args[1:]...)
	cmd.Dir, cmd.Env = "/", []string{}
	for name, value := range entry.Env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Chroot:     string(root),
		Credential: &syscall.Credential{Uid: 65534, Gid: 65534},
	}
	return cmd
}

func infer(t *testing.T, root tree, m *models.Manifest, in []byte) ([]byte, *syscall.Rusage) {
	t.Helper()
	cmd := program(root, m.Run.Infer)
	cmd.Stdin = bytes.NewReader(in)
	timer := time.AfterFunc(patience, func() { cmd.Process.Kill() })
	defer timer.Stop()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v", m.Run.Infer.Args, err)
	}
	return out, cmd.ProcessState.SysUsage().(*syscall.Rusage)
}

// serve asks one running process for every case whose input is text, each only after the one before was answered.
func serve(t *testing.T, root tree, m *models.Manifest) {
	cmd := program(root, m.Run.Serve)
	in, err := cmd.StdinPipe()
	must(t, err)
	pipe, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	timer := time.AfterFunc(patience, func() { cmd.Process.Kill() })
	defer timer.Stop()
	out := bufio.NewReader(pipe)
	for _, golden := range m.Golden {
		if golden.InputFile != "" {
			continue
		}
		for line := range strings.Lines(golden.Input) {
			fmt.Fprintln(in, strings.TrimSuffix(line, "\n"))
		}
		var answer strings.Builder
		for range strings.Lines(golden.Input) {
			line, err := out.ReadString('\n')
			if err != nil {
				t.Fatalf("%s: answer %q: %v", golden.Name, line, err)
			}
			answer.WriteString(line)
		}
		if err := golden.Check([]byte(answer.String())); err != nil {
			t.Errorf("%s: %v", golden.Name, err)
		}
	}
	must(t, in.Close())
	if rest, err := io.ReadAll(out); err != nil || len(rest) > 0 {
		t.Errorf("output after the last answer: %q, %v", rest, err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after the end of input: %v", err)
	}
}

// The demonstration draws images with digits/draw: the first held-out one, a two, looks like this.
func TestDraw(t *testing.T) {
	content, err := os.ReadFile("digits/heldout.txt")
	must(t, err)
	first, _, _ := strings.Cut(string(content), "\n")
	cmd := exec.Command("digits/draw")
	cmd.Stdin = strings.NewReader(first + "\n")
	out, err := cmd.Output()
	must(t, err)
	want := strings.Join([]string{
		"    ▓▓████░░    ",
		"  ▒▒██▒▒▓▓▒▒    ",
		"  ▓▓▓▓  ▒▒▓▓    ",
		"  ░░▒▒  ▓▓▓▓    ",
		"        ██▓▓    ",
		"      ░░██░░    ",
		"    ░░████▒▒░░░░",
		"    ▒▒████████▓▓",
		"", ""}, "\n")
	if string(out) != want {
		t.Errorf("drew\n%swant\n%s", out, want)
	}
}
