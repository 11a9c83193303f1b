"""For tests of whoever extends the tool: a host that needs no machine."""

from neurmatic.hosts.recording import RecordingHost

__all__ = ["RecordingHost"]
