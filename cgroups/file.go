package cgroups

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// readFile reads a file of a cgroup. os.ReadFile would ask for its size, which it does not have, and enter it in the
// poller, which it stays out of: three times as many calls, and figures are read by the thousand.
func readFile(name string) (string, error) {
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", &fs.PathError{Op: "open", Path: name, Err: err}
	}
	defer unix.Close(fd) // nothing was written through it
	var text strings.Builder
	var buf [4096]byte
	for {
		n, err := unix.Read(fd, buf[:])
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return "", &fs.PathError{Op: "read", Path: name, Err: err}
		case n == 0:
			return text.String(), nil
		default:
			text.Write(buf[:n])
		}
	}
}

func readFields(name string) ([]string, error) {
	text, err := readFile(name)
	if err != nil {
		return nil, err
	}
	return strings.Fields(text), nil
}

// write gives a cgroup file its value, in one call as the kernel wants it. It never makes a file.
func write(name, value string) error {
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}

// gone tells whether an error means that a group, or its file, ended.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV)
}

// A reader reads figures of a group one after the other. It keeps the first error, and then reads no more.
type reader struct {
	group   Group
	missing bool // a file was not there
	err     error
}

// read returns the content of a file in the hierarchy of a controller, of version 2's core where that is empty.
func (r *reader) read(controller, file string) (text string, ok bool) {
	mount, ok := r.group.host.Controllers[controller]
	if controller == "" {
		mount, ok = string(r.group.host.FS), true
	}
	if !ok || r.err != nil {
		return "", false
	}
	text, err := readFile(filepath.Join(mount, r.group.path, file))
	if errors.Is(err, fs.ErrNotExist) {
		r.missing = true
		return "", false
	}
	r.err = err
	return text, err == nil
}

// number returns the one number in a file, "max" being Unlimited; nil where the file is not there.
func (r *reader) number(controller, file string) *uint64 {
	text, ok := r.read(controller, file)
	if !ok {
		return nil
	}
	n, err := parseNumber(text)
	if err != nil {
		r.err = fmt.Errorf("%s: %w", file, err)
		return nil
	}
	return &n
}

// keyed returns the number behind each key in a file with one pair to a line; nil where the file or the key is not
// there.
func (r *reader) keyed(controller, file string, keys ...string) []*uint64 {
	numbers := make([]*uint64, len(keys))
	text, ok := r.read(controller, file)
	if !ok {
		return numbers
	}
	for i, key := range keys {
		n, err := parseKeyed(text, key)
		if err != nil {
			r.err = fmt.Errorf("%s: %w", file, err)
		}
		numbers[i] = n
	}
	return numbers
}

func parseNumber(text string) (uint64, error) {
	word := strings.TrimSpace(text)
	if word == "max" {
		return Unlimited, nil
	}
	return strconv.ParseUint(word, 10, 64)
}

// parseKeyed returns the number behind a key, one pair to a line, or nil where the key is not there.
func parseKeyed(text, key string) (*uint64, error) {
	for line := range strings.Lines(text) {
		k, v, _ := strings.Cut(strings.TrimSpace(line), " ")
		if k != key {
			continue
		}
		n, err := strconv.ParseUint(v, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		return &n, nil
	}
	return nil, nil
}

func duration(n *uint64, unit time.Duration) *time.Duration {
	if n == nil {
		return nil
	}
	d := time.Duration(*n) * unit
	return &d
}
