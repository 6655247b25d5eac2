"""Hold any endpoint against the conformance suite: `python -m tests.support.conformance.check`."""

import argparse
import asyncio
import sys
from urllib.parse import urlsplit

from tests.support.conformance import suite
from tests.support.keyproxy import KeyProxy


async def check(url: str, key: str | None, revision: str) -> bool:
    """Print how an endpoint that serves the fixture does, and say whether it conforms."""
    parts = urlsplit(url)
    proxy = KeyProxy(str(parts.hostname), parts.port or 80, key)
    async with proxy.serving() as origin:
        report = await suite.run(f"{origin}{parts.path}", revision)
    scored = suite.requirements(revision).scored
    for scenario, checks in sorted(report.failing.items()):
        mark = "FAILS" if scenario in scored else "fails, unscored"
        sys.stdout.write(f"  {scenario} ({mark}): {', '.join(checks)}\n")
    missed = report.failing.keys() & scored
    sys.stdout.write(
        f"{revision}: {len(scored) - len(missed)} of {len(scored)} scored scenarios pass, "
        f"{report.passed} checks in all\n"
    )
    return not missed


async def main() -> int:
    """Check each revision that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "url", help="an endpoint over plain HTTP, such as http://198.18.0.9:8080/mcp"
    )
    parser.add_argument("--key", help="sent as X-API-Key")
    parser.add_argument("--revision", choices=suite.REVISIONS, help="else all of them")
    arguments = parser.parse_args()
    revisions = [arguments.revision] if arguments.revision else suite.REVISIONS
    return 1 - all([await check(arguments.url, arguments.key, each) for each in revisions])


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
