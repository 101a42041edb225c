{{/*
One CustomResourceDefinition from files/, with the labels and annotations of this release. The argument: root (the top context), name (of
the file), keep (whether `helm uninstall` leaves it).
*/}}
{{- define "weft-crds.crd" -}}
{{- $crd := .root.Files.Get (printf "files/%s.yaml" .name) | fromYaml -}}
{{- $metadata := get $crd "metadata" -}}
{{- $annotations := dict "linkerd.io/created-by" (.root.Values.cliVersion | default (printf "%s/%s" .root.Chart.Name .root.Chart.Version)) -}}
{{- if .keep -}}
{{- $_ := set $annotations "helm.sh/resource-policy" "keep" -}}
{{- end -}}
{{- $labels := dict
      "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_")
      "linkerd.io/control-plane-ns" .root.Release.Namespace -}}
{{- $_ := set $metadata "annotations" (merge $annotations (get $metadata "annotations" | default dict)) -}}
{{- $_ := set $metadata "labels" (merge $labels (get $metadata "labels" | default dict)) -}}
---
{{ toYaml $crd }}
{{ end -}}

{{/* 'true' or '' for one of the Gateway API switches: its own value, or installGatewayAPI where it is unset. */}}
{{- define "weft-crds.gateway" -}}
{{- if eq (toString .own) "" -}}
{{- if .root.Values.installGatewayAPI -}}true{{- end -}}
{{- else if eq (toString .own) "true" -}}true
{{- end -}}
{{- end -}}
