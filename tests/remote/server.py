"""A server that ssh reaches: a root file system of its own, with its own processes and its own sshd, and nothing else.

Its network is this machine's, so its sshd listens on a free port of loopback; PID 1 there is no systemd. A second one has a network
of its own, with nothing but loopback in it.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

NEURMATIC = Path(sys.executable).with_name("neurmatic")
REPOSITORY = Path(__file__).parents[2]
TARBALL = REPOSITORY / "build" / "bare-root.tar"
PACKAGES = "openssh-server,sudo,ca-certificates,python3,procps"
# Starts sshd, takes in orphans, as an init does.
INIT = (
    "import signal, subprocess; subprocess.Popen(['/usr/sbin/sshd', '-D', '-E', '/var/log/sshd']); "
    "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\nwhile True: signal.pause()"
)
# A new network's loopback is down.
LOOPBACK = (
    "import fcntl, socket, struct; "
    "fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sh14x', b'lo', 0x41)); "  # SIOCSIFFLAGS: up and running
)
SSHD = """
Port {port}
ListenAddress 127.0.0.1
PermitRootLogin prohibit-password
PasswordAuthentication no
UsePAM no
AcceptEnv nothing
"""
# What an operator has in ~/.ssh/config. Names that differ from `server` each have one thing wrong.
CONFIG = """
Host nowhere
  HostName nowhere.invalid
Host closed
  Port {closed}
Host stranger
  UserKnownHostsFile /dev/null
Host changed
  UserKnownHostsFile {folder}/changed
Host wrong-key
  IdentityFile {folder}/other
Host * !wrong-key
  IdentityFile {folder}/key
Host deployer
  User deployer
Host plain
  User plain
Host *
  HostName 127.0.0.1
  Port {port}
  User root
  IdentitiesOnly yes
  UserKnownHostsFile {folder}/known
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
"""


# Loopback of another network, from this one; when sshd closes the connection, so does it.
SECOND = """
Host second
  ProxyCommand nsenter --net=/proc/{pid}/ns/net bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}; cat <&0 >&3 & exec cat <&3'
  HostKeyAlias second
  UserKnownHostsFile {folder}/known
