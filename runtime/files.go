package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// replaceFile writes a file so that a reader, or a machine that loses power, sees the old content or the new.
func replaceFile(path string, content []byte) (err error) {
	temp, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(temp.Name()))
		}
	}()
	if _, err := temp.Write(content); err != nil {
		return errors.Join(err, temp.Close())
	}
	if err := temp.Sync(); err != nil {
		return errors.Join(err, temp.Close())
	}
	if err := temp.Close(); err != nil {
		return err
	}
	return os.Rename(temp.Name(), path)
}

// flock locks a file as flock(2) does, how being LOCK_SH or LOCK_EX, with LOCK_NB or without. A blocked call ends with
// the context; its goroutine then lasts as long as the lock's holder.
func flock(ctx context.Context, file *os.File, how int) error {
	try := func() error {
		for {
			if err := unix.Flock(int(file.Fd()), how); err != unix.EINTR {
				return err
			}
		}
	}
	if how&unix.LOCK_NB != 0 {
		return try()
	}
	got := make(chan error, 1)
	go func() { got <- try() }()
	select {
	case err := <-got:
		if err != nil {
			return fmt.Errorf("lock %s: %w", file.Name(), err)
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
