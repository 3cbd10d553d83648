"""
Prepare this machine: `check` the interpreter, `install FILE` what a requirements file pins.

Run as a script by whatever `python3` is, before anything is installed.  So it uses the standard
library only, and no syntax that an old interpreter would trip over before it is told it is old.
"""

import re
import subprocess
import sys
from pathlib import Path

PYTHON_MIN = (3, 11)
LINES_OF_PROGRESS = 6
# Lines of output kept to explain a failure.
TAIL_LINES = 30


def check() -> int:
    if sys.version_info < PYTHON_MIN:
        found = ".".join(map(str, sys.version_info[:2]))
        wanted = ".".join(map(str, PYTHON_MIN))
        print(f"Forecourt needs Python {wanted} or newer; {sys.executable} is {found}.")
        print(f"Name another one: make setup PYTHON=python{wanted}")
        return 1
    try:
        import ensurepip  # noqa: F401, PLC0415 - some distributions leave it out
    except ImportError:
        print("This Python cannot make virtual environments: it has no ensurepip.")
        print("On Debian and Ubuntu: apt-get install python3-venv")
        return 1
    return 0


def install(requirements: str) -> int:
    """Install exactly what the file pins by hash, saying a few times how far it got."""
    pinned = len(re.findall(r"^[A-Za-z0-9].*==", Path(requirements).read_text(), re.MULTILINE))
    print(f"setup: {pinned} packages of {requirements}", flush=True)
    command = [sys.executable, "-m", "pip", "install", "--require-hashes", "--no-input"]
    # Modules are compiled when first imported: the CDK alone has minutes of them, mostly unused.
    command += ["--no-compile", "--progress-bar", "off", "--requirement", requirements]
    seen = set()
    lines = []
    step = max(1, pinned // LINES_OF_PROGRESS)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True
    ) as pip:
        for line in pip.stdout or ():
            lines.append(line)
            package = re.match(r"(?:Collecting|Processing|Requirement already \w+:) (\S+)", line)
            if package is not None and package.group(1) not in seen:
                seen.add(package.group(1))
                if len(seen) % step == 0:
                    print(f"setup:   {len(seen)} of {pinned} fetched", flush=True)
            elif line.startswith("Installing"):
                print("setup:   unpacking", flush=True)
    if pip.returncode != 0:
        print("".join(lines[-TAIL_LINES:]))
    return pip.returncode


if __name__ == "__main__":
    sys.exit(check() if sys.argv[1] == "check" else install(sys.argv[2]))
