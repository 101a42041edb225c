{{/* The head of one PodMonitor. Arguments: root, name, settings. */}}
{{- define "weft.pod-monitor" }}
apiVersion: monitoring.coreos.com/v1
kind: PodMonitor
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "weft.labels" (dict "root" .root "component" "") | nindent 4 }}
    {{- with .root.Values.podMonitor.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    linkerd.io/created-by: {{ include "weft.created-by" .root }}
{{- end }}

{{/* Keeps the port's name beside the component's. */}}
{{- define "weft.pod-monitor.port" -}}
- sourceLabels: [__meta_kubernetes_pod_container_port_name]
  action: replace
  targetLabel: port
{{- end -}}
