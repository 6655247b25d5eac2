"""What running pods take over without a restart, and the name of one state of it."""

from breakwater_contract.names import KEYS_DIRECTORY
from breakwater_contract.settings import LiveSettings, live_hash
from breakwater_operator.render.intent import Intent
from breakwater_operator.render.settings import written


def live_settings(intent: Intent) -> bytes:
    """Write the live settings file, the content of `v1.json` in the ConfigMap `<name>-live`."""
    settings = LiveSettings(
        keys_directory=KEYS_DIRECTORY,
        operator_keys=intent.operator_keys,
        # A request may come to any replica, and only one knows a session.
        sessions="Auto" if intent.server.spec.replicas <= 1 else "Never",
    )
    return written(settings).encode()


def wanted(intent: Intent) -> str:
    """Name the state of settings and keys that every pod should report as loaded."""
    return live_hash(intent.keys.hash_key, live_settings(intent), intent.keys.principals)
