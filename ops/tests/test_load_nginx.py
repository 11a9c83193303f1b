"""The load tool against nginx: a pause, a reload and a death are seen as what they are."""

import os
import signal
import subprocess
import time

import psutil
import pytest
from loadable import accounted

from neurmatic.probes.load import Background, Load, run_load

CONF = """
daemon off; pid {folder}/pid; error_log stderr; worker_processes 1;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  server {{ listen 127.0.0.1:{port}; location / {{ return 200 "hello"; }} }}
}}
"""


@pytest.fixture
def nginx(tmp_path, free_port):
    (tmp_path / "nginx.conf").write_text(CONF.format(folder=tmp_path, port=free_port))
    with (tmp_path / "log").open("w") as log:
        one = subprocess.Popen(["nginx", "-p", tmp_path, "-c", tmp_path / "nginx.conf", "-e", "stderr"], stderr=log)
    one.url, one.folder = f"http://127.0.0.1:{free_port}/", tmp_path
    for _ in range(200):
        if not run_load(Load(one.url, rate=10, seconds=0.1)).failed:
            break
        time.sleep(0.05)
    yield one
    for process in family(one):
        process.kill()
    one.wait()


def family(process):
    master = psutil.Process(process.pid)
    return [master, *master.children(recursive=True)]


def test_a_pause_of_a_second_shows_as_a_second_of_slow_requests(nginx):
    with Background(Load(nginx.url, rate=200, seconds=3)) as load:
        time.sleep(1)
        stopped = family(nginx)
        for one in stopped:
            one.suspend()
        time.sleep(1)
        for one in stopped:
            one.resume()
        load.wait()
    got = accounted(load.ledger)
    assert got.good == got.due == 600
    slow = [one for one in load.ledger.entries if one.seconds > 0.05]
    assert 150 <= len(slow) <= 400
    assert got.latency_ms["max"] >= 900 and got.longest_gap_ms >= 900


def test_a_reload_fails_nothing(nginx):
    with Background(Load(nginx.url, rate=200, seconds=3)) as load:
        for _ in range(4):
            time.sleep(0.5)
            os.kill(nginx.pid, signal.SIGHUP)
        load.wait()
    got = accounted(load.ledger)
    assert got.good == got.due == 600, load.ledger.failed[:3]


def test_a_killed_nginx_leaves_every_request_accounted_for(nginx):
    with Background(Load(nginx.url, rate=200, seconds=2)) as load:
        time.sleep(1)
        for one in family(nginx):
            one.kill()
        load.wait()
    got = accounted(load.ledger)
    assert got.due == 400 and got.lost["refused"] > 50
