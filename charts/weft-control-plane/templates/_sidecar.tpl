{{/*
The proxy of a control-plane pod and what it needs. The injector leaves these pods alone (they must start without it), so their sidecar is
rendered here; it differs from an injected one only by the arguments below.

Arguments of "weft.proxy": root, component; native (runs as an init container), await; ports (inbound ports, comma-separated); requireTls
(ports that take TLS only, '' for none); identityAddress, destinationAddress, policyAddress ('' for the Service: a proxy in the same pod
is dialled on localhost.); startupProbe (timing); resources.
*/}}
{{- define "weft.proxy" -}}
{{- $values := .root.Values -}}
{{- $proxy := $values.proxy -}}
{{- $namespace := .root.Release.Namespace -}}
{{- $any := include "weft.any-address" .root -}}
{{- $domain := include "weft.trust-domain" .root -}}
{{- $workers := $proxy.runtime.workers -}}
- name: linkerd-proxy
  image: {{ printf "%s:%s" $proxy.image.name ($proxy.image.version | default $values.linkerdVersion) }}
  imagePullPolicy: {{ $proxy.image.pullPolicy | default $values.imagePullPolicy }}
  {{- if .native }}
  restartPolicy: Always
  {{- end }}
  env:
    - name: _pod_name
      valueFrom:
        fieldRef:
          fieldPath: metadata.name
    - name: _pod_ns
      valueFrom:
        fieldRef:
          fieldPath: metadata.namespace
    - name: _pod_uid
      valueFrom:
        fieldRef:
          fieldPath: metadata.uid
    - name: _pod_ip
      valueFrom:
        fieldRef:
          fieldPath: status.podIP
    - name: _pod_nodeName
      valueFrom:
        fieldRef:
          fieldPath: spec.nodeName
    - name: _pod_containerName
      value: linkerd-proxy
    - name: LINKERD2_PROXY_CORES
      value: {{ $proxy.cores | default $workers.minimum | toString | quote }}
    - name: LINKERD2_PROXY_CORES_MIN
      value: {{ $workers.minimum | toString | quote }}
    {{- if hasKey $workers "maximum" }}
    - name: LINKERD2_PROXY_CORES_MAX
      value: {{ $workers.maximum | toString | quote }}
    {{- end }}
    {{- if hasKey $workers "maximumCPURatio" }}
    - name: LINKERD2_PROXY_CORES_MAX_RATIO
      value: {{ $workers.maximumCPURatio | toString | quote }}
    {{- end }}
    {{- with toString $proxy.requireIdentityOnInboundPorts }}
    - name: LINKERD2_PROXY_INBOUND_PORTS_REQUIRE_IDENTITY
      value: {{ . | quote }}
    {{- end }}
    {{- with .requireTls }}
    - name: LINKERD2_PROXY_INBOUND_PORTS_REQUIRE_TLS
      value: {{ . | quote }}
    {{- end }}
    - name: LINKERD2_PROXY_SHUTDOWN_ENDPOINT_ENABLED
      value: {{ $proxy.enableShutdownEndpoint | toString | quote }}
    - name: LINKERD2_PROXY_LOG
      value: {{ printf "%s%s" $proxy.logLevel (ternary "" ",[{headers}]=off,[{request}]=off" (eq $proxy.logHTTPHeaders "insecure")) | quote }}
    - name: LINKERD2_PROXY_LOG_FORMAT
      value: {{ $proxy.logFormat | quote }}
    - name: LINKERD2_PROXY_DESTINATION_SVC_ADDR
      value: {{ .destinationAddress | default (printf "linkerd-dst-headless.%s.svc.%s.:8086" $namespace $values.clusterDomain) }}
    - name: LINKERD2_PROXY_DESTINATION_PROFILE_NETWORKS
      value: {{ $values.clusterNetworks | quote }}
    - name: LINKERD2_PROXY_POLICY_SVC_ADDR
      value: {{ .policyAddress | default (printf "linkerd-policy.%s.svc.%s.:8090" $namespace $values.clusterDomain) }}
    - name: LINKERD2_PROXY_POLICY_WORKLOAD
      value: |
        {"ns":"$(_pod_ns)", "pod":"$(_pod_name)"}
    - name: LINKERD2_PROXY_INBOUND_DEFAULT_POLICY
      value: {{ .defaultInboundPolicy | default $proxy.defaultInboundPolicy }}
    - name: LINKERD2_PROXY_POLICY_CLUSTER_NETWORKS
      value: {{ $values.clusterNetworks | quote }}
    - name: LINKERD2_PROXY_CONTROL_STREAM_INITIAL_TIMEOUT
      value: {{ $proxy.control.streams.initialTimeout | quote }}
    - name: LINKERD2_PROXY_CONTROL_STREAM_IDLE_TIMEOUT
      value: {{ $proxy.control.streams.idleTimeout | quote }}
    - name: LINKERD2_PROXY_CONTROL_STREAM_LIFETIME
      value: {{ $proxy.control.streams.lifetime | quote }}
    - name: LINKERD2_PROXY_INBOUND_CONNECT_TIMEOUT
      value: {{ $proxy.inboundConnectTimeout | quote }}
    - name: LINKERD2_PROXY_OUTBOUND_CONNECT_TIMEOUT
      value: {{ $proxy.outboundConnectTimeout | quote }}
    - name: LINKERD2_PROXY_OUTBOUND_DISCOVERY_IDLE_TIMEOUT
      value: {{ $proxy.outboundDiscoveryCacheUnusedTimeout | quote }}
    - name: LINKERD2_PROXY_INBOUND_DISCOVERY_IDLE_TIMEOUT
      value: {{ $proxy.inboundDiscoveryCacheUnusedTimeout | quote }}
    {{- if $proxy.disableOutboundProtocolDetectTimeout }}
    - name: LINKERD2_PROXY_OUTBOUND_DETECT_TIMEOUT
      value: 365d
    {{- end }}
    {{- if $proxy.disableInboundProtocolDetectTimeout }}
    - name: LINKERD2_PROXY_INBOUND_DETECT_TIMEOUT
      value: 365d
    {{- end }}
    - name: LINKERD2_PROXY_CONTROL_LISTEN_ADDR
      value: {{ printf "%s:%d" $any (int $proxy.ports.control) | quote }}
    - name: LINKERD2_PROXY_ADMIN_LISTEN_ADDR
      value: {{ printf "%s:%d" $any (int $proxy.ports.admin) | quote }}
    - name: LINKERD2_PROXY_OUTBOUND_LISTEN_ADDR
      value: {{ printf "127.0.0.1:%d" (int $proxy.ports.outbound) | quote }}
    - name: LINKERD2_PROXY_OUTBOUND_LISTEN_ADDRS
      value: {{ printf "127.0.0.1:%d%s" (int $proxy.ports.outbound) (ternary "" (printf ",[::1]:%d" (int $proxy.ports.outbound)) $values.disableIPv6) | quote }}
    - name: LINKERD2_PROXY_INBOUND_LISTEN_ADDR
      value: {{ printf "%s:%d" $any (int $proxy.ports.inbound) | quote }}
    - name: LINKERD2_PROXY_INBOUND_IPS
      valueFrom:
        fieldRef:
          fieldPath: status.podIPs
    - name: LINKERD2_PROXY_INBOUND_PORTS
      value: {{ .ports | quote }}
    - name: LINKERD2_PROXY_DESTINATION_PROFILE_SUFFIXES
      value: {{ ternary "." (printf "svc.%s." $values.clusterDomain) $proxy.enableExternalProfiles | quote }}
    - name: LINKERD2_PROXY_INBOUND_ACCEPT_KEEPALIVE
      value: 10000ms
    - name: LINKERD2_PROXY_OUTBOUND_CONNECT_KEEPALIVE
      value: 10000ms
    - name: LINKERD2_PROXY_INBOUND_ACCEPT_USER_TIMEOUT
      value: 30s
    - name: LINKERD2_PROXY_OUTBOUND_CONNECT_USER_TIMEOUT
      value: 30s
    - name: LINKERD2_PROXY_OUTBOUND_METRICS_HOSTNAME_LABELS
      value: {{ $proxy.metrics.hostnameLabels | toString | quote }}
    - name: LINKERD2_PROXY_INBOUND_SERVER_HTTP2_KEEP_ALIVE_INTERVAL
      value: {{ $proxy.inbound.server.http2.keepAliveInterval | quote }}
    - name: LINKERD2_PROXY_INBOUND_SERVER_HTTP2_KEEP_ALIVE_TIMEOUT
      value: {{ $proxy.inbound.server.http2.keepAliveTimeout | quote }}
    - name: LINKERD2_PROXY_OUTBOUND_SERVER_HTTP2_KEEP_ALIVE_INTERVAL
      value: {{ $proxy.outbound.server.http2.keepAliveInterval | quote }}
    - name: LINKERD2_PROXY_OUTBOUND_SERVER_HTTP2_KEEP_ALIVE_TIMEOUT
      value: {{ $proxy.outbound.server.http2.keepAliveTimeout | quote }}
    {{- if $proxy.tracing.enabled }}
    {{- $collector := $proxy.tracing.collector }}
    - name: LINKERD2_PROXY_TRACE_ATTRIBUTES_PATH
      value: /var/run/linkerd/podinfo/labels
    - name: LINKERD2_PROXY_TRACE_COLLECTOR_SVC_ADDR
      value: {{ required "proxy.tracing.collector.endpoint is required when tracing is enabled" $collector.endpoint | quote }}
    - name: LINKERD2_PROXY_TRACE_COLLECTOR_SVC_NAME
      value: {{ printf "%s.%s.serviceaccount.identity.%s.%s"
        (required "proxy.tracing.collector.meshIdentity needs serviceAccountName when tracing is enabled" $collector.meshIdentity.serviceAccountName)
        (required "proxy.tracing.collector.meshIdentity needs namespace when tracing is enabled" $collector.meshIdentity.namespace)
        $namespace $domain }}
    {{- with $proxy.tracing.protocol }}
    - name: LINKERD2_PROXY_TRACE_PROTOCOL
      value: {{ . | quote }}
    {{- end }}
    - name: LINKERD2_PROXY_TRACE_SERVICE_NAME
      value: {{ $proxy.tracing.traceServiceName | quote }}
    {{- with $proxy.tracing.labels }}
    - name: LINKERD2_PROXY_TRACE_EXTRA_ATTRIBUTES
      value: |
        {{- range $key, $value := . }}
        {{ $key }}={{ $value }}
        {{- end }}
    {{- end }}
    {{- end }}
    {{- with toString $proxy.opaquePorts }}
    - name: LINKERD2_PROXY_INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION
      value: {{ . | quote }}
    {{- end }}
    - name: LINKERD2_PROXY_DESTINATION_CONTEXT
      value: |
        {"ns":"$(_pod_ns)", "nodeName":"$(_pod_nodeName)", "pod":"$(_pod_name)"}
    - name: _pod_sa
      valueFrom:
        fieldRef:
          fieldPath: spec.serviceAccountName
    - name: _l5d_ns
      value: {{ $namespace }}
    - name: _l5d_trustdomain
      value: {{ $domain }}
    - name: LINKERD2_PROXY_IDENTITY_DIR
      value: /var/run/linkerd/identity/end-entity
    - name: LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS
      valueFrom:
        configMapKeyRef:
          name: linkerd-identity-trust-roots
          key: ca-bundle.crt
    - name: LINKERD2_PROXY_IDENTITY_TOKEN_FILE
      value: {{ ternary "/var/run/secrets/tokens/linkerd-identity-token" "/var/run/secrets/kubernetes.io/serviceaccount/token" $values.identity.serviceAccountTokenProjection }}
    - name: LINKERD2_PROXY_IDENTITY_SVC_ADDR
      value: {{ .identityAddress | default (printf "linkerd-identity-headless.%s.svc.%s.:8080" $namespace $values.clusterDomain) }}
    - name: LINKERD2_PROXY_IDENTITY_LOCAL_NAME
      value: {{ printf "$(_pod_sa).$(_pod_ns).serviceaccount.identity.%s.%s" $namespace $domain }}
    - name: LINKERD2_PROXY_IDENTITY_SVC_NAME
      value: {{ printf "linkerd-identity.%s.serviceaccount.identity.%s.%s" $namespace $namespace $domain }}
    - name: LINKERD2_PROXY_DESTINATION_SVC_NAME
      value: {{ printf "linkerd-destination.%s.serviceaccount.identity.%s.%s" $namespace $namespace $domain }}
    - name: LINKERD2_PROXY_POLICY_SVC_NAME
      value: {{ printf "linkerd-destination.%s.serviceaccount.identity.%s.%s" $namespace $namespace $domain }}
    {{- with $proxy.accessLog }}
    - name: LINKERD2_PROXY_ACCESS_LOG
      value: {{ . | quote }}
    {{- end }}
    {{- with $proxy.shutdownGracePeriod }}
    - name: LINKERD2_PROXY_SHUTDOWN_GRACE_PERIOD
      value: {{ . | quote }}
    {{- end }}
    {{- with $proxy.additionalEnv }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- with $proxy.experimentalEnv }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  ports:
    - containerPort: {{ int $proxy.ports.inbound }}
      name: linkerd-proxy
    - containerPort: {{ int $proxy.ports.admin }}
      name: linkerd-admin
  livenessProbe:
    httpGet:
      path: /live
      port: {{ int $proxy.ports.admin }}
    {{- toYaml $proxy.livenessProbe | nindent 4 }}
  readinessProbe:
    httpGet:
      path: /ready
      port: {{ int $proxy.ports.admin }}
    {{- toYaml $proxy.readinessProbe | nindent 4 }}
  {{- if and .native .await }}
  startupProbe:
    httpGet:
      path: /ready
      port: {{ int $proxy.ports.admin }}
    {{- toYaml .startupProbe | nindent 4 }}
  {{- end }}
  {{- if and (not .native) (or .await (gt (int $proxy.waitBeforeExitSeconds) 0)) }}
  lifecycle:
    {{- if .await }}
    postStart:
      exec:
        command:
          - /usr/lib/linkerd/linkerd-await
          - --timeout=2m
          - --port={{ int $proxy.ports.admin }}
    {{- end }}
    {{- if gt (int $proxy.waitBeforeExitSeconds) 0 }}
    preStop:
      exec:
        command: [/bin/sleep, {{ $proxy.waitBeforeExitSeconds | int | toString | quote }}]
    {{- end }}
  {{- end }}
  {{- with include "weft.resources" (.resources | default $proxy.resources) }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- if $proxy.securityContext }}
  securityContext: {{- toYaml $proxy.securityContext | nindent 4 }}
  {{- else }}
  securityContext:
    allowPrivilegeEscalation: false
    capabilities:
      drop: [ALL]
    readOnlyRootFilesystem: true
    runAsNonRoot: true
    runAsUser: {{ int64 $proxy.uid }}
    {{- if ge (int64 $proxy.gid) 0 }}
    runAsGroup: {{ int64 $proxy.gid }}
    {{- end }}
    seccompProfile:
      type: RuntimeDefault
  {{- end }}
  terminationMessagePolicy: FallbackToLogsOnError
  volumeMounts:
    {{- if $proxy.tracing.enabled }}
    - mountPath: /var/run/linkerd/podinfo
      name: linkerd-podinfo
    {{- end }}
    - mountPath: /var/run/linkerd/identity/end-entity
      name: linkerd-identity-end-entity
    {{- if $values.identity.serviceAccountTokenProjection }}
    - mountPath: /var/run/secrets/tokens
      name: linkerd-identity-token
    {{- else }}
    {{- include "weft.api-access-mount" .root | nindent 4 }}
    {{- end }}
{{- end -}}

