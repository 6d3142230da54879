"""What strangers may upload: each attack ends in a typed error that names the member, cheaply, with nothing written."""

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from tests.projects.tarballs import END, GNU, entry, gzip_of_repeated, header, pax, tgz, tgz_of

ROOT = Path(__file__).resolve().parents[2]
MOST_SECONDS, MOST_MEGABYTES = 1.0, 100.0

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads its memory from /proc")

TakeIn = Callable[..., dict[str, Any]]


class Door:
    """The process that takes uploads in, with a folder of its own for all that it may write."""

    def __init__(self, folder: Path) -> None:
        self.var, self.temporary = folder / "var", folder / "tmp"
        self.var.mkdir()
        self.temporary.mkdir()
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "HINDCAST_TEST_VAR": str(self.var),
            "TMPDIR": str(self.temporary),
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.projects.taking_in"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def take(self, upload: Path, declared: int | None) -> dict[str, Any]:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps([str(upload), declared]) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def written(self) -> list[str]:
        files = [path for folder in (self.var, self.temporary) for path in folder.rglob("*")]
        return [path.name for path in files if path.is_file()]


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    door = Door(tmp_path_factory.mktemp("door"))
    yield door
    assert door.process.stdin
    door.process.stdin.close()
    assert door.process.wait(30) == 0
    assert door.process.stdout
    door.process.stdout.close()


@pytest.fixture
def take_in(door: Door, tmp_path: Path) -> TakeIn:
    def take(content: bytes, *, declared: int | None = -1) -> dict[str, Any]:
        upload = tmp_path / "upload"
        upload.write_bytes(content)
        answer = door.take(upload, len(content) if declared == -1 else declared)
        assert answer["seconds"] < MOST_SECONDS
        assert answer["megabytes"] < MOST_MEGABYTES
        return answer

    return take


@pytest.fixture
def refused(door: Door, take_in: TakeIn) -> Callable[..., None]:
    def check(content: bytes, error: str, says: str, *, declared: int | None = -1) -> None:
        before = door.written()

        answer = take_in(content, declared=declared)

        assert (answer["error"], says in answer["message"]) == (error, True), answer
        assert door.written() == before

    return check


GOOD = entry(b"good.dig", b"+a:\n  echo>: hello\n")


@pytest.mark.parametrize(
    ("attack", "name", "says"),
    [
        (1, b"../../etc/cron.d/x", "'../../etc/cron.d/x' leads out of the project"),
        (2, b"/etc/passwd", "'/etc/passwd' is an absolute path"),
        (3, b"a/../../b", "'a/../../b' leads out of the project"),
        (4, b"../123/x.dig", "'../123/x.dig' leads out of the project"),
    ],
)
def test_01_to_04_a_path_out_of_the_project(refused: Any, attack: int, name: bytes, says: str) -> None:
    for content in (tgz(GOOD, entry(name, b"x")), tgz(GOOD, entry(name, kind=b"5")), tgz(pax((b"path", name)), GOOD)):
        refused(content, "BadArchive", says)


def test_05_a_symbolic_link_and_a_file_through_it(refused: Any) -> None:
    content = tgz(GOOD, entry(b"l", kind=b"2", link=b"/etc"), entry(b"l/passwd", b"x"))

    refused(content, "BadArchive", "'l' is a symbolic link; only files and folders are taken.")


def test_06_a_chain_of_symbolic_links_past_the_longest_path(refused: Any) -> None:
    steps = [entry(b"d" * 50 + b"/%d" % step, kind=b"2", link=b"d" * 90) for step in range(64)]

    refused(tgz(*steps, entry(b"d" * 99 + b"/../x", b"x")), "BadArchive", "is a symbolic link")


def test_07_a_hard_link_out_of_the_project(refused: Any) -> None:
    refused(tgz(GOOD, entry(b"h", kind=b"1", link=b"../settings.py")), "BadArchive", "'h' is a hard link")


@pytest.mark.parametrize(
    ("kind", "says"),
    [(b"6", "a FIFO"), (b"3", "a character device"), (b"4", "a block device"), (b"V", "of the unknown type b'V'")],
)
def test_08_a_fifo_or_a_device(refused: Any, kind: bytes, says: str) -> None:
    refused(tgz(GOOD, entry(b"dev", kind=kind)), "BadArchive", f"'dev' is {says}")


def test_10_ten_gigabytes_in_ten_megabytes(refused: Any) -> None:
    zeros = bytes(1024 * 1024)
    ten_gigabytes = b"\x80" + (10 * 1024**3).to_bytes(11, "big")
    one_file = gzip_of_repeated(header(b"zeros", size=ten_gigabytes, magic=GNU), zeros, 10_240)
    after_the_end = gzip_of_repeated(GOOD + END, zeros, 10_240)

    assert len(one_file) > 9_000_000
    refused(one_file, "ArchiveTooLarge", "'zeros' makes the archive unpack to more than 67,108,864 bytes.")
    refused(after_the_end, "ArchiveTooLarge", "The archive unpacks to more than 67,108,864 bytes.")


