"""Dumps of a running stack in a bucket, by the commands that an operator types.

Against rclone behind TLS with an authority of its own: it refuses wrong keys and says an object's storage class.
"""

import hashlib
import json

import pytest
from s3servers import BUCKET
from small_stack import StackDir, asked, far_off

SECRETS = "BACKUP_S3_KEY_ID={key}\nBACKUP_S3_SECRET={secret}\n"
SECTION = """
[backup]
{at}
archive_seconds = 3600
prove = false
[backup.s3]
bucket = "{bucket}"
prefix = "stacks/one"
endpoint = "{endpoint}"
path_style = true
ca = "{ca}"
"""


@pytest.fixture(scope="module")
def stack(rclone):
    one = StackDir()
    section = SECTION.format(at=far_off(), bucket=BUCKET, endpoint=rclone.endpoint, ca=f"{one.folder}/ca.pem")
    one.file.write_text(one.file.read_text() + section)
    (one.folder / "ca.pem").write_bytes(rclone.ca.read_bytes())
    (one.folder / "ca.pem").chmod(0o644)
    one.state.mkdir(exist_ok=True)
    give(one, rclone.key, rclone.secret)
    one.run("up")
    asked(one, "CREATE TABLE notes (id int PRIMARY KEY, text text NOT NULL)")
    asked(one, "INSERT INTO notes SELECT n, md5(n::text) FROM generate_series(1, 20000) n")
    yield one
    one.remove()


def give(stack, key, secret):
    """The bucket's key, as an operator writes it into secrets.env."""
    file = stack.state / "secrets.env"
    lines = file.read_text().splitlines(keepends=True) if file.exists() else []
    kept = [line for line in lines if not line.startswith("BACKUP_S3_")]
    file.write_text("".join(kept) + SECRETS.format(key=key, secret=secret))
    file.chmod(0o600)


def backups(stack, store="s3"):
    return [
        one for one in json.loads(stack.run("backup", "list", "--json", "--kind", "logical")) if one["store"] == store
    ]


def test_a_dump_reaches_the_bucket_and_is_proven_from_there(stack, rclone):
    said = stack.run("backup", "run", "--kind", "logical")
    assert "20000 rows of 1 tables" in said
    newest = backups(stack)[-1]
    assert newest["standing"] == "unproven"
    key = f"stacks/one/logical/{newest['id']}.dump.zst.age"
    there = rclone.client().get_object(Bucket=BUCKET, Key=key)
    data = there["Body"].read()
    assert hashlib.sha256(data).hexdigest() == newest["sha256"]
    assert len(data) == newest["size"]
    assert data.startswith(b"age-encryption.org/v1")
    assert there["StorageClass"] == "STANDARD_IA"
    metadata = {name.lower(): value for name, value in there["Metadata"].items()}
    wanted = {
        "sha256": newest["sha256"],
        "size": str(newest["size"]),
        "time": newest["begun"],
        "key-id": newest["key_id"],
    }
    assert wanted.items() <= metadata.items()
    said = stack.run("backup", "verify", "latest", "--store", "s3", "--kind", "logical")
    assert "is proven: 20000 rows compared" in said
    assert backups(stack)[-1]["standing"] == "proven"
    assert not [one for one in rclone.keys("stacks/one/") if "incoming" in one]


def test_of_a_dump_that_is_streamed_there_the_manifest_says_what_is_known_at_its_end(stack, rclone):
    stack.run("backup", "run", "--kind", "logical", "--store", "s3")
    newest = backups(stack)[-1]

    def metadata(name):
        there = rclone.client().head_object(Bucket=BUCKET, Key=f"stacks/one/logical/{newest['id']}{name}")
        return {name.lower(): value for name, value in there["Metadata"].items()}

    begun = {"time": newest["begun"], "key-id": newest["key_id"]}
    assert begun.items() <= metadata(".dump.zst.age").items()
    ended = {"size": str(newest["size"]), "sha256": newest["sha256"]}
    assert (begun | ended).items() <= metadata(".json").items()


def test_the_same_dump_lies_in_both_stores(stack):
    stack.run("backup", "run", "--kind", "logical")
    here, there = backups(stack, "local")[-1], backups(stack)[-1]
    assert here["id"] == there["id"]
    assert here["sha256"] == there["sha256"]


def test_a_wrong_key_is_an_error_and_the_folder_has_its_dump(stack, rclone):
    before = len(backups(stack)), len(backups(stack, "local"))
    give(stack, rclone.key, "not the secret")
    said = stack.run("backup", "run", "--kind", "logical", code=1)
    give(stack, rclone.key, rclone.secret)
    assert "SignatureDoesNotMatch" in said and "BACKUP_S3_KEY_ID and BACKUP_S3_SECRET" in said
    assert "not the secret" not in said
    assert (len(backups(stack)), len(backups(stack, "local"))) == (before[0], before[1] + 1)
    events = [json.loads(line) for line in (stack.state / "events.jsonl").read_text().splitlines()]
    assert ("alert", "raised", "backup.logical") in [
        (one["action"], one["result"], one.get("subject")) for one in events
    ]


def test_a_byte_that_changed_in_the_bucket_is_found(stack, rclone):
    stack.run("backup", "run", "--kind", "logical")
    newest = backups(stack)[-1]
    key = f"stacks/one/logical/{newest['id']}.dump.zst.age"
    client = rclone.client()
    data = bytearray(client.get_object(Bucket=BUCKET, Key=key)["Body"].read())
    data[len(data) // 2] ^= 1
    client.put_object(Bucket=BUCKET, Key=key, Body=bytes(data))
    said = stack.run("backup", "verify", newest["id"], "--store", "s3", code=1)
    assert "NOT good" in said
    assert backups(stack)[-1]["standing"] == "failed"


def test_prune_says_that_the_store_has_no_rules(stack):
    said = stack.run("backup", "prune", "--dry-run")
    assert "has no lifecycle rules; so prune itself removes dumps after 90 days" in said
