"""Labels and annotations that users choose."""

from typing import Annotated

from pydantic import Field

from breakwater_contract.shapes import Shape

PREFIX = r"([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?"
NAME = r"[A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?"

KEY_SHAPE = "write letters, digits, '-', '_' and '.', with or without a domain, as in example.com/x"
VALUE_SHAPE = "write at most 63 letters, digits, '-', '_' and '.', as in backend"
OURS = ("breakwater.dev/", "app.kubernetes.io/", "kubernetes.io/", "k8s.io/")
RESERVED = (
    "keys of breakwater.dev, app.kubernetes.io, kubernetes.io and k8s.io are taken; write a key of "
    "your own, as in example.com/team"
)

LabelKey = Annotated[str, Shape(rf"^{PREFIX}{NAME}$", 317, KEY_SHAPE)]
AnnotationKey = Annotated[str, Shape(rf"^{PREFIX.replace('a-z', 'A-Za-z')}{NAME}$", 317, KEY_SHAPE)]
"""Of annotations Kubernetes minds no upper-case letters in the domain."""
LabelValue = Annotated[str, Shape(rf"^({NAME})?$", 63, VALUE_SHAPE)]
AnnotationValue = Annotated[str, Field(max_length=4096)]

Selector = Annotated[dict[LabelKey, LabelValue], Field(max_length=16)]
"""Labels that objects must have; empty: any object."""


def reserved(key: str) -> bool:
    """Say whether a key belongs to Kubernetes or to us."""
    domain = f"{key.partition('/')[0]}/" if "/" in key else ""
    return domain in OURS or domain.endswith((".kubernetes.io/", ".k8s.io/"))


def reserved_rule(field: str) -> str:
    """Write in CEL that no key of a map is reserved."""
    domain = "key.split('/')[0]"
    taken = ", ".join(f"'{one.removesuffix('/')}'" for one in OURS)
    return (
        f"!has(self.{field}) || self.{field}.all(key, !key.contains('/') || !({domain} in [{taken}]"
        f" || {domain}.endsWith('.kubernetes.io') || {domain}.endsWith('.k8s.io')))"
    )
