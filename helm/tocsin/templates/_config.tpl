{{/* The configuration file. docs/tocsin.sample.toml explains its keys. */}}
{{- define "tocsin.config" -}}
# Written by the chart.
database_pool = {{ .Values.database.pool }}
public_url = {{ required "publicUrl: say where providers reach the status collector, as https://calls.example.org" .Values.publicUrl | quote }}

[api]
listen = "0.0.0.0:8080"
proxies = {{ .Values.api.proxies }}

[collector]
listen = "0.0.0.0:8081"

[health]
listen = "0.0.0.0:9090"

[log]
format = {{ .Values.log.format | quote }}
filter = {{ .Values.log.filter | quote }}

[worker]
prefetch_emergency = {{ .Values.worker.prefetchEmergency }}
prefetch_priority = {{ .Values.worker.prefetchPriority }}
prefetch_general = {{ .Values.worker.prefetchGeneral }}
in_flight_max = {{ .Values.worker.inFlightMax }}

[scaling]
target_seconds = {{ .Values.autoscaling.targetSeconds }}
replicas_max = { {{- range $at, $channel := list "voice" "sms" "email" "inbox" }}{{ if $at }},{{ end }} {{ $channel }} = {{ (index $.Values.workers $channel).replicasMax }}{{ end }} }
{{- with .Values.trace }}{{ if .endpoint }}

[trace]
endpoint = {{ .endpoint | quote }}
protocol = {{ .protocol | quote }}
{{- if ne (toString .sampleRatio) "" }}
sample_ratio = {{ include "tocsin.toml" .sampleRatio }}
{{- end }}
{{- if ne (toString .slowSeconds) "" }}
slow_seconds = {{ include "tocsin.toml" .slowSeconds }}
{{- end }}
{{- end }}{{ end }}
{{- with .Values.metrics }}{{ if or .otlpEndpoint (ne (toString .databaseSizeMaxBytes) "") }}

[metrics]
{{- if .otlpEndpoint }}
otlp_endpoint = {{ .otlpEndpoint | quote }}
otlp_protocol = {{ .otlpProtocol | quote }}
{{- end }}
{{- if ne (toString .databaseSizeMaxBytes) "" }}
database_size_max_bytes = {{ include "tocsin.toml" .databaseSizeMaxBytes }}
{{- end }}
{{- end }}{{ end }}
{{- with .Values.retention }}{{ if ne (toString .months) "" }}

[retention]
months = {{ include "tocsin.toml" .months }}
{{- end }}{{ end }}
{{- with .Values.shutdown }}{{ if or (ne (toString .delaySeconds) "") (ne (toString .deadlineSeconds) "") }}

[shutdown]
{{- if ne (toString .delaySeconds) "" }}
delay_seconds = {{ include "tocsin.toml" .delaySeconds }}
{{- end }}
{{- if ne (toString .deadlineSeconds) "" }}
deadline_seconds = {{ include "tocsin.toml" .deadlineSeconds }}
{{- end }}
{{- end }}{{ end }}
{{- if .Values.webhooks.existingSecret }}

[webhooks]
secret_file = "/run/secrets/tocsin/webhooks"
{{- if .Values.webhooks.previousKey }}
previous_secret_file = "/run/secrets/tocsin/webhooks-previous"
{{- end }}
{{- end }}
{{- end }}

{{/* What planner, workers and collector need beside it: the accounts with their secrets' places. */}}
{{- define "tocsin.accounts" -}}
[callback]
secret_file = "/run/secrets/tocsin/callback"
{{- if .Values.callback.previousKey }}
previous_secret_file = "/run/secrets/tocsin/callback-previous"
{{- end }}
{{- range $account := .Values.accounts }}

[[accounts]]
{{- range $key, $value := omit $account "secretRef" "signingKeyRef" "previousSigningKeyRef" }}
{{ $key }} = {{ include "tocsin.toml" $value }}
{{- end }}
{{- range $ref, $key := dict "secretRef" "secret" "signingKeyRef" "signing_key" "previousSigningKeyRef" "previous_signing_key" }}
{{- if index $account $ref }}
{{ $key }}_file = "/run/secrets/tocsin/{{ $account.name }}-{{ $key | replace "_" "-" }}"
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* The files that the configuration names, each from its Secret. */}}
{{- define "tocsin.webhookSecrets" -}}
{{- with .Values.webhooks }}{{ if .existingSecret }}
- secret:
    name: {{ .existingSecret }}
    items:
      - { key: {{ .key }}, path: webhooks }
      {{- if .previousKey }}
      - { key: {{ .previousKey }}, path: webhooks-previous }
      {{- end }}
{{- end }}{{ end }}
{{- end }}

{{- define "tocsin.accountSecrets" -}}
- secret:
    {{- if and .Values.trial.postgresql.enabled (not .Values.callback.existingSecret) }}
    name: {{ include "tocsin.fullname" . }}-trial
    items:
      - { key: callback, path: callback }
    {{- else }}
    name: {{ required "callback.existingSecret: name the Secret that signs callback addresses" .Values.callback.existingSecret }}
    items:
      - { key: {{ .Values.callback.key }}, path: callback }
      {{- if .Values.callback.previousKey }}
      - { key: {{ .Values.callback.previousKey }}, path: callback-previous }
      {{- end }}
    {{- end }}
{{- range $account := .Values.accounts }}
{{- range $ref, $path := dict "secretRef" "secret" "signingKeyRef" "signing-key" "previousSigningKeyRef" "previous-signing-key" }}
{{- with index $account $ref }}
- secret:
    name: {{ .name }}
    items:
      - { key: {{ .key }}, path: {{ $account.name }}-{{ $path }} }
{{- end }}
{{- end }}
{{- end }}
{{- end }}
