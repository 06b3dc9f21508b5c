package rootfs

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	goruntime "runtime"
	"time"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"

	"mmbox/models"
	"mmbox/rootfs/tree"
)

// An input is what something in the store was made from, with the stamp of every file that was read for it. It saves
// reading gigabytes again to find that nothing changed. Losing it loses nothing.
type input struct {
	file  string // where it is remembered
	start time.Time
	made  made
	fresh bool // a stamp is too young to tell whether its file changes after it
}

type made struct {
	Digest models.Digest `json:"digest"`
	Size   int64         `json:"size,omitempty"`
	Stamps []stamp       `json:"stamps"`
}

// A stamp changes when a file does: all but the name come from stat. Ctime cannot be set by a program.
type stamp struct {
	Path  string `json:"p"`
	Dev   uint64 `json:"d"`
	Inode uint64 `json:"i"` // 0: absent
	Mode  uint32 `json:"m"`
	Size  int64  `json:"s"`
	Mtime int64  `json:"t"`
	Ctime int64  `json:"c"`
}

// granularity is how long a file may change without its times changing, with room to spare: a tick is 1 to 10 ms.
const granularity = 50 * time.Millisecond

// input finds what is remembered for a key, which is anything that marshals to JSON.
func (b Builder) input(key ...any) *input {
	data, err := json.Marshal(append(key, goruntime.GOARCH, b.Limits, tree.ListingSchema))
	if err != nil {
		panic(fmt.Sprintf("input key: %v", err)) // keys are plain data
	}
	return &input{file: filepath.Join(b.Trees.SourcesDir(), fmt.Sprintf("%x", sha256.Sum256(data)))}
}

// cached gives what was made, unless a stamp has changed.
func (in *input) cached() (models.Digest, bool) {
	data, err := os.ReadFile(in.file)
	if err != nil || json.Unmarshal(data, &in.made) != nil || len(in.made.Stamps) == 0 {
		return "", false
	}
	for _, old := range in.made.Stamps {
		if now, err := readStamp(old.Path); err != nil || now != old {
			return "", false
		}
	}
	return in.made.Digest, true
}

func (in *input) begin() { in.start, in.made = time.Now(), made{} }

// stamp notes a file that is about to be read. It must come before the reading.
func (in *input) stamp(p string) {
	s, err := readStamp(p)
	in.fresh = in.fresh || err != nil || s.Inode != 0 && in.start.UnixNano()-s.Ctime < int64(granularity)
	in.made.Stamps = append(in.made.Stamps, s)
}

// remember keeps the result for the next time. Files too young to trust their stamps are read again then.
func (in *input) remember(d models.Digest) error {
	if in.fresh || len(in.made.Stamps) == 0 {
		return nil
	}
	in.made.Digest = d
	data, err := json.Marshal(in.made)
	if err != nil {
		return err
	}
	return renameio.WriteFile(in.file, data, 0o600, renameio.WithTempDir(filepath.Dir(in.file)))
}

func readStamp(p string) (stamp, error) {
	var st unix.Stat_t
	if err := unix.Lstat(p, &st); errors.Is(err, fs.ErrNotExist) {
		return stamp{Path: p}, nil
	} else if err != nil {
		return stamp{}, err
	}
	return stamp{Path: p, Dev: st.Dev, Inode: st.Ino, Mode: st.Mode, Size: st.Size, Mtime: st.Mtim.Nano(), Ctime: st.Ctim.Nano()}, nil
}
