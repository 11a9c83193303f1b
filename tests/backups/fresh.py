"""A fresh server: a root file system of its own, with its own processes, in which only the tool was installed."""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
TARBALL = REPOSITORY / "build" / "fresh-root.tar"
NEURMATIC = Path(sys.executable).with_name("neurmatic")


class FreshServer:
    """Its network is this machine's, so that it reaches the stores on loopback; nothing else of it is."""

    def __init__(self):
        subprocess.run([REPOSITORY / "tests" / "fresh-root", TARBALL], check=True)
        self.root = Path(tempfile.mkdtemp(prefix="fresh-server-", dir="/var/tmp"))
        self.root.chmod(0o755)
        subprocess.run(["tar", "--extract", "--file", TARBALL, "--directory", self.root], check=True)
        (self.root / REPOSITORY.relative_to("/")).mkdir(parents=True)
        (self.root / "etc/hosts").write_text("127.0.0.1 localhost\n")
        # The tool, as installed from this clone: its folder, read-only, at the same place. PID 1 is this shell.
        script = (
            f"mount --bind {REPOSITORY} {self.root}{REPOSITORY} && mount -o remount,bind,ro {self.root}{REPOSITORY} && "
            f"mount -t proc proc {self.root}/proc && mount --rbind /dev {self.root}/dev && exec chroot {self.root} sleep 1800"
        )
        self.process = subprocess.Popen(["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec", script])
        self.init = self._inner()

    def _inner(self):
        """The number of its PID 1, once that is the sleeping one."""
        until = time.monotonic() + 30
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        while True:
            found = children.read_text().split()
            if found and Path(f"/proc/{found[0]}/cmdline").read_bytes().startswith(b"sleep"):
                return found[0]
            assert time.monotonic() < until, "the fresh server did not start"
            time.sleep(0.05)

    def path(self, inside):
        return self.root / Path(inside).relative_to("/")

    def run(self, *words, cwd="/", code=0):
        """Run a program there, as root, with nothing of this machine's environment."""
        path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        inside = ["env", "-i", f"--chdir={cwd}", path, "LANG=C.UTF-8", *map(str, words)]
        argv = ["nsenter", "-t", self.init, "-m", "-p", "-r", *inside]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300, stdin=subprocess.DEVNULL)
        assert done.returncode == code, f"{words} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def neurmatic(self, *words, **more):
        return self.run(str(NEURMATIC), *words, **more)

    def remove(self):
        """Whatever runs there ends with its PID 1."""
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.root)
