package seccomp

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	libseccomp "github.com/seccomp/libseccomp-golang"
)

// cacheFormat names how Compile and the cache's files work. Change it when either gives other bytes for an equal
// profile, so that older files are no longer found.
const cacheFormat = "mmbox seccomp filter 1"

// Key names the filter that Compile gives for the profile on this machine: equal keys, equal filters. It covers the
// profile, the architecture and libseccomp's version, and is a file name.
func Key(s *specs.LinuxSeccomp) string {
	h := sha256.New()
	major, minor, micro := libseccomp.GetLibraryVersion()
	fmt.Fprintf(h, "%s\n%s\nlibseccomp %d.%d.%d\n", cacheFormat, runtime.GOARCH, major, minor, micro)
	if err := json.NewEncoder(h).Encode(s); err != nil {
		panic(fmt.Sprintf("encode OCI seccomp profile: %v", err)) // it is made of strings and numbers
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Cached returns the compiled profile from its file in dir, Key.bpf, or compiles it and leaves it there. A file that is
// cut short or damaged counts as absent. Any number of processes may do so at once: a file is either absent or whole.
// The directory is made if it is not there; it must be writable by root alone, for what it holds is what is enforced.
func Cached(dir string, s *specs.LinuxSeccomp) (Filter, error) {
	path := filepath.Join(dir, Key(s)+".bpf")
	f, err := readCached(path)
	if err == nil {
		return f, nil
	}
	if !errors.Is(err, os.ErrNotExist) && !errors.Is(err, errDamaged) {
		return nil, fmt.Errorf("read seccomp filter: %w", err)
	}
	if f, err = Compile(s); err != nil {
		return nil, err
	}
	if err := writeCached(path, f); err != nil {
		return nil, fmt.Errorf("store seccomp filter: %w", err)
	}
	return f, nil
}

var errDamaged = errors.New("damaged filter file")

// A file of the cache is the SHA-256 of the filter, then the filter.
func readCached(path string) (Filter, error) {
	file, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if len(file) < sha256.Size {
		return nil, errDamaged
	}
	f := Filter(file[sha256.Size:])
	sum := sha256.Sum256(f)
	if !bytes.Equal(sum[:], file[:sha256.Size]) || f.check() != nil {
		return nil, errDamaged
	}
	return f, nil
}

func writeCached(path string, f Filter) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	temp, err := os.CreateTemp(dir, ".filter-*")
	if err != nil {
		return err
	}
	sum := sha256.Sum256(f)
	_, err = temp.Write(append(sum[:], f...))
	if err = errors.Join(err, temp.Sync(), temp.Close()); err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp.Name()))
	}
	return syncDir(dir)
}

// syncDir makes a rename in the directory last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
