"""What is wrong with an image or a container: lists of problems, empty where there is none. Each is seen red in a test."""

from neurmatic.readiness.images import COMPILERS, is_unprivileged

INSTALLERS = ("pip", "uv", "npm", "node", "hatchling")
TOOL = ("neurmatic",)
DEVELOPMENT = (
    "pytest",
    "ruff",
    "mypy",
    "coverage",
    "watchfiles",
    "hatchling",
    "editables",
    "neurmatic",
    "moto",
    "playwright",
)


def programs(engine, image):
    """Names of every executable file below the root."""
    find = ["find", "/", "-xdev", "-type", "f", "-perm", "/111", "-printf", "%f\\n"]
    return set(engine.run("run", "--rm", "--user", "0", "--entrypoint", "", image, *find).stdout.split())


def files(engine, image, *tests):
    find = ["find", "/", "-xdev", "-not", "-path", "/proc/*", *tests]
    return engine.run("run", "--rm", "--user", "0", "--entrypoint", "", image, *find).stdout.split()


def content_problems(engine, image, unwanted=(*COMPILERS, *INSTALLERS, *TOOL)):
    """Programs, packages and tests that have no place in production."""
    found = [f"program {name}" for name in sorted(programs(engine, image) & set(unwanted))]
    for path in files(engine, image, "-name", "*.dist-info", "-not", "-path", "/usr/*"):
        package = path.rpartition("/")[2].partition("-")[0].lower()
        if package in DEVELOPMENT:
            found.append(f"package {package}")
    tests = files(engine, image, "-name", "test_*.py", "-path", "/app/*", "-not", "-path", "*/site-packages/*")
    return found + [f"test {path}" for path in tests]


def image_problems(said, version, revision):
    """Of what the engine says of an image: its account, its words about itself, its health check."""
    config = said["Config"]
    labels = config["Labels"] or {}
    found = []
    if not is_unprivileged(config["User"]):
        found.append(f"user {config['User']!r}")
    for name, value in (("version", version), ("revision", revision)):
        if labels.get(f"org.opencontainers.image.{name}") != value:
            found.append(f"label {name} {labels.get(f'org.opencontainers.image.{name}')!r}")
    return found


def container_problems(said):
    """Of what the engine says of a container: more rights than it needs, or no limits."""
    host = said["HostConfig"]
    checks = {
        "root": not is_unprivileged(said["Config"]["User"]),
        "privileged": host["Privileged"],
        "capabilities": host["CapDrop"] != ["ALL"] or host["CapAdd"],
        "new privileges": "no-new-privileges:true" not in (host["SecurityOpt"] or []),
        "writable root": not host["ReadonlyRootfs"],
        "no memory limit": not host["Memory"],
        "no processor limit": not host["NanoCpus"],
        "no process limit": not host["PidsLimit"],
    }
    return [name for name, wrong in checks.items() if wrong]


def told_secrets(said, secrets):
    """Names of secrets whose values the engine tells whoever asks for the container, in variables, arguments or elsewhere."""
    text = repr(said)
    return sorted(name for name, value in secrets.items() if value in text)
