"""Start a workflow by hand: for a session time, with parameters."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from projects.models import Project, WorkflowDefinition
from scheduler.errors import InvalidInput
from scheduler.models import Attempt
from scheduler.starting import AttemptConflict, WorkflowNotFound, start
from scheduler.web.crumbs import project_crumbs
from scheduler.web.errors import Gone
from scheduler.web.forms import EXAMPLE, LocalTimeField
from scheduler.web.frame import RUN, Page, signed_in
from scheduler.web.project import newest_definition, visible_project
from scheduler.web.times import in_zone, local_text, zone_or_utc

TEXT = {"autocomplete": "off", "spellcheck": "false"}
FIELDS = {"retry_attempt_name": "name", "session_time": "session_time", "params": "params"}


class ParamsField(forms.CharField):
    """A JSON object, as RFC 8259 has it; empty for none. Gives a mapping."""

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        if not text:
            return {}
        try:
            params = json.loads(text, parse_constant=_no_constant, object_pairs_hook=_once)
        except json.JSONDecodeError as error:
            raise forms.ValidationError(f"This is no JSON: {error}.") from None
        except RecursionError:
            raise forms.ValidationError("It is nested too deep.") from None
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None
        if not isinstance(params, dict):
            raise forms.ValidationError('Give a JSON object, such as {"region": "eu"}.')
        return params

    def run_validators(self, value: Any) -> None:
        """What it may hold is for the verb to say."""


def _no_constant(name: str) -> None:
    raise ValueError(f"This is no JSON: {name} is no value of it.")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("A key stands twice in one object.")
    return found


class StartForm(forms.Form):
    """Session time, name and parameters, for one workflow: its zone reads the local times."""

    name = forms.CharField(
        label="Attempt name",
        required=False,
        help_text="Empty for the first attempt of a session. A second one needs a name.",
        widget=forms.TextInput(attrs={**TEXT, "dir": "auto"}),
    )
    params = ParamsField(
        label="Parameters",
        required=False,
        help_text='A JSON object, such as {"region": "eu"}. The tasks see its keys as variables.',
        widget=forms.Textarea(attrs={**TEXT, "rows": 5, "class": "code"}),
    )
    field_order = ("session_time", "params", "name")

    def __init__(self, *args: Any, definition: WorkflowDefinition, now: datetime, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        where = zone_or_utc(definition.timezone)
        self.fields["session_time"] = LocalTimeField(
            where=where,
            zone_name=definition.timezone,
            label="Session time",
            initial=local_text(in_zone(now, where).replace(microsecond=0), where),
            help_text=f"What the run is for. Local time in {definition.timezone}, such as {EXAMPLE}, "
            "or with an offset.",
            error_messages={"required": "Give the session time."},
            widget=forms.TextInput(attrs=TEXT),
        )
        self.order_fields(self.field_order)

    def refuse(self, error: InvalidInput) -> None:
        """Put the verb's sentences beside the fields that they are about; the rest go above the form."""
        for name, texts in error.errors.items():
            self.add_error(FIELDS.get(name), texts)

    def focus_first_error(self) -> None:
        wrong = next((name for name in self.fields if name in self.errors), "session_time")
        self.fields[wrong].widget.attrs["autofocus"] = True


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def workflow_start(request: HttpRequest, project_id: int, workflow_id: int) -> HttpResponse:
    """Starts the newest revision's workflow, then shows the attempt."""
    project, now = visible_project(request, project_id), timezone.now()
    definition = newest_definition(project, workflow_id)
    if not request.user.has_perm(RUN):
        raise PermissionDenied("Starting needs the permission “Can start, retry and kill attempts”.")
    if request.method != "POST":
        return _page(request, project, definition, StartForm(definition=definition, now=now))
    form = StartForm(request.POST, definition=definition, now=now)
    if not form.is_valid():
        return _page(request, project, definition, form)
    try:
        made = _start(definition, form, now)
    except InvalidInput as refusal:
        form.refuse(refusal)
    except AttemptConflict as conflict:
        form.add_error("name", "Give it a name that no attempt of the session has.")
        return _page(request, project, definition, form, conflict=conflict)
    except WorkflowNotFound as gone:
        raise Gone(gone.message) from gone
    else:
        return redirect("attempt", made.pk)
    return _page(request, project, definition, form)


def _start(definition: WorkflowDefinition, form: StartForm, now: datetime) -> Attempt:
    asked = form.cleaned_data
    return start(
        definition_id=definition.pk,
        session_time=asked["session_time"],
        retry_attempt_name=asked["name"] or None,
        params=asked["params"],
        now=now,
    )


def _page(
    request: HttpRequest,
    project: Project,
    definition: WorkflowDefinition,
    form: StartForm,
    *,
    conflict: AttemptConflict | None = None,
) -> HttpResponse:
    form.focus_first_error()
    facts = {
        "page": Page(title=f"Start {definition.workflow.name}", at="projects", crumbs=project_crumbs(project)),
        "revision": definition.revision.name,
        "form": form,
        "refusal": conflict.message if conflict else "",
        "existing": reverse("attempt", args=[conflict.attempt.pk]) if conflict else "",
        "existing_number": conflict.attempt.pk if conflict else "",
        "back": reverse("project", args=[project.pk]),
    }
    return render(request, "hindcast/workflow_start.html", facts)
