"""The readiness report, made from findings and nothing else: Markdown, one HTML page, JSON."""

import html
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from neurmatic.readiness.catalogue import section_titles
from neurmatic.readiness.finding import Finding, Status

WORDS = {
    Status.PASS: "pass",
    Status.FAIL: "FAIL",
    Status.UNVERIFIABLE: "unverifiable",
    Status.UNCHECKED: "not checked",
}


@dataclass(frozen=True)
class Report:
    """Findings of one run, and what they are about. `generated_at` is UTC, ISO 8601."""

    generated_at: str
    stack: str
    environment: str
    tool_version: str
    findings: tuple[Finding, ...]

    @property
    def summary(self) -> dict[str, int]:
        """How many findings have each status."""
        counts = Counter(finding.status.value for finding in self.findings)
        return {status.value: counts[status.value] for status in Status}

    @property
    def ok(self) -> bool:
        return self.summary["fail"] == 0

    def as_json(self) -> dict[str, Any]:
        """The answer of `neurmatic verify --json`."""
        return {
            "generated_at": self.generated_at,
            "stack": self.stack,
            "environment": self.environment,
            "tool_version": self.tool_version,
            "summary": self.summary,
            "findings": [{**asdict(finding), "status": finding.status.value} for finding in self.findings],
        }

    def headline(self) -> str:
        """One sentence."""
        counts = ", ".join(f"{count} {WORDS[Status(name)]}" for name, count in self.summary.items() if count)
        return f"{self.stack} ({self.environment}), {self.generated_at}: {counts}"


def markdown(report: Report) -> str:
    """The report as Markdown."""
    lines = [
        "# Readiness report",
        "",
        report.headline(),
        "",
        f"Made by neurmatic {report.tool_version}. Every line is a check that just ran, or says that none did.",
        "",
    ]
    for number, findings in _by_section(report).items():
        lines += [f"## {number} {section_titles()[number]}", ""]
        for one in findings:
            lines += [f"### {WORDS[one.status]}: `{one.slug}`", "", one.claim, "", f"- seen: {one.evidence}"]
            lines += [f"- took {one.duration_s:.1f} s"] if one.duration_s else []
            lines += [f"- next: {one.hint}"] if one.hint else []
            lines.append("")
    return "\n".join(lines)


def page(report: Report) -> str:
    """The report as one HTML page that needs nothing else."""
    body = "".join(
        f"<h2>{number} {_text(section_titles()[number])}</h2>" + "".join(_article(one) for one in findings)
        for number, findings in _by_section(report).items()
    )
    return (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width, initial-scale=1'>"
        f"<title>Readiness of {_text(report.stack)}</title><style>{_STYLE}</style>"
        f"<main><h1>Readiness report</h1><p>{_text(report.headline())}</p>"
        f"<p>Made by neurmatic {_text(report.tool_version)}. Every line is a check that just ran, or says that none did.</p>"
        f"{body}</main></html>\n"
    )


def _article(one: Finding) -> str:
    hint = f"<p class=hint>next: {_text(one.hint)}</p>" if one.hint else ""
    took = f" <small>{one.duration_s:.1f} s</small>" if one.duration_s else ""
    return (
        f"<article class={one.status.value}><h3><span class=status>{WORDS[one.status]}</span> <code>{_text(one.slug)}</code>{took}</h3>"
        f"<p>{_text(one.claim)}</p><p class=seen>{_text(one.evidence)}</p>{hint}</article>"
    )


def _text(text: str) -> str:
    return html.escape(text)


def _by_section(report: Report) -> dict[int, list[Finding]]:
    sections: dict[int, list[Finding]] = {}
    for finding in report.findings:
        sections.setdefault(finding.section, []).append(finding)
    return sections


_STYLE = """
:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}
main{max-width:60rem;margin:0 auto;padding:1rem}
article{border-left:.3rem solid #888;padding:.2rem 1rem;margin:1rem 0}
article h3{margin:0;font-size:1rem}
article p{margin:.2rem 0;overflow-wrap:anywhere}
.status{font-weight:700}
.pass{border-color:#2a8a4a}.fail{border-color:#c62828}.unverifiable{border-color:#b26a00}
.seen{white-space:pre-wrap;font-size:.9rem}.hint{font-size:.9rem;font-style:italic}
"""
