"""The platform's endpoints in Django, without middleware. Its views and driver are synchronous, so gunicorn runs it in
threads, as many as there are connections: Django's own async views would hand every query to one thread.
"""

import json
import os
import secrets
import time
from pathlib import Path
from urllib.parse import urlsplit

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import connection
from django.http import HttpResponse, JsonResponse
from django.urls import path

POOL_SIZE = int(os.environ["POOL_SIZE"])
DATABASE = urlsplit(os.environ["DATABASE_URL"])
HEALTHY_SECONDS = 1

settings.configure(
    DEBUG=False,
    ALLOWED_HOSTS=["localhost", "127.0.0.1"],
    ROOT_URLCONF=__name__,
    SECRET_KEY=secrets.token_hex(32),
    USE_TZ=True,
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": DATABASE.hostname,
            "PORT": DATABASE.port,
            "USER": DATABASE.username,
            "PASSWORD": DATABASE.password,
            "NAME": DATABASE.path.lstrip("/"),
            # Statements are prepared, as every other peer's are.
            "OPTIONS": {
                "pool": {"min_size": POOL_SIZE, "max_size": POOL_SIZE},
                "server_side_binding": True,
                "prepare_threshold": 1,
            },
        }
    },
)
django.setup()
QUERIES = {
    name: query.replace("%", "%%").replace("$1", "%(value)s")
    for name, query in json.loads(Path(os.environ["QUERIES"]).read_text()).items()
}


def row(name, value):
    with connection.cursor() as cursor:
        cursor.execute(QUERIES[name], {"value": value})
        return cursor.fetchone()


def articles(request):
    return HttpResponse(row("list", int(request.GET["limit"]))[0], content_type="application/json")


def article(_request, slug):
    etag, body = row("one", slug)
    return HttpResponse(body, content_type="application/json", headers={"ETag": f'"{etag[:32]}"'})


class Health:
    """Asks the database once a second, as the platform does it."""

    until = 0

    def __call__(self, _request):
        if time.monotonic() > self.until:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
            self.until = time.monotonic() + HEALTHY_SECONDS
        return JsonResponse({"status": "healthy"})


urlpatterns = [
    path("api/v1/articles", articles),
    path("api/v1/articles/<slug:slug>", article),
    path("api/v1/health", Health()),
]
application = get_wsgi_application()
