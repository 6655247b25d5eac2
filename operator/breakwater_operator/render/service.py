"""The Service: where clients find the server."""

from breakwater_contract.names import PUBLIC_PORT, PUBLIC_PORT_NAME
from breakwater_operator.api import names
from breakwater_operator.render.intent import Intent
from breakwater_operator.render.manifest import Manifest
from breakwater_operator.render.metadata import metadata


def service(intent: Intent) -> Manifest:
    """Render the Service; it leads to the pods of the stable slot."""
    name = intent.server.name
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(intent.server, name),
        "spec": {
            "type": "ClusterIP",
            "selector": names.slot_labels(name, intent.slot),
            "sessionAffinity": "None",
            # Local would drop the callers on nodes without a pod.
            "internalTrafficPolicy": "Cluster",
            "ports": [
                {
                    "name": PUBLIC_PORT_NAME,
                    "port": PUBLIC_PORT,
                    "targetPort": PUBLIC_PORT_NAME,
                    "protocol": "TCP",
                    "appProtocol": "http" if intent.server.tls is None else "https",
                }
            ],
        },
    }
