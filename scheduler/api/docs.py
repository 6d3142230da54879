"""The OpenAPI document and its page. Both are open to everybody: they hold nothing about what is stored here."""

from functools import lru_cache
from typing import Any

from csp.constants import SELF, UNSAFE_INLINE
from csp.decorators import csp_update
from django.utils.decorators import method_decorator
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.views import SpectacularSwaggerSplitView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView


class SchemaDocument(APIView):
    authentication_classes = ()
    permission_classes = ()
    schema = None

    def get(self, request: Request) -> Response:
        return Response(document())


# Swagger UI writes style attributes; its scripts are files of ours, under the policy of all pages.
@method_decorator(csp_update({"style-src": [SELF, UNSAFE_INLINE]}), name="dispatch")
class DocsPage(SpectacularSwaggerSplitView):
    authentication_classes = ()
    permission_classes = ()
    url_name = "api-schema"
    title = "Hindcast API"


@lru_cache(maxsize=1)
def document() -> Any:
    """The document, built at the first call: it changes with the code alone."""
    return SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
