"""The process that fuzzes: `python -m tests.fuzz.under_atheris TARGET PROGRAM [OPTION…]`.

`python -m tests.fuzz` starts it; libFuzzer starts PROGRAM for the same again, when it merges. What
is watched for new coverage is our code and the libraries that parse for it; msgspec is C, and its
features are seen by what our code does with them.
"""

import importlib
import sys
from typing import Any

WATCHED = ["gapless", "wsproto", "h11"]


def main(arguments: list[str]) -> None:
    """Fuzz; atheris ends the process."""
    name, program, *options = arguments
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=WATCHED, enable_loader_override=False):
        targets = importlib.import_module("tests.fuzz.targets")
    atheris.Setup([program, *options], targets.TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
