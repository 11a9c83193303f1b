"""What a process knows of its own life: who it is, since when, and whether it is about to end."""

import time
from dataclasses import dataclass, field


@dataclass
class Lifecycle:
    """Shared by everything in one process. `draining` turns true at SIGTERM and stays so."""

    release: str
    instance: str
    draining: bool = False
    born: float = field(default_factory=time.monotonic)

    @property
    def uptime_s(self) -> float:
        return time.monotonic() - self.born
