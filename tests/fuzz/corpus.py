"""The committed corpus: one text file a target, an input a line, in base64."""

import base64
from collections.abc import Iterable
from pathlib import Path

FOLDER = Path(__file__).with_name("corpus")


def load(name: str) -> list[bytes]:
    """The inputs of a target; none if it has no corpus yet."""
    path = FOLDER / f"{name}.txt"
    if not path.exists():
        return []
    return [decoded(line) for line in path.read_text(encoding="ascii").splitlines()]


def save(name: str, inputs: Iterable[bytes]) -> None:
    """Replace the inputs of a target, the shortest first."""
    lines = [encoded(one) for one in sorted(set(inputs), key=lambda one: (len(one), one))]
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{name}.txt"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="ascii")


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def decoded(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def unpack(inputs: Iterable[bytes], folder: Path) -> None:
    """Write inputs as libFuzzer wants them: a file each."""
    for number, data in enumerate(dict.fromkeys(inputs)):
        (folder / f"{number:04}").write_bytes(data)
