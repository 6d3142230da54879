"""Archives: what clients send is read as they meant it, kept as it came, and unpacked for a run."""

import io
import os
import socket
import stat
import subprocess
import sys
import tarfile
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from hashlib import md5
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import InMemoryStorage, storages
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from pytest_django import Settings
from tdworkflow.util import archive_files

from projects import archives, tar, uploads
from projects.storage import WholeFileStorage
from tests.projects.tarballs import END, GNU, entry, header, padded, pax, tgz, tgz_of

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def store(settings: Settings, tmp_path: Path) -> Path:
    """An archive storage of the test's own."""
    location = tmp_path / "archives"
    own = {"BACKEND": "projects.storage.WholeFileStorage", "OPTIONS": {"location": location}}
    settings.STORAGES = {**settings.STORAGES, "archives": own}
    return location


def received(content: bytes) -> uploads.Upload:
    return uploads.receive(io.BytesIO(content), declared=len(content))


def files_in(content: bytes) -> dict[str, bytes]:
    with received(content) as upload:
        return dict(upload.files)


def unpacked(content: bytes, folder: Path) -> dict[str, bytes]:
    with received(content) as upload:
        kept = archives.keep(upload)
    folder.mkdir()
    archives.extract(kept.name, folder)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


FILES = {
    "load.dig": b"+a:\n  echo>: x\n",
    "sql/deep/er/query.sql": "select 'ü'".encode(),
    "empty.txt": b"",
    "Überblick/日本語.py": b"x = 1\n",
    "l/" + "o" * 200 + ".txt": b"long",
    "p/" * 15 + "q" * 120: b"deep and long",
    "block": b"b" * 512,
    "noise": bytes(range(256)) * 1000,
}


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_archives_in_every_form_of_the_standard_library_are_read(form: int) -> None:
    too_long = form == tarfile.USTAR_FORMAT
    files = {name: content for name, content in FILES.items() if not (too_long and len(name) > 100)}

    assert files_in(tgz_of(files, form=form)) == files


def test_what_the_tdworkflow_client_packs_is_read(tmp_path: Path) -> None:
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)

    assert files_in(archive_files(str(tmp_path), [r"\.pyc$"]).getvalue()) == FILES


@pytest.mark.parametrize("form", ["gnu", "pax", "ustar", "v7"])
def test_what_the_tar_command_packs_is_read(tmp_path: Path, form: str) -> None:
    folder = tmp_path / "project"
    (folder / "sql").mkdir(parents=True)
    (folder / "sql" / "query.sql").write_text("select 1")
    (folder / "load.dig").write_text("+a:\n")
    archive = tmp_path / "project.tar.gz"

    made = subprocess.run(["tar", f"--format={form}", "-czf", archive, "-C", folder, "."], capture_output=True)
    if made.returncode:
        pytest.skip("no GNU tar here")

    assert files_in(archive.read_bytes()) == {"sql/query.sql": b"select 1", "load.dig": b"+a:\n"}


def test_what_a_mac_adds_is_taken_as_files_like_others() -> None:
    names = (b"._load.dig", b".DS_Store", b"sql/._query.sql", b"load.dig")
    quarantine = pax((b"LIBARCHIVE.xattr.com.apple.quarantine", b"MDA4Mw=="), (b"SCHILY.xattr.x", b"\xff=\0\n"))

    files = files_in(
        tgz(pax((b"comment", b"by a Mac"), kind=b"g"), *(quarantine + entry(name, b"x") for name in names))
    )

    assert files == {name.decode(): b"x" for name in names}


def test_the_binary_numbers_and_long_names_of_gnu_tar_are_read() -> None:
    long_name = b"d/" + b"n" * 150
    content = tgz(
        entry(b"././@LongLink", long_name + b"\0", kind=b"L", magic=GNU),
        header(long_name[:100], size=b"\x80" + (3).to_bytes(11, "big"), mode=b"\x80\0\0\0\0\0\x01\xed", magic=GNU),
        padded(b"abc"),
    )

    with received(content) as upload:
        assert dict(upload.files) == {long_name.decode(): b"abc"}
        assert upload.files.is_executable(long_name.decode())


def test_the_prefix_of_a_posix_header_is_part_of_the_name_and_that_of_gnu_tar_is_not() -> None:
    assert files_in(tgz(entry(b"b", b"x", prefix=b"a"))) == {"a/b": b"x"}
    assert files_in(tgz(entry(b"b", b"x", prefix=b"14000000000\0", magic=GNU))) == {"b": b"x"}


