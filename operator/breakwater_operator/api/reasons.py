"""Why a condition has its status: part of the API, where messages may change."""

from breakwater_operator.api.explained import Explained


class Reason(Explained):
    """One reason of a condition; `meaning` is its line in the reference."""

    SPEC_ACCEPTED = ("SpecAccepted", "The manifest is valid and acted upon.")
    SPEC_INVALID = (
        "SpecInvalid",
        (
            "The manifest asks for something impossible. The message lists every fault and what to "
            "write instead. What ran before keeps running."
        ),
    )
    NOT_ALLOWED = (
        "NotAllowed",
        (
            "The manifest names something that the platform's owner does not allow: a registry, a "
            "host, a network. What ran before keeps running."
        ),
    )

    AVAILABLE = ("Available", "As many pods are ready as the manifest asks for.")
    PODS_NOT_READY = (
        "PodsNotReady",
        "Fewer pods are ready than the manifest asks for; the message counts them.",
    )
    SCALED_TO_ZERO = ("ScaledToZero", "`spec.replicas` is 0, so no pods are wanted.")
    SUSPENDED = ("Suspended", "`spec.suspend` is true, so no pods are wanted.")

    VERIFIED = ("Verified", "The operator spoke MCP with the server and listed its tools.")
    HANDSHAKE_FAILED = (
        "HandshakeFailed",
        "The server was reached, but did not answer as an MCP server should; the message says how.",
    )
    NO_ENDPOINTS = (
        "NoEndpoints",
        "Pods are ready, but the Service does not lead to any of them, or not yet.",
    )
    NOT_REACHED = (
        "NotReached",
        (
            "The operator could not reach any pod, or has not asked yet. `Ready` then rests on "
            "`Available`."
        ),
    )

    ROLLING_OUT = ("RollingOut", "Pods of the current revision replace older ones.")
    LIVE_CHANGE_PENDING = (
        "LiveChangePending",
        "Changed keys or settings have been written; not all pods have taken them over yet.",
    )
    DRAINING = (
        "Draining",
        (
            "More pods that were told to stop still serve their sessions than pods are wanted, as "
            "after several rollouts within `limits.sessions.drain`; each takes room on a node."
        ),
    )
    UPGRADE_PENDING = (
        "UpgradePending",
        (
            "`spec.upgradePolicy` is `InWaves`, and the pods are as an older operator or platform "
            "made them. A few servers are upgraded at a time; none more while one of them does not "
            "get ready."
        ),
    )
    PAUSED = (
        "Paused",
        (
            "The annotation `breakwater.dev/paused-until` says until when nothing of the server is "
            "written; what it should be by then is put right at that time."
        ),
    )
    DELETING = (
        "Deleting",
        (
            "The McpServer was deleted, and a finalizer that is not Kubernetes' own still holds "
            "it, or one of the children that a foreground deletion waits for, for ten seconds; the "
            "message names it. Its children are no longer kept right."
        ),
    )
    WAITING = (
        "Waiting",
        (
            "Something that the manifest names is missing, or what an earlier one of its name "
            "left is not deleted yet; the message says what."
        ),
    )
    COMPLETE = ("Complete", "Everything is as the manifest says; nothing is under way.")
    DEADLINE_EXCEEDED = (
        "DeadlineExceeded",
        "The rollout has made no progress for ten minutes; `Degraded` says what its pods say.",
    )

    AS_EXPECTED = ("AsExpected", "Nothing is known to be wrong.")
    IMAGE_PULL_FAILED = ("ImagePullFailed", "An image cannot be pulled.")
    CONTAINER_CRASHING = (
        "ContainerCrashing",
        "A container ends again and again; the message ends with its last words.",
    )
    CONTAINER_CONFIG_FAILED = (
        "ContainerConfigFailed",
        (
            "A container cannot be made, as when a Secret or ConfigMap it takes variables from is "
            "missing."
        ),
    )
    UNSCHEDULABLE = ("Unschedulable", "No node takes the pod; the scheduler's message says why.")
    PODS_REFUSED = (
        "PodsRefused",
        (
            "The cluster refuses to make pods, as a quota or an admission policy does. They are "
            "asked for again after half a minute, and then every two minutes at the latest."
        ),
    )
    SETTINGS_REFUSED = (
        "SettingsRefused",
        "A pod refused changed keys or settings and goes on with the last good ones.",
    )
    SHARED_RATES_AWAY = (
        "SharedRatesAway",
        (
            "The Redis or Valkey of the platform's `sharedRates` does not answer a pod as it "
            "should; until it does, `whenAway` says how rates are counted."
        ),
    )
    BACKEND_FAILED = ("BackendFailed", "A backend of a running pod does not work.")
    BACKEND_EXPOSED = (
        "BackendExposed",
        (
            "A port of a pod can be reached from other pods, past the runtime; the message says "
            "which one, and how servers are usually told to listen on 127.0.0.1. The pod does not "
            "get ready."
        ),
    )
    BACKEND_UNREACHABLE = (
        "BackendUnreachable",
        "Nobody listens where a backend of a running pod is to be asked.",
    )
    BACKEND_CRASHING = (
        "BackendCrashing",
        "A backend of a running pod ends again and again, or cannot be started.",
    )
    BACKEND_HANDSHAKE_FAILED = (
        "BackendHandshakeFailed",
        "A backend of a running pod runs and does not speak MCP; the message says what it answers.",
    )
    BACKEND_TOOLS_MISSING = (
        "BackendToolsMissing",
        "A backend lacks tools that `tools.expected` or `tools.overrides` names.",
    )
    BACKEND_TOOLS_CLASH = (
        "BackendToolsClash",
        (
            "Two backends have tools of one name, or one has a name of the gateway's own; those of "
            "the later one are hidden. Give it another `tools.prefix`, or rename them."
        ),
    )
    APPLY_FAILED = (
        "ApplyFailed",
        (
            "The cluster refused or failed to take a child object, or to show what it is made "
            "from; that is tried again, so a change is under way."
        ),
    )
    NAME_TAKEN = (
        "NameTaken",
        "An object that is not ours has the name of a child; it is left alone.",
    )
    OPERATOR_CONTESTED = (
        "OperatorContested",
        (
            "Another operator looks after the McpServer too, and each undoes what the other one "
            "writes; it is looked at every 30 seconds only until one of them stops."
        ),
    )
    REPLICAS_CONTESTED = (
        "ReplicasContested",
        (
            "A HorizontalPodAutoscaler that is not ours scales the server's Deployment, and "
            "decides instead of `spec.replicas`; let it name the McpServer, or write "
            "`spec.autoscaling`."
        ),
    )
    AUTOSCALER_FAILED = (
        "AutoscalerFailed",
        (
            "The HorizontalPodAutoscaler of `spec.autoscaling` has not been able to scale the pods "
            "for five minutes, as without metrics-server; the message quotes it."
        ),
    )
    ROUTE_REFUSED = (
        "RouteRefused",
        (
            "The Gateway does not take the server's HTTPRoute, so nobody outside the cluster "
            "reaches the server; the message quotes the Gateway. Or no Gateway has said a word of "
            "it for five minutes, as where there is none of that name."
        ),
    )
    HOST_TAKEN = (
        "HostTaken",
        (
            "Another McpServer exposes the same host through the same Gateway or Ingress class; "
            "its route is older, so it gets the requests."
        ),
    )

    KEY_SECRET_MISSING = (
        "KeySecretMissing",
        (
            "The Secret of `spec.access.keys.secretName` does not exist. Keys already taken over "
            "from it stay valid, and so does the generated key that it is to replace; without any, "
            "no pod gets ready and nobody is let in."
        ),
    )
    KEY_SECRET_EMPTY = (
        "KeySecretEmpty",
        "The Secret with the keys has none, so no pod gets ready and nobody is let in.",
    )
    ISSUER_UNKNOWN = (
        "IssuerUnknown",
        (
            "The API server did not say who signs the tokens of this cluster's service accounts, "
            "so `spec.access.serviceAccounts` lets nobody in."
        ),
    )
    CERTIFICATE_MISSING = (
        "CertificateMissing",
        (
            "The Secret with the certificate of `spec.expose` does not exist or holds none, or "
            "cert-manager has not made it for ten minutes; a certificate taken over before stays "
            "in use."
        ),
    )
    CERTIFICATE_WRONG = (
        "CertificateWrong",
        (
            "The certificate of `spec.expose` cannot be used: it does not fit its key, is not for "
            "the host, is not valid yet, or has ended."
        ),
    )
    RATES_SECRET_MISSING = (
        "RatesSecretMissing",
        (
            "The Secret of the platform's `sharedRates` does not exist in the server's namespace "
            "or has no `password`. What was taken over before stays in use; without any, rates "
            "are counted as `whenAway` says."
        ),
    )
    KIND_MISSING = (
        "KindMissing",
        (
            "The manifest needs a kind of object that this cluster does not know, such as an "
            "HTTPRoute without the Gateway API; it is made once the kind is there."
        ),
    )
    SOURCE_MISSING = (
        "SourceMissing",
        (
            "A Secret or ConfigMap that a backend takes variables or files from does not exist, or "
            "lacks the entry; pods that run go on, and none starts until it is there."
        ),
    )
    CLAIM_MISSING = (
        "ClaimMissing",
        (
            "A PersistentVolumeClaim that `spec.pod.volumes` names does not exist, or is being "
            "deleted; pods that run stay as they are until it does."
        ),
    )
    READY = ("Ready", "Clients are served as the manifest says.")
