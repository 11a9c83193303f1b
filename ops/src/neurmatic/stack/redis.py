"""[redis]: memory for what can be rebuilt."""

from typing import Literal

from pydantic import Field

from neurmatic.stack.section import Port, Section, Size


class Redis(Section):
    """Redis, reachable on loopback alone, with a password. Holds nothing that can't be rebuilt."""

    port: Port = Field(default=8063, description="Port on 127.0.0.1.")
    maxmemory: Size = Field(default="64MB", description="Memory for data; beyond it, keys are evicted.")
    eviction: Literal["allkeys-lru", "volatile-lru", "noeviction"] = Field(
        default="allkeys-lru", description="What goes when memory is full."
    )
    appendonly: bool = Field(default=True, description="Log every write (AOF) beside the snapshots (RDB).")
