package tree

import (
	"context"
	"crypto/sha256"
	"hash"
	"io"

	"golang.org/x/sys/unix"

	"mmbox/models"
)

const bufferSize = 256 << 10

// fill copies r to the descriptor and gives the content's digest. Content of more than one buffer is hashed beside the
// writing, for either alone takes as long as reading.
func (s *Stage) fill(out int, size int64, r io.Reader) (models.Digest, int64, error) {
	if need := min(size, bufferSize); need > int64(len(s.buf)) || s.buf == nil {
		s.buf = make([]byte, max(need, 4096))
	}
	h := s.hash
	h.Reset()
	var side *hasher
	if size > int64(len(s.buf)) {
		side = newHasher(h)
		defer side.stop()
	}
	buf, total := s.buf, int64(0)
	for {
		if err := s.ctx.Err(); err != nil {
			return "", total, context.Cause(s.ctx)
		}
		n, err := io.ReadFull(r, buf)
		if n > 0 && side != nil {
			side.in <- buf[:n]
		} else {
			h.Write(buf[:n])
		}
		for b := buf[:n]; len(b) > 0; {
			w, werr := unix.Write(out, b)
			if werr != nil && werr != unix.EINTR {
				return "", total, werr
			}
			b = b[max(w, 0):]
		}
		total += int64(n)
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			break
		} else if err != nil {
			return "", total, err
		}
		if side != nil {
			buf = side.swap(buf)
		}
	}
	if side != nil {
		side.stop()
	}
	var sum [sha256.Size]byte
	h.Sum(sum[:0])
	return sumDigest(sum), total, nil
}

// A hasher feeds a hash in a goroutine of its own. At most three buffers exist: out has room for all of them, so that
// the hasher never waits for its user.
type hasher struct {
	in   chan []byte
	out  chan []byte
	done chan struct{}
}

func newHasher(h hash.Hash) *hasher {
	s := &hasher{in: make(chan []byte, 1), out: make(chan []byte, 4), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		for b := range s.in {
			h.Write(b)
			s.out <- b
		}
	}()
	return s
}

// swap gives a buffer that is not being hashed, as large as old.
func (s *hasher) swap(old []byte) []byte {
	select {
	case b := <-s.out:
		return b[:cap(b)]
	default:
		return make([]byte, len(old))
	}
}

// stop waits until all is hashed. It may be called again.
func (s *hasher) stop() {
	if s.in != nil {
		close(s.in)
		s.in = nil
	}
	<-s.done
}
