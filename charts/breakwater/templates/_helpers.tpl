{{/* What the names of all objects begin with. 40 characters leave room for the longest ending. */}}
{{- define "breakwater.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Name of the operator's own objects, which lie in the release's namespace. */}}
{{- define "breakwater.operator" -}}
{{- printf "%s-operator" (include "breakwater.fullname" .) -}}
{{- end -}}

{{/* Name of its roles outside the release's namespace: two releases of one name, in different
     namespaces, must not overwrite each other's. */}}
{{- define "breakwater.operatorElsewhere" -}}
{{- printf "%s-%s" .Release.Namespace (include "breakwater.operator" .) -}}
{{- end -}}

{{- define "breakwater.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "breakwater.labels" -}}
{{ include "breakwater.selectorLabels" . }}
app.kubernetes.io/part-of: breakwater
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "breakwater.registry" -}}
{{- $registry := .Values.image.registry -}}
{{- if not $registry -}}
{{- fail "\n\nimage.registry is not set: Breakwater's images are in no public registry. Push them to yours\n(`make push REGISTRY=registry.example/team`), then add\n\n    --set image.registry=registry.example/team\n" -}}
{{- else if contains "://" $registry -}}
{{- fail (printf "\n\nimage.registry: %q has a scheme; write host[:port][/path], as in\n\n    --set image.registry=%s\n" $registry (last (splitList "://" $registry))) -}}
{{- else if not (regexMatch `^[a-z0-9]([-.a-z0-9]*[a-z0-9])?(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*/?$` $registry) -}}
{{- fail (printf "\n\nimage.registry: %q is not host[:port][/path] in lower case, as in registry.example/team\n" $registry) -}}
{{- end -}}
{{- trimSuffix "/" $registry -}}
{{- end -}}

{{/* Reference of one image. Call with (list $ .Values.operator) or (list $ .Values.runtime). */}}
{{- define "breakwater.image" -}}
{{- $ := index . 0 -}}
{{- $image := index . 1 -}}
{{- $tag := $image.tag | default $.Values.image.tag | default $.Chart.AppVersion -}}
{{- printf "%s/%s:%s" (include "breakwater.registry" $) $image.repository $tag -}}
{{- end -}}

{{/* The names of the pull secrets as a list; Kubernetes wants objects, the operator names. */}}
{{- define "breakwater.pullSecrets" -}}
{{- $names := list -}}
{{- range .Values.imagePullSecrets -}}
{{- $names = append $names .name -}}
{{- end -}}
{{- toJson $names -}}
{{- end -}}
