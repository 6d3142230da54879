"""The page of a revision: files as text that can do nothing, and what changed in them."""

import gzip
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import storages
from django.test import Client

from projects.models import Project, Revision
from projects.revisions import publish
from scheduler.web.project_files import BYTES, LINES, file_text, inert

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
ECHO = {"+hello": {"echo>": "hello"}}
DIG = b"timezone: UTC\n+hello:\n  echo>: hello\n"


@pytest.fixture
def make_revision(db: None, settings: Any, tmp_path: Path) -> Callable[..., Revision]:
    """In a storage of the test's own: archives are named after their content, and others may have the same."""
    own = {"BACKEND": "projects.storage.WholeFileStorage", "OPTIONS": {"location": tmp_path / "archives"}}
    settings.STORAGES = {**settings.STORAGES, "archives": own}

    def make(name: str, files: Mapping[str, bytes], **documents: Any) -> Revision:
        return publish(
            project_name="sales", revision_name=name, documents=documents or {"orders": ECHO}, files=files, now=NOW
        )

    return make


def address(revision: Revision, query: str = "") -> str:
    return f"/projects/{revision.project_id}/revisions/{revision.pk}{query}"


def text_of(client: Client, revision: Revision, query: str = "") -> str:
    return client.get(address(revision, query)).content.decode()


def test_it_lists_workflows_and_files(page: Client, make_revision: Callable[..., Revision]) -> None:
    document = {"schedule": {"daily>": "07:00:00"}, "+a": {"+b": {"echo>": "x"}, "+c": {"echo>": "y"}}}
    revision = make_revision("v1", {"orders.dig": DIG, "sql/load.sql": b"select 1"}, orders=document)

    facts = page.get(address(revision)).context

    (row,) = facts["workflows"].rows
    assert (row.name, row.tasks, row.timetable) == ("orders", 3, "daily at 07:00 UTC")
    assert [file.path for file in facts["files"].page.rows] == ["orders.dig", "sql/load.sql"]


def test_a_file_is_shown_with_numbered_lines(page: Client, make_revision: Callable[..., Revision]) -> None:
    revision = make_revision("v1", {"orders.dig": DIG})

    html = text_of(page, revision, "?file=orders.dig")

    assert '<li id="L2"><a href="#L2">2</a>+hello:</li>' in html


def test_a_workflow_is_shown_by_its_file_and_as_it_was_read(
    page: Client, make_revision: Callable[..., Revision]
) -> None:
    revision = make_revision("v1", {"orders.dig": DIG})
    definition = revision.definitions.get()

    html = text_of(page, revision, f"?workflow={definition.pk}")

    assert '<a href="#L3">3</a>  echo&gt;: hello</li>' in html
    assert "&quot;echo&gt;&quot;: &quot;hello&quot;" in html


def test_a_workflow_of_another_revision_is_not_shown(page: Client, make_revision: Callable[..., Revision]) -> None:
    other = make_revision("v1", {}, orders={"+secret": {"echo>": "from the past"}})
    revision = make_revision("v2", {})

    assert "from the past" not in text_of(page, revision, f"?workflow={other.definitions.get().pk}")


def test_what_changed_since_the_revision_before_is_marked(page: Client, make_revision: Callable[..., Revision]) -> None:
    make_revision("v1", {"same.txt": b"1", "other.txt": b"1", "old.txt": b"1"})
    revision = make_revision("v2", {"same.txt": b"1", "other.txt": b"2", "new.txt": b"1"}, orders=ECHO, report=ECHO)

    facts = page.get(address(revision)).context

    assert {file.path: file.change for file in facts["files"].page.rows} == {
        "same.txt": "", "other.txt": "changed", "new.txt": "added",
    }  # fmt: skip
    assert facts["files"].removed == ["old.txt"]
    assert {row.name: row.change for row in facts["workflows"].rows} == {"orders": "", "report": "added"}


def test_in_a_first_revision_nothing_is_marked(page: Client, make_revision: Callable[..., Revision]) -> None:
    facts = page.get(address(make_revision("v1", {"a.txt": b"1"}))).context

    assert [file.change for file in facts["files"].page.rows] == [""]
    assert [row.change for row in facts["workflows"].rows] == [""]


def test_files_are_paged_by_path(page: Client, make_revision: Callable[..., Revision]) -> None:
    paths = [f"f{number:03}.txt" for number in range(230)]
    revision = make_revision("v1", dict.fromkeys(paths, b"x"))

    shown, query = [], ""
    while True:
        answer = page.get(address(revision, query))
        part = answer.context["files"].page
        shown += [row.path for row in part.rows]
        query = part.next_href
        if not query:
            break

    assert shown == paths
    assert len(answer.content) < 100_000


@pytest.mark.parametrize("content", [b"\x00\x01", b"\xff\xfe", b"GIF89a\xff", b"ok\x00"])
def test_what_is_no_text_is_not_shown(content: bytes) -> None:
    text = file_text("a.bin", content, len(content))

    assert text.lines == []
    assert "no text" in text.note


