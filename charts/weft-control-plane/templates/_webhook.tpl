{{/*
Certificates of the webhook servers. The chart makes none: a server without given certificates makes its own, keeps them in its Secret and
writes the CA into its webhook configuration. Certificates may instead be given as values (crtPEM, keyPEM, caBundle) or come from outside
(externalSecret, with one source for the CA).

Arguments: values (of the component), name (of the component in messages), secret, service, configuration, root.
*/}}

{{/* 'true' where the server manages its certificates itself. Refuses settings that contradict each other. */}}
{{- define "weft.webhook.managed" -}}
{{- $v := .values -}}
{{- if and $v.injectCaFrom $v.injectCaFromSecret -}}
{{- fail (printf "%s: set only one of injectCaFrom and injectCaFromSecret" .name) -}}
{{- end -}}
{{- if and (or $v.injectCaFrom $v.injectCaFromSecret) $v.caBundle -}}
{{- fail (printf "%s: caBundle has no effect with injectCaFrom or injectCaFromSecret; set only one" .name) -}}
{{- end -}}
{{- if and (or $v.injectCaFrom $v.injectCaFromSecret) (not $v.externalSecret) -}}
{{- fail (printf "%s: injectCaFrom and injectCaFromSecret need externalSecret=true" .name) -}}
{{- end -}}
{{- if and $v.externalSecret (not (or $v.caBundle $v.injectCaFrom $v.injectCaFromSecret)) -}}
{{- fail (printf "%s: externalSecret needs one of caBundle, injectCaFrom and injectCaFromSecret" .name) -}}
{{- end -}}
{{- if and $v.externalSecret (or $v.crtPEM $v.keyPEM) -}}
{{- fail (printf "%s: crtPEM and keyPEM have no effect with externalSecret" .name) -}}
{{- end -}}
{{- if ne (empty $v.crtPEM) (empty $v.keyPEM) -}}
{{- fail (printf "%s: crtPEM and keyPEM go together" .name) -}}
{{- end -}}
{{- if and $v.crtPEM (not $v.caBundle) -}}
{{- fail (printf "%s: crtPEM needs caBundle, the CA that signed it" .name) -}}
{{- end -}}
{{- if and $v.caBundle (not (or $v.externalSecret $v.crtPEM)) -}}
{{- fail (printf "%s: caBundle needs crtPEM and keyPEM, or externalSecret=true" .name) -}}
{{- end -}}
{{- if not (or $v.externalSecret $v.crtPEM) -}}true{{- end -}}
{{- end -}}

{{/* The cert-manager annotations of the webhook configuration, or nothing. */}}
{{- define "weft.webhook.annotations" -}}
{{- with .values.injectCaFrom }}
cert-manager.io/inject-ca-from: {{ . }}
{{- end }}
{{- with .values.injectCaFromSecret }}
cert-manager.io/inject-ca-from-secret: {{ . }}
{{- end }}
{{- end -}}

{{/* `clientConfig:` of the one webhook of a configuration. */}}
{{- define "weft.webhook.client-config" -}}
clientConfig:
  service:
    name: {{ .service }}
    namespace: {{ .root.Release.Namespace }}
    path: /
    port: 443
  {{- with .values.caBundle }}
  caBundle: {{ . | trim | b64enc }}
  {{- end }}
{{- end -}}

{{/* The Secret of certificates given as values, or nothing. */}}
{{- define "weft.webhook.secret" -}}
{{- if .values.crtPEM -}}
---
apiVersion: v1
kind: Secret
metadata:
  name: {{ .secret }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "weft.labels" (dict "root" .root "component" .component) | nindent 4 }}
  annotations:
    linkerd.io/created-by: {{ include "weft.created-by" .root }}
type: kubernetes.io/tls
data:
  tls.crt: {{ .values.crtPEM | trim | b64enc }}
  tls.key: {{ .values.keyPEM | trim | b64enc }}
{{- end -}}
{{- end -}}

{{/*
What a server that manages its certificates may do: its Secret (creation cannot be bound to a name) and the CA in its own configuration.
More arguments: account (ServiceAccount), resource (of the configuration).
*/}}
{{- define "weft.webhook.rbac" -}}
{{- if include "weft.webhook.managed" . -}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ .secret }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "weft.labels" (dict "root" .root "component" .component) | nindent 4 }}
rules:
  - apiGroups: ['']
    resources: [secrets]
    verbs: [create]
  - apiGroups: ['']
    resources: [secrets]
    resourceNames: [{{ .secret }}]
    verbs: [get, list, watch, update]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ .secret }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "weft.labels" (dict "root" .root "component" .component) | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ .secret }}
subjects:
  - kind: ServiceAccount
    name: {{ .account }}
    namespace: {{ .root.Release.Namespace }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: linkerd-{{ .root.Release.Namespace }}-{{ .service | trimPrefix "linkerd-" }}-webhook
  labels: {{- include "weft.labels" (dict "root" .root "component" .component) | nindent 4 }}
rules:
  - apiGroups: [admissionregistration.k8s.io]
    resources: [{{ .resource }}]
    resourceNames: [{{ .configuration }}]
    verbs: [get, list, watch, patch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: linkerd-{{ .root.Release.Namespace }}-{{ .service | trimPrefix "linkerd-" }}-webhook
  labels: {{- include "weft.labels" (dict "root" .root "component" .component) | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: linkerd-{{ .root.Release.Namespace }}-{{ .service | trimPrefix "linkerd-" }}-webhook
subjects:
  - kind: ServiceAccount
    name: {{ .account }}
    namespace: {{ .root.Release.Namespace }}
{{- end -}}
{{- end -}}

{{/* The arguments of each of the three, used by every template that names one. Argument: the top context. As YAML: parse with fromYaml. */}}
{{- define "weft.webhook.injector" -}}
name: proxyInjector
secret: linkerd-proxy-injector-k8s-tls
service: linkerd-proxy-injector
configuration: linkerd-proxy-injector-webhook-config
component: proxy-injector
account: linkerd-proxy-injector
resource: mutatingwebhookconfigurations
{{- end -}}

{{- define "weft.webhook.profiles" -}}
name: profileValidator
secret: linkerd-sp-validator-k8s-tls
service: linkerd-sp-validator
configuration: linkerd-sp-validator-webhook-config
component: destination
account: linkerd-destination
resource: validatingwebhookconfigurations
{{- end -}}

{{- define "weft.webhook.policy" -}}
name: policyValidator
secret: linkerd-policy-validator-k8s-tls
service: linkerd-policy-validator
configuration: linkerd-policy-validator-webhook-config
component: destination
account: linkerd-destination
resource: validatingwebhookconfigurations
{{- end -}}
