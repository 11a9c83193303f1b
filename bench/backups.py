"""What a backup and a restore take, side by side: the usual script, the engines bare, and the tool with all its checks.

`make bench-backups` writes backups.md. Everything goes to an S3-compatible server on loopback (rclone, TLS), which shares the
machine's cores with whoever is measured. Each way is asked once a round, in another order each time.
"""

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import machine

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests" / "backups"), str(ROOT / "tests" / "acceptance")]

from s3servers import BUCKET, Rclone, free_port  # noqa: E402  the tests' own server

BIN = Path(sys.executable).parent
POSTGRES = max(Path("/usr/lib/postgresql").glob("*/bin"))
RESULTS = Path(__file__).with_name("backups.md")
STACK = """
[stack]
name = "bench"
user = "nobody"
[edge]
https_port = {https}
http_port = {http}
control_port = {control}
[services.app]
command = ["python3", "-m", "http.server", "--bind", "127.0.0.1", "$PORT"]
ports = "{app}-{app}"
routes = ["/"]
needs = ["postgres"]
[postgres]
port = {postgres}
shared_buffers = "256MB"
[backup]
[backup.s3]
bucket = "{bucket}"
endpoint = "{endpoint}"
path_style = true
ca = "ca.pem"
"""
# Half of it text of words, as articles are; half random, as keys and hashes are: neither of the two flatters a compressor.
FILL = """
CREATE TABLE words AS SELECT n, substr(md5(n::text), 1, 2 + n % 9) AS word FROM generate_series(1, 4000) n;
CREATE INDEX ON words (n);
CREATE TABLE articles (id bigint PRIMARY KEY, slug text NOT NULL UNIQUE, body text NOT NULL, data jsonb NOT NULL,
                       published timestamptz NOT NULL);
INSERT INTO articles
SELECT n, 'article-' || n,
       (SELECT string_agg(word, ' ') FROM words w WHERE w.n BETWEEN 1 + (a.n * 37) % 3800 AND 120 + (a.n * 37) % 3800),
       jsonb_build_object('n', n, 'digest', md5(n::text), 'tags', ARRAY[md5((n + 1)::text), md5((n + 2)::text)]),
       timestamptz '2026-01-01' + n * interval '1 second'
  FROM generate_series(1, {rows}) a(n);
CREATE TABLE views (id bigserial PRIMARY KEY, article bigint NOT NULL REFERENCES articles, at timestamptz NOT NULL,
                    visitor uuid NOT NULL, referrer text);
INSERT INTO views (article, at, visitor, referrer)
SELECT 1 + n % {rows}, timestamptz '2026-01-01' + n * interval '100 ms', md5(n::text)::uuid, md5((n / 7)::text)
  FROM generate_series(1, {rows} * 10) n;
CREATE INDEX ON views (article, at);
ANALYZE;
"""
CHANGE = "UPDATE articles SET body = md5(random()::text) || body WHERE id % 100 = {round};"


@dataclass
class Cell:
    """One way's figures, a value a round: seconds, the machine's CPU seconds, bytes stored, bytes of disk beside them."""

    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    stored: list[int] = field(default_factory=list)
    extra: list[int] = field(default_factory=list)


class Bench:
    """A stack of PostgreSQL alone with a database of the given size, and a bucket."""

    def __init__(self, rows, say):
        self.say = say
        self.folder = Path(tempfile.mkdtemp(prefix="bench-backups-", dir="/var/tmp"))
        self.folder.chmod(0o755)
        self.bucket = Rclone()
        self.port = free_port()
        names = ("https", "http", "control", "app")
        ports = {name: free_port() for name in names} | {"postgres": self.port}
        text = STACK.format(**ports, bucket=BUCKET, endpoint=self.bucket.endpoint)
        shutil.copy(self.bucket.ca, self.folder / "ca.pem")
        (self.folder / "neurmatic.toml").write_text(text)
        state = self.folder / ".neurmatic"
        state.mkdir()
        secrets = f"BACKUP_S3_KEY_ID={self.bucket.key}\nBACKUP_S3_SECRET={self.bucket.secret}\n"
        (state / "secrets.env").write_text(secrets)
        self.say("starting a stack of PostgreSQL alone")
        self.tool("up")
        lines = (state / "secrets.env").read_text().splitlines()
        self.secrets = dict(line.split("=", 1) for line in lines if "=" in line)
        self.env = {
            **os.environ,
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.port),
            "PGUSER": "postgres",
            "PGPASSWORD": self.secrets["POSTGRES_SUPERUSER_PASSWORD"],
            "RCLONE_CONFIG": "/dev/null",
            "RCLONE_S3_PROVIDER": "Other",
            "RCLONE_S3_ENDPOINT": self.bucket.endpoint,
            "RCLONE_S3_ACCESS_KEY_ID": self.bucket.key,
            "RCLONE_S3_SECRET_ACCESS_KEY": self.bucket.secret,
            "RCLONE_CA_CERT": str(self.bucket.ca),
        }
        self.rows = rows

    def fill(self):
        self.say(f"filling a database with {self.rows} articles and {self.rows * 10} views")
        self.sql(FILL.format(rows=self.rows))

    def tool(self, *words):
        done = subprocess.run([BIN / "neurmatic", *words], cwd=self.folder, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"bench: neurmatic {' '.join(words)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def sql(self, text, database="app"):
        words = [POSTGRES / "psql", "-qAtX", "-v", "ON_ERROR_STOP=1", "-d", database]
        done = subprocess.run(words, input=text, env=self.env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr)
        return done.stdout.strip()

    def shell(self, command):
        """A peer's own pipeline, as its users write it."""
        subprocess.run(["bash", "-o", "pipefail", "-ec", command], env=self.env, cwd=self.folder, check=True)

    def pgbackrest(self, *words):
        config = self.folder / ".neurmatic" / "config" / "backup" / "pgbackrest.conf"
        as_account = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.geteuid() == 0 else []
        argv = [*as_account, "pgbackrest", f"--config={config}", "--stanza=main", "--repo=2", *words]
        subprocess.run(argv, env=self.env, cwd="/", check=True)

    def close(self):
        with contextlib.suppress(SystemExit):
            self.tool("down", "--purge", "--backups", "--yes")
        self.bucket.remove()
        shutil.rmtree(self.folder, ignore_errors=True)


def busy_seconds():
    """CPU seconds that this machine has spent since its start, whoever had them."""
    user, nice, system, _, _, irq, soft, *_ = map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:])
    return (user + nice + system + irq + soft) / os.sysconf("SC_CLK_TCK")


