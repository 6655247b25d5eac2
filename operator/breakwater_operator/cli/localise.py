"""Folders of this machine in place of those of a pod, wherever a text names them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Content = Mapping[str, bytes]
"""Files of a volume, by relative path."""


def localised(text: str, local: Mapping[str, Path]) -> str:
    """Put the folder of this machine into a text that is a path of the pod."""
    for folder in sorted(local, key=len, reverse=True):
        if text == folder or text.startswith(f"{folder}/"):
            return f"{local[folder]}{text.removeprefix(folder)}"
    return text


def localised_json(content: bytes, local: Mapping[str, Path]) -> bytes:
    """Do so in every text of a document."""

    def walk(value: Any) -> Any:
        match value:
            case dict():
                return {key: walk(inner) for key, inner in value.items()}
            case list():
                return [walk(inner) for inner in value]
            case str():
                return localised(value, local)
        return value

    return json.dumps(walk(json.loads(content)), sort_keys=True).encode()
