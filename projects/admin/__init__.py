"""DOOR: the admin of projects, their secrets, and API keys. It shows and asks; state is moved by the verbs."""

from projects.admin.api_key import ApiKeyAdmin
from projects.admin.project import ProjectAdmin, RevisionAdmin, WorkflowAdmin, WorkflowDefinitionAdmin
from projects.admin.secret import SecretAdmin

__all__ = ["ApiKeyAdmin", "ProjectAdmin", "RevisionAdmin", "SecretAdmin", "WorkflowAdmin", "WorkflowDefinitionAdmin"]