def measure(cell, work, stored, extra=lambda: 0):
    before, cpu, begun = stored(), busy_seconds(), time.monotonic()
    work()
    cell.seconds.append(time.monotonic() - begun)
    cell.cpu.append(busy_seconds() - cpu)
    cell.stored.append(stored() - before)
    cell.extra.append(extra())


class Ways:
    """Each way to make a backup and to restore it; what restores need is left by the backup before."""

    def __init__(self, bench):
        self.bench = bench
        self.dump = bench.folder / "script.sql.gz"
        self.n = 0
        self.newest = ""

    def backups(self):
        return {
            "script: pg_dump | gzip -9": self.script,
            "bare: pg_dump | zstd | age": self.bare_dump,
            "neurmatic, logical": lambda: self.bench.tool("backup", "run", "--kind", "logical", "--store", "s3"),
            "bare: pgBackRest, full": lambda: self.bench.pgbackrest("--type=full", "backup"),
            "neurmatic, physical, full": lambda: self.neurmatic_physical("--full"),
            "bare: pgBackRest, incremental": lambda: self.incremental(self.bare_incremental),
            "neurmatic, physical, incremental": lambda: self.incremental(self.neurmatic_physical),
        }

    def restores(self):
        return {
            "script: gunzip | psql": self.script_restore,
            "bare: age | zstd | pg_restore": self.bare_restore,
            "neurmatic, logical": lambda: self.neurmatic_restore("logical"),
            "bare: pgBackRest": self.bare_recover,
            "neurmatic, physical, with a reading of every row": self.neurmatic_recover,
        }

    def script(self):
        """A file first, then its upload: as scripts do."""
        self.bench.shell(
            f"{POSTGRES}/pg_dump app | gzip -9 > {self.dump}; {BIN}/rclone copyto {self.dump} :s3:{BUCKET}/script.sql.gz"
        )

    def bare_dump(self):
        key = self.bench.folder / ".neurmatic/config/backup/key"
        pipe = f"{POSTGRES}/pg_dump -Fc -Z0 app | zstd -T0 -1 -q | age -e -i {key}"
        self.bench.shell(f"{pipe} | {BIN}/rclone rcat :s3:{BUCKET}/bare.dump.zst.age")

    def bare_incremental(self):
        self.bench.pgbackrest("--type=incr", "backup")

    def neurmatic_physical(self, *more):
        self.bench.tool("backup", "run", "--kind", "physical", "--store", "s3", *more)

    def incremental(self, work):
        return work()

    def change(self):
        """One row in a hundred."""
        self.n += 1
        self.bench.sql(CHANGE.format(round=self.n))
        self.bench.sql("CHECKPOINT")

    def script_restore(self):
        self.bench.shell(
            f"createdb target; {BIN}/rclone copyto :s3:{BUCKET}/script.sql.gz {self.dump}; gunzip < {self.dump} | {POSTGRES}/psql -qX -d target -o /dev/null"
        )

    def bare_restore(self):
        key = self.bench.folder / ".neurmatic/config/backup/key"
        self.bench.shell(
            f"createdb target; {BIN}/rclone cat :s3:{BUCKET}/bare.dump.zst.age | age -d -i {key} | zstd -dq | {POSTGRES}/pg_restore -d target"
        )

    def neurmatic_restore(self, kind):
        self.bench.tool("restore", "latest", "--kind", kind, "--store", "s3", "--into", "target")

    def bare_recover(self):
        """Until the recovered server answers."""
        data = self.bench.folder / ".neurmatic/data/bench"
        self.bench.shell(
            f"install -d -m 700 -o nobody -g nogroup {data}" if os.geteuid() == 0 else f"install -d -m 700 {data}"
        )
        self.bench.pgbackrest(
            f"--pg1-path={data}", "--type=immediate", "--target-action=promote", "--archive-mode=off", "restore"
        )
        options = f"-c listen_addresses=127.0.0.1 -c port={free_port()} -c unix_socket_directories="
        as_account = "setpriv --reuid=nobody --regid=nogroup --clear-groups" if os.geteuid() == 0 else ""
        self.bench.shell(
            f'cd /; {as_account} {POSTGRES}/pg_ctl -s -w -t 600 -D {data} -l {data}/log -o "{options}" start'
        )
        self.bench.shell(f"cd /; {as_account} {POSTGRES}/pg_ctl -s -D {data} -m immediate stop; rm -r {data}")

    def neurmatic_recover(self):
        """The newest base backup as it was made, as the bare engine does: the restores measured before wrote much WAL."""
        self.bench.tool("restore", self.newest, "--store", "s3", "--in-place", "--yes")

    def look(self):
        """What an operator knows before a restore: which base backup is the newest."""
        made = json.loads(self.bench.tool("backup", "list", "--kind", "physical", "--store", "s3", "--json"))
        self.newest = made[-1]["id"]

    def clean(self):
        """What a restore left."""
        self.bench.sql("DROP DATABASE IF EXISTS target WITH (FORCE)", "postgres")
        for one in json.loads(self.bench.tool("restore", "--kept", "--json")):
            self.bench.tool("restore", "--drop", one["name"], "--yes")


