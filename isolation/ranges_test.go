package isolation

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
)

// owners makes the directories of some sandboxes.
func owners(t *testing.T, n int) []string {
	t.Helper()
	dir := t.TempDir()
	list := make([]string, n)
	for i := range list {
		list[i] = filepath.Join(dir, fmt.Sprintf("sandbox-%d", i))
		if err := os.Mkdir(list[i], 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return list
}

func held(t *testing.T, r Ranges) int {
	t.Helper()
	entries, err := os.ReadDir(string(r))
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// TestBlock: the block is made of whole ranges, and enough of them.
func TestBlock(t *testing.T) {
	if (blockEnd-blockFirst)%rangeSize != 0 || blockFirst%rangeSize != 0 {
		t.Errorf("the block %d to %d is not made of whole ranges of %d", blockFirst, blockEnd, rangeSize)
	}
	if rangeCount < 4000 {
		t.Errorf("only %d ranges", rangeCount)
	}
	if ModelUID >= rangeSize {
		t.Errorf("uid %d is not in a range of %d", ModelUID, rangeSize)
	}
	if got := FirstRange(); got.First != blockFirst || got.Size != rangeSize {
		t.Errorf("the first range is %+v", got)
	}
}

// TestTakeAtOnce: however many take a range at once, no two get the same, and each is inside the block.
func TestTakeAtOnce(t *testing.T) {
	const n = 200
	r := Ranges(filepath.Join(t.TempDir(), "ranges")) // made by the first
	list := owners(t, n)
	ranges := make([]Range, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			var err error
			if ranges[i], err = r.Take(list[i]); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	seen := map[uint32]int{}
	for i, got := range ranges {
		if other, double := seen[got.First]; double {
			t.Errorf("owners %d and %d both have %+v", i, other, got)
		}
		seen[got.First] = i
		if got.First < blockFirst || got.First+got.Size > blockEnd || (got.First-blockFirst)%rangeSize != 0 || got.Size != rangeSize {
			t.Errorf("range %+v is not a whole range of the block", got)
		}
	}
	for i := range n {
		wg.Go(func() {
			if err := r.Free(list[i], ranges[i]); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if left := held(t, r); left != 0 {
		t.Errorf("%d ranges are left behind", left)
	}
}

// TestTakeAndFreeAtOnce: while ranges come and go, one that is held is nobody else's.
func TestTakeAndFreeAtOnce(t *testing.T) {
	r := Ranges(t.TempDir())
	var mutex sync.Mutex
	holder := map[uint32]string{}
	var wg sync.WaitGroup
	for _, owner := range owners(t, 16) {
		wg.Go(func() {
			for range 50 {
				got, err := r.Take(owner)
				if err != nil {
					t.Error(err)
					return
				}
				mutex.Lock()
				if other, taken := holder[got.First]; taken {
					t.Errorf("%s got %+v, which %s holds", owner, got, other)
				}
				holder[got.First] = owner
				mutex.Unlock()

				mutex.Lock()
				delete(holder, got.First)
				mutex.Unlock()
				if err := r.Free(owner, got); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if left := held(t, r); left != 0 {
		t.Errorf("%d ranges are left behind", left)
	}
}

// TestSameStart: two paths whose search starts at one place still get two ranges.
func TestSameStart(t *testing.T) {
	r := Ranges(t.TempDir())
	owner := owners(t, 1)[0]
	first, err := r.Take(owner)
	if err != nil {
		t.Fatal(err)
	}
	second, err := r.Take(owner)
	if err != nil {
		t.Fatal(err)
	}
	if next := blockFirst + (first.First-blockFirst+rangeSize)%(blockEnd-blockFirst); second.First != next {
		t.Errorf("after %d came %d, want the next one, %d", first.First, second.First, next)
	}
}

func TestFreeOnlyOwn(t *testing.T) {
	r := Ranges(t.TempDir())
	list := owners(t, 2)
	got, err := r.Take(list[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Free(list[1], got); err != nil {
		t.Errorf("freeing another's range: %v", err)
	}
	if held(t, r) != 1 {
		t.Fatal("one owner freed another's range")
	}
	for range 2 { // freeing what is free does nothing
		if err := r.Free(list[0], got); err != nil {
			t.Error(err)
		}
	}
	if held(t, r) != 0 {
		t.Error("the owner's range was not freed")
	}
	if err := r.Free(list[0], Range{}); err != nil {
		t.Errorf("freeing no range: %v", err)
	}
}

// TestExhausted fills the block but for one range: that one is found wherever the search starts, and then none is left.
func TestExhausted(t *testing.T) {
	r := Ranges(t.TempDir())
	list := owners(t, 3)
	const last = 1234
	for n := range uint32(rangeCount) {
		if n == last {
			continue
		}
		if err := os.Symlink(list[0], r.file(n)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := r.Take(list[1])
	if err != nil || got.First != blockFirst+last*rangeSize {
		t.Errorf("got %+v, %v; want the one that was free", got, err)
	}
	_, err = r.Take(list[2])
	if !errors.Is(err, ErrNoRange) {
		t.Fatalf("got %v, want ErrNoRange", err)
	}
	want := fmt.Sprintf("take user ids for %s: no free range of user ids: all %d are in use; remove sandboxes with mmbox rm or mmbox gc", list[2], rangeCount)
	if err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if err := r.Free(list[1], got); err != nil {
		t.Fatal(err)
	}
	if again, err := r.Take(list[2]); err != nil || again != got {
		t.Errorf("got %+v, %v; want the one that was freed", again, err)
	}
}

func TestSweep(t *testing.T) {
	r := Ranges(filepath.Join(t.TempDir(), "ranges"))
	if gone, err := r.Sweep(); err != nil || gone != nil {
		t.Errorf("no directory: %v, %v", gone, err)
	}
	list := owners(t, 3)
	for _, owner := range list {
		if _, err := r.Take(owner); err != nil {
			t.Fatal(err)
		}
	}
	if gone, err := r.Sweep(); err != nil || len(gone) != 0 {
		t.Errorf("swept %v of owners that live, %v", gone, err)
	}
	if err := os.Remove(list[1]); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(string(r), "notes"), "not ours")
	gone, err := r.Sweep()
	if err != nil || len(gone) != 1 || gone[0] != list[1] {
		t.Errorf("swept %v, %v; want %s", gone, err, list[1])
	}
	if left := held(t, r); left != 3 { // two ranges and the file that is not ours
		t.Errorf("%d entries are left", left)
	}
}

func TestTakeWhereNothingCanBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, "")
	if _, err := Ranges(filepath.Join(file, "ranges")).Take("/x"); err == nil {
		t.Error("took a range below a file")
	}
}

// FuzzTake: whatever the owner's path, the range is a whole one of the block and is found again by its file.
func FuzzTake(f *testing.F) {
	for _, owner := range []string{"/run/mmbox/a", "/", "/run/mmbox/é", "/x\ny"} {
		f.Add(owner)
	}
	f.Fuzz(func(t *testing.T, owner string) {
		r := Ranges(t.TempDir())
		got, err := r.Take(owner)
		if err != nil {
			return // no path: empty, too long or with a NUL
		}
		n := (got.First - blockFirst) / rangeSize
		if got.First < blockFirst || got.First+got.Size > blockEnd || got.First != blockFirst+n*rangeSize {
			t.Fatalf("range %+v is not of the block", got)
		}
		if held, err := os.Readlink(filepath.Join(string(r), strconv.FormatUint(uint64(n), 10))); err != nil || held != owner {
			t.Fatalf("held by %q, %v; want %q", held, err, owner)
		}
		if err := r.Free(owner, got); err != nil {
			t.Fatal(err)
		}
	})
}
