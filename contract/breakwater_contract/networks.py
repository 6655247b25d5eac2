"""Networks as people write them: an address, or an address and how many of its bits count."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from breakwater_contract.rules import Schema, rule, rules

LENGTH_MAX = 64
LOOKS_RIGHT = r"[0-9a-fA-F:.]+(/(0|[1-9][0-9]{0,2}))?"
WANTED = (
    "write a network whose address has no bits beyond its prefix, as in 10.0.0.0/8 or fd00::/8, "
    "or one address"
)
MAPPED = IPv6Network("::ffff:0:0/96")


def network(text: str) -> IPv4Network | IPv6Network:
    """Read a network.

    Raises:
        ValueError: It is none, has bits beyond its prefix, or hides IPv4 in IPv6.
    """
    if not re.fullmatch(LOOKS_RIGHT, text):
        raise ValueError(WANTED)
    try:
        found = ip_network(text)
    except ValueError as error:
        raise ValueError(f"{error}; {WANTED}") from error
    if isinstance(found, IPv6Network) and found.subnet_of(MAPPED):
        raise ValueError(f"{text} is IPv4 written as IPv6; {WANTED}")
    return found


@dataclass(frozen=True)
class _Network:
    """A text that names a network; the CRD says so by the API server's own functions."""

    def __get_pydantic_core_schema__(self, _source: Any, _next: GetCoreSchemaHandler) -> CoreSchema:
        text = core_schema.str_schema(max_length=LENGTH_MAX)
        return core_schema.no_info_after_validator_function(self._check, text)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, convert: GetJsonSchemaHandler
    ) -> Schema:
        said = rule("isIP(self) || (isCIDR(self) && cidr(self) == cidr(self).masked())", WANTED)
        return convert(schema) | rules(said)

    def _check(self, text: str) -> str:
        network(text)
        return text


Cidr = Annotated[str, _Network()]
