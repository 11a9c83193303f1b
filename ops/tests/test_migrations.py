"""Migrations read by the real linter: each rule seen red, and what allows a statement."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from neurmatic.errors import CommandError, ConfigurationError
from neurmatic.hosts.base import Result
from neurmatic.hosts.local import LocalHost
from neurmatic.releases import migrations
from neurmatic.releases.migrations import BREAKS, LOCKS, Contract, lint, note, ran
from neurmatic.stack.layout import Layout
from neurmatic.stack.loading import load
from neurmatic.testing import RecordingHost

ROOT = Path(__file__).parents[2]
NEURMATIC = Path(sys.executable).with_name("neurmatic")

# rule, a statement that it is about
RULES = [
    ("adding-field-with-default", "ALTER TABLE t ADD COLUMN a double precision DEFAULT random();"),
    ("adding-foreign-key-constraint", "ALTER TABLE t ADD CONSTRAINT x FOREIGN KEY (a) REFERENCES o (id);"),
    ("adding-not-nullable-field", "ALTER TABLE t ALTER COLUMN a SET NOT NULL;"),
    ("adding-required-field", "ALTER TABLE t ADD COLUMN a text NOT NULL;"),
    ("adding-serial-primary-key-field", "ALTER TABLE t ADD PRIMARY KEY (a);"),
    ("ban-alter-domain-with-add-constraint", "ALTER DOMAIN d ADD CONSTRAINT c CHECK (VALUE > 0);"),
    ("ban-alter-identity", "ALTER TABLE t ALTER COLUMN a DROP IDENTITY;"),
    ("ban-drop-column", "ALTER TABLE t DROP COLUMN a;"),
    ("ban-drop-constraint", "ALTER TABLE t DROP CONSTRAINT a;"),
    ("ban-drop-database", "DROP DATABASE a;"),
    ("ban-drop-default", "ALTER TABLE t ALTER COLUMN a DROP DEFAULT;"),
    ("ban-drop-function", "DROP FUNCTION a();"),
    ("ban-drop-generated-expression", "ALTER TABLE t ALTER COLUMN a DROP EXPRESSION;"),
    ("ban-drop-not-null", "ALTER TABLE t ALTER COLUMN a DROP NOT NULL;"),
    ("ban-drop-schema", "DROP SCHEMA a;"),
    ("ban-drop-sequence", "DROP SEQUENCE a;"),
    ("ban-drop-table", "DROP TABLE a;"),
    ("ban-drop-type", "DROP TYPE a;"),
    ("ban-drop-view", "DROP VIEW a;"),
    ("ban-set-schema", "ALTER TABLE t SET SCHEMA a;"),
    ("ban-truncate-cascade", "TRUNCATE t CASCADE;"),
    ("changing-column-type", "ALTER TABLE t ALTER COLUMN a TYPE bigint;"),
    ("constraint-missing-not-valid", "ALTER TABLE t ADD CONSTRAINT y CHECK (a > 0);"),
    ("disallowed-unique-constraint", "ALTER TABLE t ADD CONSTRAINT z UNIQUE (a);"),
    ("renaming-column", "ALTER TABLE t RENAME COLUMN a TO b;"),
    ("renaming-object", "ALTER TYPE t RENAME VALUE 'a' TO 'b';"),
    ("renaming-table", "ALTER TABLE t RENAME TO u;"),
    ("require-concurrent-index-creation", "CREATE INDEX i ON t (a);"),
    ("require-concurrent-index-deletion", "DROP INDEX i;"),
    ("require-concurrent-partition-detach", "ALTER TABLE t DETACH PARTITION p;"),
    ("require-concurrent-reindex", "REINDEX TABLE t;"),
    ("syntax-error", "SELEC 1;"),
]
HARMLESS = """\
CREATE TABLE n (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a text NOT NULL UNIQUE, CHECK (a <> ''));
CREATE INDEX n_a ON n (a);
CREATE INDEX CONCURRENTLY t_a ON t (a);
DROP INDEX CONCURRENTLY t_b;
ALTER TABLE t ADD COLUMN b text;
ALTER TABLE t ADD COLUMN c text NOT NULL DEFAULT '';
ALTER TABLE t ADD COLUMN d timestamptz NOT NULL DEFAULT now();
ALTER TABLE t ADD CONSTRAINT x FOREIGN KEY (a) REFERENCES n (id) NOT VALID;
ALTER TABLE t ADD CONSTRAINT y CHECK (a > 0) NOT VALID;
ALTER TYPE ty ADD VALUE 'x' AFTER 'w';
CREATE FUNCTION f() RETURNS integer LANGUAGE sql AS $$ SELECT 1; $$;
"""


@pytest.fixture
def look(tmp_path):
    def look(text, **others):
        (tmp_path / "m").mkdir(exist_ok=True)
        for name, content in {"0001": text, **others}.items():
            (tmp_path / "m" / f"{name}.sql").write_text(content)
        return lint(LocalHost(), tmp_path, "m/*.sql")

    return look


@pytest.mark.parametrize(("rule", "statement"), RULES, ids=[rule for rule, _ in RULES])
def test_each_rule_is_red(look, rule, statement):
    seen = look(f"-- what this is for\nSELECT 1;\n{statement}\n")
    found = {one.rule: one for one in seen.findings}
    assert rule in found, seen
    one = found[rule]
    assert (one.file, one.line) == ("m/0001.sql", 3) and one.message
    assert one.kind == ("locks" if rule in LOCKS else "breaks" if rule in BREAKS else "unreadable")
    assert "contract REASON" in one.hint or one.kind != "breaks"


def test_every_rule_has_been_seen():
    assert {rule for rule, _ in RULES} == LOCKS | BREAKS | {migrations.UNREADABLE} and not LOCKS & BREAKS


def test_what_expands_is_green(look):
    assert look(HARMLESS) == migrations.Lint(("m/0001.sql",), (), ())


def test_a_contract_with_a_reason_allows_its_statement_and_no_other(look):
    seen = look(
        "-- neurmatic: contract nobody reads it since 2.1\n"
        "-- a remark\n"
        "ALTER TABLE t\n"
        "    ADD COLUMN b text,\n"
        "    DROP COLUMN a;\n"
        "ALTER TABLE t DROP COLUMN c;\n"
    )
    assert [(one.line, one.rule) for one in seen.findings] == [(6, "ban-drop-column")]
    assert seen.contracts == (Contract("m/0001.sql", 1, "nobody reads it since 2.1"),)


def test_a_contract_allows_no_lock(look):
    seen = look("-- neurmatic: contract it is time\nALTER TABLE t ALTER COLUMN a TYPE bigint;\n")
    assert [one.kind for one in seen.findings] == ["locks"] and len(seen.contracts) == 1


def test_a_contract_of_what_the_linter_has_no_word_for_counts_too(look):
    seen = look("-- neurmatic: contract 2.1 can't read the new form\nUPDATE t SET a = upper(a) WHERE b;\n")
    assert not seen.findings and [one.line for one in seen.contracts] == [1]


@pytest.mark.parametrize(
    ("comment", "statement"),
    [
        ("-- neurmatic: contract", "DROP TABLE a;"),
        ("-- neurmatic: contract   ", "DROP TABLE a;"),
        ("-- squawk-ignore ban-drop-table", "DROP TABLE a;"),
        ("-- squawk-ignore-file", "DROP TABLE a;"),
        ("/* squawk-ignore ban-drop-table */", "DROP TABLE a;"),
        ("-- squawk-ignore", "DROP TABLE a;"),
    ],
)
def test_without_a_reason_nothing_is_allowed(look, comment, statement):
    seen = look(f"{comment}\n{statement}\n")
    one = next(one for one in seen.findings if one.kind == "unexplained")
    assert one.line == 1 and "REASON" in one.hint and not seen.contracts


def test_what_is_ignored_with_a_reason_is_allowed_by_its_rule_alone(look):
    ignore = "-- squawk-ignore require-concurrent-index-creation -- a hundred rows\n"
    assert not look(ignore + "CREATE INDEX i ON t (a);\n").findings
    assert [one.rule for one in look(ignore + "DROP TABLE a;\n").findings] == ["ban-drop-table"]


def test_a_linters_own_configuration_is_not_asked(look, tmp_path):
    (tmp_path / ".squawk.toml").write_text('excluded_rules = ["ban-drop-table"]\n')
    assert look("DROP TABLE a;\n").findings


def test_patterns_and_their_order(tmp_path):
    for name in ("2_b/migration.sql", "1_a/migration.sql", "1_a/notes.md", ".hidden/migration.sql"):
        (tmp_path / "p" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "p" / name).write_text("SELECT 1;\n")
    host = LocalHost()
    assert lint(host, tmp_path, "p/*/*.sql").files == ("p/1_a/migration.sql", "p/2_b/migration.sql")
    assert lint(host, tmp_path, "p/1_a/migration.sql").files == ("p/1_a/migration.sql",)
    with pytest.raises(ConfigurationError, match=r"release.migrations: nothing in .* matches p/\*\.sql"):
        lint(host, tmp_path, "p/*.sql")


def test_what_ran_is_not_looked_at_again_unless_it_was_changed(look, tmp_path):
    host, layout = LocalHost(), Layout(tmp_path / "state", tmp_path)
    layout.data.mkdir(parents=True)
    assert look("DROP TABLE a;\n").findings and ran(host, layout) == {}
    note(host, layout, tmp_path, "m/*.sql")
    look("DROP TABLE a;\n", second="DROP TABLE b;\n")
    seen = lint(host, tmp_path, "m/*.sql", ran(host, layout))
    assert seen.files == ("m/second.sql",) and [one.file for one in seen.findings] == ["m/second.sql"]
    look("DROP TABLE c;\n")
    assert len(lint(host, tmp_path, "m/*.sql", ran(host, layout)).findings) == 2
    note(host, layout, tmp_path, "m/*.sql")
    assert lint(host, tmp_path, "m/*.sql", ran(host, layout)) == migrations.Lint((), (), ())


def test_a_linter_that_is_missing_or_mad_is_said():
    files = {Path("/p/m/1.sql"): "SELECT 1;"}
    with pytest.raises(ConfigurationError, match="not installed: squawk") as error:
        lint(RecordingHost(files=dict(files)), Path("/p"), "m/*.sql")
    assert "pip install squawk-cli" in error.value.hint
    mad = RecordingHost(
        files=dict(files), programs={"squawk": "/bin/squawk"}, answers={("/bin/squawk",): Result(1, "", "boom")}
    )
    with pytest.raises(CommandError, match="boom"):
        lint(mad, Path("/p"), "m/*.sql")


@pytest.mark.parametrize("pattern", ["/etc/*.sql", "../other/*.sql", "m/**/*.sql", "/"])
def test_patterns_that_lead_elsewhere_are_refused(pattern):
    with pytest.raises(ConfigurationError, match=r"release.migrations.*below the project"):
        load(
            f'[stack]\nname = "x"\n[services.a]\ncommand = ["x"]\n[release]\nmigrations = "{pattern}"\n',
            "neurmatic.toml",
        )


def test_the_platforms_own_are_green():
    pattern = load((ROOT / "neurmatic.toml").read_text(), "neurmatic.toml").stack.release.migrations
    seen = lint(LocalHost(), ROOT, pattern)
    assert len(seen.files) >= 3 and not seen.findings


def test_the_command(tmp_path):
    def run(*words):
        done = subprocess.run(
            [NEURMATIC, "migrations", *words], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr

    toml = tmp_path / "neurmatic.toml"
    toml.write_text('[stack]\nname = "x"\n[services.a]\ncommand = ["x"]\n')
    code, said = run()
    assert code == 2 and "[release] migrations =" in said
    toml.write_text(toml.read_text() + '[release]\nmigrations = "m/*.sql"\n')
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "1.sql").write_text("-- neurmatic: contract gone since 2.1\nDROP TABLE a;\n")
    code, said = run()
    assert code == 0 and "m/1.sql:1: contract: gone since 2.1" in said
    (tmp_path / "m" / "2.sql").write_text("CREATE INDEX i ON t (a);\n")
    code, said = run()
    assert code == 1 and "! m/2.sql:1: locks (require-concurrent-index-creation): " in said and "concurrently" in said
    code, said = run("--json")
    assert code == 1 and json.loads(said)["findings"][0]["rule"] == "require-concurrent-index-creation"
    assert shutil.which("squawk", path=NEURMATIC.parent), "the linter comes with the tool"
