"""The shape of what is rendered."""

from collections.abc import Mapping
from typing import Any, TypeAlias

Manifest: TypeAlias = dict[str, Any]
"""One Kubernetes object as JSON."""

Live: TypeAlias = Mapping[str, Any]
"""One Kubernetes object as the API server gave it."""
