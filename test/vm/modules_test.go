package vm

import (
	"slices"
	"strings"
	"testing"
)

const modulesDep = `kernel/fs/9p/9p.ko: kernel/net/9p/9pnet.ko kernel/fs/fscache/fscache.ko kernel/fs/netfs/netfs.ko
kernel/fs/fscache/fscache.ko: kernel/fs/netfs/netfs.ko
kernel/fs/netfs/netfs.ko:
kernel/net/9p/9pnet.ko:
kernel/net/9p/9pnet_virtio.ko: kernel/drivers/virtio/virtio.ko kernel/net/9p/9pnet.ko
kernel/drivers/virtio/virtio.ko:
kernel/fs/overlayfs/overlay.ko:
kernel/a/dm-mod.ko: kernel/a/dax.ko
`

func TestModuleOrder(t *testing.T) {
	deps, err := parseModules(strings.NewReader(modulesDep), strings.NewReader("kernel/a/dax.ko\nkernel/lib/crc32.ko\n"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := deps.order("9p", "9pnet_virtio", "dm_mod", "overlay", "crc32", "9p")
	want := []string{"kernel/net/9p/9pnet.ko", "kernel/fs/netfs/netfs.ko", "kernel/fs/fscache/fscache.ko",
		"kernel/fs/9p/9p.ko", "kernel/drivers/virtio/virtio.ko", "kernel/net/9p/9pnet_virtio.ko", "kernel/a/dm-mod.ko",
		"kernel/fs/overlayfs/overlay.ko"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("order = %q, %v\nwant %q", got, err, want)
	}
}

func TestModuleErrors(t *testing.T) {
	if _, err := parseModules(strings.NewReader("no colon\n"), strings.NewReader("")); err == nil {
		t.Error("a line without a colon passed")
	}
	for name, dep := range map[string]string{
		"absent": "a.ko: b.ko\n",
		"itself": "a.ko: b.ko\nb.ko: c.ko\nc.ko: a.ko\n",
	} {
		deps, err := parseModules(strings.NewReader(dep), strings.NewReader(""))
		if err != nil {
			t.Fatal(err)
		}
		if files, err := deps.order("a"); err == nil {
			t.Errorf("%s: order = %q, want an error", name, files)
		}
	}
}
