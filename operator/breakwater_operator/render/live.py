"""What running pods take over without a restart, and the name of one state of it."""

from breakwater_operator.render.intent import Intent


def live_settings(intent: Intent) -> bytes:
    """Write the live settings file, the content of `v1.json` in the ConfigMap `<name>-live`."""
    raise NotImplementedError


def wanted(intent: Intent) -> str:
    """Name the state of settings and keys that every pod should report as loaded."""
    raise NotImplementedError
