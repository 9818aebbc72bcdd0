{{- define "labelbridge.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{- /* What never changes in the life of a release. Takes a dict of root and component. */ -}}
{{- define "labelbridge.selector" -}}
app.kubernetes.io/name: labelbridge
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "labelbridge.labels" -}}
{{ include "labelbridge.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{- define "labelbridge.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- /* labelbridge.toml: the settings as they are. */ -}}
{{- define "labelbridge.toml" -}}
{{- $settings := omit .Values.settings "console" -}}
{{- if or .Values.console.enabled .Values.codecServer.enabled -}}
{{- $settings = .Values.settings -}}
{{- end -}}
{{ toToml $settings }}
{{- end -}}

{{- /* Refuses values that contradict each other, with what to do. */ -}}
{{- define "labelbridge.check" -}}
{{- $vault := (default dict .Values.settings.encryption).vault -}}
{{- if and .Values.encryption.secret $vault -}}
{{- fail "encryption: give a Secret with a key file or settings.encryption.vault, not both." -}}
{{- end -}}
{{- if and .Values.codecServer.enabled (not .Values.encryption.secret) (not $vault) -}}
{{- fail "codecServer.enabled: it needs encryption.secret or settings.encryption.vault." -}}
{{- end -}}
{{- $telemetry := .Values.telemetry -}}
{{- if and (not $telemetry.enabled) $telemetry.podMonitor.enabled -}}
{{- fail "telemetry.podMonitor: there is nothing to scrape with telemetry.enabled false." -}}
{{- end -}}
{{- $temporal := .Values.temporal -}}
{{- if and $temporal.apiKey.secret $temporal.tls.clientSecret -}}
{{- fail "temporal: give an API key or a client certificate, not both." -}}
{{- end -}}
{{- if and .Values.worker.autoscaling.enabled (or $temporal.tls.enabled $temporal.tls.caSecret) (not $temporal.apiKey.secret) (not $temporal.tls.clientSecret) -}}
{{- fail "worker.autoscaling: KEDA's temporal scaler speaks TLS only with an API key or a client certificate." -}}
{{- end -}}
{{- if and .Values.worker.autoscaling.enabled $temporal.apiKey.secret $temporal.tls.caSecret -}}
{{- fail "worker.autoscaling: KEDA's temporal scaler takes no authority of your own (temporal.tls.caSecret) with an API key." -}}
{{- end -}}
{{- if gt (int .Values.worker.autoscaling.minReplicas) (int .Values.worker.autoscaling.maxReplicas) -}}
{{- fail "worker.autoscaling: minReplicas is greater than maxReplicas." -}}
{{- end -}}
{{- end -}}

{{- /* How every process reaches Temporal, and with which keys: Temporal's own variables, and the key file. */ -}}
{{- define "labelbridge.temporalEnv" -}}
{{- $temporal := .Values.temporal -}}
{{- if $temporal.apiKey.secret }}
- name: TEMPORAL_API_KEY
  valueFrom:
    secretKeyRef:
      name: {{ $temporal.apiKey.secret }}
      key: {{ $temporal.apiKey.key }}
{{- end }}
{{- if or $temporal.tls.enabled $temporal.tls.caSecret $temporal.tls.clientSecret $temporal.tls.serverName }}
- name: TEMPORAL_TLS
  value: "true"
{{- end }}
{{- with $temporal.tls.serverName }}
- name: TEMPORAL_TLS_SERVER_NAME
  value: {{ . | quote }}
{{- end }}
{{- if $temporal.tls.clientSecret }}
- name: TEMPORAL_TLS_CLIENT_CERT_PATH
  value: /etc/temporal/client/tls.crt
- name: TEMPORAL_TLS_CLIENT_KEY_PATH
  value: /etc/temporal/client/tls.key
{{- end }}
{{- if $temporal.tls.caSecret }}
- name: TEMPORAL_TLS_SERVER_CA_CERT_PATH
  value: /etc/temporal/authority/ca.crt
{{- end }}
{{- if .Values.encryption.secret }}
- name: LABELBRIDGE_ENCRYPTION__KEYS_FILE
  value: /etc/labelbridge-keys/keys.json
{{- end }}
{{- end -}}

{{- /* Metrics and health on every address of the pod, and where spans go. Takes a dict of root and component. */ -}}
{{- define "labelbridge.telemetryEnv" -}}
{{- $telemetry := .root.Values.telemetry -}}
{{- if $telemetry.enabled }}
- name: LABELBRIDGE_TELEMETRY__BIND
  value: 0.0.0.0
- name: LABELBRIDGE_TELEMETRY__PORT
  value: {{ $telemetry.port | quote }}
{{- end }}
{{- with $telemetry.otlpEndpoint }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ . | quote }}
- name: OTEL_SERVICE_NAME
  value: labelbridge-{{ $.component }}
{{- end }}
{{- end -}}

{{- define "labelbridge.mounts" -}}
- name: settings
  mountPath: /etc/labelbridge
  readOnly: true
- name: tmp
  mountPath: /tmp
{{- if .Values.temporal.tls.clientSecret }}
- name: temporal-client
  mountPath: /etc/temporal/client
  readOnly: true
{{- end }}
{{- if .Values.temporal.tls.caSecret }}
- name: temporal-authority
  mountPath: /etc/temporal/authority
  readOnly: true
{{- end }}
{{- if .Values.encryption.secret }}
- name: keys
  mountPath: /etc/labelbridge-keys
  readOnly: true
{{- end }}
{{- end -}}

{{- /* Takes a dict of root and tmp (a size). */ -}}
{{- define "labelbridge.volumes" -}}
- name: settings
  configMap:
    name: {{ include "labelbridge.fullname" .root }}-settings
- name: tmp
  emptyDir:
    sizeLimit: {{ .tmp }}
{{- with .root.Values.temporal.tls.clientSecret }}
- name: temporal-client
  secret:
    secretName: {{ . }}
    defaultMode: 0440
{{- end }}
{{- with .root.Values.temporal.tls.caSecret }}
- name: temporal-authority
  secret:
    secretName: {{ . }}
    items:
      - key: ca.crt
        path: ca.crt
{{- end }}
{{- with .root.Values.encryption.secret }}
- name: keys
  secret:
    secretName: {{ . }}
    # Root's, for the group of the process: Labelbridge refuses a key file that others can read.
    defaultMode: 0440
    items:
      - key: {{ $.root.Values.encryption.key | quote }}
        path: keys.json
{{- end }}
{{- end -}}

{{- define "labelbridge.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "labelbridge.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}
