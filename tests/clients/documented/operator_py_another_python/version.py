import http
import os
import sys


def show():
    print(sys.flags.isolated, sys.flags.ignore_environment, os.environ.get("HC_TOLD"), http.HTTPStatus.OK.value)
