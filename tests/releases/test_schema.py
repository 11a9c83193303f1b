"""Releases that change the schema: read before they run, and a way back that knows what was taken away."""

import subprocess

import pytest
from rolling import Rolling
from small_stack import far_off

MIGRATE = """
import os, pathlib, subprocess

def psql(*words):
    argv = ["psql", "--no-psqlrc", "--set", "ON_ERROR_STOP=1", "-qAt1", os.environ["DATABASE_URL"], *words]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout

psql("-c", "CREATE TABLE IF NOT EXISTS schema_migrations (name text PRIMARY KEY)")
done = psql("-c", "SELECT name FROM schema_migrations").split()
for path in sorted(pathlib.Path("migrations").glob("*.sql")):
    if path.name not in done:
        psql("-f", path, "-c", f"INSERT INTO schema_migrations VALUES ('{path.name}')")
"""
EDITS = (
    ('"behaviour.json"]', '"behaviour.json", "migrate.py", "migrations"]'),
    (
        'migrate = ["python3", "release_app.py", "migrate"]',
        'migrate = ["python3", "migrate.py"]\nmigrations = "migrations/*.sql"',
    ),
    ("[postgres]", f'[backup]\n{far_off()}\n[postgres]\nrevision = "SELECT max(name) FROM schema_migrations"'),
)
DROP = "ALTER TABLE things DROP COLUMN old;\n"


class Schema:
    """A stack whose releases bring migrations."""

    def __init__(self, stack):
        self.stack = stack
        self.folder = stack.folder / "migrations"
        self.folder.mkdir()
        (stack.folder / "migrate.py").write_text(MIGRATE)
        for edit in EDITS:
            stack.edit(*edit)
        self.add("001.sql", "CREATE TABLE things (id bigint PRIMARY KEY, old text);\n")
        stack.run("up")
        stack.run("backup", "run", "--kind", "physical")

    def add(self, name, text):
        (self.folder / name).write_text(text)

    def sql(self, text):
        secrets = (self.stack.state / "secrets.env").read_text().splitlines()
        password = dict(line.split("=", 1) for line in secrets if "=" in line)["POSTGRES_PASSWORD"]
        url = f"postgresql://app:{password}@127.0.0.1:{self.stack.ports['postgres']}/app"
        return subprocess.run(["psql", "-qAtc", text, url], capture_output=True, text=True, check=True).stdout

    @property
    def releases(self):
        return {one["release"]: one for one in self.stack.json("releases")}

    @property
    def serving(self):
        return self.stack.deployed["release"]


@pytest.fixture(scope="module")
def schema():
    stack = Rolling()
    try:
        yield Schema(stack)
    finally:
        stack.remove()


def test_the_revision_is_kept_with_the_release(schema):
    assert schema.releases[schema.serving]["revision"] == "001.sql"


def test_what_breaks_the_release_before_is_refused_before_anything_is_done(schema):
    before = schema.serving
    schema.add("002.sql", DROP)
    said = schema.stack.run("deploy", code=2)
    assert "002.sql:1: ban-drop-column" in said and "neurmatic migrations --help" in said
    assert "proven" not in said  # not even a backup
    assert schema.serving == before
    schema.stack.run("status")  # exits with 1 when anything is not well
    assert schema.stack.services == schema.stack.placed()
    assert "old" in schema.sql("SELECT column_name FROM information_schema.columns WHERE table_name = 'things'")
    (schema.folder / "002.sql").unlink()


def test_a_wider_schema_leaves_the_way_back_open(schema):
    before = schema.serving
    schema.add("002.sql", "ALTER TABLE things ADD COLUMN size bigint;\n")
    said = schema.stack.run("deploy")
    assert "is proven" in said  # the backup came first
    assert schema.releases[schema.serving]["revision"] == "002.sql"
    assert "not known" not in schema.stack.run("rollback")
    assert schema.serving == before
    schema.stack.run("deploy", "--no-backup")


def test_a_contract_closes_it_but_with_the_database(schema):
    before = schema.serving
    schema.sql("INSERT INTO things VALUES (1, 'kept')")
    schema.add("003.sql", "-- neurmatic: contract nobody reads it any more\n" + DROP)
    schema.stack.run("deploy")
    contracted = schema.serving
    schema.sql("INSERT INTO things VALUES (2)")
    said = schema.stack.run("rollback", code=1)
    assert "003.sql:1: nobody reads it any more" in said and "--with-database" in said
    assert schema.serving == contracted
    said = schema.stack.run("rollback", "--with-database", stdin="no\n", code=1)
    assert "things" in said and "is lost" in said
    assert schema.serving == contracted and schema.sql("SELECT count(*) FROM things").strip() == "2"
    assert schema.stack.get()["greeting"]  # the edge is open again
    schema.stack.run("rollback", "--with-database", "--yes")
    assert schema.serving == before
    assert schema.sql("SELECT * FROM things") == "1|kept|\n"
    schema.stack.run("status")  # exits with 1 when anything is not well
    assert schema.stack.services == schema.stack.placed()
    schema.stack.run("deploy", "--no-backup")  # the contract is read again, and runs again
    assert schema.serving == contracted
    assert schema.sql("SELECT * FROM things") == "1|\n"
    assert "003.sql:1" in schema.stack.run("rollback", code=1)


def test_what_nobody_has_read_is_said(schema):
    schema.stack.edit('migrations = "migrations/*.sql"\n', "")
    schema.add("004.sql", "SELECT 1;\n")
    schema.stack.run("deploy", "--no-backup")
    assert "nobody has read the migrations" in schema.stack.run("rollback")
