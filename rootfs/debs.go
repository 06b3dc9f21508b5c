package rootfs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"mmbox/rootfs/tree"
)

// DebsCache is where downloaded packages stay, unless MMBOX_DEBS_CACHE names another directory. Losing it costs a download.
const DebsCache = "/var/cache/mmbox/debs"

// A deb is a package file as apt knows it: its own metadata, signed by the archive, gave the sha256.
type deb struct {
	tree.Package
	file  string
	local bool // in a repository on this host, not in our cache
}

var debName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]+(:[a-z0-9-]+)?(=[A-Za-z0-9.+:~-]+)?$`)
})

// aptInputs decide, with the names, which versions apt chooses.
var aptInputs = []string{
	"/var/lib/apt/lists", "/etc/apt/sources.list", "/etc/apt/sources.list.d", "/etc/apt/preferences",
	"/etc/apt/preferences.d", "/etc/apt/apt.conf", "/etc/apt/apt.conf.d",
}

// unpackDebs fetches packages with all that they depend on and unpacks them, without running their scripts. The host's
// own packages are neither used nor changed.
func (b *build) unpackDebs(names []string) error {
	for _, n := range names {
		if !debName().MatchString(n) {
			return fmt.Errorf("package %q: not a Debian package name", n)
		}
	}
	for _, p := range aptInputs {
		b.in.stamp(p)
	}
	debs, err := b.fetch(names)
	if err != nil {
		return err
	}
	// The host's packages unpack to a root whose /bin is a link to /usr/bin, as on any merged-usr system.
	for _, dir := range usrDirs {
		if err := b.Mkdir("/usr/" + dir); err != nil {
			return err
		}
		if err := b.Symlink("/"+dir, "usr/"+dir); err != nil {
			return err
		}
	}
	u := b.unpacker()
	u.fold, u.strip = true, true
	for _, d := range debs {
		b.BeginPackage(d.Package)
		if err := u.unpackDeb(d); err != nil {
			return fmt.Errorf("package %q: %w", d.Name, err)
		}
	}
	b.EndPackage()
	return nil
}

var usrDirs = []string{"bin", "lib", "lib64", "sbin"}

// foldUsr moves a path to where a merged-usr system has it.
func foldUsr(p string) string {
	top, _, _ := strings.Cut(p[1:], "/")
	for _, dir := range usrDirs {
		if top == dir {
			return "/usr" + p
		}
	}
	return p
}

// fetch has apt choose versions as for an empty system, and download what the cache lacks.
func (b *build) fetch(names []string) ([]deb, error) {
	cache := DebsCache
	if dir := os.Getenv("MMBOX_DEBS_CACHE"); dir != "" {
		cache = dir
	}
	archives := filepath.Join(cache, "archives")
	if err := os.MkdirAll(filepath.Join(archives, "partial"), 0o755); err != nil {
		return nil, err
	}
	none, err := b.ScratchDir() // an archive directory without archives: apt lists all of them
	if err != nil {
		return nil, err
	}
	if err := os.Mkdir(filepath.Join(none, "partial"), 0o755); err != nil {
		return nil, err
	}
	status := filepath.Join(none, "status")
	if err := os.WriteFile(status, nil, 0o600); err != nil {
		return nil, err
	}
	out, err := b.apt(status, none, "--print-uris", names)
	if err != nil {
		return nil, err
	}
	debs, err := parseURIs(out, archives)
	if err != nil {
		return nil, err
	}
	unlock, err := lockFile(b.ctx, filepath.Join(cache, "lock"), unix.LOCK_EX)
	if err != nil {
		return nil, err
	}
	err = b.download(debs, status, archives, names)
	return debs, errors.Join(err, unlock())
}

func (b *build) download(debs []deb, status, archives string, names []string) error {
	for _, d := range debs {
		if _, err := os.Stat(d.file); errors.Is(err, fs.ErrNotExist) {
			_, err := b.apt(status, archives, "--download-only", names)
			return err
		} else if err != nil {
			return err
		}
	}
	return nil
}

func (b *build) apt(status, archives, what string, names []string) ([]byte, error) {
	args := []string{
		"-o", "Dir::State::status=" + status, "-o", "Dir::Cache::archives=" + archives, "-o", "APT::Sandbox::User=root",
		"-o", "Acquire::ForceHash=SHA256", "-o", "Acquire::Retries=2", "-qq", "-y", "--no-install-recommends", what, "install", "--",
	}
	cmd := exec.CommandContext(b.ctx, "apt-get", append(args, names...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return nil, errors.New("this host has no apt-get: use tar or closure instead of debs")
	case b.ctx.Err() != nil:
		return nil, context.Cause(b.ctx)
	case err != nil && strings.Contains(stderr.String(), "Unable to locate package"):
		return nil, fmt.Errorf("apt-get: %s: check the name, or run apt-get update", lastLine(stderr.String()))
	case err != nil:
		return nil, fmt.Errorf("apt-get: %w: %s", err, lastLine(stderr.String()))
	}
	return out, nil
}

// parseURIs reads what apt-get --print-uris says: 'URI' FILE SIZE SHA256:HEX.
func parseURIs(out []byte, archives string) ([]deb, error) {
	var debs []deb
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) != 4 || !strings.HasPrefix(f[0], "'") {
			continue
		}
		sum, ok := strings.CutPrefix(f[3], "SHA256:")
		parts := strings.Split(strings.TrimSuffix(f[1], ".deb"), "_")
		if !ok || len(parts) != 3 || strings.Contains(f[1], "/") {
			return nil, fmt.Errorf("apt-get: package without a sha256: %q", strings.TrimSpace(line))
		}
		d := deb{file: filepath.Join(archives, f[1])}
		if u, err := url.Parse(strings.Trim(f[0], "'")); err == nil && u.Scheme == "file" { // apt does not copy these
			d.file, d.local = filepath.Clean(u.Path), true
		}
		version, err := url.PathUnescape(parts[1])
		if err != nil {
			return nil, fmt.Errorf("apt-get: version %q: %w", parts[1], err)
		}
		d.Package = tree.Package{Name: parts[0], Version: version, SHA256: sum}
		debs = append(debs, d)
	}
	if len(debs) == 0 {
		return nil, errors.New("apt-get: names no package to install")
	}
	return debs, nil
}

// unpackDeb unpacks one package. dpkg-deb only decompresses: what the files say is judged by unpack.
func (u *unpacker) unpackDeb(d deb) error {
	if err := d.check(); err != nil {
		return err
	}
	cmd := exec.CommandContext(u.ctx, "dpkg-deb", "--fsys-tarfile", d.file)
	cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("dpkg-deb: %w", err)
	}
	u.entries = 0
	if err := u.unpack(out); err != nil {
		return errors.Join(err, out.Close(), ignore(cmd.Wait()))
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("dpkg-deb: %w: %s", err, lastLine(stderr.String()))
	}
	return nil
}

// ignore drops the error of a program that ends because its reader did.
func ignore(error) error { return nil }

// check compares a package with what apt says of it. One in the cache that differs goes, to be downloaded again.
func (d deb) check() error {
	f, err := os.Open(d.file)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	got := hex.EncodeToString(h.Sum(nil))
	if got == d.SHA256 {
		return nil
	}
	err = fmt.Errorf("%q has sha256 %s, apt says %s", d.file, got, d.SHA256)
	if d.local {
		return err
	}
	return errors.Join(fmt.Errorf("%w: removed, try again", err), os.Remove(d.file))
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}
