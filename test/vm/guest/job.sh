# Runs the command and tells the host. Either PID 1, after init.sh, or a service of systemd.
# Port 1 carries lines for the harness: start, exit CODE, fail TEXT. Ports 2 and 3 carry the command's output.
vm=/run/mmbox-vm
B=$vm/busybox

fail() {
	echo "mmbox-vm: $*" >/dev/console
	echo "fail $*" >/dev/vport0p1
	echo o >/proc/sysrq-trigger
	$B sleep 60
}

if [ $$ = 1 ]; then
	{
		$B mkdir -p /dev/pts /dev/shm &&
			$B mount -t devpts -o mode=620,ptmxmode=666 devpts /dev/pts &&
			$B mount -t tmpfs -o mode=1777 tmpfs /dev/shm &&
			$B ln -sfn /proc/self/fd /dev/fd && $B ln -sfn /proc/self/fd/0 /dev/stdin &&
			$B ln -sfn /proc/self/fd/1 /dev/stdout && $B ln -sfn /proc/self/fd/2 /dev/stderr &&
			$B hostname mmbox-vm &&
			$B mount -t cgroup2 -o nsdelegate cgroup2 /sys/fs/cgroup &&
			$B mkdir /sys/fs/cgroup/init && echo $$ >/sys/fs/cgroup/init/cgroup.procs
	} || fail "cannot mount /dev/pts, /dev/shm or /sys/fs/cgroup"
	for controller in $($B cat /sys/fs/cgroup/cgroup.controllers); do
		echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control || fail "cannot enable cgroup controller $controller"
	done
	$B ip link set lo up || fail "cannot raise the loopback interface"
fi

# The command gets pipes, not the ports: a port can be opened only once, so /dev/stdout would not work.
$B mkfifo $vm/stdout $vm/stderr || fail "cannot make pipes"
$B cat $vm/stdout >/dev/vport0p2 &
out=$!
$B cat $vm/stderr >/dev/vport0p3 &
err=$!
echo start >/dev/vport0p1
$B sh $vm/command.sh </dev/null >$vm/stdout 2>$vm/stderr &
wait $!
code=$?
# What the command left running may hold its output open for ever.
(
	$B sleep 10
	kill $out $err
) 2>/dev/null &
guard=$!
wait $out
cut=$?
wait $err || cut=$?
kill $guard 2>/dev/null
[ $cut = 0 ] || echo "mmbox-vm: a process left behind held the output open; cut after 10 s" >/dev/vport0p3
$B sync
echo "exit $code" >/dev/vport0p1
echo o >/proc/sysrq-trigger
$B sleep 60