def test_11_a_million_empty_members(refused: Any) -> None:
    folders = gzip_of_repeated(b"", entry(b"d", kind=b"5") * 1000, 1000)
    files = tgz(*(entry(b"%d" % number) for number in range(10_001)))

    for content in (folders, files):
        refused(content, "ArchiveTooLarge", "The archive holds more than 10,000 members.")


def test_12_a_sparse_file_of_a_terabyte(refused: Any) -> None:
    terabyte = str(1024**4).encode()

    refused(tgz(GOOD, header(b"sparse", kind=b"S", magic=GNU)), "SparseFile", "'sparse' is a sparse file")
    for version in (
        [(b"GNU.sparse.size", terabyte)],
        [(b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"), (b"GNU.sparse.realsize", terabyte)],
    ):
        refused(tgz(pax(*version), GOOD), "SparseFile", "There is a sparse file")


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ([header(b"x", kind=b"x", size=100 * 1024**2)], "An extended header is longer than 65,536 bytes."),
        ([header(b"x", kind=b"L", size=100 * 1024**2)], "An extended header is longer than 65,536 bytes."),
        ([header(b"x", kind=b"K", size=100 * 1024**2)], "An extended header is longer than 65,536 bytes."),
        ([pax((b"path", b"n" * 60_000)), GOOD], "is longer than 1024 bytes"),
        ([pax((b"size", b"100000000000")), GOOD], "makes the archive unpack to more than"),
        ([pax((b"size", b"3")), entry(b"long", b"x" * 1000)], "A header is damaged."),
        ([pax((b"size", b"512000")), GOOD], "The archive ends in the middle."),
        ([pax((b"size", b"-512")), GOOD], "An extended header gives the size '-512'."),
        ([pax((b"size", b"1" * 5000)), GOOD], "An extended header gives the size '1111"),
        ([pax((b"size", "٣".encode())), GOOD], "An extended header gives the size"),
        ([entry(b"x", b"99 path=a\n", kind=b"x"), GOOD], "An extended header is malformed."),
        ([entry(b"x", b"3 path=a\n", kind=b"x"), GOOD], "An extended header is malformed."),
        ([entry(b"x", b"11 path=abc", kind=b"x"), GOOD], "An extended header is malformed."),
        ([entry(b"x", b"nonsense", kind=b"x"), GOOD], "An extended header is malformed."),
        ([pax((b"path", b"a")), pax((b"path", b"b")), GOOD], "two extended headers of one kind"),
        ([pax((b"path", b"a"), kind=b"g"), GOOD], "A global header gives one path or size to all members."),
        ([GOOD, pax((b"path", b"a"))], "An extended header belongs to no member."),
    ],
)
def test_13_extended_headers_that_lie(refused: Any, parts: list[bytes], says: str) -> None:
    error = "ArchiveTooLarge" if "unpack to more" in says else "BadArchive"

    refused(tgz(*parts), error, says)


def test_13_an_extended_header_of_many_records_is_read_in_one_pass(take_in: TakeIn) -> None:
    attributes = pax(*((b"SCHILY.xattr.%d" % number, b"") for number in range(2600)))

    assert take_in(tgz(attributes, GOOD))["files"] == ["good.dig"]


@pytest.mark.parametrize("size", [b"-0000000001\0", b"-1000\0\0\0\0\0\0\0", b"\xff" * 12, b"\xff" + b"\0" * 11])
@pytest.mark.parametrize("kind", [b"0", b"5", b"x", b"L", b"g", b"2"])
def test_14_a_negative_size_that_would_lead_back(refused: Any, size: bytes, kind: bytes) -> None:
    refused(tgz(GOOD, header(b"back", kind=kind, size=size)), "BadArchive", "A header gives the size")