def test_a_long_file_is_cut_and_says_so() -> None:
    by_lines = file_text("a", b"x\n" * (LINES + 5), 2 * (LINES + 5))
    by_bytes = file_text("a", "é".encode() * (BYTES // 2) + "é".encode()[:1], BYTES * 3)

    assert len(by_lines.lines) == LINES
    assert "Only the beginning" in by_lines.note
    assert by_bytes.lines[0].text == "é" * (BYTES // 2)
    assert "Only the beginning" in by_bytes.note


def test_text_that_would_show_as_other_text_is_written_out() -> None:
    assert inert("if x: \u202e # nothing\x1b[2J\r") == "if x: \\u202e # nothing\\x1b[2J"
    assert inert("\tindented") == "\tindented"


def test_files_are_inert_on_the_page(page: Client, make_revision: Callable[..., Revision]) -> None:
    evil = "<script>alert(1)</script>"
    revision = make_revision("v1", {"evil.html": evil.encode(), "<img src=x>.txt": b"x"})

    html = text_of(page, revision, "?file=evil.html")

    assert evil not in html
    assert "&lt;script&gt;alert(1)" in html
    assert "<img src=x>" not in html


@pytest.mark.parametrize(
    "query",
    ["?file=../../etc/passwd", "?file=/etc/passwd", "?file=%00", "?file=nothing", "?workflow=x", "?after=0",
     "?after_file=%F0", f"?workflow={'9' * 30}", f"?file={'a' * 3000}"],
)  # fmt: skip
def test_odd_addresses_show_nothing_and_break_nothing(
    page: Client, make_revision: Callable[..., Revision], query: str
) -> None:
    answer = page.get(address(make_revision("v1", {"a.txt": b"1"}), query))

    assert answer.status_code == 200
    assert b"root:" not in answer.content


def test_the_archive_comes_as_it_was_pushed(page: Client, make_revision: Callable[..., Revision]) -> None:
    revision = make_revision("v1", {"orders.dig": DIG})

    answer = page.get(address(revision, "/archive"))

    content = b"".join(answer)
    assert answer["Content-Type"] == "application/gzip"
    assert answer["Content-Disposition"] == 'attachment; filename="sales-v1.tar.gz"'
    assert DIG in gzip.decompress(content)


def test_a_revision_without_files_says_so(page: Client, make_revision: Callable[..., Revision]) -> None:
    revision = make_revision("v1", {})

    assert "This revision has no files." in text_of(page, revision)
    answer = page.get(address(revision, "/archive"))
    assert answer.status_code == 404
    assert "This revision has no files." in answer.content.decode()


def test_an_archive_that_is_gone_or_damaged_is_told(page: Client, make_revision: Callable[..., Revision]) -> None:
    gone, damaged = make_revision("v1", {"a.txt": b"1"}), make_revision("v2", {"a.txt": b"2"})
    Path(storages["archives"].path(damaged.archive)).write_bytes(b"\x1f\x8bnothing")

    html = text_of(page, damaged, "?file=a.txt")
    storages["archives"].delete(damaged.archive)
    storages["archives"].delete(gone.archive)

    assert "cannot be read" in html
    assert "not in the storage any more" in text_of(page, gone)
    answer = page.get(address(gone, "/archive"))
    assert answer.status_code == 404
    assert "The archive of this revision is not in the storage any more." in answer.content.decode()


def test_a_revision_of_another_project_is_not_found(page: Client, make_revision: Callable[..., Revision]) -> None:
    revision = make_revision("v1", {})
    other = Project.objects.create(name="other", created_at=NOW)

    assert page.get(f"/projects/{other.pk}/revisions/{revision.pk}").status_code == 404


def test_of_very_many_removed_workflows_it_says_how_many_more(
    page: Client, make_revision: Callable[..., Revision]
) -> None:
    make_revision("v1", {}, orders=ECHO, **{f"w{number:03}": ECHO for number in range(101)})

    html = text_of(page, make_revision("v2", {}))

    removed = html[html.index("Removed since the revision before") :]
    assert "w099</span> and 1 more</p>" in removed
    assert "w100" not in removed


def test_it_takes_the_same_queries_for_few_and_many(
    page: Client, make_revision: Callable[..., Revision], django_assert_num_queries: Callable[[int], Any]
) -> None:
    make_revision("v0", {})
    few = make_revision("v1", {"a.txt": b"1"}, **{f"w{number}": ECHO for number in range(3)})
    many = make_revision("v2", dict.fromkeys(map(str, range(300)), b"1"), **{f"w{n}": ECHO for n in range(150)})

    for revision in (few, many):
        with django_assert_num_queries(8):
            answer = page.get(address(revision))

    assert len(answer.content) < 100_000
