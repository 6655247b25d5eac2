"""The command line: `python -m dev.images build | list | path | push`."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from dev.cluster.progress import Progress
from dev.images import cache
from dev.images.build import Builder
from dev.images.target import OURS, Image, ImageError, image, images, version
from dev.prerequisites import MissingProgramsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dev.images.build import Built


def build(builder: Builder, options: argparse.Namespace) -> None:
    """Build what has changed, and print the names.

    Images with packages from npm are large, and built only where they are named.
    """
    if options.fresh_base:
        shutil.rmtree(cache.default() / "base", ignore_errors=True)
    built = {}
    for name in options.images or [known.name for known in images() if not known.is_from_npm]:
        if name == "base":
            builder.base.ensure(builder.engine)
            print(builder.base.reference, file=sys.stderr)
        else:
            built[name] = builder.build(image(name))
    if options.output == "json":
        _print_json(built)
    else:
        for made in built.values():
            print(made.ref)


def _print_json(images: Mapping[str, Built]) -> None:
    print(json.dumps({name: asdict(built) for name, built in images.items()}, indent=2))


def list_images(builder: Builder, options: argparse.Namespace) -> None:
    """Print what is built of the sources as they are now."""
    found = {known.name: builder.find(known) for known in images()}
    if options.output == "json":
        _print_json({name: built for name, built in found.items() if built is not None})
        return
    width = max(map(len, found))
    for name, built in found.items():
        print(f"{name:<{width}}  {built.ref if built else '(not built)'}")


def path(builder: Builder, options: argparse.Namespace) -> None:
    """Print where an image's archive is.

    Raises:
        ImageError: It is not built.
    """
    built = builder.find(image(options.image))
    if built is None:
        raise ImageError(
            f"{options.image} is not built; run `python -m dev.images build {options.image}`"
        )
    print(built.tar)


def push(builder: Builder, options: argparse.Namespace) -> None:
    """Push images to a registry, and print the names they have there."""
    for name in options.images:
        known: Image = image(name)
        built = builder.ensure_loaded(known)
        target = f"{options.registry.rstrip('/')}/{known.repository}:{options.tag}"
        builder.engine.push(built.ref, target, insecure=options.insecure)
        print(target)


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    top = argparse.ArgumentParser(prog="python -m dev.images", description="Builds the images.")
    commands = top.add_subparsers(dest="command", required=True)
    one = commands.add_parser("build", help=_first_line(build))
    one.add_argument(
        "images",
        nargs="*",
        metavar="IMAGE",
        help="operator, runtime, base, or a folder of examples/; by default all but those from npm",
    )
    one.add_argument("--base", metavar="REF", help="use this base image")
    one.add_argument("--fresh-base", action="store_true", help="fetch or make the base anew")
    one.add_argument("-o", "--output", choices=["text", "json"], default="text")
    one.set_defaults(run=build)
    one = commands.add_parser("list", help=_first_line(list_images))
    one.add_argument("-o", "--output", choices=["text", "json"], default="text")
    one.set_defaults(run=list_images)
    one = commands.add_parser("path", help=_first_line(path))
    one.add_argument("image", metavar="IMAGE")
    one.set_defaults(run=path)
    one = commands.add_parser("push", help=_first_line(push))
    one.add_argument("registry", metavar="REGISTRY", help="host[:port][/path]")
    one.add_argument("--images", nargs="+", metavar="IMAGE", default=list(OURS))
    one.add_argument("--tag", default=version(), help="default: %(default)s")
    one.add_argument("--insecure", action="store_true", help="allow HTTP and unknown certificates")
    one.set_defaults(run=push)
    return top


def _first_line(command: object) -> str:
    return (command.__doc__ or "").splitlines()[0]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command."""
    options = parser().parse_args(arguments)
    builder = Builder(cache.default(), Progress(), getattr(options, "base", None))
    try:
        options.run(builder, options)
    except (ImageError, MissingProgramsError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
