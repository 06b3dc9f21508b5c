package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// lockName is the file that stands for the directory in flock(2). It is never removed.
const lockName = "lock"

// Lock waits until nobody else holds the directory, for reading or writing, and keeps it until unlock or the end of the
// process.
func (d *Dir) Lock(ctx context.Context) (unlock func() error, err error) {
	root, err := d.open(true)
	if err != nil {
		return nil, err
	}
	f, err := root.OpenFile(lockName, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, d.explain("lock directory", err)
	}
	return d.flock(ctx, f, syscall.LOCK_EX)
}

// RLock waits until nobody writes, and keeps writers away until unlock, or the end of the process. A directory that is not
// there has nothing to lock.
func (d *Dir) RLock(ctx context.Context) (unlock func() error, err error) {
	root, err := d.open(false)
	if errors.Is(err, fs.ErrNotExist) {
		return func() error { return nil }, nil
	}
	if err != nil {
		return nil, err
	}
	f, err := root.Open(lockName) // a read-only file system is no obstacle to reading
	if errors.Is(err, fs.ErrNotExist) {
		f, err = root.OpenFile(lockName, os.O_RDONLY|os.O_CREATE, 0o600)
	}
	if err != nil {
		return nil, d.explain("lock directory", err)
	}
	return d.flock(ctx, f, syscall.LOCK_SH)
}

// flock takes ownership of f. The kernel lets go of the lock with the last descriptor of the file, so a killed process
// leaves none behind.
func (d *Dir) flock(ctx context.Context, f *os.File, how int) (func() error, error) {
	done := make(chan error, 1)
	go func() { done <- waitFlock(f, how) }()
	select {
	case err := <-done:
		if err != nil {
			return nil, errors.Join(d.explain("lock directory", err), f.Close())
		}
		return f.Close, nil
	case <-ctx.Done():
		go func() { // nothing can call a waiting flock off; once it returns, nobody wants it
			<-done
			_ = f.Close()
		}()
		return nil, fmt.Errorf("lock directory %q: %w; another mmbox is at work there", d.path, context.Cause(ctx))
	}
}

func waitFlock(f *os.File, how int) error {
	for {
		if err := syscall.Flock(int(f.Fd()), how); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
