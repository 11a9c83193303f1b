"""The image's own health check: asks its instance whether it is ready, and ends with 0 when it is."""

import http.client
import os
import sys

connection = http.client.HTTPConnection("127.0.0.1", int(os.environ.get("PORT", "8000")), timeout=3)
connection.request("GET", "/api/v1/health/ready", headers={"Connection": "close"})
answer = connection.getresponse()
print(answer.read(500).decode())  # noqa: T201  the engine keeps the last words of a health check
sys.exit(answer.status != http.client.OK)
