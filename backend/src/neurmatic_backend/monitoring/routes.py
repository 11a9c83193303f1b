"""Addresses of monitoring. Health answers are never stored by anybody on the way."""

import msgspec
from litestar import Response, Router, get
from litestar.exceptions import NotAuthorizedException
from litestar.openapi.datastructures import ResponseSpec

from neurmatic_backend.core.errors import MEDIA_TYPE, Problem
from neurmatic_backend.core.lifecycle import Lifecycle
from neurmatic_backend.monitoring.probes import Health, Monitor

NO_STORE = {"Cache-Control": "no-store"}
_UNAUTHORISED = ResponseSpec(Problem, description="for administrators", media_type=MEDIA_TYPE, generate_examples=False)


class Alive(msgspec.Struct):
    """The process serves."""

    status: str
    release: str
    instance: str


class Ready(msgspec.Struct):
    """Whether it may get traffic, and why not."""

    status: str
    release: str
    instance: str
    reasons: list[str]


@get(
    "/health",
    operation_id="health",
    summary="State of the platform and of what it stands on",
    responses={503: ResponseSpec(Health, description="unhealthy: the database is down", generate_examples=False)},
)
async def overall(monitor: Monitor) -> Response[Health]:
    answer = await monitor.health()
    return Response(answer, status_code=503 if answer.status == "unhealthy" else 200, headers=NO_STORE)


@get("/health/live", operation_id="healthLive", summary="Whether the process serves")
async def live(lifecycle: Lifecycle) -> Response[Alive]:
    return Response(Alive("alive", lifecycle.release, lifecycle.instance), headers=NO_STORE)


@get(
    "/health/ready",
    operation_id="healthReady",
    summary="Whether this instance may get traffic",
    responses={503: ResponseSpec(Ready, description="not ready", generate_examples=False)},
)
async def ready(lifecycle: Lifecycle, monitor: Monitor) -> Response[Ready]:
    reasons = ["draining: it was asked to end"] if lifecycle.draining else []
    if not reasons and (database := (await monitor.health()).checks.database).status == "down":
        reasons = [f"the database: {database.detail}"]
    if lifecycle.draining and not reasons:  # SIGTERM came while the database was asked
        reasons = ["draining: it was asked to end"]
    answer = Ready("not_ready" if reasons else "ready", lifecycle.release, lifecycle.instance, reasons)
    return Response(answer, status_code=503 if reasons else 200, headers=NO_STORE)


@get("/metrics", operation_id="metrics", summary="Figures, for administrators", responses={401: _UNAUTHORISED})
async def metrics() -> None:
    raise NotAuthorizedException


@get(
    "/monitoring/status",
    operation_id="monitoringStatus",
    summary="Everything, for administrators",
    responses={401: _UNAUTHORISED},
)
async def status() -> None:
    raise NotAuthorizedException


router = Router("/", route_handlers=[overall, live, ready, metrics, status], tags=["monitoring"])
probes = Router("/", route_handlers=[live, ready], tags=["monitoring"])
