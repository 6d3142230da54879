"""Lists of the admin that stay fast over millions of rows, and rows that nobody changes by hand."""

import re
from collections.abc import Sequence
from typing import Any, TypeVar

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters, ShowFacets
from django.contrib.admin.views.main import ChangeList
from django.contrib.admin.widgets import AutocompleteSelect
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.text import capfirst

from projects.access import listed_for
from projects.admin.columns import Column

NEXT, PREVIOUS = "next", "previous"
ROW_ID = re.compile(r"[0-9]{1,18}", re.ASCII)
PAGE_SIZE = 50

Row = TypeVar("Row", bound=Model)


def row_id(text: str) -> int | None:
    """The id that `text` is; None when it cannot be one."""
    return int(text) if ROW_ID.fullmatch(text) else None


class HindcastChangeList(ChangeList):
    """A list under its own name, with what its cells need loaded in a fixed number of queries."""

    model_admin: "HindcastAdmin[Any]"

    def __init__(self, request: HttpRequest, *args: Any, **options: Any) -> None:
        super().__init__(request, *args, **options)
        if not self.is_popup:
            self.title = capfirst(str(self.opts.verbose_name_plural))

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        return self.model_admin.for_list(super().get_queryset(request, exclude_parameters))

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if not self.query:  # else the search form says how many there are, and offers to show all, of all there are
            self.full_result_count = self.result_count


class KeysetChangeList(HindcastChangeList):
    """Paged by key and never counted: a page costs the same whatever lies before it."""

    model_admin: "KeysetAdmin[Any]"
    paged_by_key = True
    next_url = previous_url = ""

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        for name in (NEXT, PREVIOUS):  # neither filters nor links of filters may see them
            self.params.pop(name, None)
            self.filter_params.pop(name, None)
        return super().get_queryset(request, exclude_parameters)

    def get_results(self, request: HttpRequest) -> None:
        rows, more = self._page(request)
        backwards = PREVIOUS in request.GET
        if rows and (more or backwards):
            self.next_url = self.get_query_string({NEXT: rows[-1].pk})
        if rows and (more if backwards else NEXT in request.GET):
            self.previous_url = self.get_query_string({PREVIOUS: rows[0].pk})
        self.result_list = rows
        self.result_count = self.full_result_count = len(rows)
        self.show_full_result_count = False
        self.show_admin_actions = True
        self.can_show_all = self.multi_page = False
        self.paginator = self.model_admin.get_paginator(request, rows, self.list_per_page)  # type: ignore[arg-type]

    def _page(self, request: HttpRequest) -> tuple[list[Any], bool]:
        """The rows of this page, and whether more lie beyond in the direction of reading."""
        backwards = PREVIOUS in request.GET
        rising = self.model_admin.oldest_first(request) != backwards
        rows = self.queryset.order_by("pk" if rising else "-pk")
        edge = request.GET.get(PREVIOUS if backwards else NEXT)
        if edge is not None:
            rows = rows.filter(**{"pk__gt" if rising else "pk__lt": self._edge(edge)})
        found = list(rows[: self.list_per_page + 1])
        more = len(found) > self.list_per_page
        page = found[: self.list_per_page]
        return page[::-1] if backwards else page, more

    def _edge(self, text: str) -> int:
        edge = row_id(text)
        if edge is None:
            raise IncorrectLookupParameters
        return edge


