"""Which build of the tool this is: a version alone says too little while it is being worked on."""

from pathlib import Path

import neurmatic
from neurmatic.hosts.local import LocalHost

PACKAGE = Path(neurmatic.__file__).parent


def build_digest() -> str:
    """The same for the same source, installed or in its repository."""
    return LocalHost().digest(PACKAGE)[:12]