{{/* The init container that redirects the pod's traffic, or with the CNI plugin the one that proves it is redirected. Argument: root. */}}
{{- define "weft.proxy-init" -}}
{{- $values := .root.Values -}}
{{- $init := $values.proxyInit -}}
{{- $proxy := $values.proxy -}}
{{- if $values.cniEnabled -}}
{{- $validator := $values.networkValidator -}}
- name: linkerd-network-validator
  image: {{ printf "%s:%s" $proxy.image.name ($proxy.image.version | default $values.linkerdVersion) }}
  imagePullPolicy: {{ $proxy.image.pullPolicy | default $values.imagePullPolicy }}
  command: [/usr/lib/linkerd/linkerd2-network-validator]
  args:
    - --log-format
    - {{ $validator.logFormat }}
    - --log-level
    - {{ $validator.logLevel }}
    - --connect-addr
    - {{ $validator.connectAddr | default (ternary "1.1.1.1:20001" "[fd00::1]:20001" $values.disableIPv6) | quote }}
    - --listen-addr
    - {{ $validator.listenAddr | default (printf "%s:%d" (ternary "0.0.0.0" "[::]" $values.disableIPv6) (int $proxy.ports.outbound)) | quote }}
    - --timeout
    - {{ $validator.timeout }}
  {{- with include "weft.resources" $proxy.resources }}
  {{- . | nindent 2 }}
  {{- end }}
  securityContext: {{- toYaml $validator.securityContext | nindent 4 }}
  terminationMessagePolicy: FallbackToLogsOnError
{{- else -}}
{{- $closeWait := int $init.closeWaitTimeoutSecs -}}
{{- if and (gt $closeWait 0) (not $init.runAsRoot) -}}
{{- fail "proxyInit.closeWaitTimeoutSecs needs proxyInit.runAsRoot: only root may set that sysctl" -}}
{{- end -}}
{{- $privileged := or $init.privileged (gt $closeWait 0) -}}
- name: linkerd-init
  image: {{ printf "%s:%s" $proxy.image.name ($proxy.image.version | default $values.linkerdVersion) }}
  imagePullPolicy: {{ $proxy.image.pullPolicy | default $values.imagePullPolicy }}
  command: [/usr/lib/linkerd/linkerd2-proxy-init]
  args:
    {{- if eq $init.iptablesMode "nft" }}
    - --firewall-bin-path
    - iptables-nft
    - --firewall-save-bin-path
    - iptables-nft-save
    {{- else if ne $init.iptablesMode "legacy" }}
    {{- fail (printf "proxyInit.iptablesMode %q is neither nft nor legacy" $init.iptablesMode) }}
    {{- end }}
    {{- if $values.disableIPv6 }}
    - --ipv6=false
    {{- end }}
    - --incoming-proxy-port
    - {{ $proxy.ports.inbound | int | toString | quote }}
    - --outgoing-proxy-port
    - {{ $proxy.ports.outbound | int | toString | quote }}
    - --proxy-uid
    - {{ $proxy.uid | int64 | toString | quote }}
    {{- if ge (int64 $proxy.gid) 0 }}
    - --proxy-gid
    - {{ $proxy.gid | int64 | toString | quote }}
    {{- end }}
    - --inbound-ports-to-ignore
    - {{ printf "%d,%d%s" (int $proxy.ports.control) (int $proxy.ports.admin) (include "weft.after-comma" (toString $init.ignoreInboundPorts)) | quote }}
    - --outbound-ports-to-ignore
    - {{ printf "%s%s" (toString $init.kubeAPIServerPorts) (include "weft.after-comma" (toString $init.ignoreOutboundPorts)) | quote }}
    {{- if gt $closeWait 0 }}
    - --timeout-close-wait-secs
    - {{ $closeWait | toString | quote }}
    {{- end }}
    {{- with $init.logFormat }}
    - --log-format
    - {{ . }}
    {{- end }}
    {{- with $init.logLevel }}
    - --log-level
    - {{ . }}
    {{- end }}
    {{- with $init.skipSubnets }}
    - --subnets-to-ignore
    - {{ . | quote }}
    {{- end }}
  {{- with include "weft.resources" $proxy.resources }}
  {{- . | nindent 2 }}
  {{- end }}
  securityContext:
    allowPrivilegeEscalation: {{ $privileged }}
    capabilities:
      {{- if not $privileged }}
      drop: [ALL]
      {{- end }}
      add: [NET_ADMIN, NET_RAW]
    privileged: {{ $privileged }}
    readOnlyRootFilesystem: true
    {{- if $init.runAsRoot }}
    runAsNonRoot: false
    runAsUser: 0
    runAsGroup: 0
    {{- else }}
    runAsNonRoot: true
    {{- /* Root is asked for by runAsRoot only. */}}
    runAsUser: {{ ternary 65534 (int64 $init.runAsUser) (eq (int64 $init.runAsUser) 0) }}
    runAsGroup: {{ ternary 65534 (int64 $init.runAsGroup) (eq (int64 $init.runAsGroup) 0) }}
    {{- end }}
    seccompProfile:
      type: RuntimeDefault
  terminationMessagePolicy: FallbackToLogsOnError
  volumeMounts:
    - mountPath: {{ $init.xtMountPath.mountPath }}
      name: {{ $init.xtMountPath.name }}
      {{- if $init.xtMountPath.readOnly }}
      readOnly: true
      {{- end }}
{{- end -}}
{{- end -}}

{{/* ',<list>' or nothing. Argument: a list of ports as text, may be ''. */}}
{{- define "weft.after-comma" -}}
{{- with . -}},{{ . }}{{- end -}}
{{- end -}}

{{/* Volumes of a pod with a sidecar. Argument: root. */}}
{{- define "weft.proxy-volumes" -}}
{{- if not .root.Values.cniEnabled -}}
- name: {{ .root.Values.proxyInit.xtMountPath.name }}
  emptyDir: {}
{{ end -}}
{{- if .root.Values.proxy.tracing.enabled -}}
- name: linkerd-podinfo
  downwardAPI:
    items:
      - path: labels
        fieldRef:
          fieldPath: metadata.labels
{{ end -}}
- name: linkerd-identity-end-entity
  emptyDir:
    medium: Memory
{{- if .root.Values.identity.serviceAccountTokenProjection }}
- name: linkerd-identity-token
  projected:
    sources:
      - serviceAccountToken:
          path: linkerd-identity-token
          expirationSeconds: 86400
          audience: identity.l5d.io
{{- end }}
{{- end -}}