class LinkedFilter(admin.SimpleListFilter):
    """Narrows a list to the rows of one other row, by its id. Shown only while it is on: links bring people here."""

    path: str
    model: type[Model]

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        if self.value() is None:
            return []
        number = row_id(self.value() or "")
        if number is None:
            raise IncorrectLookupParameters
        other = model_admin.admin_site.get_model_admin(self.model)
        there = other.get_queryset(request).filter(pk=number).first() if other.has_view_permission(request) else None
        return [(str(self.value()), str(there or self.value()))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(**{self.path: row_id(self.value() or "")}) if self.value() else queryset


def linked(name: str, to: type[Model], path: str = "") -> type[LinkedFilter]:
    """The filter `?name=ID`, over the foreign key at `path` (`name`, unless given)."""
    label = str(to._meta.verbose_name)
    return type(
        f"{to.__name__}Filter",
        (LinkedFilter,),
        {"title": label, "parameter_name": name, "path": path or name, "model": to},
    )


class LookedUp(AutocompleteSelect):
    """A choice that is looked for as one types. A form that is refused comes back without what cannot be an id."""

    def optgroups(self, name: str, value: Sequence[str], attr: Any = None) -> Any:
        ids = [text for text in value if not text or row_id(text) is not None]
        return super().optgroups(name, ids, attr)


class HindcastAdmin(admin.ModelAdmin[Row]):
    """Rows of projects that the reader may see. Nothing is deleted here, and lists take no lookups but their own."""

    path_to_project: str | None = None
    list_per_page = PAGE_SIZE
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    row_actions: tuple[str, ...] = ()

    class Media:
        css = {"all": ["hindcast/states.css", "hindcast/admin.css"]}

    def has_delete_permission(self, request: HttpRequest, obj: Row | None = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Row]:
        rows = super().get_queryset(request)
        if self.path_to_project is None or getattr(request.user, "is_superuser", False):
            return rows
        return rows.filter(listed_for(request.user, self.path_to_project))

    def for_list(self, rows: QuerySet[Row]) -> QuerySet[Row]:
        """What the list needs beyond `list_select_related`: prefetches, or columns to leave out."""
        return rows

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ChangeList]:
        return HindcastChangeList

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Filters of the list alone: any other lookup in an address might scan a large table."""
        allowed = set()
        for entry in self.list_filter:
            if isinstance(entry, type) and issubclass(entry, admin.SimpleListFilter):
                allowed.add(entry.parameter_name)
            else:
                allowed.add(f"{entry}__exact")
        return lookup in allowed and "\x00" not in str(value)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        if db_field.name in self.get_autocomplete_fields(request):
            options["widget"] = LookedUp(db_field, self.admin_site)
        return super().formfield_for_foreignkey(db_field, request, **options)

    def response_action(self, request: HttpRequest, queryset: QuerySet[Row]) -> HttpResponse | None:  # type: ignore[override]
        if all(row_id(text) is not None for text in request.POST.getlist(ACTION_CHECKBOX_NAME)):
            return super().response_action(request, queryset)
        self.message_user(request, "The selection is not a list of ids. Nothing has changed.", messages.ERROR)
        return None

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        buttons = {"row_actions": self.buttons(request, object_id), "action_checkbox_name": ACTION_CHECKBOX_NAME}
        return super().change_view(request, object_id, form_url, {**buttons, **(extra_context or {})})

    def buttons(self, request: HttpRequest, object_id: str) -> list[tuple[str, str]]:
        """Actions (name, label) of the list that a row's own page offers, too."""
        offered = self.get_actions(request)
        return [
            (name, str(label)) for action, name, label in filter(None, offered.values()) if name in self.row_actions
        ]


class ReadOnlyAdmin(HindcastAdmin[Row]):
    """Rows that are written by the verbs alone; superusers, too, only look at them."""

    # What a row's page shows: names of fields and methods, and columns, under headings.
    sections: tuple[tuple[str | None, tuple[str | Column, ...]], ...] = ()

    def get_fieldsets(self, request: HttpRequest, obj: Row | None = None) -> Any:
        return [(heading, {"fields": fields}) for heading, fields in self.sections]

    def get_readonly_fields(self, request: HttpRequest, obj: Row | None = None) -> Any:
        return [field for _, fields in self.sections for field in fields]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Row | None = None) -> bool:
        return False


class KeysetAdmin(ReadOnlyAdmin[Row]):
    """A large table: paged by key, newest first, searched by exact ids and indexed names."""

    ordering = ("-pk",)
    sortable_by = ()
    actions: tuple[str, ...] | None = None
    # A list in reading order, oldest first, once it is narrowed by this parameter.
    oldest_first_with: str | None = None

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ChangeList]:
        return KeysetChangeList

    def oldest_first(self, request: HttpRequest) -> bool:
        return self.oldest_first_with is not None and self.oldest_first_with in request.GET

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Row], search_term: str
    ) -> tuple[QuerySet[Row], bool]:
        term = search_term.strip()
        return (self.found(queryset, term) if term else queryset), False

    def found(self, rows: QuerySet[Row], term: str) -> QuerySet[Row]:
        """The rows that `term` names. Must not scan."""
        number = row_id(term)
        return rows.filter(pk=number) if number is not None else rows.none()
