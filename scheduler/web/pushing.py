"""Push a project by hand: one tar.gz, sent by a form. Mistakes in it are shown with file, line and what is right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from typing import Any, cast

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods

from projects.dig.problems import FilesRefused, Problem, printable
from projects.models import NAME_LENGTH, Project, Revision
from projects.revisions import RevisionTaken
from projects.tar import BadArchive
from projects.uploads import receive
from scheduler.errors import InvalidInput
from scheduler.pushing import push
from scheduler.web.crumbs import project_crumbs
from scheduler.web.frame import PUSH, Link, Page, signed_in
from scheduler.web.project import visible_project

FORM_BYTES = 64 * 1024  # of a request, beside the file
HIDDEN = "There is a project of this name that you may not see. Choose another name."
TEXT = {"autocomplete": "off", "spellcheck": "false", "dir": "auto"}

View = Callable[[HttpRequest, int | None], HttpResponse]


class PushForm(forms.Form):
    """Shapes alone: what the names may be, and what the archive must hold, is for the verb to say."""

    project = forms.CharField(
        label="Project",
        strip=False,
        help_text="The project is made when there is none of this name.",
        error_messages={"required": "Give the project a name."},
        widget=forms.TextInput(attrs=TEXT),
    )
    revision = forms.CharField(
        label="Revision",
        strip=False,
        help_text="A name for this state of the project, such as a commit or a date. A revision is never written over.",
        error_messages={"required": "Give the revision a name."},
        widget=forms.TextInput(attrs=TEXT),
    )
    archive = forms.FileField(
        label="Archive",
        allow_empty_file=True,  # the verb has the better sentence
        max_length=NAME_LENGTH,
        error_messages={"required": "Choose the tar.gz of the project."},
        widget=forms.FileInput(attrs={"accept": ".gz,.tgz,application/gzip"}),
    )

    def __init__(self, *args: Any, project: Project | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        most = settings.HINDCAST_MAX_UPLOAD_BYTES
        self.fields[
            "archive"
        ].help_text = (
            f"A tar.gz of the project's folder, at most {filesizeformat(most)}: tar czf project.tar.gz -C FOLDER ."
        )
        told = {"data-most": str(most), "data-too-large": f"This file is larger than {filesizeformat(most)}."}
        self.fields["archive"].widget.attrs.update(told)
        if project:
            del self.fields["project"]

    def refuse(self, error: InvalidInput) -> None:
        """Put the verb's sentences beside the fields that they are about; the rest go above the form."""
        for name, texts in error.errors.items():
            self.add_error(name if name in self.fields else None, texts)

    def focus_first_error(self) -> None:
        wrong = next((name for name in self.fields if name in self.errors), next(iter(self.fields)))
        self.fields[wrong].widget.attrs["autofocus"] = True


@dataclass(frozen=True)
class Mistake:
    """One problem of the files. `line` is empty where it is about the file as a whole."""

    file: str
    line: str
    message: str
    text: str


def bounded(view: View) -> Callable[..., HttpResponse]:
    """Lets nobody send who may not, and nothing that is too long: both are known before the form is read.

    That is why the check of the form's token comes after it: to find the token, it reads the form with its file.
    """
    protected = csrf_protect(view)

    @wraps(view)
    def checked(request: HttpRequest, project_id: int | None = None) -> HttpResponse:
        if not request.user.has_perm(PUSH):
            raise PermissionDenied("Pushing needs the permission “Can add revision”.")
        most = settings.HINDCAST_MAX_UPLOAD_BYTES
        length = int(request.META.get("CONTENT_LENGTH") or 0)
        if length <= most + FORM_BYTES:
            return protected(request, project_id)
        _read_away(request, length)
        project = visible_project(request, project_id) if project_id else None
        text = f"The file is too large: {filesizeformat(length)}, where {filesizeformat(most)} is the most."
        return _page(request, project, _empty_form(project), refusal=text)

    return csrf_exempt(checked)


def _read_away(request: HttpRequest, length: int) -> None:
    """A browser shows the answer only once it has sent everything; what is far too long is cut off instead."""
    if length <= 4 * settings.HINDCAST_MAX_UPLOAD_BYTES:
        while request.read(FORM_BYTES):
            pass


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
@bounded
def project_push(request: HttpRequest, project_id: int | None) -> HttpResponse:
    """To the project of that id; without one, to the project that the form names."""
    project = visible_project(request, project_id) if project_id else None
    if request.method != "POST":
        return _page(request, project, _empty_form(project))
    form = PushForm(request.POST, request.FILES, project=project)
    if not form.is_valid():
        return _page(request, project, form)
    name = project.name if project else form.cleaned_data["project"]
    if not project and Project.objects.is_name_closed_to(name, request.user):
        form.add_error("project", HIDDEN)
        return _page(request, project, form)
    try:
        revision = _push(request, name, form)
    except InvalidInput as refusal:
        form.refuse(refusal)
    except RevisionTaken as taken:
        form.add_error("revision", taken.message)
    except BadArchive as bad:
        form.add_error("archive", str(bad))
    except FilesRefused as refused:
        return _page(request, project, form, refused=refused)
    else:
        messages.info(request, f"Pushed the revision {revision.name}.")
        return redirect("project", revision.project_id)
    return _page(request, project, form)


def _push(request: HttpRequest, name: str, form: PushForm) -> Revision:
    """Raises what `receive` and `push` raise."""
    file = form.cleaned_data["archive"]
    with receive(file, declared=file.size) as upload:
        return push(
            project_name=name,
            revision_name=form.cleaned_data["revision"],
            upload=upload,
            now=timezone.now(),
            created_by=cast(User, request.user),
        )


def _empty_form(project: Project | None) -> PushForm:
    return PushForm(project=project, initial={"revision": revision_name(timezone.now())})


def revision_name(now: datetime) -> str:
    """The name that is offered: `2026-03-02-120000`, in UTC."""
    return f"{now.astimezone(UTC):%Y-%m-%d-%H%M%S}"


def _page(
    request: HttpRequest,
    project: Project | None,
    form: PushForm,
    *,
    refusal: str = "",
    refused: FilesRefused | None = None,
) -> HttpResponse:
    if refused is None:  # else the list of mistakes has the focus
        form.focus_first_error()
    facts = {
        "page": Page(
            title=f"Push to {project.name}" if project else "Push a project",
            at="projects",
            crumbs=project_crumbs(project) if project else [Link("Projects", reverse("projects"))],
        ),
        "form": form,
        "refusal": refusal,
        "mistakes": mistakes(refused.problems) if refused else [],
        "headline": _headline(refused) if refused else "",
        "back": reverse("project", args=[project.pk]) if project else reverse("projects"),
    }
    return render(request, "hindcast/project_push.html", facts)


def mistakes(problems: Sequence[Problem]) -> list[Mistake]:
    return [
        Mistake(printable(problem.place.file), str(problem.place.line or ""), problem.message, problem.text)
        for problem in problems
    ]


def _headline(refused: FilesRefused) -> str:
    count = len(refused.problems)
    if refused.more:
        return f"More than {count} problems; these are the first"
    return "1 problem in the files" if count == 1 else f"{count} problems in the files"
