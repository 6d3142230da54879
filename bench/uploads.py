"""Taking in a project of 1,000 small files, unpacking it for an attempt, and refusing 10 GB packed into 10 MB.

python bench/uploads.py [--files 1000] [--rounds 5]
"""

import argparse
import io
import os
import tarfile
import tempfile
import zlib
from pathlib import Path
from typing import Any

from scratch import django_on_scratch, machine, median_seconds, table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    django_on_scratch("uploads", database="")
    project, flood = packed(options.files), bomb()
    taken = median_seconds(lambda _: kept(project), options.rounds)
    name = kept(project)
    unpacked = median_seconds(lambda _: unpack(name), options.rounds)
    refused = median_seconds(lambda _: refuse(flood), options.rounds)
    print(machine())
    print(
        table(
            [
                (f"archive of {options.files:,} files read and kept", f"{taken:.2f} s", "1 s", "3 s"),
                ("the same unpacked, and removed", f"{unpacked:.2f} s", "", ""),
                ("10 GB in 10 MB refused", f"{refused:.2f} s", "0.3 s", "1 s"),
            ]
        )
    )


def packed(count: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=tarfile.GNU_FORMAT) as archive:
        for number in range(count):
            content = os.urandom(500).hex().encode()
            member = tarfile.TarInfo(f"part{number % 20}/step{number % 7}/query{number}.sql")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def bomb() -> bytes:
    """An empty archive with 10 GB of zeros after its end."""
    head = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    body = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    piece = body.compress(bytes(1024 * 1024)) + body.flush(zlib.Z_FULL_FLUSH)
    return head.compress(bytes(1024)) + head.flush(zlib.Z_FULL_FLUSH) + piece * 10_240


def received(content: bytes) -> Any:
    from projects import uploads

    return uploads.receive(io.BytesIO(content), declared=len(content))


def kept(content: bytes) -> str:
    from projects import archives

    with received(content) as upload:
        return archives.keep(upload).name


def unpack(name: str) -> None:
    from projects import archives

    with tempfile.TemporaryDirectory() as folder:
        archives.extract(name, Path(folder))


def refuse(content: bytes) -> None:
    from projects.tar import ArchiveTooLarge

    try:
        received(content)
    except ArchiveTooLarge:
        return
    raise AssertionError("The bomb was taken.")


if __name__ == "__main__":
    main()
