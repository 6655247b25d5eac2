"""Where the API server is and who we are to it."""

from pathlib import Path

from kubernetes.aio import config
from kubernetes.aio.client import Configuration

from breakwater_operator.kube.errors import ApiError


async def connection(kubeconfig: Path | None) -> Configuration:
    """Read address and credentials, from a file outside a cluster and from the pod inside one.

    Args:
        kubeconfig: The file; None means that we run in a pod.

    Raises:
        ApiError: There is no such file, it makes no sense, or this is no pod.
    """
    found = Configuration()
    try:
        # The client's annotations cover its models only.
        if kubeconfig is None:
            config.load_incluster_config(  # type: ignore[no-untyped-call]  # kubernetes has no types
                client_configuration=found
            )
        else:
            await config.load_kube_config(  # type: ignore[no-untyped-call]  # kubernetes has no types
                config_file=str(kubeconfig), client_configuration=found, persist_config=False
            )
    except (config.ConfigException, OSError) as error:
        where = kubeconfig or "the pod's service account"
        raise ApiError(
            f"no credentials for the API server from {where}: {error}; "
            "run in a pod with a service account, or name a kubeconfig with --kubeconfig"
        ) from error
    found.connection_pool_maxsize = CONNECTIONS_MAX
    return found


CONNECTIONS_MAX = 100
"""More than all watches and all passes that run at once, so that no write waits for a watch."""