def test_one_block_of_zeros_ends_an_archive_and_more_may_follow() -> None:
    for end in (bytes(512), END, bytes(10_240), bytes(200_000)):
        assert files_in(tgz(entry(b"a", b"x"), end=end)) == {"a": b"x"}
    assert files_in(tgz()) == {}


names = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z", "M", "P", "S"]), min_size=1, max_size=8)


@examples(deadline=None, derandomize=True)
@given(st.dictionaries(names, st.binary(max_size=3000), max_size=5))
def test_whatever_is_packed_is_read_again(files: dict[str, bytes]) -> None:
    try:
        with archives.pack(files) as upload:
            assert dict(upload.files) == files
    except archives.BadArchive as error:
        assert "are the same file" in error.problem  # noqa: PT017


@examples(deadline=None, derandomize=True)
@given(st.data())
def test_a_damaged_archive_is_refused_or_read_and_never_an_accident(data: st.DataObject) -> None:
    whole = bytearray(entry(b"a/b.dig", b"x" * 600) + pax((b"path", b"c")) + entry(b"short", b"y") + END)
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))

    try:
        files_in(tgz(bytes(whole), end=b""))
    except archives.BadArchive as error:
        assert str(error)  # noqa: PT017


@examples(deadline=None, derandomize=True)
@given(st.binary(max_size=2000))
def test_noise_is_refused(noise: bytes) -> None:
    for content in (noise, b"\x1f\x8b\x08" + noise, tgz(noise, end=b"")):
        with pytest.raises(archives.BadArchive):
            files_in(content)


def test_an_upload_comes_back_byte_for_byte_with_its_digest(store: Path) -> None:
    content = tgz(entry(b"a.dig", b"x"), end=bytes(10_240))

    with received(content) as upload:
        kept = archives.keep(upload)

    assert (kept.md5, kept.size) == (b64encode(md5(content).digest()).decode(), len(content))
    with archives.original(kept.name) as stored:
        assert stored.read() == content


def test_an_archive_is_kept_once_however_often_it_comes(store: Path) -> None:
    content = tgz_of(FILES)
    start = Barrier(4)

    def keep(_: int) -> str:
        with received(content) as upload:
            start.wait(30)
            return archives.keep(upload).name

    with ThreadPoolExecutor(4) as pool:
        kept = set(pool.map(keep, range(4)))

    assert [path.name for path in store.iterdir()] == list(kept)


def test_a_storage_that_gives_a_second_file_another_name_keeps_one(settings: Settings, monkeypatch: Any) -> None:
    other = {"BACKEND": "django.core.files.storage.InMemoryStorage"}
    settings.STORAGES = {**settings.STORAGES, "archives": other}
    first = archives.store(FILES)
    monkeypatch.setattr(InMemoryStorage, "exists", seen_too_early(InMemoryStorage.exists))

    assert archives.store(FILES) == first
    assert storages["archives"].listdir("")[1] == [first]


def seen_too_early(exists: Any) -> Any:
    """The first question is asked before somebody else's save."""
    answers = iter([False])
    return lambda storage, name: next(answers, None) is not False and exists(storage, name)


def test_a_file_that_was_written_by_half_is_not_there(store: Path) -> None:
    class Broken(ContentFile[bytes]):
        def chunks(self, chunk_size: int | None = None) -> Any:
            yield b"half"
            raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space left"):
        WholeFileStorage(location=store).save("whole.tar.gz", Broken(b"half and half"))

    assert list(store.iterdir()) == []


def test_a_process_that_is_killed_while_it_writes_leaves_nothing_under_the_name(store: Path) -> None:
    script = """
import os, signal, sys
from django.core.files.base import ContentFile
from projects.storage import WholeFileStorage

class Cut(ContentFile):
    def chunks(self, chunk_size=None):
        yield b"half"
        os.kill(os.getpid(), signal.SIGKILL)

WholeFileStorage(location=sys.argv[1]).save("whole.tar.gz", Cut(b"half and half"))
"""
    environment = {
        "PATH": os.environ["PATH"],
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "HINDCAST_TEST_VAR": str(store),
    }

    died = subprocess.run([sys.executable, "-c", script, store], cwd=ROOT, env=environment)

    assert died.returncode == -9
    assert not (store / "whole.tar.gz").exists()
    name = WholeFileStorage(location=store).save("whole.tar.gz", ContentFile(b"whole"))
    assert (store / name).read_bytes() == b"whole"


