from live_platform import platform

__all__ = ["platform"]