"""


NAME = "fresh"


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Server:
    """A fresh one. Accounts: root, `deployer`, who may use sudo, and `plain`, who may not."""

    name = "server"

    def __init__(self):
        subprocess.run([REPOSITORY / "tests" / "fresh-root", TARBALL, PACKAGES], check=True)
        self.place = Path(tempfile.mkdtemp(prefix="remote-server-", dir="/var/tmp"))
        self.place.chmod(0o755)
        self.root = self.place / "root"
        self.root.mkdir()
        subprocess.run(["tar", "--extract", "--file", TARBALL, "--directory", self.root], check=True)
        self.client = self.place / "client"
        self.client.mkdir(mode=0o700)
        self.port, closed = free_port(), free_port()
        (self.client / "config").write_text(CONFIG.format(folder=self.client, port=self.port, closed=closed))
        for name in ("key", "other"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.client / name], check=True)
        self._prepare()
        self._start(INIT)
        self._wait()

    def _start(self, init, *options):
        script = (
            f"hostname {NAME} && mount -t proc proc {self.root}/proc && mount --rbind /dev {self.root}/dev && "
            f'exec chroot {self.root} env -i PATH=/usr/sbin:/usr/bin python3 -c "$0"'
        )
        own = ["--mount", "--uts", "--pid", *options]
        self.process = subprocess.Popen(["unshare", *own, "--fork", "--kill-child", "sh", "-ec", script, init])

    def _prepare(self):
        """What whoever made the server has done: the operator's key, the accounts, the name service."""
        shutil.copy("/etc/resolv.conf", self.root / "etc/resolv.conf")
        (self.root / "etc/hosts").write_text(f"127.0.0.1 localhost {NAME}\n")
        (self.root / "etc/pip.conf").write_text("[global]\nindex-url = http://127.0.0.1:9/\n")  # nobody is there
        (self.root / "etc/ssh/sshd_config").write_text(SSHD.format(port=self.port))
        (self.root / "run/sshd").mkdir(exist_ok=True)
        for user in ("deployer", "plain"):
            subprocess.run(["chroot", self.root, "useradd", "--create-home", "--password", "*", user], check=True)
        (self.root / "etc/sudoers.d/deployer").write_text("deployer ALL=(ALL) NOPASSWD: ALL\n")
        for home in ("root", "home/deployer", "home/plain"):
            folder = self.root / home / ".ssh"
            folder.mkdir(mode=0o700)
            shutil.copy(self.client / "key.pub", folder / "authorized_keys")
            owner = folder.parent.stat()
            for path in (folder, folder / "authorized_keys"):
                os.chown(path, owner.st_uid, owner.st_gid)
        key = (self.root / "etc/ssh/ssh_host_ed25519_key.pub").read_text().split()[:2]
        other = (self.client / "other.pub").read_text().split()[:2]
        (self.client / "known").write_text(f"[127.0.0.1]:{self.port} {' '.join(key)}\n")
        (self.client / "changed").write_text(f"[127.0.0.1]:{self.port} {' '.join(other)}\n")

    def _wait(self):
        until = time.monotonic() + 30
        while True:
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert time.monotonic() < until and self.process.poll() is None, "the server's sshd did not start"
            time.sleep(0.05)

    @property
    def env(self):
        """The operator's environment."""
        return os.environ | {"NEURMATIC_SSH": f"ssh -F {self.client / 'config'}"}

    def path(self, inside):
        return self.root / Path(inside).relative_to("/")

    def ssh(self, *words):
        """What a program there writes."""
        argv = ["ssh", "-F", self.client / "config", self.name, *words]
        return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout

    def cut(self):
        """Break every connection there is, as a network does; their processes by id, whoever they are."""
        for pid in self.sessions():
            with contextlib.suppress(ProcessLookupError):  # one may take another along
                os.kill(pid, signal.SIGKILL)

    def sessions(self):
        """The sshd processes that serve connections: those below the one that listens."""
        listening = next(pid for pid in self._below(self.process.pid) if _words(pid).startswith("sshd: /usr/sbin/sshd"))
        return [pid for pid in self._below(listening) if _words(pid).startswith("sshd: ")]

    def _below(self, pid):
        try:
            found = [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        except OSError:  # it has just ended
            return []
        return found + [one for child in found for one in self._below(child)]

    def remove(self):
        """Whatever runs there ends with its PID 1."""
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.place)


class Second(Server):
    """A copy of one that has the tool, with a network of its own: so the same stack runs on both. Its operator reaches both."""

    name = "second"

    def __init__(self, first):
        self.place = Path(tempfile.mkdtemp(prefix="remote-second-", dir="/var/tmp"))
        self.place.chmod(0o755)
        self.root = self.place / "root"
        subprocess.run(["cp", "--archive", "--one-file-system", "--reflink=auto", first.root, self.root], check=True)
        for left in (self.root / "srv").iterdir():
            shutil.rmtree(left)
        self.client = self.place / "client"
        self.client.mkdir(mode=0o700)
        self._start(LOOPBACK + INIT, "--net")
        _, known = (first.client / "known").read_text().split(maxsplit=1)
        (self.client / "known").write_text(f"second {known}")
        own = SECOND.format(pid=self.process.pid, port=first.port, folder=self.client)
        (self.client / "config").write_text(own + (first.client / "config").read_text())
        self._wait()

    def _wait(self):
        until = time.monotonic() + 30
        while subprocess.run(["ssh", "-F", self.client / "config", "second", "true"], check=False).returncode:
            assert time.monotonic() < until and self.process.poll() is None, "the second server's sshd did not start"
            time.sleep(0.2)


class Operator:
    """Types commands here, in a project folder; the server is reached by the names of an ssh configuration."""

    def __init__(self, server, folder):
        self.server = server
        self.folder = folder

    @contextlib.contextmanager
    def begin(self, *words):
        """A command that is not waited for; its output is to be read while it comes."""
        process = subprocess.Popen(
            [NEURMATIC, *words],
            cwd=self.folder,
            env=self.server.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with process:
            try:
                yield process
                process.wait(timeout=60)
            finally:
                process.kill()  # a test that fails leaves nothing to wait for

    def run(self, *words, code=0, answer=""):
        done = subprocess.run(
            [NEURMATIC, *words],
            cwd=self.folder,
            env=self.server.env,
            input=answer,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == code, f"{words} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done


def _words(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()
    except OSError:
        return ""