def test_15_a_stream_cut_short(refused: Any) -> None:
    whole = tgz(GOOD, entry(b"noise", os.urandom(200_000)))

    for length in (11, 300, len(whole) // 2, len(whole) - 9, len(whole) - 1):
        refused(whole[:length], "BadArchive", "ends in the middle")
    refused(tgz(GOOD, end=b""), "BadArchive", "The archive ends in the middle.")
    refused(tgz(entry(b"a", b"a" * 5000)[:1024], end=b""), "BadArchive", "The archive ends in the middle.")


def test_15_more_after_the_end(refused: Any) -> None:
    whole = tgz(GOOD)

    for junk in (b"x", b"\0" * 512, whole, b"PK\3\4"):
        refused(whole + junk, "BadArchive", "There is more after the end of the gzip stream.")
    for junk in (GOOD, bytes(BLOCKS * 512) + b"x"):
        refused(tgz(GOOD, end=END + junk), "BadArchive", "There is more after the end of the archive.")
    damaged = bytearray(whole)
    damaged[-6] ^= 1  # its checksum
    refused(bytes(damaged), "BadArchive", "The gzip stream is damaged")


BLOCKS = 400


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ([b"a.dig", b"a.dig"], "'a.dig' is there twice."),
        ([b"a.dig", b"./a.dig"], "'a.dig' is there twice."),
        ([b"a/b", b"a//b"], "'a/b' is there twice."),
        ([b"Load.dig", b"load.dig"], "'load.dig' and 'Load.dig' are the same file"),
        ([b"A/x", b"a/x"], "'a/x' and 'A/x' are the same file"),
        (["stra\u00dfe".encode(), b"STRASSE"], "are the same file"),
        (["caf\u00e9".encode(), "cafe\u0301".encode()], "are the same file"),
        ([b"a", b"a/b"], "'a/b' needs the folder 'a', and 'a' is a file."),
        ([b"a/b/c", b"A/B"], "'A/B' is a file, and 'a/b' a folder."),
    ],
)
def test_16_two_names_for_one_file(refused: Any, names: list[bytes], says: str) -> None:
    refused(tgz(*(entry(name, b"x") for name in names)), "BadArchive", says)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (b"a\0b", "'a\\x00b' contains a NUL."),
        (b"a\nb", "'a\\nb' contains the character U+000A."),
        (b"a\x1b[31mb", "contains the character U+001B."),
        (b"a\\b", "'a\\\\b' contains a backslash."),
        (b"C:\\x", "contains a backslash."),
        (b"C:x", "'C:x' begins with a drive letter."),
        ("a\u202egid.exe".encode(), "'a\\u202egid.exe' contains the character U+202E."),
        ("a\u2028b".encode(), "contains the character U+2028."),
        (b"\xff\xfe.dig", "'\\\\xff\\\\xfe.dig' is not UTF-8."),
        (b"\xed\xa0\x80", "is not UTF-8."),
        (b"n" * 300, "has a part longer than 255 bytes."),
        ("ü".encode() * 150, "has a part longer than 255 bytes."),
        (b"d/" * 30 + b"x", "lies deeper than 20 folders."),
        (
            b"d" * 200 + b"/" + b"e" * 200 + b"/" + b"f" * 200 + b"/" + b"g" * 200 + b"/" + b"h" * 250,
            "than 1024 bytes.",
        ),
    ],
)
def test_17_a_name_that_is_not_one_everywhere(refused: Any, name: bytes, says: str) -> None:
    refused(tgz(GOOD, pax((b"path", name)), entry(b"short", b"x")), "BadArchive", says)
    refused(tgz(GOOD, entry(b"long", name + b"\0", kind=b"L"), entry(b"short", b"x")), "BadArchive", says)
    if len(name) <= 100:
        refused(tgz(GOOD, entry(name, b"x")), "BadArchive", says)


@pytest.mark.parametrize("name", [b"", b".", b"./", b"./."])
def test_17_a_file_without_a_name(refused: Any, name: bytes) -> None:
    content = tgz(GOOD, header(name, size=1, kind=b"0") + bytes(512))

    says = "is a folder with a size" if name == b"./" else "without a name"
    refused(content, "BadArchive", says)


def zip_file() -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.dig", "x")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (zip_file(), "This is a ZIP file: send a tar.gz of the project."),
        (b"<!doctype html><p>Sign in</p>", "This is a page of HTML or XML"),
        (b"", "There is nothing in it"),
        (b"\0" * 2000, "This is something else"),
        (GOOD + END, "This is something else"),
        (tgz(b"+a: just text\n" * 100), "There is no tar in the gzip file"),
    ],
    ids=["zip", "html", "empty", "zeros", "tar", "gzip of text"],
)
def test_18_something_else_under_the_name(refused: Any, content: bytes, says: str) -> None:
    refused(content, "NotAnArchive", says)


def test_19_names_that_a_shell_would_read_are_plain_names(take_in: TakeIn) -> None:
    names = ["$(id).dig", "--checkpoint-action=exec=id", "-rf", "; id", "`id`", "| id", "a b"]

    assert take_in(tgz_of(dict.fromkeys(names, b"x")))["files"] == sorted(names)


def test_20_another_length_than_was_declared(refused: Any) -> None:
    content = tgz(GOOD)

    refused(
        content, "WrongLength", f"was {len(content) + 1:,}, {len(content):,} bytes came.", declared=len(content) + 1
    )
    refused(content, "BadArchive", "ends in the middle", declared=len(content) - 1)
    refused(content, "WrongLength", "No Content-Length was sent.", declared=None)
    refused(content, "UploadTooLarge", "longer than 16,777,216 bytes", declared=10 * 1024**3)


def test_what_is_sound_is_kept_by_the_same_door(door: Door, take_in: TakeIn) -> None:
    answer = take_in(tgz(GOOD))

    assert answer["files"] == ["good.dig"]
    assert answer["kept"] in door.written()