def run(rows, rounds, say):
    bench = Bench(rows, say)
    try:
        bench.fill()
        ways = Ways(bench)
        size = int(bench.sql("SELECT pg_database_size('app')"))
        backups = {name: Cell() for name in ways.backups()}
        restores = {name: Cell() for name in ways.restores()}
        for n in range(rounds):
            order = list(backups)
            for name in order[n % 2 :: 1] + order[: n % 2]:
                if "incremental" in name:
                    ways.change()
                say(f"round {n + 1} of {rounds}: backup, {name}")
                beside = (lambda: ways.dump.stat().st_size) if name.startswith("script") else (lambda: 0)
                measure(backups[name], ways.backups()[name], lambda: bucket_bytes(bench), beside)
            ways.look()
            for name, cell in restores.items():
                say(f"round {n + 1} of {rounds}: restore, {name}")
                # The bucket is listed before each: this server sums what it lists for the first time, where others know.
                measure(cell, ways.restores()[name], lambda: bucket_bytes(bench))
                ways.clean()
        return {"machine": machine.describe(), "database_bytes": size, "backups": backups, "restores": restores}
    finally:
        bench.close()


def bucket_bytes(bench):
    pages = bench.bucket.client().get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    return sum(one["Size"] for page in pages for one in page.get("Contents", []))


def as_markdown(results):
    lines = [
        "# What a backup and a restore take",
        "",
        f"Written by `make bench-backups`. Measured {results['machine']['at']} on {results['machine']['cpu']}, a database of {results['database_bytes'] / 1e9:.2f} GB, to an",
        "S3-compatible server on the same machine (rclone, TLS). Medians of the rounds; `x` is against the script, round by round; figures",
        "compare within this run alone. CPU is the whole machine's, PostgreSQL and the S3 server included. neurmatic's ways do what the bare",
        "engines do and more: the manifest with a checksum of every table, the check after the upload, a restored database read as a whole.",
    ]
    for title, cells in (("Backup", results["backups"]), ("Restore", results["restores"])):
        script = next(iter(cells.values()))
        lines += ["", f"## {title}", "", "| way | time | x | CPU | stored | disk beside |", "|---|---|---|---|---|---|"]
        for way, cell in cells.items():
            name = way.replace("|", "\\|")  # a bar ends a cell
            times = median(a / b for a, b in zip(script.seconds, cell.seconds, strict=True))
            spread = f"{median(cell.seconds):.1f} s ({min(cell.seconds):.1f}-{max(cell.seconds):.1f})"
            # Of the first round: later ones write over what is there, or clear away what is too old.
            stored = f"{cell.stored[0] / 1e6:.0f} MB" if title == "Backup" else ""
            extra = f"{median(cell.extra) / 1e6:.0f} MB" if title == "Backup" else ""
            lines.append(f"| {name} | {spread} | {times:.1f}x | {median(cell.cpu):.1f} s | {stored} | {extra} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="articles; with their views about 2 GB a million")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="write backups.md")
    args = parser.parse_args()
    begun = time.monotonic()
    text = as_markdown(
        run(
            args.rows,
            args.rounds,
            lambda line: print(f"{time.monotonic() - begun:5.0f} s  {line}", file=sys.stderr, flush=True),
        )
    )
    print(text)
    if args.write:
        RESULTS.write_text(text)


if __name__ == "__main__":
    main()
