{{/* What the operator does in the namespaces of McpServers; no more, and no wildcard. The unit tests
     compare it with the requests that its code makes. */}}
{{- define "breakwater.rules" -}}
# The servers themselves. Their spec is the users'; only the status is written.
- apiGroups: [breakwater.dev]
  resources: [mcpservers]
  verbs: [get, list, watch]
- apiGroups: [breakwater.dev]
  resources: [mcpservers/status]
  verbs: [patch]
# Where OwnerReferencesPermissionEnforcement is on, an ownerReference with blockOwnerDeletion needs it.
- apiGroups: [breakwater.dev]
  resources: [mcpservers/finalizers]
  verbs: [update]
# Children: server-side apply (create and patch), repair, pruning. Kubernetes cannot narrow a right
# to a label; the operator itself writes only objects that it owns or that nobody does.
- apiGroups: [""]
  resources: [configmaps, secrets, serviceaccounts, services]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [controllerrevisions, deployments]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [ingresses, networkpolicies]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, list, watch, create, patch, delete]
# Children of kinds that only some clusters know.
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes, referencegrants]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [cert-manager.io]
  resources: [certificates]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [monitoring.coreos.com]
  resources: [podmonitors, servicemonitors]
  verbs: [get, list, watch, create, patch, delete]
# The annotation that hurries a live change along is patched.
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch, patch]
# A claim's access mode decides how a Deployment is updated.
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [get, list, watch]
# Whether the Service leads to any pod.
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list, watch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end -}}
