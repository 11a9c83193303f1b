"""A deploy on its way, seen from outside: so that it is cut off at each of its steps."""

import json


class Moments:
    """What can be seen of a deploy's steps from outside, in their order."""

    def __init__(self, stack, command):
        self.stack, self.command = stack, command
        self.before = len(stack.events)
        self.old, self.new = stack.placed(), stack.placed(other=True)
        self.release = stack.deployed["release"]

    def event(self, action, result):
        return any((one["action"], one["result"]) == (action, result) for one in self.stack.events[self.before :])

    def exists(self, *parts):
        return self.stack.state.joinpath(*parts).exists()

    def running_names(self):
        return [one["target"]["name"] for one in json.loads((self.stack.state / "running.json").read_text())["members"]]

    def has_begun(self):
        return self.event("deploy", "begun")

    def is_building(self):
        return self.event("build", "begun")

    def is_migrating(self):
        return self.event("migrate", "begun")

    def has_made_an_instance(self):
        return self.exists("services", self.new[0])

    def leads_around_the_new(self):
        return self.exists("run", "drained", self.new[0])

    def starts_the_guard(self):
        return self.exists("services", "guard", "down")

    def has_started_one(self):
        return self.exists("services", self.new[0]) and not self.exists("services", self.new[0], "down")

    def has_seen_one_ready(self):
        return self.exists("services", self.new[0], "mark.json")

    def has_decided(self):
        return self.stack.deployed["release"] != self.release

    def switches(self):
        return self.new[0] in self.running_names()

    def loads(self):
        return self.exists("run", "drained", self.old[1])

    def watches(self):
        return " serves, " in self.command.said

    def drains(self):
        return self.exists("services", self.old[0], "down")

    def has_ended_one(self):
        return not all(self.exists("services", one) for one in self.old)

    def has_ended_both(self):
        return not any(self.exists("services", one) for one in self.old)


STEPS = [
    name for name in vars(Moments) if not name.startswith("_") and name not in ("event", "exists", "running_names")
]
SLOW = {"start": 0.3, "build": 0.3, "migrate": 0.3}


def begin(stack, **ways):
    """A deploy of a new release on its way, what is seen of it, and the two releases' greetings."""
    old, new = stack.get()["greeting"], stack.behave(**(SLOW | ways))
    command = stack.begin("deploy")
    return command, Moments(stack, command), old, new


def heal(stack, way, new):
    said = stack.run(way)
    stack.check_whole(new)
    return said
