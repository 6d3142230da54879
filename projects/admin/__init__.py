"""DOOR: the admin of projects and API keys. It shows and asks; state is moved by the verbs."""

from projects.admin.api_key import ApiKeyAdmin
from projects.admin.project import ProjectAdmin, RevisionAdmin, WorkflowAdmin, WorkflowDefinitionAdmin

__all__ = ["ApiKeyAdmin", "ProjectAdmin", "RevisionAdmin", "WorkflowAdmin", "WorkflowDefinitionAdmin"]
