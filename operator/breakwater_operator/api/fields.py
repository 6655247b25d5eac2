"""The types of fields: what a value may look like, said once for Python and for the CRD."""

import re
from typing import Annotated

from pydantic import StringConstraints

DNS_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
DNS_SUBDOMAIN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
IMAGE = r"^[a-zA-Z0-9]([-a-zA-Z0-9._/:]*[a-zA-Z0-9])?(@sha256:[0-9a-f]{64})?$"
ENV_NAME = r"^[-._a-zA-Z][-._a-zA-Z0-9]*$"
DATA_KEY = r"^[-._a-zA-Z0-9]+$"
SERVER_NAME = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"

SERVER_NAME_MAX = 40
"""What is left of the 63 characters of a pod's name once `-<slot>`, a template hash and the pod's
own five characters have been appended."""

DnsLabel = Annotated[str, StringConstraints(pattern=DNS_LABEL, max_length=63)]
DnsSubdomain = Annotated[str, StringConstraints(pattern=DNS_SUBDOMAIN, max_length=253)]
ImageReference = Annotated[str, StringConstraints(pattern=IMAGE, max_length=512)]
EnvName = Annotated[str, StringConstraints(pattern=ENV_NAME, max_length=253)]
DataKey = Annotated[str, StringConstraints(pattern=DATA_KEY, max_length=253)]


def matches(pattern: str, text: str) -> bool:
    """Say whether a whole text has the shape that a pattern gives.

    Python's `$` also matches before a last line break, where the API server's does not.
    """
    return re.fullmatch(pattern, text) is not None
