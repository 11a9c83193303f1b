"""The platform as it runs in production, for all controls of containers: whatever one breaks is healed before the next."""

import pytest
from containers.contained import tool_variables
from containers.controls.sabotage import started, subject_of
from containers.live import Live

from neurmatic.readiness.catalogue import claims
from neurmatic.readiness.run import execute, find_check


@pytest.fixture(scope="session")
def told(engine):
    """This process told of the engine, as the tool is by an operator's environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in tool_variables(engine).items():
            patch.setenv(name, value)
        yield engine


@pytest.fixture(scope="session")
def live(told):
    """The platform in production, deployed to once after its first start."""
    with started(Live(told, "10.203.48.0/20", "controls")) as one:
        one.another_release("The second release")
        one.commit()
        one.run("deploy", "--no-backup")
        yield one


@pytest.fixture(scope="session")
def subject(live):
    with subject_of(live) as one:
        yield one


@pytest.fixture
def examine(subject):
    """Run the check of a claim, of the stack in production unless told otherwise; returns the finding."""

    def run(slug, of=subject):
        claim = next(claim for claim in claims() if claim.slug == slug)
        return execute(claim, find_check(claim), of)

    return run
