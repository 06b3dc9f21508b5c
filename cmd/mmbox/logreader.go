package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"mmbox/runtime"
)

// A logReader reads a sandbox's log: what was full and has its second name first, then the log, also when it gets that
// second name meanwhile.
type logReader struct {
	files []*os.File // that are left to be read; the last is the log itself, as it was when it was opened
	path  string
}

func openLog(s *runtime.Sandbox) (*logReader, error) {
	if s.Log == "" {
		return nil, withHint(fmt.Errorf("sandbox %q has no log", s.ID), "it runs in the foreground: its output goes to the terminal that started it")
	}
	r := &logReader{path: s.Log}
	for _, path := range []string{runtime.OldLog(s.Log), s.Log} {
		file, err := os.Open(path)
		if err == nil {
			r.files = append(r.files, file)
		} else if !errors.Is(err, fs.ErrNotExist) {
			r.Close()
			return nil, err
		}
	}
	if len(r.files) == 0 {
		return nil, fmt.Errorf("sandbox %q: its log %s is gone: %w", s.ID, s.Log, fs.ErrNotExist)
	}
	return r, nil
}

// Close closes the files that are still open.
func (r *logReader) Close() {
	for _, f := range r.files {
		f.Close()
	}
}

// Read gives io.EOF where all that was written is read; more may come.
func (r *logReader) Read(p []byte) (int, error) {
	for {
		n, err := r.files[0].Read(p)
		if n > 0 || err != io.EOF {
			return n, err
		}
		if len(r.files) == 1 {
			if next := r.next(); next != nil {
				r.files = append(r.files, next)
				continue // read what came before the log got its second name
			}
			return 0, io.EOF
		}
		r.files[0].Close()
		r.files = r.files[1:]
	}
}

// next is the log, if it is another file by now.
func (r *logReader) next() *os.File {
	file, err := os.Open(r.path)
	if err != nil {
		return nil // between two names, or removed
	}
	was, err1 := r.files[0].Stat()
	is, err2 := file.Stat()
	if err1 != nil || err2 != nil || os.SameFile(was, is) {
		file.Close()
		return nil
	}
	return file
}

// watch returns a file that can be read whenever something happens to the log.
func (r *logReader) watch() (*os.File, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("inotify_init1", err)
	}
	events := os.NewFile(uintptr(fd), "inotify")
	// Of the directory: a file that is made anew is in it too.
	if _, err := unix.InotifyAddWatch(fd, filepath.Dir(r.path), unix.IN_MODIFY|unix.IN_CREATE|unix.IN_MOVED_FROM); err != nil {
		return nil, errors.Join(os.NewSyscallError("inotify_add_watch", err), events.Close())
	}
	return events, nil
}

// seek moves to the n-th line from the end.
func (r *logReader) seek(n int) error {
	for i := len(r.files) - 1; i >= 0; i-- {
		seen, err := seekLines(r.files[i], n)
		if err != nil {
			return err
		}
		if n -= seen; n > 0 {
			continue
		}
		for _, f := range r.files[:i] {
			f.Close()
		}
		r.files = r.files[i:]
		return nil
	}
	return nil
}

// seekLines moves to the n-th line from the end, or to the beginning, and returns how many lines come after. It reads
// backwards in pieces, so a long log costs no more than a short one.
func seekLines(file *os.File, n int) (seen int, err error) {
	end, err := file.Seek(0, io.SeekEnd)
	if err != nil || n == 0 || end == 0 {
		return 0, err
	}
	buffer := make([]byte, 64<<10)
	for at := end; at > 0; {
		size := min(int64(len(buffer)), at)
		at -= size
		if _, err := file.ReadAt(buffer[:size], at); err != nil {
			return 0, err
		}
		for i := size - 1; i >= 0; i-- {
			if buffer[i] != '\n' || at+i == end-1 {
				continue
			}
			if seen++; seen == n {
				_, err := file.Seek(at+i+1, io.SeekStart)
				return seen, err
			}
		}
	}
	_, err = file.Seek(0, io.SeekStart)
	return seen + 1, err
}
