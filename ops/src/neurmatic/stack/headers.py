"""[edge.headers]: what every answer tells a browser about security, each header exactly once."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator, Field

from neurmatic.stack.section import Section


def _sendable(value: str) -> str:
    if any(character in value for character in '"\\$\n\r') or not value.isascii():
        raise ValueError("must be plain ASCII without quotes, backslashes and dollar signs")
    return value


HeaderValue = Annotated[str, AfterValidator(_sendable)]


class Headers(Section):
    """Set by the edge on every kind of answer; what a service sends under these names is dropped. Empty: not sent."""

    strict_transport_security: HeaderValue = Field(
        default="max-age=31536000; includeSubDomains; preload", description="HSTS; sent over HTTPS only."
    )
    x_frame_options: HeaderValue = Field(default="SAMEORIGIN", description="Who may put a page into a frame.")
    x_content_type_options: HeaderValue = Field(default="nosniff", description="Types are believed, not guessed.")
    x_xss_protection: HeaderValue = Field(
        default="1; mode=block", description="For browsers that still have the filter."
    )
    referrer_policy: HeaderValue = Field(
        default="strict-origin-when-cross-origin", description="What other sites learn of where a reader came from."
    )
    permissions_policy: HeaderValue = Field(
        default="accelerometer=(), camera=(), geolocation=(), gyroscope=(), microphone=(), payment=(), usb=()",
        description="Abilities of the browser that pages give up.",
    )
    content_security_policy: HeaderValue = Field(
        default="default-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'; object-src 'none'",
        description="What pages may load and run.",
    )

    def items(self) -> Iterator[tuple[str, str]]:
        """(name, value) of each header that is sent."""
        for field in type(self).model_fields:
            if value := getattr(self, field):
                yield NAMES[field], value


NAMES = {
    "strict_transport_security": "Strict-Transport-Security",
    "x_frame_options": "X-Frame-Options",
    "x_content_type_options": "X-Content-Type-Options",
    "x_xss_protection": "X-XSS-Protection",
    "referrer_policy": "Referrer-Policy",
    "permissions_policy": "Permissions-Policy",
    "content_security_policy": "Content-Security-Policy",
}
