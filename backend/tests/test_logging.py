import json
import secrets

PRODUCTION = {
    "NEURMATIC_ENVIRONMENT": "production",
    "JWT_SECRET": secrets.token_urlsafe(64),
    "JWT_REFRESH_SECRET": secrets.token_urlsafe(64),
}


def test_production_writes_json_and_nothing_for_a_request_that_went_well(run):
    api = run("serve", **PRODUCTION).ready()
    assert api.status("/articles") == 200
    code, output = api.end()
    assert code == 0
    lines = [json.loads(line) for line in output.splitlines()]
    requests = [line for line in lines if line["logger"] == "neurmatic_backend.requests"]
    assert [
        line for line in requests if line["status"] < 500 and line["seconds"] <= 1
    ] == []  # while it starts, or slow
