"""A release that doesn't become healthy is never routed, and the old one keeps serving: with a release that never answers."""

from neurmatic.errors import NeurmaticError
from neurmatic.readiness.finding import Evidence
from neurmatic.readiness.rolling import judge, rolling
from neurmatic.readiness.subject import Subject

QUICK = False


def check(subject: Subject, evidence: Evidence) -> None:
    with rolling(subject) as one:
        before, deployed = one.instances(), one.deployed
        pids = {name: one.up.runtime.inspect([name])[name].pid for name in before}
        with one.load() as load:
            try:
                one.roll(one.broken())
            except NeurmaticError as error:
                said = str(error).splitlines()[0]
            else:
                said = ""
        judge(evidence, load, "a release that never answers was deployed")
        evidence.expect(bool(said), f"the deploy failed: {said or 'it did not'}")
        now_deployed = one.deployed
        evidence.expect(
            (now_deployed.release, now_deployed.first, now_deployed.history)
            == (deployed.release, deployed.first, deployed.history),
            f"what is deployed is what was before, {now_deployed.release}",
        )
        now = {name: one.up.runtime.inspect([name])[name].pid for name in before}
        evidence.expect(now == pids, f"{', '.join(before)} are the processes that they were")
        names = [name for name in one.copy.host.names(one.copy.layout.services) if not name.startswith(".")]
        strays = [name for name in names if name.rpartition("-")[0] == one.copy.service()[0] and name not in before]
        evidence.expect(not strays, f"of its instances {', '.join(strays) or 'none'} is left")
