package rootfs

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mmbox/models"
)

// repository makes an apt repository of packages on this host, NAME to its files, and makes apt use it alone.
func repository(t *testing.T, packages map[string]map[string]string, depends map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	write := func(p, content string, mode os.FileMode) {
		t.Helper()
		p = filepath.Join(dir, p)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
	}
	run := func(name string, args ...string) {
		t.Helper()
		if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s %v: %v: %s", name, args, err, out)
		}
	}
	var index strings.Builder
	for name, files := range packages {
		control := fmt.Sprintf("Package: %s\nVersion: 1:2.0-1\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n", name)
		if depends[name] != "" {
			control += "Depends: " + depends[name] + "\n"
		}
		write("build/"+name+"/DEBIAN/control", control, 0o644)
		write("build/"+name+"/DEBIAN/postinst", "#!/bin/sh\ntouch "+dir+"/executed\n", 0o755)
		for p, content := range files {
			write("build/"+name+p, content, 0o755)
		}
		deb := name + "_1%3a2.0-1_all.deb"
		write("repo/x", "", 0o644)
		run("dpkg-deb", "--build", "--root-owner-group", filepath.Join(dir, "build", name), filepath.Join(dir, "repo", deb))
		data, err := os.ReadFile(filepath.Join(dir, "repo", deb))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&index, "%sFilename: ./%s\nSize: %d\nSHA256: %x\n\n", control, deb, len(data), sha256.Sum256(data))
	}
	write("repo/Packages", index.String(), 0o644)
	write("sources.list", "deb [trusted=yes] copy:"+dir+"/repo ./\n", 0o644)
	write("state/lists/partial/x", "", 0o644)
	write("apt.conf", fmt.Sprintf("Dir::State %q;\nDir::State::lists %q;\nDir::Etc::sourcelist %q;\nDir::Etc::sourceparts \"-\";\nAPT::Sandbox::User \"root\";\n",
		dir+"/state", dir+"/state/lists", dir+"/sources.list"), 0o644)
	t.Setenv("APT_CONFIG", dir+"/apt.conf")
	t.Setenv("MMBOX_DEBS_CACHE", filepath.Join(dir, "cache"))
	run("apt-get", "update")
	return dir
}

func TestDebs(t *testing.T) {
	dir := repository(t, map[string]map[string]string{
		"mmtest-app":  {"/usr/bin/app": "#!/bin/mmsh\n", "/usr/share/doc/app": "x"},
		"mmtest-sh":   {"/bin/mmsh": smallELF(t, false, "")},
		"mmtest-data": {"/usr/share/data": "x"},
	}, map[string]string{"mmtest-app": "mmtest-sh, mmtest-data"})
	trees := newTrees(t)
	d, err := Builder{trees, DefaultLimits}.Build(t.Context(), models.Layer{Debs: []string{"mmtest-app"}, Keep: []string{"/usr/bin/app"}}, dir)
	if err != nil {
		t.Fatal(err)
	}
	got := text(t, trees, d)
	if !strings.HasPrefix(got, "/bin -> usr/bin\n/usr/\n/usr/bin/\n/usr/bin/app 0555") || !strings.Contains(got, "/usr/bin/mmsh 0555") || strings.Contains(got, "share") {
		t.Errorf("tree\n%s", got)
	}
	l, err := trees.Listing(d)
	if err != nil || len(l.Packages) != 2 || l.Packages[0].Name != "mmtest-app" || l.Packages[0].Version != "1:2.0-1" || len(l.Packages[0].SHA256) != 64 {
		t.Errorf("packages %+v, %v", l.Packages, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "executed")); err == nil {
		t.Error("a maintainer script ran")
	}
	cached, err := filepath.Glob(filepath.Join(dir, "cache/archives/mmtest-sh*.deb"))
	if err != nil || len(cached) != 1 {
		t.Fatalf("cached %v, %v", cached, err)
	}
	if err := os.WriteFile(cached[0], []byte("!<arch>\nnot it"), 0o644); err != nil {
		t.Fatal(err)
	}
	whole := models.Layer{Debs: []string{"mmtest-app"}}
	if _, err := (Builder{trees, DefaultLimits}.Build(t.Context(), whole, dir)); err == nil || !strings.Contains(err.Error(), "apt says") {
		t.Errorf("damaged package: %v", err)
	}
	if d, err := (Builder{trees, DefaultLimits}.Build(t.Context(), whole, dir)); err != nil { // downloaded again
		t.Error(err)
	} else if got := text(t, trees, d); !strings.Contains(got, "/usr/share/data") || !strings.Contains(got, "/lib64 -> usr/lib64") {
		t.Errorf("whole tree\n%s", got)
	}
	for name, want := range map[string]string{"mmtest-none": "Unable to locate package", "--help": "not a Debian package name"} {
		if _, err := (Builder{trees, DefaultLimits}.Build(t.Context(), models.Layer{Debs: []string{name}}, dir)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
