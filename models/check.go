package models

import (
	"mmbox/models/internal/spell"
	"regexp"

	"fmt"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
)

var (
	debPattern    = newPattern(`^[a-z0-9][a-z0-9+.-]+(:[a-z0-9-]+)?(=[A-Za-z0-9.+:~-]+)?$`)
	sha256Pattern = newPattern(`^[0-9a-f]{64}$`)
	envPattern    = newPattern(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// sandboxDirs are mounted by every sandbox: what lies there in a root is never seen.
var sandboxDirs = []string{"/proc", "/sys", "/dev", "/tmp"}

// maxPath is the longest path the kernel takes, its final NUL aside.
const maxPath = 4095

// capabilities are those of capabilities(7).
var capabilities = strings.Fields(`CAP_AUDIT_CONTROL CAP_AUDIT_READ CAP_AUDIT_WRITE CAP_BLOCK_SUSPEND CAP_BPF CAP_CHECKPOINT_RESTORE
	CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID CAP_IPC_LOCK CAP_IPC_OWNER CAP_KILL CAP_LEASE
	CAP_LINUX_IMMUTABLE CAP_MAC_ADMIN CAP_MAC_OVERRIDE CAP_MKNOD CAP_NET_ADMIN CAP_NET_BIND_SERVICE CAP_NET_BROADCAST CAP_NET_RAW
	CAP_PERFMON CAP_SETFCAP CAP_SETGID CAP_SETPCAP CAP_SETUID CAP_SYSLOG CAP_SYS_ADMIN CAP_SYS_BOOT CAP_SYS_CHROOT CAP_SYS_MODULE
	CAP_SYS_NICE CAP_SYS_PACCT CAP_SYS_PTRACE CAP_SYS_RAWIO CAP_SYS_RESOURCE CAP_SYS_TIME CAP_SYS_TTY_CONFIG CAP_WAKE_ALARM`)

// IsRemote says whether a layer's or a file's source is an address to fetch from rather than a local path.
func IsRemote(source string) bool { return strings.Contains(source, "://") }

// checkRootPath refuses what does not name a file in the model's own part of the root, in the one way to write it.
func checkRootPath(noun, p string) error {
	if err := checkAbsolute(noun, p); err != nil {
		return err
	}
	if p == "/" {
		return fmt.Errorf("%s %q: the root itself; write the path of something in it, as in /usr/bin/fasttext", noun, p)
	}
	for _, dir := range sandboxDirs {
		if p == dir || strings.HasPrefix(p, dir+"/") {
			return fmt.Errorf("%s %q: %s belongs to the sandbox, which mounts its own there; write a path elsewhere, as in /models%s",
				noun, spell.Shorten(p), dir, strings.TrimPrefix(p, dir))
		}
	}
	return nil
}

func checkAbsolute(noun, p string) error {
	clean := path.Clean("/" + p)
	switch {
	case p == "":
		return fmt.Errorf("%s %q: empty; write an absolute path, as in /usr/bin/fasttext", noun, p)
	case strings.IndexFunc(p, unicode.IsControl) >= 0:
		return fmt.Errorf("%s %q: has a control character; write a path of visible characters", noun, spell.Shorten(p))
	case len(p) > maxPath:
		return fmt.Errorf("%s %q: longer than %d bytes; write a shorter path", noun, spell.Shorten(p), maxPath)
	case slices.Contains(strings.Split(p, "/"), ".."):
		return fmt.Errorf("%s %q: has .., which may leave the root; write the path without it, as in %s", noun, spell.Shorten(p), clean)
	case p[0] != '/':
		return fmt.Errorf("%s %q: not absolute; write %s", noun, spell.Shorten(p), clean)
	case p != clean:
		return fmt.Errorf("%s %q: not in its shortest form; write %s", noun, spell.Shorten(p), clean)
	}
	return nil
}

func checkFilePath(p string) error { return checkRootPath("path", p) }

func checkWorkDir(p string) error { return checkAbsolute("dir", p) }

// checkAddress refuses addresses that mmbox does not know how to fetch from.
func checkAddress(noun, source string) error {
	u, err := url.Parse(source)
	switch {
	case err != nil:
		return fmt.Errorf("%s %q: not an address: %w; write one that starts with https://", noun, spell.Shorten(source), err)
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("%s %q: unknown scheme %q; write an address that starts with https://, or a path", noun, spell.Shorten(source), u.Scheme)
	case u.Host == "":
		return fmt.Errorf("%s %q: names no host; write an address such as https://example.org/weights.bin", noun, spell.Shorten(source))
	}
	return nil
}

// checkSource refuses what is neither an address nor the path of a file inside the manifest's directory.
func checkSource(noun string) func(string) error {
	return func(source string) error {
		if IsRemote(source) {
			return checkAddress(noun, source)
		}
		return checkInside(noun)(source)
	}
}

func checkDirSource(source string) error {
	switch {
	case IsRemote(source):
		return fmt.Errorf("dir %q: an address; write a local directory, or fetch an archive with tar", spell.Shorten(source))
	case source == "":
		return fmt.Errorf("dir %q: empty; write a path inside the manifest's directory", source)
	case !filepath.IsLocal(source):
		return fmt.Errorf("dir %q: outside the manifest's directory; copy the directory there and write its relative path", spell.Shorten(source))
	}
	return nil
}

// checkInside refuses local paths outside the manifest's directory: a manifest carries its files with it, and must not
// pull others of the host into a model. Where links lead is for those to see who open the path.
func checkInside(noun string) func(string) error {
	return func(p string) error {
		switch {
		case p == "":
			return fmt.Errorf("%s %q: empty; write a path inside the manifest's directory", noun, p)
		case !filepath.IsLocal(p):
			return fmt.Errorf("%s %q: outside the manifest's directory; copy the file there and write its relative path", noun, spell.Shorten(p))
		case path.Clean(p) == ".":
			return fmt.Errorf("%s %q: a directory; write the path of a file", noun, p)
		}
		return nil
	}
}

func checkNotEmpty(noun string) func(string) error {
	return func(s string) error {
		if strings.TrimSpace(s) == "" {
			return fmt.Errorf("%s %q: empty; write its address", noun, s)
		}
		return nil
	}
}

func checkSHA256(s string) error {
	bare := strings.ToLower(strings.TrimPrefix(s, "sha256:"))
	switch {
	case sha256Pattern.MatchString(s):
		return nil
	case sha256Pattern.MatchString(bare):
		return fmt.Errorf("sha256 %q: not plain lower-case hexadecimal; write %s", s, bare)
	}
	return fmt.Errorf("sha256 %q: not 64 hexadecimal digits; write what sha256sum prints", spell.Shorten(s))
}

func checkDeb(name string) error {
	if debPattern.MatchString(name) {
		return nil
	}
	return fmt.Errorf("package %q: not a Debian package; write NAME, NAME:ARCHITECTURE or NAME=VERSION, as in fasttext", spell.Shorten(name))
}

func checkEnvName(name string) error {
	if envPattern.MatchString(name) {
		return nil
	}
	return fmt.Errorf("env %q: not a variable's name; write letters, digits and _, as in OMP_NUM_THREADS", spell.Shorten(name))
}

func checkCapability(name string) error {
	if slices.Contains(capabilities, name) {
		return nil
	}
	if near := spell.Nearest(name, capabilities); near != "" {
		return fmt.Errorf("capability %q: unknown; write %s", spell.Shorten(name), near)
	}
	return fmt.Errorf("capability %q: unknown; write one of capabilities(7), as in CAP_NET_BIND_SERVICE", spell.Shorten(name))
}

func checkRegexp(s string) error {
	if s == "" {
		return fmt.Errorf(`match "": empty, which any output matches; write a regular expression, as in ^seven`)
	}
	if _, err := regexp.Compile(s); err != nil {
		return fmt.Errorf("match %q: not a regular expression: %w; write RE2 syntax, in single quotes", spell.Shorten(s), err)
	}
	return nil
}

// checkLayer holds a layer's keys against each other.
func checkLayer(values map[string]any, report func(key, format string, args ...any)) {
	has := func(key string) bool { _, ok := values[key]; return ok }
	if has("keep") && !has("debs") && !has("tar") && !has("dir") {
		report("keep", "keep without debs, tar or dir; write it beside one of them, or leave it out")
	}
	if has("sha256") && !has("tar") {
		report("sha256", "sha256 without tar; leave it out")
	}
	if tar, ok := values["tar"].(string); ok && IsRemote(tar) && !has("sha256") {
		report("tar", "tar %q: fetched from elsewhere without sha256; write sha256: and what sha256sum prints for it", spell.Shorten(tar))
	}
}

func checkFile(values map[string]any, report func(key, format string, args ...any)) {
	_, pinned := values["sha256"]
	if source, ok := values["source"].(string); ok && IsRemote(source) && !pinned {
		report("source", "source %q: fetched from elsewhere without sha256; write sha256: and what sha256sum prints for it", spell.Shorten(source))
	}
}

// checkNesting refuses a file in a file.
func checkNesting(files map[string]any, report func(key, format string, args ...any)) {
	for p := range files {
		for dir := path.Dir(p); dir != "/"; dir = path.Dir(dir) {
			if _, ok := files[dir]; ok {
				report(p, "path %q: lies in %q, which is a file; write another path", spell.Shorten(p), spell.Shorten(dir))
			}
		}
	}
}

func checkManifest(values map[string]any, report func(key, format string, args ...any)) {
	cases, _ := values["golden"].([]any)
	seen := map[string]bool{}
	for _, c := range cases {
		golden, _ := c.(map[string]any)
		name, _ := golden["name"].(string)
		if name != "" && seen[name] {
			report("golden", "two golden cases are named %q; write another name for one", spell.Shorten(name))
		}
		seen[name] = true
	}
}
