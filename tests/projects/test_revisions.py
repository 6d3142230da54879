"""Publishing a revision: the facts of its archive, and what it costs."""

import io
from base64 import b64encode
from hashlib import md5
from typing import Any

import pytest

from projects import archives, revisions, uploads
from projects.models import Revision, Workflow, WorkflowDefinition
from tests.conftest import ECHO, NOW
from tests.projects.tarballs import entry, tgz

pytestmark = pytest.mark.django_db


def publish(name: str = "r1", files: Any = None, documents: Any = None) -> Revision:
    return revisions.publish(
        project_name="sales", revision_name=name, documents=documents or {"load": ECHO}, files=files, now=NOW
    )


def test_a_revision_knows_the_digest_and_the_size_of_its_upload() -> None:
    content = tgz(entry(b"load.dig", b"x"))

    with uploads.receive(io.BytesIO(content), declared=len(content)) as upload:
        revision = Revision.objects.get(pk=publish(files=upload).pk)

    assert (revision.archive_md5, revision.archive_size) == (b64encode(md5(content).digest()).decode(), len(content))
    with archives.original(revision.archive) as stored:
        assert stored.read() == content


def test_a_revision_without_files_has_no_archive() -> None:
    revision = Revision.objects.get(pk=publish().pk)

    assert (revision.archive, revision.archive_md5, revision.archive_size) == ("", "", 0)


def test_a_file_that_no_project_may_have_is_refused_before_anything_is_written() -> None:
    with pytest.raises(archives.BadArchive, match="leads out of the project"):
        publish(files={"../x": b"x"})

    assert not Revision.objects.exists()


def test_a_workflow_keeps_its_identity_and_its_definition_is_new() -> None:
    first = publish("r1")
    second = publish("r2", documents={"load": ECHO, "report": {**ECHO, "timezone": "Asia/Tokyo"}})

    assert [workflow.name for workflow in Workflow.objects.order_by("pk")] == ["load", "report"]
    definitions = WorkflowDefinition.objects.order_by("pk")
    assert [(row.revision_id, row.workflow.name, row.timezone) for row in definitions] == [
        (first.pk, "load", "UTC"),
        (second.pk, "load", "UTC"),
        (second.pk, "report", "Asia/Tokyo"),
    ]


def test_the_number_of_statements_does_not_grow_with_the_workflows(django_assert_max_num_queries: Any) -> None:
    with django_assert_max_num_queries(14):
        publish(documents={f"wf{number}": ECHO for number in range(100)})

    assert WorkflowDefinition.objects.count() == 100
