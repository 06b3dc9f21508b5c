package vm

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"
)

// DefaultCache is where kernels are kept; the environment variable MMBOX_VM_CACHE moves it.
const DefaultCache = "/var/cache/mmbox/vm"

// metaPackage is the package that depends on Debian's current kernel.
const metaPackage = "linux-image-amd64"

// Kernel is an unpacked kernel package in the cache. The JSON form is the cache's record, kernel.json.
type Kernel struct {
	Dir           string `json:"-"`       // holds boot/ and lib/modules/
	Package       string `json:"package"` // of Debian
	Version       string `json:"version"` // of the package
	Release       string `json:"release"` // as uname -r will print it
	DebSHA256     string `json:"deb_sha256"`
	VmlinuzSHA256 string `json:"vmlinuz_sha256"`
}

func (k Kernel) image() string   { return filepath.Join(k.Dir, "boot", "vmlinuz-"+k.Release) }
func (k Kernel) modules() string { return filepath.Join(k.Dir, "lib", "modules", k.Release) }

// OpenKernel returns the cached kernel, checked against its recorded digest, and downloads Debian's current one
// through apt when there is none. Nothing is installed on the host. Concurrent calls wait for each other.
func OpenKernel(ctx context.Context, cache string) (Kernel, error) {
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return Kernel{}, fmt.Errorf("open kernel cache: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(cache, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return Kernel{}, fmt.Errorf("open kernel cache: %w", err)
	}
	defer lock.Close() // which drops the lock
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return Kernel{}, fmt.Errorf("lock kernel cache %q: %w", cache, err)
	}
	dir := filepath.Join(cache, "kernel")
	kernel, err := readKernel(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err := fetchKernel(ctx, cache, dir); err != nil {
			return Kernel{}, fmt.Errorf("fetch kernel: %w", err)
		}
		kernel, err = readKernel(dir)
	}
	if err != nil {
		return Kernel{}, fmt.Errorf("open kernel: %w (remove %q to fetch it again)", err, dir)
	}
	return kernel, nil
}

// readKernel reads the record in dir and compares the image with it.
func readKernel(dir string) (Kernel, error) {
	data, err := os.ReadFile(filepath.Join(dir, "kernel.json"))
	if err != nil {
		return Kernel{}, err
	}
	kernel := Kernel{Dir: dir}
	if err := json.Unmarshal(data, &kernel); err != nil {
		return Kernel{}, fmt.Errorf("read kernel.json: %w", err)
	}
	sum, err := sha256File(kernel.image())
	if err != nil {
		// Not wrapped: a record without its image is damage, not an empty cache.
		return Kernel{}, fmt.Errorf("check kernel image: %v", err)
	}
	if sum != kernel.VmlinuzSHA256 {
		return Kernel{}, fmt.Errorf("check kernel image %q: sha256 is %s, recorded %s", kernel.image(), sum, kernel.VmlinuzSHA256)
	}
	return kernel, nil
}

// fetchKernel fills dir. It works in a directory beside it and renames last, so dir is whole or absent.
func fetchKernel(ctx context.Context, cache, dir string) (err error) {
	if err := requireTools(fetchTools); err != nil {
		return err
	}
	// The lock is held: what a killed fetch left behind belongs to nobody.
	tmp := filepath.Join(cache, "kernel.tmp")
	if err := os.RemoveAll(tmp); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	root := filepath.Join(tmp, "root")
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	pkg, err := kernelPackage(ctx)
	if err != nil {
		return err
	}
	if _, err := output(ctx, tmp, "apt-get", "download", pkg); err != nil {
		return err
	}
	debs, err := filepath.Glob(filepath.Join(tmp, "*.deb"))
	if err != nil {
		return err
	}
	if len(debs) != 1 {
		return fmt.Errorf("apt-get download %q: left %d packages, want one", pkg, len(debs))
	}
	kernel := Kernel{Dir: root, Package: pkg}
	if kernel.DebSHA256, err = sha256File(debs[0]); err != nil {
		return err
	}
	if kernel.Version, err = output(ctx, tmp, "dpkg-deb", "--field", debs[0], "Version"); err != nil {
		return err
	}
	if _, err := output(ctx, tmp, "dpkg-deb", "--extract", debs[0], root); err != nil {
		return err
	}
	if err := describeKernel(ctx, &kernel); err != nil {
		return err
	}
	unix.Sync() // some 4,000 files are renamed as one: all of them must be on disk before
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.Rename(root, dir)
}

// describeKernel finds the release, computes the module dependencies that a package's installation script
// would have, and writes the record.
func describeKernel(ctx context.Context, kernel *Kernel) error {
	images, err := filepath.Glob(filepath.Join(kernel.Dir, "boot", "vmlinuz-*"))
	if err != nil {
		return err
	}
	if len(images) != 1 {
		return fmt.Errorf("unpack %q: %d kernel images in it, want one", kernel.Package, len(images))
	}
	kernel.Release = strings.TrimPrefix(filepath.Base(images[0]), "vmlinuz-")
	if kernel.VmlinuzSHA256, err = sha256File(images[0]); err != nil {
		return err
	}
	if _, err := output(ctx, kernel.Dir, "depmod", "-b", kernel.Dir, kernel.Release); err != nil {
		return err
	}
	record, err := json.MarshalIndent(kernel, "", "  ")
	if err != nil {
		return err
	}
	return renameio.WriteFile(filepath.Join(kernel.Dir, "kernel.json"), append(record, '\n'), 0o644)
}

// kernelPackage asks apt for the kernel package that the meta package stands for.
func kernelPackage(ctx context.Context) (string, error) {
	text, err := output(ctx, "", "apt-cache", "depends", metaPackage)
	if err != nil {
		return "", fmt.Errorf("%w; run apt-get update first", err)
	}
	for line := range strings.Lines(text) {
		if pkg, found := strings.CutPrefix(strings.TrimSpace(line), "Depends: linux-image-"); found {
			return "linux-image-" + pkg, nil
		}
	}
	return "", fmt.Errorf("apt-cache depends %q: names no kernel; run apt-get update first", metaPackage)
}

// output runs a program in dir and returns what it printed, without the last newline.
func output(ctx context.Context, dir, name string, args ...string) (string, error) {
	path, err := toolPath(name)
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(string(out)), nil
}

func sha256File(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("hash %q: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
