"""Every error that a command shows to an operator, with its exit code."""


class NeurmaticError(Exception):
    """What failed, and what to do next.

    Attributes:
        hint: the next step, one sentence; empty when there is none better than the message.
        exit_code: 1 the check or action failed, 2 usage or configuration.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class ConfigurationError(NeurmaticError):
    """The stack file, an option or the state folder is not usable as it is."""

    exit_code = 2


class CommandError(NeurmaticError):
    """A program that was run ended with an error."""


class BusyError(NeurmaticError):
    """Another command holds the lock of this stack."""
