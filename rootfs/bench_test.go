package rootfs

import (
	"archive/tar"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mmbox/models"
	"mmbox/rootfs/tree"
)

// Archives to unpack, beside tar -x on the same file system. What mmbox does more: it hashes every file, checks every
// name, and has all of it on the disk when it returns; tar leaves that to the kernel, so that tar+sync is the same work.

// BenchmarkUnpackSmall is what a Debian package with modules and locales looks like: 5,000 files of 0 to 8 KiB.
func BenchmarkUnpackSmall(b *testing.B) {
	benchmarkUnpack(b, 5000, 8<<10)
}

// BenchmarkUnpackLarge is weights and large libraries: 16 files of up to 32 MiB.
func BenchmarkUnpackLarge(b *testing.B) {
	benchmarkUnpack(b, 16, 32<<20)
}

func benchmarkUnpack(b *testing.B, files, size int) {
	base := b.TempDir()
	bytes := writeArchive(b, filepath.Join(base, "a.tar"), files, size)
	ways := []way{
		{"mmbox", func(dir string) error {
			trees, err := tree.Open(dir)
			if err == nil {
				_, err = Builder{trees, DefaultLimits}.Build(b.Context(), models.Layer{Tar: "a.tar"}, base)
			}
			return err
		}},
		{"tar", func(dir string) error { return byTar(base, dir) }},
		{"tar+sync", func(dir string) error { return errors.Join(byTar(base, dir), syncAll(dir)) }},
	}
	for _, w := range ways {
		b.Run(w.name, func(b *testing.B) {
			b.SetBytes(bytes)
			for range b.N {
				w.run(b, base)
			}
		})
	}
	// The machine's mood changes between two benchmarks: a ratio is only worth something if they take turns.
	b.Run("ratio", func(b *testing.B) {
		times, work := make([][]float64, len(ways)), make([][]float64, len(ways))
		for range b.N {
			for i, w := range ways {
				start := b.Elapsed()
				cpu := w.run(b, base)
				times[i] = append(times[i], (b.Elapsed() - start).Seconds())
				work[i] = append(work[i], cpu.Seconds())
			}
		}
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(median(times[1])/median(times[0]), "speed/tar")
		b.ReportMetric(median(times[2])/median(times[0]), "speed/tar+sync")
		b.ReportMetric(median(work[0])/median(work[1]), "cpu/tar")
	})
}

func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

// A way is a means of unpacking a.tar to a new directory.
type way struct {
	name string
	do   func(dir string) error
}

// run times one unpacking, and neither the clearing away nor what the disk still had to do for others. It gives the
// processor's time, of which another load on the machine takes less away than of the clock's.
func (w way) run(b *testing.B, base string) time.Duration {
	b.StopTimer()
	dir := filepath.Join(base, "to")
	if err := syncAll(base); err != nil {
		b.Fatal(err)
	}
	before := cpu(b)
	b.StartTimer()
	err := w.do(dir)
	b.StopTimer()
	took := cpu(b) - before
	if err = errors.Join(err, os.RemoveAll(dir)); err != nil {
		b.Fatal(err)
	}
	b.StartTimer()
	return took
}

// cpu is the time that this process and the ended ones below it have computed.
func cpu(b *testing.B) (total time.Duration) {
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var u unix.Rusage
		if err := unix.Getrusage(who, &u); err != nil {
			b.Fatal(err)
		}
		total += time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return total
}

func byTar(base, dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	out, err := exec.Command("tar", "-x", "-f", filepath.Join(base, "a.tar"), "-C", dir).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("tar: %w: %s", err, out)
	}
	return err
}

func syncAll(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(f.Fd())), f.Close())
}

// writeArchive makes a tar of files of 0 to size bytes, 50 a directory, and gives the bytes of their content.
func writeArchive(b *testing.B, name string, files, size int) (total int64) {
	out, err := os.Create(name)
	if err != nil {
		b.Fatal(err)
	}
	defer out.Close()
	w, random := tar.NewWriter(out), rand.New(rand.NewPCG(1, 2))
	content := make([]byte, size)
	for i := range content {
		content[i] = byte(random.Uint32())
	}
	for i := range files {
		n := random.IntN(size)
		h := tar.Header{Name: fmt.Sprintf("usr/lib/d%d/file-%d", i/50, i), Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(n)}
		if err := w.WriteHeader(&h); err != nil {
			b.Fatal(err)
		}
		if _, err := w.Write(content[:n]); err != nil {
			b.Fatal(err)
		}
		total += int64(n)
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	return total
}
