"""Which projects a list is of: read first, and put into its query by their ids.

From ids the planner knows how many rows to expect. From a subquery it expects half of all, and walks the whole table
for a reader who sees little.
"""

from __future__ import annotations

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import Q

from projects.models import ApiKey, Project


def visible_projects(user: AbstractBaseUser | AnonymousUser, key: ApiKey | None = None) -> dict[int, str]:
    """Names of the live projects that `user` may see (of `key`'s alone, where it has one), by id. One query."""
    return dict(Project.objects.visible_to(user, key).values_list("pk", "name"))


def listed_for(user: AbstractBaseUser | AnonymousUser, path: str) -> Q:
    """The rows of live projects that `user` may see; `path` leads from a row to its project.

    A superuser sees all of them, so nothing is read first.
    """
    if user.is_active and getattr(user, "is_superuser", False):
        return Q(**{f"{path}__deleted_at": None})
    return Q(**{f"{path}__in": list(visible_projects(user))})
