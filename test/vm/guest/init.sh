#!/bin/busybox sh
# PID 1 of the initramfs: reaches the host's root over 9p, puts a tmpfs overlay on it and hands over, either to
# job.sh or to systemd. /vm/modules and /vm/mounts are generated for each start.
B=/bin/busybox
SHARE=trans=virtio,version=9p2000.L,msize=512000

fail() {
	echo "mmbox-vm: $*"
	[ -c /dev/vport0p1 ] && echo "fail $*" >/dev/vport0p1
	echo o >/proc/sysrq-trigger
	$B sleep 60
}
must() { "$@" || fail "failed: $*"; }
# share TAG PATH OPTIONS mounts one of the host's directories.
share() { must $B mkdir -p "/mnt$2" && must $B mount -t 9p -o "$SHARE,$3" "$1" "/mnt$2"; }
# tmpfs PATH hides what the host has there.
tmpfs() { must $B mkdir -p "/mnt$1" && must $B mount -t tmpfs -o mode="$2" tmpfs "/mnt$1"; }
# file MEMBER PATH copies a file that came with the initramfs.
file() { must $B mkdir -p "/mnt${2%/*}" && must $B cp -p "$1" "/mnt$2"; }

$B mount -t proc proc /proc && $B mount -t sysfs sysfs /sys && $B mount -t devtmpfs -o mode=755 devtmpfs /dev ||
	fail "cannot mount /proc, /sys, /dev"
while read -r module; do
	must $B insmod "/vm/$module"
done </vm/modules
# The ports appear some time after their driver.
tries=0
while ! [ -c /dev/vport0p3 ]; do
	tries=$((tries + 1))
	[ $tries -lt 500 ] || fail "no virtio serial ports"
	$B usleep 10000
done

must $B mount -t 9p -o "$SHARE,cache=loose,ro" root /lower
must $B mount -t tmpfs -o size=75%,mode=755 tmpfs /upper
must $B mkdir /upper/data /upper/work
must $B chmod 755 /upper/data
must $B mount -t overlay -o lowerdir=/lower,upperdir=/upper/data,workdir=/upper/work overlay /mnt
. /vm/mounts
must $B mkdir -p /mnt/run/mmbox-vm /mnt/proc /mnt/sys /mnt/dev
must $B cp $B /vm/job.sh /vm/command.sh /mnt/run/mmbox-vm/
echo mmbox-vm >/mnt/etc/hostname
: >/mnt/etc/fstab
for d in proc sys dev; do
	must $B mount -o move /$d /mnt/$d
done

if ! [ -e /vm/systemd ]; then
	exec $B switch_root /mnt /run/mmbox-vm/busybox sh /run/mmbox-vm/job.sh
fi
# Of the host's units only those of systemd itself stay, without what needs real devices or a real disk.
units=/mnt/etc/systemd/system
must $B rm -rf $units/*.wants $units/*.requires
for unit in systemd-tmpfiles-setup systemd-tmpfiles-setup-dev systemd-tmpfiles-clean systemd-udev-trigger systemd-udevd \
	systemd-random-seed systemd-update-utmp systemd-journal-flush systemd-pstore systemd-firstboot systemd-sysusers; do
	must $B ln -sf /dev/null $units/$unit.service
done
must $B ln -sf /dev/null $units/systemd-tmpfiles-clean.timer
# The host may be a container, which systemd would take the guest for as well.
must $B rm -f /mnt/.dockerenv
must $B cp /vm/mmbox-vm.target /vm/mmbox-vm.service $units/
exec $B switch_root /mnt /lib/systemd/systemd --unit=mmbox-vm.target
