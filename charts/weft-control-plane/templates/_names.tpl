{{/* Names, labels and small values that many templates share. */}}

{{/* Annotation value linkerd.io/created-by. Argument: the top context. */}}
{{- define "weft.created-by" -}}
{{- .Values.cliVersion | default (printf "%s/%s" .Chart.Name .Chart.Version) -}}
{{- end -}}

{{/* Trust domain of the identities. Argument: the top context. */}}
{{- define "weft.trust-domain" -}}
{{- .Values.identityTrustDomain | default .Values.clusterDomain -}}
{{- end -}}

{{/* Image of the control plane's processes. Argument: the top context. */}}
{{- define "weft.controller-image" -}}
{{- printf "%s:%s" .Values.controllerImage (.Values.controllerImageVersion | default .Values.linkerdVersion) -}}
{{- end -}}

{{/* Labels that every object has. Arguments: root, component (may be ''). */}}
{{- define "weft.labels" -}}
{{- if .component -}}
linkerd.io/control-plane-component: {{ .component }}
{{ end -}}
linkerd.io/control-plane-ns: {{ .root.Release.Namespace }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Labels of Deployments and the CronJob. Arguments: root, component. */}}
{{- define "weft.workload-labels" -}}
app.kubernetes.io/name: {{ .component }}
app.kubernetes.io/part-of: Linkerd
app.kubernetes.io/version: {{ .root.Values.linkerdVersion | quote }}
{{ include "weft.labels" . }}
{{- end -}}

{{/* The labels that a Deployment selects its pods by: immutable in Kubernetes. Arguments: root, component. */}}
{{- define "weft.selector-labels" -}}
linkerd.io/control-plane-component: {{ .component }}
linkerd.io/control-plane-ns: {{ .root.Release.Namespace }}
linkerd.io/proxy-deployment: linkerd-{{ .component }}
{{- end -}}

{{/* Labels of a Deployment's pods. Arguments: root, component. */}}
{{- define "weft.pod-labels" -}}
{{ include "weft.selector-labels" . }}
linkerd.io/workload-ns: {{ .root.Release.Namespace }}
{{- with merge (dict) .root.Values.podLabels .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/*
Annotations of a Deployment's pods. The checksum replaces pods whose configuration has changed; the anchors' digest those whose proxy
took other anchors from its environment. Arguments: root, defaultInboundPolicy ('' for none), more (annotations of this component).
*/}}
{{- define "weft.pod-annotations" -}}
linkerd.io/created-by: {{ include "weft.created-by" .root }}
linkerd.io/proxy-version: {{ .root.Values.proxy.image.version | default .root.Values.linkerdVersion | quote }}
linkerd.io/trust-root-sha256: {{ .root.Values.identityTrustAnchorsPEM | trim | sha256sum }}
cluster-autoscaler.kubernetes.io/safe-to-evict: "true"
{{- with .defaultInboundPolicy }}
config.linkerd.io/default-inbound-policy: {{ . | quote }}
{{- end }}
{{- with merge (dict) .more .root.Values.podAnnotations }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* `resources:` of a container, or nothing. Argument: {cpu, memory, ephemeral-storage} with request and limit each. */}}
{{- define "weft.resources" -}}
{{- $limits := dict -}}
{{- $requests := dict -}}
{{- range $name := list "cpu" "memory" "ephemeral-storage" -}}
{{- with get ($ | default dict) $name -}}
{{- with get . "limit" | default "" | toString -}}{{- $_ := set $limits $name . -}}{{- end -}}
{{- with get . "request" | default "" | toString -}}{{- $_ := set $requests $name . -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- if or $limits $requests -}}
resources:
{{- with $limits }}
  limits: {{- toYaml . | nindent 4 }}
{{- end }}
{{- with $requests }}
  requests: {{- toYaml . | nindent 4 }}
{{- end }}
{{- end -}}
{{- end -}}

