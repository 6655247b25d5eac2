"""The types of fields: what a value may look like, said once for Python and for the CRD."""

from typing import Annotated

from pydantic import Field

from breakwater_contract.backends import ENTRY_POINT, NAME
from breakwater_contract.shapes import Shape

DNS_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
DNS_SUBDOMAIN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
REPOSITORY_PART = r"[a-z0-9]([-._a-z0-9]*[a-z0-9])?"
IMAGE = (
    r"^([a-zA-Z0-9]([-.a-zA-Z0-9]*[a-zA-Z0-9])?(:[0-9]{1,5})?/)?"
    rf"{REPOSITORY_PART}(/{REPOSITORY_PART})*"
    r"(:[a-zA-Z0-9_][-._a-zA-Z0-9]{0,127})?(@sha256:[0-9a-f]{64})?$"
)
"""A host, a repository, a tag and a digest: nothing that a node could only fail to pull."""
ENV_NAME = r"^[-._a-zA-Z][-._a-zA-Z0-9]*$"
DATA_KEY = r"^[-._a-zA-Z0-9]+$"
SERVER_NAME = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"

SERVER_NAME_MAX = 40
"""What is left of the 63 characters of a pod's name once `-<slot>`, a template hash and the pod's
own five characters have been appended."""


LABEL_SHAPE = (
    "write lower-case letters, digits and '-', with a letter or digit at both ends, as in my-data"
)
SUBDOMAIN_SHAPE = (
    "write the object's name: lower-case letters, digits, '-' and '.', with a letter or digit at "
    "both ends and around each '.', as in my-data"
)
IMAGE_SHAPE = (
    "write an image as registry/repository:tag or registry/repository@sha256:digest, without a "
    "scheme, as in registry.example/team/weather:1.0"
)
ENV_NAME_SHAPE = (
    "write letters, digits, '_', '-' and '.' that do not begin with a digit, as in LOG_LEVEL"
)
DATA_KEY_SHAPE = "write a key of its data: letters, digits, '_', '-' and '.', as in config.json"
ENTRY_POINT_SHAPE = "write package.module:attribute, as in weather.main:mcp"

DnsLabel = Annotated[str, Shape(DNS_LABEL, 63, LABEL_SHAPE)]
DnsSubdomain = Annotated[str, Shape(DNS_SUBDOMAIN, 253, SUBDOMAIN_SHAPE)]
ImageReference = Annotated[str, Shape(IMAGE, 512, IMAGE_SHAPE)]
EnvName = Annotated[str, Shape(ENV_NAME, 253, ENV_NAME_SHAPE)]
DataKey = Annotated[str, Shape(DATA_KEY, 253, DATA_KEY_SHAPE)]
EntryPoint = Annotated[str, Shape(ENTRY_POINT, 253, ENTRY_POINT_SHAPE)]
BackendName = Annotated[str, Shape(NAME, 40, LABEL_SHAPE.replace("my-data", "main"))]
Port = Annotated[int, Field(ge=1, le=65535)]
