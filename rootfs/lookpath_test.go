package rootfs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLookPath: a root is looked at as after chroot, whatever its links and the name say.
func TestLookPath(t *testing.T) {
	outer := t.TempDir()
	root := filepath.Join(outer, "root")
	for p, mode := range map[string]os.FileMode{
		"root/usr/bin/tool": 0o755, "root/opt/tool": 0o755, "root/opt/own": 0o700, "root/usr/bin/data": 0o644, "root/opt/data": 0o755,
		"root/usr/lib/real": 0o755, "root/file": 0o644, "outside": 0o755, "root/usr/bin/only": 0o644,
	} {
		p = filepath.Join(outer, p)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range []string{"usr/bin/sub", "opt/only2"} {
		if err := os.Mkdir(filepath.Join(root, p), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for p, target := range map[string]string{
		"bin": "usr/bin", "usr/bin/absolute": "/usr/lib/real", "usr/bin/relative": "../lib/real", "usr/bin/chain": "absolute",
		"usr/bin/loop": "loop2", "usr/bin/loop2": "loop", "usr/bin/dangling": "/none", "usr/bin/host": filepath.Join(outer, "outside"),
		"usr/bin/up": "../../../outside", "usr/bin/above": "../../../../usr/lib/real", "usr/bin/linked": "/usr/bin/data",
	} {
		if err := os.Symlink(target, filepath.Join(root, p)); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		name, dirs, want string
		err              error
	}{
		{"/usr/bin/tool", "", "/usr/bin/tool", nil},
		{"/bin/tool", "", "/bin/tool", nil},
		{"usr/bin/tool", "", "/usr/bin/tool", nil},
		{"./opt/own", "", "/opt/own", nil},
		{"/../../usr/bin/tool", "", "/../../usr/bin/tool", nil},
		{"/../outside", "", "", ErrNoProgram},
		{"../outside", "", "", ErrNoProgram},
		{"/bin/../lib/real", "", "/bin/../lib/real", nil}, // .. after a link is above what it leads to, as for the kernel
		{"/usr/bin/tool/", "", "", ErrNotExecutable},
		{"/usr/bin/absolute", "", "/usr/bin/absolute", nil},
		{"/usr/bin/relative", "", "/usr/bin/relative", nil},
		{"/usr/bin/chain", "", "/usr/bin/chain", nil},
		{"/usr/bin/above", "", "/usr/bin/above", nil},
		{"/usr/bin/host", "", "", ErrNoProgram},
		{"/usr/bin/up", "", "", ErrNoProgram},
		{"/usr/bin/dangling", "", "", ErrNoProgram},
		{"/usr/bin/loop", "", "", ErrNotExecutable},
		{"/usr/bin/sub", "", "", ErrNotExecutable},
		{"/usr/bin/data", "", "", ErrNotExecutable},
		{"/usr/bin/linked", "", "", ErrNotExecutable},
		{"/file/tool", "", "", ErrNoProgram},
		{"/", "", "", ErrNotExecutable},

		{"tool", "/usr/bin:/opt", "/usr/bin/tool", nil},
		{"tool", "/none:/opt:/usr/bin", "/opt/tool", nil},
		{"tool", "/file:/opt", "/opt/tool", nil},
		{"data", "/usr/bin:/opt", "/opt/data", nil}, // what cannot be executed is passed by, as by a shell
		{"sub", "/usr/bin:/opt", "", ErrNotExecutable},
		{"only", "/usr/bin:/opt", "", ErrNotExecutable},
		{"loop", "/usr/bin:/opt", "", ErrNotExecutable},
		{"tool", "/../../opt", "/../../opt/tool", nil},
		{"tool", ":/opt", "/opt/tool", nil},
		{"outside", "/..:..", "", ErrNoProgram},
		{"none", "/usr/bin:/opt", "", ErrNoProgram},
		{"tool", "", "", ErrNoProgram},
		{"", "/usr/bin", "", ErrNoProgram},
		{".", "/usr/bin", "", ErrNoProgram},
		{"..", "/usr/bin", "", ErrNoProgram},
	} {
		got, err := LookPath(root, tc.name, tc.dirs)
		if got != tc.want || !errors.Is(err, tc.err) {
			t.Errorf("%q in %q: %q, %v, want %q, %v", tc.name, tc.dirs, got, err, tc.want, tc.err)
		}
		if err != nil && strings.Contains(err.Error(), outer+"/root") {
			t.Errorf("%q: %v names a path of the host", tc.name, err)
		}
	}
}
