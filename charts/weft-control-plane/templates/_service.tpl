{{/* One Service of the control plane. Arguments: root, name, component, port, targetPort, portName; headless; annotations. */}}
{{- define "weft.service" -}}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "weft.labels" . | nindent 4 }}
  annotations:
    linkerd.io/created-by: {{ include "weft.created-by" .root }}
    {{- with .annotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  {{- if .headless }}
  clusterIP: None
  {{- else }}
  type: ClusterIP
  {{- end }}
  selector:
    linkerd.io/control-plane-component: {{ .component }}
  ports:
    - name: {{ .portName }}
      port: {{ .port }}
      targetPort: {{ .targetPort }}
{{- end -}}
