package rootfs

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// lockFile takes a flock on the file at path, which it makes, and waits for it until ctx is done.
func lockFile(ctx context.Context, path string, how int) (func() error, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	if err := flock(f, how|unix.LOCK_NB); err == nil {
		return f.Close, nil
	} else if !errors.Is(err, unix.EWOULDBLOCK) {
		return nil, errors.Join(fmt.Errorf("lock %q: %w", path, err), f.Close())
	}
	// flock cannot be given a deadline: a thread waits in it, and gives the lock back when nobody wants it any more.
	done := make(chan error, 1)
	go func() { done <- flock(f, how) }()
	select {
	case err := <-done:
		if err != nil {
			return nil, errors.Join(fmt.Errorf("lock %q: %w", path, err), f.Close())
		}
		return f.Close, nil
	case <-ctx.Done():
		go func() { <-done; _ = f.Close() }()
		return nil, fmt.Errorf("lock %q: held by another mmbox: %w", path, context.Cause(ctx))
	}
}

func flock(f *os.File, how int) error {
	for {
		if err := unix.Flock(int(f.Fd()), how); err != unix.EINTR {
			return err
		}
	}
}
