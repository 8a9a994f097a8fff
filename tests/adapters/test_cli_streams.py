"""Lines in and out: any bytes, however they are split, without stopping the event loop."""

import asyncio
import contextlib
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapless.adapters.cli.streams import LineTooLong, Output, read_lines


async def collect(fd: int, longest: int = 1000) -> list[bytes]:
    return [line async for lines in read_lines(fd, longest) for line in lines]


async def collect_from_pipe(parts: list[bytes], longest: int = 1000) -> list[bytes]:
    """Read what another task writes into a pipe, part by part."""
    reading, writing = os.pipe()

    async def write() -> None:
        for part in parts:
            await Output(writing).write(part)
            await asyncio.sleep(0)
        os.close(writing)

    task = asyncio.create_task(write())
    try:
        return await collect(reading, longest)
    finally:
        await task
        os.close(reading)


@given(st.lists(st.binary(max_size=300).map(lambda b: b.replace(b"x", b"\n")), max_size=8))
def test_lines_of_a_pipe_come_back_however_they_are_split(parts: list[bytes]) -> None:
    data = b"".join(parts)

    lines = asyncio.run(collect_from_pipe(parts))

    assert b"".join(line + b"\n" for line in lines) == data + b"\n" * (
        bool(data) and not data.endswith(b"\n")
    )


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"\n", [b""]),
        (b"a", [b"a"]),
        (b"a\n\nb\n", [b"a", b"", b"b"]),
        (b"\xff\xfe\r\n\x00\n", [b"\xff\xfe\r", b"\x00"]),
        (b"x" * 400_000 + b"\ny", [b"x" * 400_000, b"y"]),
    ],
)
def test_lines_of_a_file(data: bytes, lines: list[bytes], tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    fd = os.open(path, os.O_RDONLY)

    assert asyncio.run(collect(fd, 500_000)) == lines

    os.close(fd)


def test_a_line_without_end_is_given_up_with_its_number() -> None:
    """Memory stays bounded: a line is never gathered beyond the limit and one read."""
    with open("/dev/zero", "rb") as endless, pytest.raises(LineTooLong) as caught:
        asyncio.run(collect(endless.fileno(), 100_000))

    assert caught.value.number == 1


def test_lines_before_one_that_is_too_long_are_yielded() -> None:
    async def main() -> list[bytes]:
        reading, writing = os.pipe()
        await Output(writing).write(b"one\ntwo\n" + b"x" * 5000)
        got: list[bytes] = []

        async def read() -> None:
            async for lines in read_lines(reading, 1000):
                got.extend(lines)

        with pytest.raises(LineTooLong) as caught:
            await read()
        assert caught.value.number == 3
        os.close(reading)
        os.close(writing)
        return got

    assert asyncio.run(main()) == [b"one", b"two"]


def test_writing_waits_for_the_reader_and_lets_others_run() -> None:
    data = os.urandom(1_000_000)

    async def main() -> None:
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        task = asyncio.create_task(Output(writing).write(data))
        turns = 0
        while not task.done() and turns < 100:
            await asyncio.sleep(0)
            turns += 1
        assert not task.done()
        got = bytearray()
        while len(got) < len(data):
            with contextlib.suppress(BlockingIOError):  # the writer has yet to get its turn
                got += os.read(reading, 70_000)
            await asyncio.sleep(0)
        await task
        assert got == data
        os.close(reading)
        os.close(writing)

    asyncio.run(main())


def test_writing_to_a_file_needs_no_waiting() -> None:
    with tempfile.TemporaryFile() as file:
        asyncio.run(Output(file.fileno()).write(b"abc" * 100_000))
        file.seek(0)
        assert file.read() == b"abc" * 100_000


def test_writing_where_nobody_reads_any_more_raises() -> None:
    reading, writing = os.pipe()
    os.close(reading)

    with pytest.raises(BrokenPipeError):
        asyncio.run(Output(writing).write(b"x"))

    os.close(writing)
