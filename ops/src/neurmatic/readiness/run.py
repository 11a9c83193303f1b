"""Runs the checks that were asked for, one after the other, and turns whatever happens into findings."""

import importlib
import time
import traceback
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import NamedTuple

from neurmatic.errors import ConfigurationError, NeurmaticError
from neurmatic.readiness.catalogue import Claim, claims
from neurmatic.readiness.finding import Evidence, Finding, Refuted, Status, Unverifiable
from neurmatic.readiness.subject import Subject

CHECKS = "neurmatic.readiness.checks"


class Check(NamedTuple):
    """A claim's check. Quick ones look at the running stack alone, within about a second."""

    quick: bool
    run: Callable[[Subject, Evidence], None]


def find_check(claim: Claim) -> Check | None:
    """The check of this claim: the module in `checks/` named like it. None when there is none yet."""
    name = f"{CHECKS}.{claim.module}"
    if find_spec(name) is None:
        return None
    module = importlib.import_module(name)
    return Check(bool(module.QUICK), module.check)


def choose(slugs: list[str], section: int | None) -> list[Claim]:
    """The claims asked for; without any, all.

    Raises:
        ConfigurationError: the catalogue has no such slug or section.
    """
    known = {claim.slug: claim for claim in claims()}
    unknown = [slug for slug in slugs if slug not in known]
    if unknown:
        raise ConfigurationError(
            f"the catalogue has no claim {', '.join(unknown)}", "`neurmatic verify --list` lists them"
        )
    if section is not None and section not in {claim.section for claim in claims()}:
        raise ConfigurationError(f"the catalogue has no section {section}", "sections are 1 to 8")
    return [
        claim
        for claim in claims()
        if (not slugs or claim.slug in slugs) and (section is None or claim.section == section)
    ]


def run(subject: Subject, chosen: list[Claim], *, quick: bool = False) -> Iterator[Finding]:
    """One finding for each claim, as it comes. With `quick`, checks that need a rehearsal copy are not run."""
    for claim in chosen:
        check = find_check(claim)
        if check is None:
            yield _unchecked(claim, "no check exists yet", "")
        elif quick and not check.quick:
            yield _unchecked(claim, "not asked for: --quick leaves it out", f"neurmatic verify {claim.slug}")
        else:
            yield execute(claim, check, subject)


def execute(claim: Claim, check: Check, subject: Subject) -> Finding:
    """Run one check. A check that breaks down has not shown its claim: that is a failure, never a pass."""
    evidence = Evidence()
    begun = time.monotonic()
    try:
        check.run(subject, evidence)
        status, last, hint = (Status.PASS, "", "") if evidence.seen else (Status.FAIL, "the check saw nothing", "")
    except Refuted as refuted:
        status, last, hint = Status.FAIL, f"BUT {refuted}", refuted.hint
    except Unverifiable as reason:
        status, last, hint = Status.UNVERIFIABLE, str(reason), reason.hint
    except NeurmaticError as error:
        status, last, hint = Status.FAIL, f"BUT {error}", error.hint
    except Exception:  # noqa: BLE001  a check that breaks down is a finding; its traceback is the evidence
        status, last, hint = Status.FAIL, traceback.format_exc(limit=4), "the check itself broke down: report it"
    text = "; ".join(part for part in (str(evidence), last) if part)
    return Finding(claim.slug, claim.section, claim.words, status, text, round(time.monotonic() - begun, 3), hint)


def _unchecked(claim: Claim, reason: str, hint: str) -> Finding:
    return Finding(claim.slug, claim.section, claim.words, Status.UNCHECKED, reason, 0.0, hint)
