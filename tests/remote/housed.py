"""A server that can house a container engine: its root is a mount of its own, and it has the control groups that a booted one has."""

import subprocess
import time

from server import NAME, Second

# A container's own root takes the place of a root that is one itself; a folder that only chroot knows is none.
ROOT = (
    "hostname {name} && mount --bind {root} {root} && cd {root} && "
    "mount -t proc proc proc && mount --rbind /dev dev && mount -t sysfs sysfs sys && "
    "mount --rbind /sys/fs/cgroup sys/fs/cgroup && mkdir -p before && pivot_root . before && "
    'exec chroot / env -i PATH=/usr/sbin:/usr/bin python3 -c "$0"'
)


# What was the root before is let go of by what comes first: the server has no umount.
LET_GO = "import ctypes; assert not ctypes.CDLL(None).umount2(b'/before', 2); "


class Housed(Second):
    """It, with nothing but loopback in its network; its engine is started as an init system would start it."""

    def _start(self, init, *options):
        own = ["--mount", "--uts", "--pid", *options, "--fork", "--kill-child"]
        self.process = subprocess.Popen(
            ["unshare", *own, "sh", "-ec", ROOT.format(name=NAME, root=self.root), LET_GO + init]
        )

    def start_engine(self):
        self.ssh("setsid dockerd >/var/log/dockerd 2>&1 </dev/null &")
        self.wait_for("docker info", "/var/log/dockerd")

    def start_registry(self, registry):
        """The registry's contents, at its address; ends with the server."""
        network = f"--net=/proc/{self.process.pid}/ns/net"
        self.registry = subprocess.Popen(["nsenter", network, "docker-registry", "serve", registry.file])
        self.wait_for(f"curl --silent --fail 127.0.0.1:{registry.port}/v2/")

    def wait_for(self, command, log=None):
        until = time.monotonic() + 60
        while "well" not in self.ssh(f"if {command} >/dev/null 2>&1; then echo well; fi"):
            assert time.monotonic() < until, self.path(log).read_text()[-3000:] if log else command
            time.sleep(0.2)

    def containers(self):
        return self.ssh("docker ps --all --quiet").split()

    def remove(self):
        if hasattr(self, "registry"):
            self.registry.terminate()
            self.registry.wait()
        self.ssh("if pkill -x dockerd; then while pgrep -x dockerd; do sleep 0.1; done; fi")
        super().remove()
