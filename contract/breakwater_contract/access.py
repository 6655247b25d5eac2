"""Who may use a server, from where, and what: the settings under `access`."""

from typing import Annotated

from pydantic import Field, StringConstraints

from breakwater_contract.model import Model

HOST = r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?|\[[0-9a-f:.]+\])"

Origin = Annotated[
    str, StringConstraints(pattern=rf"^https?://{HOST}(:[0-9]{{1,5}})?$", max_length=300)
]
HostName = Annotated[str, StringConstraints(pattern=rf"^{HOST}(:[0-9]{{1,5}})?$", max_length=300)]


class Access(Model):
    """Who may use the server, from where, and what."""

    origins: Annotated[tuple[Origin, ...], Field(max_length=64)] = ()
    """Web origins whose pages may call, each exactly as browsers send it, such as
    `https://chat.example`: lower case, no path, no default port. Requests of other pages are
    refused; callers that are no browsers send no origin and are not concerned."""
    hosts: Annotated[tuple[HostName, ...], Field(max_length=64)] = ()
    """Host names that requests may be for, in lower case; a name without a port is good for every
    port. Empty: any."""
