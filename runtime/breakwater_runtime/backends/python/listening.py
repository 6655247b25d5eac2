"""Listening to what changes in a Python server: the SDK's bus, without a task for each listener."""

from mcp.server.mcpserver import MCPServer
from mcp.server.subscriptions import ListenHandler, ServerEvent
from mcp.shared.subscriptions import (
    SUBSCRIPTION_ID_META_KEY,
    event_matches,
    event_to_notification,
)
from mcp_types import (
    SubscriptionFilter,
    SubscriptionsListenRequestParams,
    SubscriptionsListenResult,
)
from mcp_types import methods as wire
from pydantic import ValidationError

from breakwater_runtime.backends.backend import Deliver, Subscription
from breakwater_runtime.backends.encoding import dumps
from breakwater_runtime.backends.python.results import Results
from breakwater_runtime.calls import Call

LISTEN = "subscriptions/listen"
ACKNOWLEDGED = "notifications/subscriptions/acknowledged"


class Listening:
    """Opens subscriptions to one MCPServer's bus."""

    def __init__(self, mcp: MCPServer) -> None:
        """Listen to the bus of `mcp`."""
        self._mcp = mcp
        self._results = Results(mcp._lowlevel_server)

    def open(self, call: Call, deliver: Deliver) -> Subscription | None:
        """Have `deliver` called with what a client wants to hear.

        Returns:
            None: the server answers the method in its own way, or the parameters are not right.
        """
        params, bus = call.params or {}, self._mcp._subscriptions
        entry = self._mcp._lowlevel_server.get_request_handler(LISTEN)
        if (
            entry is None
            or type(entry.handler) is not ListenHandler
            or entry.handler._bus is not bus
        ):
            return None
        try:
            wire.validate_client_request(LISTEN, call.version, params)
            wanted = SubscriptionsListenRequestParams.model_validate(params, by_name=False)
        except ValidationError:
            return None
        honored = _honored(wanted.notifications)
        uris = frozenset(honored.resource_subscriptions or ())
        meta = {SUBSCRIPTION_ID_META_KEY: call.id}

        def listener(event: ServerEvent) -> None:
            if event_matches(honored, uris, event):
                notification = event_to_notification(event, meta)
                content = notification.model_dump(by_alias=True, mode="json", exclude_none=True)
                deliver(content["method"], content.get("params"))

        heard = honored.model_dump(by_alias=True, mode="json", exclude_none=True)
        deliver(ACKNOWLEDGED, {"notifications": heard, "_meta": meta})
        result = SubscriptionsListenResult(_meta=meta)
        content = self._results.shape(LISTEN, result, call.version)
        return Subscription(dumps(content), bus.subscribe(listener))


def _honored(wanted: SubscriptionFilter) -> SubscriptionFilter:
    """Leave out what was not asked for, as the SDK does."""
    return SubscriptionFilter(
        tools_list_changed=wanted.tools_list_changed or None,
        prompts_list_changed=wanted.prompts_list_changed or None,
        resources_list_changed=wanted.resources_list_changed or None,
        resource_subscriptions=list(wanted.resource_subscriptions or ()) or None,
    )
