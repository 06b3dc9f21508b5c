package closure

import (
	"bytes"
	"debug/elf"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// write makes files below a new root: content by path, "-> target" being a link.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for p, content := range files {
		host := filepath.Join(dir, p)
		err := os.MkdirAll(filepath.Dir(host), 0o755)
		if target, isLink := strings.CutPrefix(content, "-> "); err == nil && isLink {
			err = os.Symlink(target, host)
		} else if err == nil {
			err = os.WriteFile(host, []byte(content), 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func lib(needed ...string) string { return string(makeELF(fakeELF{needed: needed})) }

func prog(needed ...string) string {
	return string(makeELF(fakeELF{interp: "/lib64/ld.so", needed: needed}))
}

func kept(w *Walk, dir string) (out []string) {
	for p := range w.Keep {
		if info, err := os.Lstat(filepath.Join(dir, p)); err == nil && !info.IsDir() {
			out = append(out, p)
		}
	}
	slices.Sort(out)
	return out
}

func TestWalk(t *testing.T) {
	triplet := "/usr/lib/" + hostArch().triplet
	base := map[string]string{
		"/lib": "-> usr/lib", "/lib64": "-> usr/lib64", "/usr/lib64/ld.so": "-> /lib/ld-1.so", "/usr/lib/ld-1.so": lib(),
	}
	always := []string{"/lib", "/lib64", "/usr/lib/ld-1.so", "/usr/lib64/ld.so"}
	other := elf.EM_AARCH64
	if hostArch().machine == other {
		other = elf.EM_X86_64
	}
	foreign := string(makeELF(fakeELF{machine: other}))
	for name, tc := range map[string]struct {
		files map[string]string
		keep  []string
		want  []string          // beside always
		links map[string]string // to add
		err   string
	}{
		"static": {
			files: map[string]string{"/p": string(makeELF(fakeELF{}))}, keep: []string{"/p"}, want: []string{"/p"},
		},
		"chain": {
			files: map[string]string{"/p": prog("liba.so.1"), "/usr/lib/liba.so.1": "-> liba.so.1.2", "/usr/lib/liba.so.1.2": lib("libb.so"), triplet + "/libb.so": lib()},
			keep:  []string{"/p"}, want: append(always, "/p", "/usr/lib/liba.so.1", "/usr/lib/liba.so.1.2", triplet+"/libb.so"),
		},
		"origin of a link's target": {
			files: map[string]string{"/bin/p": "-> ../opt/app/bin/p", "/opt/app/bin/p": string(makeELF(fakeELF{needed: []string{"liba.so"}, runpath: "$ORIGIN/../lib"})), "/opt/app/lib/liba.so": lib()},
			keep:  []string{"/bin/p"}, want: []string{"/bin/p", "/opt/app/bin/p", "/opt/app/lib/liba.so"},
		},
		"rpath is inherited": {
			files: map[string]string{"/p": string(makeELF(fakeELF{needed: []string{"liba.so"}, rpath: "/opt"})), "/opt/liba.so": lib("libb.so"), "/opt/libb.so": lib()},
			keep:  []string{"/p"}, want: []string{"/opt/liba.so", "/opt/libb.so", "/p"},
		},
		"runpath is not inherited": {
			files: map[string]string{"/p": string(makeELF(fakeELF{needed: []string{"liba.so"}, runpath: "/opt"})), "/opt/liba.so": lib("libb.so"), "/opt/libb.so": lib()},
			keep:  []string{"/p"}, err: `library "libb.so", needed by "/opt/liba.so": not found`,
		},
		"conf directory gets a link": {
			files: map[string]string{"/p": prog("liba.so"), "/etc/ld.so.conf": "include ld.so.conf.d/*.conf\n", "/etc/ld.so.conf.d/x.conf": "# x\n/opt/x\n", "/opt/x/liba.so": lib()},
			keep:  []string{"/p"}, want: append(always, "/opt/x/liba.so", "/p"), links: map[string]string{"/usr/lib64/liba.so": "/opt/x/liba.so"},
		},
		"absolute links stay inside": {
			files: map[string]string{"/p": "-> /../../../x", "/x": "data"}, keep: []string{"/p"}, want: []string{"/p", "/x"},
		},
		"script": {
			files: map[string]string{"/s": "#! /usr/bin/env x\n", "/usr/bin/env": prog()}, keep: []string{"/s"}, want: append(always, "/s", "/usr/bin/env"),
		},
		"directory with a plugin": {
			files: map[string]string{"/d/x/plugin.so": lib("liba.so"), "/d/data": "1", "/usr/lib/liba.so": lib(), "/e": "no"},
			keep:  []string{"/d"}, want: append(slices.Clone(always[:1]), "/d/data", "/d/x/plugin.so", "/usr/lib/liba.so"),
		},
		"named file serves as library": {
			files: map[string]string{"/p": prog("libblas.so.3"), triplet + "/blas/libblas.so.3": lib()},
			keep:  []string{"/p", triplet + "/blas/libblas.so.3"}, want: append(always, "/p", triplet+"/blas/libblas.so.3"),
			links: map[string]string{triplet + "/libblas.so.3": triplet + "/blas/libblas.so.3"},
		},
		"missing alternative": {
			files: map[string]string{"/p": prog("libblas.so.3"), triplet + "/blas/libblas.so.3": lib()},
			keep:  []string{"/p"}, err: `"` + triplet + `/blas/libblas.so.3" is absent, since scripts do not run: add that path to keep`,
		},
		"missing library": {
			files: map[string]string{"/p": prog("liba.so"), "/usr/lib/liba.so": lib("libz.so")}, keep: []string{"/p"},
			err: `library "libz.so", needed by "/lib/liba.so": not found`,
		},
		"missing interpreter": {
			files: map[string]string{"/p": string(makeELF(fakeELF{interp: "/lib/ld-none.so"}))}, keep: []string{"/p"},
			err: `interpreter "/lib/ld-none.so", needed by "/p"`,
		},
		"missing file":          {keep: []string{"/nope"}, err: `keep "/nope": no such file in the root`},
		"dangling link":         {files: map[string]string{"/l": "-> gone"}, keep: []string{"/l"}, err: `the link "/l" leads nowhere`},
		"circle":                {files: map[string]string{"/a": "-> b", "/b": "-> a"}, keep: []string{"/a"}, err: "circle"},
		"foreign program":       {files: map[string]string{"/p": foreign}, keep: []string{"/p"}, err: `"/p": made for ` + machineName(other)},
		"foreign library":       {files: map[string]string{"/p": prog("liba.so"), "/usr/lib/liba.so": foreign}, keep: []string{"/p"}, err: "made for " + machineName(other)},
		"script to a script":    {files: map[string]string{"/s": "#!/s"}, keep: []string{"/s"}, err: "script"},
		"needs a relative path": {files: map[string]string{"/p": prog("./liba.so"), "/liba.so": lib()}, keep: []string{"/p"}, err: `library "./liba.so"`},
	} {
		t.Run(name, func(t *testing.T) {
			files := maps.Clone(base)
			maps.Copy(files, tc.files)
			dir := write(t, files)
			w := New(dir)
			err := w.Add(tc.keep)
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Fatalf("error %v, want one with %s", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := slices.Compact(slices.Sorted(slices.Values(tc.want)))
			if got := kept(w, dir); !slices.Equal(got, want) {
				t.Errorf("kept %v\nwant %v", got, want)
			}
			if tc.links == nil {
				tc.links = map[string]string{}
			}
			if !maps.Equal(w.Links, tc.links) {
				t.Errorf("links %v, want %v", w.Links, tc.links)
			}
		})
	}
}

// TestWalkAsLoader compares with what the host's loader says of the host's own programs, which only a test may ask.
func TestWalkAsLoader(t *testing.T) {
	listed := regexp.MustCompile(`(?m)(/\S+) \(0x`)
	tried := 0
	for _, p := range []string{"/bin/sh", "/bin/ls", "/usr/bin/apt-get", "/usr/bin/git", "/usr/bin/python3", "/usr/bin/gcc", "/usr/bin/openssl", "/usr/bin/perl", "/usr/bin/dpkg-deb", "/usr/bin/tar"} {
		host := newSysroot("/")
		real, _, err := host.Resolve(p)
		if err != nil {
			continue
		}
		e, err := host.ReadELF(real)
		if err != nil || e.interp == "" {
			continue
		}
		tried++
		out, err := exec.Command(e.interp, "--list", real).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %s", p, err, out)
		}
		want := map[string]bool{}
		for _, m := range listed.FindAllSubmatch(out, -1) {
			lib, _, err := host.Resolve(string(bytes.TrimSpace(m[1])))
			if err != nil {
				t.Fatal(err)
			}
			want[lib] = true
		}
		w := New("/")
		if err := w.Program(p); err != nil {
			t.Errorf("%s: %v", p, err)
			continue
		}
		got := map[string]bool{}
		for q := range w.Keep {
			if e, err := w.ReadELF(q); err == nil && q != real && (e.soname != "" || len(e.needed) > 0) {
				got[q] = true
			}
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s:\n got %v\nwant %v", p, slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
		}
	}
	if tried < 4 {
		t.Fatalf("only %d dynamic programs on this host", tried)
	}
}