def test_a_kept_archive_may_be_read_by_the_workers_user(store: Path) -> None:
    name = archives.store(FILES)

    assert stat.S_IMODE((store / name).stat().st_mode) == 0o644


def test_an_archive_is_unpacked_with_its_empty_folders(store: Path, tmp_path: Path) -> None:
    folders = entry(b"./", kind=b"5") + entry(b"out/put/", kind=b"5")
    content = tgz(folders, *(entry(name.encode(), text) for name, text in FILES.items() if len(name) < 90))

    files = unpacked(content, tmp_path / "work")

    assert files == {name: text for name, text in FILES.items() if len(name) < 90}
    assert (tmp_path / "work/out/put").is_dir()


def test_09_modes_and_owners_of_an_archive_do_not_count(store: Path, tmp_path: Path) -> None:
    modes = {b"setuid": b"0006755\0", b"open": b"0000777\0", b"none": b"0000000\0", b"plain": b"0000666\0"}
    content = tgz(*(entry(name, b"x", mode=mode) for name, mode in modes.items()))

    old = os.umask(0o022)
    try:
        unpacked(content, tmp_path / "work")
    finally:
        os.umask(old)

    found = {path.name: path.stat() for path in (tmp_path / "work").iterdir()}
    permissions = {name: stat.S_IMODE(status.st_mode) for name, status in found.items()}
    assert permissions == {"setuid": 0o755, "open": 0o755, "none": 0o644, "plain": 0o644}
    assert {status.st_uid for status in found.values()} == {os.getuid()}


def test_a_stored_archive_is_not_believed_either(store: Path, tmp_path: Path) -> None:
    storages["archives"].save("evil.tar.gz", ContentFile(tgz(entry(b"../outside", b"x"))))
    (tmp_path / "work").mkdir()

    with pytest.raises(archives.BadArchive, match="leads out of the project"):
        archives.extract("evil.tar.gz", tmp_path / "work")

    assert not (tmp_path / "outside").exists()


def test_the_limits_are_settings(settings: Settings) -> None:
    content = tgz(entry(b"a", b"x" * 1000), entry(b"b", b"x" * 500))

    settings.HINDCAST_MAX_ARCHIVE_BYTES = 3584
    assert len(files_in(content)) == 2
    settings.HINDCAST_MAX_ARCHIVE_BYTES = 3583
    with pytest.raises(tar.ArchiveTooLarge, match="unpacks to more than 3,583 bytes"):
        files_in(content)
    settings.HINDCAST_MAX_ARCHIVE_BYTES = 3584
    settings.HINDCAST_MAX_ARCHIVE_MEMBERS = 1
    with pytest.raises(tar.ArchiveTooLarge, match="more than 1 members"):
        files_in(content)
    settings.HINDCAST_MAX_UPLOAD_BYTES = 100
    with pytest.raises(uploads.UploadTooLarge, match="longer than 100 bytes"):
        files_in(content)


def test_20_an_upload_that_comes_too_slowly_is_cut_off_and_its_thread_freed(settings: Settings) -> None:
    settings.HINDCAST_MAX_UPLOAD_SECONDS = 0.05
    client, server = socket.socketpair()
    with client, server, server.makefile("rb") as stream:
        client.sendall(b"\x1f\x8b")  # and then nothing, for ever

        with pytest.raises(uploads.UploadTooSlow, match=r"longer than 0\.05 s"):
            uploads.receive(stream, declared=1000, cut=lambda: server.shutdown(socket.SHUT_RD))


def test_20_an_upload_that_drips_is_cut_off(settings: Settings) -> None:
    settings.HINDCAST_MAX_UPLOAD_SECONDS = 0.05

    class Drip:
        def read(self, size: int, /) -> bytes:
            return b"\x1f"

    with pytest.raises(uploads.UploadTooSlow):
        uploads.receive(Drip(), declared=16 * 1024 * 1024)


def test_an_error_of_the_connection_is_told_as_it_is() -> None:
    class Gone:
        def read(self, size: int, /) -> bytes:
            raise ConnectionResetError("the client is gone")

    with pytest.raises(ConnectionResetError):
        uploads.receive(Gone(), declared=1000)


def test_nothing_is_left_open_of_an_upload_that_is_refused() -> None:
    before = len(os.listdir("/dev/fd"))

    for _ in range(5):
        with pytest.raises(archives.BadArchive):
            received(tgz(entry(b"noise", os.urandom(2_000_000)), entry(b"../x", b"x")))

    assert len(os.listdir("/dev/fd")) == before
