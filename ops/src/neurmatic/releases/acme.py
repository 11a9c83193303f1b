"""An ACME CA asked through lego, an existing client: it has the account and answers the challenge, we have the key.

Why lego: one program without a configuration or a lock file that a killed run would leave behind, it repeats requests
whose nonce the CA refuses (dehydrated 0.7 does not), signs a request made elsewhere, and runs as an account without rights.
"""

import re
from pathlib import Path

from neurmatic.errors import CommandError
from neurmatic.hosts.base import Host
from neurmatic.stack.layout import Layout
from neurmatic.stack.model import Stack

SECONDS = 180
_FORGOTTEN = "urn:ietf:params:acme:error:accountDoesNotExist"
_STAMP = re.compile(r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d (\[[A-Z]+\] )?")
_NOISE = re.compile(
    r"^(acme: (Registering|Authorization|Trying|use|Obtaining|Preparing|Validations|Could|Cleaning)|No key)"
)


def issue(host: Host, layout: Layout, stack: Stack, request: str, user: str | None) -> str:
    """Have a signing request signed; returns the certificate and its chain, as PEM.

    Raises:
        CommandError: with what the CA said; nothing that serves was touched.
    """
    if host.which("lego") is None:
        raise CommandError("not installed: lego", "as root: apt-get install --no-install-recommends lego")
    prepare(host, layout, user)
    _clear(host, layout)
    request_file = layout.acme / "request.pem"
    host.write(request_file, request, mode=0o600, owner=user)
    argv = [
        *("lego", "--accept-tos", "--email", stack.tls.acme_email, "--server", stack.tls.acme_directory),
        *("--path", str(layout.acme), "--csr", str(request_file), "--http", "--http.webroot", str(layout.challenges)),
        *("--http-timeout", "20", "run"),
    ]
    env = {"HOME": str(layout.acme)}
    if stack.tls.ca:
        env["LEGO_CA_CERTIFICATES"] = str(copied_roots(host, layout, stack, user))
    said = host.run(argv, env=env, cwd=layout.acme, user=user, timeout=SECONDS, check=False)
    if _FORGOTTEN in said.out + said.err:  # the CA does not know the account any more: register a new one
        host.remove(layout.acme / "accounts")
        said = host.run(argv, env=env, cwd=layout.acme, user=user, timeout=SECONDS, check=False)
    chain = host.read(layout.acme / "certificates" / f"{_file_name(stack)}.crt") if said.ok else None
    if chain is None:
        raise CommandError(
            f"{stack.tls.acme_directory} issued no certificate, so the one that serves stays:\n  "
            + "\n  ".join(_words(said.out + said.err)),
            f"it must reach http://{stack.identity.host}/.well-known/acme-challenge/ at port 80 (this edge answers HTTP "
            f"at {stack.edge.listen}:{stack.edge.http_port}); then `neurmatic certificates renew`",
        )
    return chain


def prepare(host: Host, layout: Layout, user: str | None) -> None:
    """Make the client's folder, for its own account alone; nginx, which is that account, reads the challenges."""
    host.make_folder(layout.acme, mode=0o700, owner=user)
    host.make_folder(layout.challenges, owner=user)


def roots(host: Host, layout: Layout, stack: Stack) -> str:
    """The private CA's roots, as PEM; empty where the system's are trusted."""
    if not stack.tls.ca:
        return ""
    text = host.read(layout.project / stack.tls.ca)
    if text is None:
        raise CommandError(f"tls.ca: {layout.project / stack.tls.ca} does not exist")
    return text


def copied_roots(host: Host, layout: Layout, stack: Stack, user: str | None) -> Path:
    """The private CA's roots where the client's account can read them."""
    path = layout.acme / "roots.pem"
    host.write(path, roots(host, layout, stack), owner=user)
    return path


def _clear(host: Host, layout: Layout) -> None:
    """Remove what an earlier run left: a certificate that could be taken for this one's, answers of a killed one."""
    for name in ("certificates", "challenges/.well-known"):
        host.remove(layout.acme / name)


def _file_name(stack: Stack) -> str:
    return stack.tls_names[0].replace("*", "_")


def _words(text: str) -> list[str]:
    """What the client and the CA said of the failure, without the client's progress."""
    lines = [_STAMP.sub("", line).strip() for line in text.splitlines()]
    telling = [line for line in lines if line and not _NOISE.match(re.sub(r"^\[[^\]]*\] ", "", line))]
    return telling[-8:] or ["the client said nothing"]
