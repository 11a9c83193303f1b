"""A small application that keeps the application contract, and breaks it in one chosen way when BREAK is set.

The negative controls run it: with BREAK empty every check must be green, with each of the ways its check must be red.
Only the standard library: `serve` answers HTTP, `work` takes jobs. Each job is a file, which is fine for a test.
"""

import json
import os
import signal
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

BREAK = os.environ.get("BREAK", "")
DRAIN = float(os.environ["NEURMATIC_DRAIN_SECONDS"])
DATABASE, REDIS = urlsplit(os.environ["DATABASE_URL"]), urlsplit(os.environ["REDIS_URL"])
JOBS = Path("jobs")
BORN = time.monotonic()
draining = threading.Event()
in_flight = threading.Semaphore(0)
answers = {}


def timed(probe, limit, slow_ms):
    """Run a probe within its limit; what comes later doesn't count."""
    done = {}
    begun = time.monotonic()
    thread = threading.Thread(target=lambda: done.update(ok=probe(limit)), daemon=True)
    thread.start()
    thread.join(limit)
    latency = (time.monotonic() - begun) * 1000
    status = "down" if not done.get("ok") else "slow" if latency > slow_ms else "up"
    return {"status": status, "latency_ms": round(latency, 1), "detail": ""}


def database(limit):
    """Whether PostgreSQL answers the first packet of its protocol."""
    try:
        with socket.create_connection((DATABASE.hostname, DATABASE.port), timeout=limit) as one:
            one.sendall(bytes([0, 0, 0, 8, 4, 210, 22, 47]))  # SSLRequest
            return one.recv(1) in (b"S", b"N")
    except OSError:
        return False


def redis(*words, limit=1.0):
    """One command to Redis; None when it doesn't answer."""
    try:
        with socket.create_connection((REDIS.hostname, REDIS.port), timeout=limit) as one:
            file = one.makefile("rwb")
            for command in (("AUTH", REDIS.password), words):
                file.write(
                    f"*{len(command)}\r\n".encode() + b"".join(f"${len(w)}\r\n{w}\r\n".encode() for w in command)
                )
            file.flush()
            file.readline()
            line = file.readline().strip()
            if line.startswith(b"$") and line != b"$-1":
                return file.readline().strip()
            return line[1:] if line[:1] in (b"+", b":") else None
    except OSError:
        return None


def put(kind):
    if BREAK == "jobs-in-redis":
        redis("RPUSH", "waiting", kind)
    else:
        (JOBS / f"{time.time_ns()}.{kind}").touch()


def take():
    """The kind of the oldest job, which is then ours."""
    if BREAK == "jobs-in-redis":
        return (redis("LPOP", "waiting") or b"").decode()
    for one in sorted(JOBS.glob("*.*")):
        one.unlink()
        return one.suffix[1:]
    return ""


def note(outcome):
    with (JOBS / outcome).open("a") as file:
        file.write("x")


def queues():
    waiting = int(redis("LLEN", "waiting") or 0) if BREAK == "jobs-in-redis" else len(list(JOBS.glob("*.*")))
    counts = {name: (JOBS / name).stat().st_size if (JOBS / name).exists() else 0 for name in ("completed", "failed")}
    counts["waiting"] = waiting
    if BREAK == "queues-uncounted":
        counts["waiting"] = counts["failed"] = 0
    degraded = counts["waiting"] > 100 or counts["failed"] > 50
    return {"status": "degraded" if degraded else "up", "detail": "", "queues": {"jobs": {**counts, "active": 0}}}


def memory():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    used, limit, source = (
        pages * os.sysconf("SC_PAGE_SIZE"),
        os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "host",
    )
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        file = {
            "memory": f"/sys/fs/cgroup/memory{path}/memory.limit_in_bytes",
            "": f"/sys/fs/cgroup{path}/memory.max",
        }.get(controllers)
        if file and Path(file).exists() and (text := Path(file).read_text().strip()).isdigit() and int(text) < limit:
            limit, source = int(text), "cgroup"
    if BREAK == "memory-of-host":
        limit = 10**12
    percent = 100 * used / limit
    detail = "alert: over 95 %" if percent > 95 else "degraded: over 90 %" if percent > 90 else ""
    return {
        "status": "degraded" if percent > 90 else "up",
        "detail": detail, "used_bytes": used, "limit_bytes": limit, "used_percent": round(percent, 1),
        "limit_source": source, "growth_bytes_per_minute": 0,
    }  # fmt: skip


def overall():
    patience = 20 if BREAK == "database-without-limit" else 2.0
    checks = {"database": {**timed(database, patience, 1000), "critical": True}}
    checks["redis"] = {
        **timed(lambda limit: redis("PING", limit=limit) == b"PONG", 1.0, 500),
        "critical": BREAK == "redis-critical",
    }
    checks["queues"] = {"critical": False, **queues()}
    checks["memory"] = {"critical": False, **memory()}
    down = any(part.get("critical") and part["status"] == "down" for part in checks.values())
    status = "unhealthy" if down else "healthy" if all(p["status"] == "up" for p in checks.values()) else "degraded"
    if BREAK == "always-healthy":
        status = "healthy"
    return (503 if status == "unhealthy" else 200), {
        "status": status,
        "checks": checks,
        "uptime_s": time.monotonic() - BORN,
    }


def live():
    return (503 if BREAK == "live-needs-database" and not database(1) else 200), {"status": "alive"}


def ready():
    well = BREAK == "always-ready" or (database(1) and (BREAK == "ready-in-drain" or not draining.is_set()))
    return (200 if well else 503), {"status": "ready" if well else "not_ready"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = urlsplit(self.path).path
        known = {"/health": overall, "/health/live": live, "/health/ready": ready, "/read": self.read}
        if BREAK == "cached" and path in answers:
            return self.answer(*answers[path])
        answers[path] = known[path]() if path in known else (404, {})
        return self.answer(*answers[path])

    def read(self):
        return (200, {"items": []}) if database(30) else (503, {})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        put(body["kind"])
        self.answer(202, {})

    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Cache-Control", "max-age=60" if BREAK == "cached" else "no-store")
        self.send_header("X-Release", os.environ["NEURMATIC_RELEASE"])
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = False  # so that closing waits for requests in flight
    block_on_close = True


def serve():
    server = Server(("127.0.0.1", int(os.environ["PORT"])), Handler)

    def drain():
        time.sleep(DRAIN)
        if BREAK == "ends-with-the-drain":
            os._exit(0)
        server.shutdown()

    def stop(*_):
        if BREAK == "drops-in-flight":
            os._exit(0)
        draining.set()
        threading.Thread(target=drain).start()

    signal.signal(signal.SIGTERM, stop)
    server.timeout = 1
    Handler.timeout = 5  # idle keep-alive connections must not hold the end up
    server.serve_forever(poll_interval=0.05)
    server.server_close()
    sys.exit(1 if BREAK == "exits-with-one" else 0)


def work():
    threading.Thread(
        target=lambda: Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever(), daemon=True
    ).start()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    while True:
        kind = take()
        if kind:
            note("failed" if kind == "fail" else "completed")
        else:
            time.sleep(0.05)


def fail():
    for _ in range(int(sys.argv[2])):
        put("fail")


if __name__ == "__main__":
    {"serve": serve, "work": work, "fail": fail}[sys.argv[1]]()
