#!/bin/sh
# Runs tests/devices/job.py against real V4L2 drivers, on a machine that has none: Debian's own
# kernel with its test camera (vivid) and v4l2loopback, in QEMU without KVM, on the host's files
# read-only. For Debian as root; one argument, the Python to run it with. Nothing is installed but
# what apt-get brings; kernel and headers are only unpacked.
set -eu
python=$1
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
vm=$(mktemp -d)
trap 'rm -rf "$vm"' EXIT
cd "$vm"

apt-get install -qq --yes --no-install-recommends \
    qemu-system-x86 busybox-static cpio kmod make gcc libc6-dev >/dev/null
kernel=$(apt-cache search '^linux-headers-[0-9.]*-[0-9]*-amd64$' |
    sed 's/^linux-headers-\([^ ]*\) .*/\1/' | sort -V | tail -1)
kbuild=linux-kbuild-$(echo "$kernel" | cut -d. -f1,2)
apt-get download -qq "linux-image-$kernel" "linux-headers-$kernel" \
    "linux-headers-${kernel%-amd64}-common" "$kbuild" v4l2loopback-dkms 2>/dev/null
for package in *.deb; do dpkg -x "$package" system; done
"$python" -m pip install --quiet --no-deps --target extra pyvirtualcam

headers=$vm/system/usr/src/linux-headers-$kernel
sed -i "s#/usr/src/linux-headers#$vm/system/usr/src/linux-headers#g" "$headers/Makefile"
cp -r system/usr/src/v4l2loopback-* loopback
make -s -C "$headers" M="$vm/loopback" modules >/dev/null 2>&1
cp loopback/v4l2loopback.ko "system/lib/modules/$kernel/kernel/drivers/media/"
depmod -b system "$kernel"

mkdir -p start/bin start/proc start/sys start/dev start/modules start/host start/over start/new
cp /bin/busybox start/bin/
for module in virtio_pci 9pnet_virtio 9p overlay videodev vivid v4l2loopback; do
    modprobe -d "$vm/system" -S "$kernel" --show-depends "$module" | awk '$1 == "insmod" {print $2}'
done | awk '!seen[$0]++' | while read -r file; do
    cp "$file" start/modules/
    basename "$file" >>start/modules/order
done
cat >start/init <<INIT
#!/bin/busybox sh
b=/bin/busybox
\$b mount -t proc p /proc; \$b mount -t sysfs s /sys; \$b mount -t devtmpfs d /dev
for module in \$(\$b cat /modules/order); do
    case \$module in
    vivid.ko) extra="n_devs=1 node_types=0x1 input_types=0x00 vid_cap_nr=10 allocators=0" ;;
    v4l2loopback.ko)
        extra="devices=2 video_nr=20,21 card_label=allaprima,exclusive exclusive_caps=0,1" ;;
    *) extra= ;;
    esac
    \$b insmod /modules/\$module \$extra
done
\$b mount -t tmpfs t /over; \$b mkdir -p /over/upper /over/work
\$b mount -t 9p -o trans=virtio,version=9p2000.L,msize=1048576,ro,cache=loose host /host
\$b mount -t overlay -o lowerdir=/host,upperdir=/over/upper,workdir=/over/work o /new
\$b mount --bind /dev /new/dev; \$b mount -t proc p /new/proc; \$b mount -t sysfs s /new/sys
\$b mkdir -p /new/dev/shm; \$b mount -t tmpfs t /new/dev/shm; \$b ip link set lo up
PYTHONPATH=$vm/extra:$top:$top/tests/support OMP_NUM_THREADS=1 \$b chroot /new $python $here/job.py
echo "the job ended with \$?"
\$b poweroff -f
INIT
chmod +x start/init
(cd start && find . | cpio -o -H newc 2>/dev/null | gzip -1) >start.gz

timeout -s KILL 300 qemu-system-x86_64 -machine q35 -accel tcg,thread=multi -cpu max -smp 2 -m 2G \
    -nographic -no-reboot -net none -kernel system/boot/vmlinuz-"$kernel" -initrd start.gz \
    -append "console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable" \
    -virtfs local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap \
    >log 2>&1 || true
grep -q "the job ended with 0" log || { tail -n 60 log; exit 1; }
echo "camera, virtual camera, unplugging and return, wrong states: passed on real drivers"
