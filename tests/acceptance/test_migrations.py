"""Migrations of a stack that is in use: what `plan` says before they run, and what is noted when they did."""

import json

STACK = """
[stack]
name = "migrating"
user = "nobody"
[release]
version = "1"
migrate = ["sh", "-c", "test ! -e broken"]
migrations = "migrations/*.sql"
[edge]
https_port = {https}
http_port = {http}
control_port = {control}
[services.app]
command = ["python3", "demo_app.py"]
ports = "{first}-{last}"
routes = ["/"]
drain = 0
health.ready = "/ready"
"""


def test_only_what_did_not_run_yet_is_judged_before_it_runs(new):
    new.file.write_text(STACK.format(**new.ports))
    folder = new.folder / "migrations"
    folder.mkdir()
    (folder / "1.sql").write_text("CREATE TABLE t (a integer);\nDROP TABLE IF EXISTS older;\n")
    assert "breaks" not in new.run("plan"), "a new database has nobody to break"
    new.run("migrations", code=1)
    new.run("up")
    assert list(json.loads((new.state / "data" / "migrations.json").read_text())) == ["migrations/1.sql"]
    assert "ran        migrations/1.sql" in new.run("migrations")
    new.run("migrations", "--all", code=1)

    (folder / "2.sql").write_text("CREATE INDEX i ON t (a);\n")
    new.edit('version = "1"', 'version = "2"')
    said = new.run("plan")
    assert "! migrations/2.sql:1: locks (require-concurrent-index-creation)" in said and "1.sql" not in said
    assert json.loads(new.run("plan", "--json"))["migrations"]["files"] == ["migrations/2.sql"]

    assert "are refused" in new.run("up", code=2)
    allowed = "-- squawk-ignore require-concurrent-index-creation -- nothing is in it yet\n"
    (folder / "2.sql").write_text(f"{allowed}CREATE INDEX i ON t (a);\n")
    (new.folder / "broken").touch()
    new.run("up", code=1)
    assert "ran        migrations/2.sql" not in new.run("migrations"), "what failed did not run"
    (new.folder / "broken").unlink()
    new.run("up")
    assert "ran        migrations/2.sql" in new.run("migrations")
    assert json.loads(new.run("plan", "--json"))["migrations"] is None
