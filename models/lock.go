package models

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// Lock waits until nobody else holds the store, for reading or writing, and keeps it until unlock, or the end of the
// process. Whoever puts blobs for a model holds it, or RLock, until the model is added.
func (s *Store) Lock(ctx context.Context) (unlock func() error, err error) {
	root, err := s.open(true)
	if err != nil {
		return nil, err
	}
	f, err := root.OpenFile(lockFile, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, s.explain("lock store", err)
	}
	return s.flock(ctx, f, syscall.LOCK_EX)
}

// RLock waits until nobody writes, and keeps writers away until unlock, or the end of the process. A store that is not
// there has nothing to lock.
func (s *Store) RLock(ctx context.Context) (unlock func() error, err error) {
	root, err := s.open(false)
	if errors.Is(err, fs.ErrNotExist) {
		return func() error { return nil }, nil
	}
	if err != nil {
		return nil, err
	}
	f, err := root.Open(lockFile) // a read-only file system is no obstacle to reading
	if errors.Is(err, fs.ErrNotExist) {
		f, err = root.OpenFile(lockFile, os.O_RDONLY|os.O_CREATE, 0o600)
	}
	if err != nil {
		return nil, s.explain("lock store", err)
	}
	return s.flock(ctx, f, syscall.LOCK_SH)
}

// flock takes ownership of f. The kernel lets go of the lock with the last descriptor of the file, so a killed process
// leaves none behind.
func (s *Store) flock(ctx context.Context, f *os.File, how int) (func() error, error) {
	done := make(chan error, 1)
	go func() { done <- waitFlock(f, how) }()
	select {
	case err := <-done:
		if err != nil {
			return nil, errors.Join(s.explain("lock store", err), f.Close())
		}
		return f.Close, nil
	case <-ctx.Done():
		go func() { // nothing can call a waiting flock off; once it returns, nobody wants it
			<-done
			f.Close()
		}()
		return nil, fmt.Errorf("lock store %q: %w; another mmbox is at work there", s.dir, context.Cause(ctx))
	}
}

func waitFlock(f *os.File, how int) error {
	for {
		if err := syscall.Flock(int(f.Fd()), how); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
