"""The stack's secrets: one file in the state folder, mode 0600, made with a CSPRNG and never made again."""

import secrets as csprng

from neurmatic.errors import ConfigurationError
from neurmatic.hosts.base import Host
from neurmatic.releases.values import read_secrets
from neurmatic.stack.backup import KEY, S3_KEY_ID, S3_SECRET
from neurmatic.stack.layout import Layout
from neurmatic.stack.model import Stack
from neurmatic.stack.secret import Secret

SHORTEST = 64
PLACEHOLDERS = ("change", "placeholder", "example", "secret", "password", "xxx")


def generated_names(stack: Stack) -> tuple[str, ...]:
    """Names of secrets that the tool makes itself for this stack."""
    own = [
        *(("POSTGRES_PASSWORD", "POSTGRES_SUPERUSER_PASSWORD") if stack.postgres else ()),
        *(("REDIS_PASSWORD",) if stack.redis else ()),
    ]
    return (*own, *stack.secrets.generate)


def required_names(stack: Stack) -> tuple[str, ...]:
    """Names of secrets that the operator writes."""
    store = (S3_KEY_ID, S3_SECRET) if stack.backup and stack.backup.s3 else ()
    return (*stack.secrets.require, *store)


def _made_backup_key(host: Host) -> dict[str, Secret]:
    """A key of age's own making; the same words are the passphrase of the base backups."""
    lines = host.run(["age-keygen"], env={}).out.splitlines()
    return {KEY: Secret(next(line for line in lines if line.startswith("AGE-SECRET-KEY-")))}


def ensure_secrets(host: Host, layout: Layout, stack: Stack) -> dict[str, Secret]:
    """Read the secrets, making those that the tool makes itself.

    Raises:
        ConfigurationError: some that the operator must write are missing, or, in production, are placeholders or short.
    """
    found = read_secrets(host, layout)
    made = _made_backup_key(host) if stack.backup and KEY not in found else {}
    made |= {name: Secret(csprng.token_urlsafe(48)) for name in generated_names(stack) if name not in found}
    if made or not host.exists(layout.secrets):
        text = host.read(layout.secrets) or "# Secrets of this stack; keep a copy where the backups are not.\n"
        text += "".join(f"{name}={value.reveal()}\n" for name, value in made.items())
        host.write(layout.secrets, text, mode=0o600)
    found |= made
    problems = [f"{name} is missing" for name in required_names(stack) if not found.get(name, Secret("")).reveal()]
    if stack.environment == "production":
        problems += [f"{name} {problem}" for name in generated_names(stack) if (problem := weakness(found[name]))]
    if problems:
        raise ConfigurationError(
            "secrets: " + "; ".join(problems), f"write them into {layout.secrets} as NAME=value, a line each"
        )
    return found


def imagined_secrets(host: Host, layout: Layout, stack: Stack, *, shown: bool = False) -> dict[str, Secret]:
    """The secrets as far as they exist, for a preview that makes none; with `shown`, none is real."""
    placeholder = Secret("secret-kept-in-secrets.env")
    names = (*generated_names(stack), *required_names(stack), *((KEY,) if stack.backup else ()))
    return dict.fromkeys(names, placeholder) | ({} if shown else read_secrets(host, layout))


def weakness(secret: Secret) -> str:
    """Why a generated secret is not fit for production; empty when it is."""
    value = secret.reveal()
    if len(value) < SHORTEST:
        return f"has {len(value)} characters, fewer than {SHORTEST}"
    if any(word in value.lower() for word in PLACEHOLDERS) and len(set(value)) < 24:  # noqa: PLR2004  random text has more
        return "looks like a placeholder"
    return ""
