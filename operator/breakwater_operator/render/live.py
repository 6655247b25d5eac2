"""What running pods take over without a restart, and the name of one state of it."""

import base64

from breakwater_contract.access import Access, ServiceAccounts
from breakwater_contract.gateway import BackendTools
from breakwater_contract.monitoring import Otlp
from breakwater_contract.names import HASH_KEY_FILE, KEYS_DIRECTORY, MCP_PATH
from breakwater_contract.settings import BACKENDS_MAX, LiveSettings, live_files, live_hash
from breakwater_operator.api.errors import Fault, SpecError
from breakwater_operator.api.tools import Tools
from breakwater_operator.render import rate_store, ring
from breakwater_operator.render.intent import Intent, Issuer
from breakwater_operator.render.manifest import Live
from breakwater_operator.render.secrets import principals
from breakwater_operator.render.settings import written
from breakwater_operator.render.volumes import INTERNAL_VOLUME, LIVE_KEY

SAME_ISSUER = (
    "this is the issuer of the cluster's own service accounts; remove jwt and write "
    "serviceAccounts: {audience: ...}"
)


def live_settings(intent: Intent) -> bytes:
    """Write the live settings file, the content of `v1.json` in the ConfigMap `<name>-live`.

    Raises:
        SpecError: The manifest asks of access what it cannot mean in this cluster.
    """
    collector, rates = intent.platform.monitoring.otlp, intent.platform.shared_rates
    settings = LiveSettings(
        keys_directory=KEYS_DIRECTORY,
        access=_access(intent),
        operator_keys=intent.operator_keys,
        endpoints=intent.server.spec.endpoints,
        limits=intent.server.spec.limits.for_runtime(),
        sessions="Auto" if _finds_sessions(intent) else "Never",
        monitoring=intent.server.spec.monitoring.for_runtime(),
        tools=_tools(intent),
        otlp=Otlp(**dict(collector)) if collector is not None else None,
        shared_rates=rate_store.settings(rates, intent.rate_store) if rates is not None else None,
    )
    return written(settings).encode()


def wanted(intent: Intent, settings: bytes | None = None) -> str:
    """Name the state of settings and keys that every pod should report as loaded.

    Args:
        intent: The server.
        settings: Its live settings, where `live_settings` has written them already.
    """
    settings = live_settings(intent) if settings is None else settings
    is_shared = _shares(intent.revision.template)
    files = live_files(intent.keys.principals, intent.ring.files() if is_shared else {})
    return live_hash(intent.keys.hash_key, settings, files)


def held(config_map: Live, copy: Live, internal: Live | None, template: Live) -> str | None:
    """Name the state that the objects are in which pods read, whoever made them so.

    Args:
        config_map: The ConfigMap `<name>-live`.
        copy: The Secret `<name>-live`.
        internal: The Secret that the pods share; None where there is none.
        template: What the Deployment makes pods of.

    Returns:
        What every pod should report as loaded; None where that cannot be said.
    """
    found, settings = ring.read(internal), (config_map.get("data") or {}).get(LIVE_KEY)
    hash_key = (copy.get("data") or {}).get(HASH_KEY_FILE)
    if settings is None or hash_key is None or (found is None and _shares(template)):
        return None
    files = found.files() if found is not None and _shares(template) else {}
    return live_hash(
        base64.b64decode(hash_key), settings.encode(), live_files(principals(copy), files)
    )


def _tools(intent: Intent) -> tuple[BackendTools, ...]:
    """Say what is shown of each backend's tools, those that only older pods have among them.

    A runtime takes so many entries. More there are only after several rollouts that got stuck.
    """
    own = [
        backend.tools.for_runtime(backend.name)
        for backend in intent.server.spec.backends
        if backend.tools != Tools()
    ]
    return (*own, *intent.carried)[:BACKENDS_MAX]


def _finds_sessions(intent: Intent) -> bool:
    """Whether a request finds its session whichever pod it comes to."""
    server = intent.server
    return _shares(intent.revision.template) or (
        server.wanted_replicas <= 1 and not server.is_autoscaled
    )


def _shares(template: Live) -> bool:
    """Whether the pods share what each needs to find the others' sessions.

    Those of a revision that an older operator rendered do not.
    """
    volumes = template["spec"].get("volumes") or ()
    return any(volume["name"] == INTERNAL_VOLUME for volume in volumes)


def issuer(config_map: Live | None) -> Issuer | None:
    """Read back from the ConfigMap `<name>-live` which issuer was written to it; None: none."""
    try:
        settings = LiveSettings.model_validate_json((config_map or {})["data"][LIVE_KEY])
    except (LookupError, TypeError, ValueError):
        return None
    accounts = settings.access.service_accounts
    if accounts is None or accounts.jwks is None:
        return None
    return Issuer(accounts.issuer, accounts.jwks)


def _access(intent: Intent) -> Access:
    access, cluster = intent.server.spec.access, intent.issuer
    expose = intent.server.spec.expose
    if expose is not None and access.public_url is None:
        access = access.model_copy(update={"public_url": f"https://{expose.host}{MCP_PATH}"})
    if access.service_accounts is None or cluster is None:
        return access.for_runtime(None)
    if access.jwt and access.jwt.issuer == cluster.url:
        raise SpecError([Fault("spec.access.jwt.issuer", f"{cluster.url}: {SAME_ISSUER}")])
    audience = access.service_accounts.audience
    return access.for_runtime(
        ServiceAccounts(audience=audience, issuer=cluster.url, jwks=cluster.jwks)
    )