{{/* Security context of the control plane's own containers. Argument: the top context. */}}
{{- define "weft.security-context" -}}
securityContext:
  allowPrivilegeEscalation: false
  capabilities:
    drop: [ALL]
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  runAsUser: {{ .Values.controllerUID | int64 }}
  {{- if ge (int64 .Values.controllerGID) 0 }}
  runAsGroup: {{ .Values.controllerGID | int64 }}
  {{- end }}
  seccompProfile:
    type: RuntimeDefault
{{- end -}}

{{/* Probes of a control-plane container. Arguments: port (name), live (path), livenessProbe, readinessProbe (timing). */}}
{{- define "weft.probes" -}}
livenessProbe:
  httpGet:
    path: {{ .live }}
    port: {{ .port }}
  {{- merge (dict) (.livenessProbe | default dict) (dict "initialDelaySeconds" (int 10)) | toYaml | nindent 2 }}
readinessProbe:
  httpGet:
    path: /ready
    port: {{ .port }}
  {{- merge (dict) (.readinessProbe | default dict) (dict "failureThreshold" (int 7)) | toYaml | nindent 2 }}
{{- end -}}

{{/* The API server's token, CA and namespace at the standard place: a volume of our own, as the automatic one is off. */}}
{{- define "weft.api-access-volume" -}}
- name: kube-api-access
  projected:
    defaultMode: 420
    sources:
      - serviceAccountToken:
          expirationSeconds: 3607
          path: token
      - configMap:
          name: kube-root-ca.crt
          items:
            - key: ca.crt
              path: ca.crt
      - downwardAPI:
          items:
            - path: namespace
              fieldRef:
                apiVersion: v1
                fieldPath: metadata.namespace
{{- end -}}

{{- define "weft.api-access-mount" -}}
- name: kube-api-access
  mountPath: /var/run/secrets/kubernetes.io/serviceaccount
  readOnly: true
{{- end -}}

{{/* Where a Deployment's pods go. Arguments: root, component. */}}
{{- define "weft.scheduling" -}}
{{- with .root.Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- if or .root.Values.nodeAffinity .root.Values.enablePodAntiAffinity }}
affinity:
  {{- with .root.Values.nodeAffinity }}
  nodeAffinity: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if .root.Values.enablePodAntiAffinity }}
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          labelSelector:
            matchExpressions:
              - key: linkerd.io/control-plane-component
                operator: In
                values: [{{ .component }}]
          topologyKey: topology.kubernetes.io/zone
    requiredDuringSchedulingIgnoredDuringExecution:
      - labelSelector:
          matchExpressions:
            - key: linkerd.io/control-plane-component
              operator: In
              values: [{{ .component }}]
        topologyKey: kubernetes.io/hostname
  {{- end }}
{{- end }}
{{- with .root.Values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .root.Values.runtimeClassName }}
runtimeClassName: {{ . | quote }}
{{- end }}
{{- end -}}

{{/* Pull secrets of a ServiceAccount. Argument: the top context. */}}
{{- define "weft.pull-secrets" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Where a control-plane server listens: every address, of IPv4 or of both families. Argument: the top context. */}}
{{- define "weft.any-address" -}}
{{- if .Values.disableIPv6 -}}0.0.0.0{{- else -}}[::]{{- end -}}
{{- end -}}

{{/* One PodDisruptionBudget, or nothing. Arguments: root, component. */}}
{{- define "weft.disruption-budget" -}}
{{- if .root.Values.enablePodDisruptionBudget -}}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: linkerd-{{ .component }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "weft.labels" . | nindent 4 }}
  annotations:
    linkerd.io/created-by: {{ include "weft.created-by" .root }}
spec:
  {{- toYaml .root.Values.controller.podDisruptionBudget | nindent 2 }}
  selector:
    matchLabels:
      linkerd.io/control-plane-component: {{ .component }}
{{- end -}}
{{- end -}}
