"""Asking before something is lost: a word to be typed, not a key to be pressed."""

from neurmatic.errors import ConfigurationError


def confirmed(what: str, word: str) -> bool:
    """Whether the operator types this word.

    Raises:
        ConfigurationError: nobody is there to answer.
    """
    try:
        return input(f"Type the {what} ({word}) to go on: ").strip() == word
    except EOFError:
        raise ConfigurationError("nobody is there to answer", "with --yes it doesn't ask") from None
