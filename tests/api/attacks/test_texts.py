"""What strangers write is shown as they wrote it, and does nothing: in the admin, in the API, in files."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from scheduler.models import Attempt, LogChunk, Schedule, TaskRun
from tests.api.attacks.world import Owned, addresses, content_of

MARK = "\"><script>alert(1)</script><img src=x onerror=alert(2)>'</title></textarea>{{ 7|add:7 }}\x1b[2J"
ALIVE = (b"<script>alert", b"<img src=x", b"</title></textarea>", b'href="javascript:')


@pytest.fixture
def hostile(make_schedule: Callable[..., Schedule], make_owned: Callable[..., Owned]) -> Owned:
    """One of everything, all of whose texts are meant to break out of a page."""
    owned = make_owned("mine", "evil")
    Schedule.objects.filter(pk=owned.schedule).update(error=MARK, failures=1)
    Attempt.objects.filter(pk=owned.attempt).update(
        name=MARK, reason={"message": MARK, MARK: "javascript:alert(1)"}, params={MARK: MARK}, worker=MARK
    )
    TaskRun.objects.filter(attempt=owned.attempt).update(
        full_name=f"+{MARK}", error={"message": MARK}, store_params={MARK: MARK}, config={"sh>": MARK}
    )
    LogChunk.objects.filter(attempt=owned.attempt).update(text=f"{MARK}\n")
    for model, pk in (("project", owned.project), ("workflow", owned.workflow), ("revision", owned.revision)):
        field = Schedule.objects.get(pk=owned.schedule).workflow
        row = {"project": field.project, "workflow": field}.get(model) or field.project.revisions.get(pk=pk)
        type(row).objects.filter(pk=row.pk).update(name=MARK)
    return owned


@pytest.fixture
def root(make_user: Any) -> Client:
    client = Client()
    client.force_login(make_user("root", is_staff=True, is_superuser=True))
    return client


def test_what_strangers_write_is_inert_in_the_admin(root: Client, hostile: Owned) -> None:
    pages = [page for page in addresses("/admin/") if page.pattern.split("/")[2] in {"projects", "scheduler"}]
    shown = 0

    for page in pages:
        answer = root.get(page.filled(hostile.of_admin(page.pattern)))
        html = content_of(answer)

        assert answer.status_code in {200, 302, 403}, page
        assert not [text for text in ALIVE if text in html], page
        shown += b"&lt;script&gt;" in html
    assert shown >= 10


def test_what_strangers_write_is_inert_on_every_page(root: Client, hostile: Owned) -> None:
    pages = [page for page in addresses("/") if not page.pattern.startswith(("/api/", "/admin/"))]
    shown = 0

    for page in pages:
        answer = root.get(page.filled(hostile.of_pages()))
        html = content_of(answer)

        if answer["Content-Type"].startswith("text/html"):
            assert not [text for text in ALIVE if text in html], page
            shown += b"&lt;script&gt;" in html
        else:
            assert answer["Content-Type"].split(";")[0] in {"text/plain", "application/json", "application/gzip"}, page
            assert answer["X-Content-Type-Options"] == "nosniff"
    assert shown >= 10


def test_the_api_is_json_whatever_is_in_it(root: Client, hostile: Owned) -> None:
    """A browser that is led to it shows text: it is told what it is, and not to guess."""
    for address in addresses("/api/"):
        if address.name in {"api-docs"} or "GET" not in address.methods:
            continue
        answer = root.get(address.filled(hostile.of_api(address.pattern)))
        content_of(answer)

        assert answer["Content-Type"].split(";")[0] in {"application/json", "application/gzip"}, address
        assert answer["X-Content-Type-Options"] == "nosniff", address
