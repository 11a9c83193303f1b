"""pgBackRest's configuration and the key: what stands in them, for whose eyes, and that nothing else has a secret."""

from pathlib import Path

import pytest

from neurmatic.render.backup import archive_settings, local_folder, render_backup
from neurmatic.stack.backup import KEY, S3, S3_KEY_ID, S3_SECRET, Backup
from neurmatic.stack.layout import Layout
from neurmatic.stack.postgres import Postgres
from neurmatic.stack.secret import Secret

LAYOUT = Layout(Path("/srv/x/.neurmatic"), Path("/srv/x"))
SECRETS = {name: Secret(f"hush-{name}") for name in (KEY, S3_KEY_ID, S3_SECRET)}


def rendered(**section):
    files = render_backup(Backup(**section), Postgres(port=5499), SECRETS, LAYOUT)
    return files, files["config/backup/pgbackrest.conf"].text.splitlines()


def options(**s3):
    return rendered(s3=S3(**{"bucket": "kept"} | s3))[1]


def test_both_files_are_for_the_services_account_alone():
    files, _ = rendered(s3=S3(bucket="kept"))
    assert len(files) == 2
    assert {(file.mode, file.secret, file.service_owned) for file in files.values()} == {(0o600, True, True)}
    assert [file.text for path, file in files.items() if not path.endswith(".conf")] == [f"hush-{KEY}\n"]


def test_the_archive_s_command_has_no_secret_and_names_the_file_that_has():
    found = archive_settings(Backup(archive_seconds=90), LAYOUT)
    assert "hush" not in str(found)
    assert found["archive_command"] == f"'pgbackrest --config={LAYOUT.backup_config} --stanza=main archive-push %p'"
    assert (found["archive_mode"], found["archive_timeout"]) == ("on", "90s")


def test_one_repository_without_a_bucket():
    _, lines = rendered(days=12)
    assert "repo1-path=/srv/x/.neurmatic/backups/physical" in lines
    assert "repo1-retention-full=12" in lines
    assert not [line for line in lines if line.startswith("repo2")]
    assert lines[-4:] == ["[main]", "pg1-path=/srv/x/.neurmatic/data/postgres", "pg1-port=5499", "pg1-user=postgres"]


def test_a_folder_of_its_own():
    section = Backup(folder="/mnt/disk")
    assert local_folder(section, LAYOUT) == Path("/mnt/disk")
    assert "repo1-path=/mnt/disk/physical" in rendered(folder="/mnt/disk")[1]


def test_every_repository_is_encrypted_with_the_key():
    lines = options()
    for number in (1, 2):
        assert f"repo{number}-cipher-type=aes-256-cbc" in lines
        assert f"repo{number}-cipher-pass=hush-{KEY}" in lines


def test_what_pgbackrest_removes_by_itself_is_nothing():
    assert "expire-auto=n" in rendered()[1]


@pytest.mark.parametrize(
    ("s3", "wanted", "absent"),
    [
        ({}, ["repo2-s3-endpoint=s3.us-east-1.amazonaws.com"], ["repo2-storage-port", "repo2-s3-uri-style"]),
        ({"region": "eu-west-1"}, ["repo2-s3-endpoint=s3.eu-west-1.amazonaws.com", "repo2-s3-region=eu-west-1"], []),
        ({"endpoint": "https://s3.example.com"}, ["repo2-s3-endpoint=s3.example.com"], ["repo2-storage-port"]),
        (
            {"endpoint": "https://store.example.com:9000", "path_style": True},
            ["repo2-s3-endpoint=store.example.com", "repo2-storage-port=9000", "repo2-s3-uri-style=path"],
            ["repo2-storage-ca-file"],
        ),
        ({"ca": "ca.pem"}, ["repo2-storage-ca-file=/srv/x/ca.pem"], []),
        ({"ca": "/etc/ca.pem"}, ["repo2-storage-ca-file=/etc/ca.pem"], []),
        ({"prefix": "a/b"}, ["repo2-path=/a/b/physical"], []),
        ({"days": 45}, ["repo2-path=/physical", "repo2-retention-full=45"], []),
    ],
)
def test_a_bucket(s3, wanted, absent):
    lines = options(**s3)
    for line in (*wanted, "repo2-type=s3", "repo2-s3-bucket=kept", f"repo2-s3-key=hush-{S3_KEY_ID}"):
        assert line in lines
    assert f"repo2-s3-key-secret=hush-{S3_SECRET}" in lines
    for name in absent:
        assert not [line for line in lines if line.startswith(name)]


def test_sizes_and_processes_are_the_stack_file_s():
    _, lines = rendered(archive_most="2GB", processes=5)
    assert f"archive-push-queue-max={2 << 30}" in lines
    assert "process-max=5" in lines
