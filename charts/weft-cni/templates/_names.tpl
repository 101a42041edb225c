{{/* Annotation value linkerd.io/created-by. Argument: the top context. */}}
{{- define "weft-cni.created-by" -}}
{{- .Values.cliVersion | default (printf "%s/%s" .Chart.Name .Chart.Version) -}}
{{- end -}}

{{/* Labels that every object has: `kubectl apply --prune -l linkerd.io/cni-resource=true` finds them. Argument: the top context. */}}
{{- define "weft-cni.labels" -}}
linkerd.io/cni-resource: "true"
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* `resources:` of a container, or nothing. Argument: {cpu, memory, ephemeral-storage} with request and limit each. */}}
{{- define "weft-cni.resources" -}}
{{- $limits := dict -}}
{{- $requests := dict -}}
{{- range $name := list "cpu" "memory" "ephemeral-storage" -}}
{{- with get $ $name -}}
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

{{/* The parts of a comma-separated list that are not empty, as JSON. Argument: the list as text. */}}
{{- define "weft-cni.parts" -}}
{{- $parts := list -}}
{{- range splitList "," . -}}
{{- $part := trim . -}}
{{- if $part -}}{{- $parts = concat $parts (list $part) -}}{{- end -}}
{{- end -}}
{{- toJson $parts -}}
{{- end -}}

{{/* The plugin's entry of a conflist (the installer puts in the path of its kubeconfig). Argument: the top context. */}}
{{- define "weft-cni.network-config" -}}
{{- $values := .Values -}}
{
  "name": "linkerd-cni",
  "type": "linkerd-cni",
  "log_level": {{ $values.logLevel | quote }},
  "kubernetes": {
    "kubeconfig": "__KUBECONFIG_FILEPATH__"
  },
  "linkerd": {
    "incoming-proxy-port": {{ int $values.inboundProxyPort }},
    "outgoing-proxy-port": {{ int $values.outboundProxyPort }},
    "proxy-uid": {{ int64 $values.proxyUID }},
    "proxy-gid": {{ int64 $values.proxyGID }},
    "ports-to-redirect": [{{ $values.portsToRedirect }}],
    "inbound-ports-to-ignore": {{ include "weft-cni.parts" (printf "%d,%d,%s" (int $values.proxyControlPort) (int $values.proxyAdminPort) (toString $values.ignoreInboundPorts)) }},
    "outbound-ports-to-ignore": {{ include "weft-cni.parts" (toString $values.ignoreOutboundPorts) }},
    "subnets-to-ignore": {{ include "weft-cni.parts" $values.skipSubnets }},
    "simulate": false,
    "use-wait-flag": {{ $values.useWaitFlag }},
    "iptables-mode": {{ $values.iptablesMode | quote }},
    "ipv6": {{ not $values.disableIPv6 }}
  }
}
{{- end -}}
