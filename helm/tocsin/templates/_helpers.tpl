{{/* Names, labels, and the values that the program's configuration is made of. */}}

{{- define "tocsin.fullname" -}}
{{- $name := .Values.fullnameOverride | default (ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name) (contains .Chart.Name .Release.Name)) -}}
{{- $name | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{/* What a pod of a role is selected by: (dict "root" $ "role" "api"). */}}
{{- define "tocsin.selector" -}}
app.kubernetes.io/name: tocsin
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .role }}
{{- end }}

{{- define "tocsin.labels" -}}
{{ include "tocsin.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: tocsin
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "tocsin.image" -}}
{{- with .Values.image -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ end -}}
{{- end -}}
{{- end }}

{{/* The channels that have a worker, as JSON. */}}
{{- define "tocsin.channels" -}}
{{- $channels := list -}}
{{- range $channel := list "voice" "sms" "email" "inbox" -}}
{{- if (index $.Values.workers $channel).enabled }}{{ $channels = append $channels $channel }}{{ end -}}
{{- end -}}
{{ toJson $channels }}
{{- end }}

{{- define "tocsin.databaseSecret" -}}
{{- if .Values.trial.postgresql.enabled -}}
{{ include "tocsin.fullname" . }}-trial
{{- else -}}
{{ required "database.existingSecret: name the Secret that holds PostgreSQL's address, or set trial.postgresql.enabled to try the chart" .Values.database.existingSecret }}
{{- end -}}
{{- end }}

{{- define "tocsin.databaseKey" -}}
{{- ternary "database-url" .Values.database.key .Values.trial.postgresql.enabled -}}
{{- end }}

{{- define "tocsin.brokerSecret" -}}
{{- if .Values.trial.rabbitmq.enabled -}}
{{ include "tocsin.fullname" . }}-trial
{{- else -}}
{{ required "broker.existingSecret: name the Secret that holds RabbitMQ's address, or set trial.rabbitmq.enabled to try the chart" .Values.broker.existingSecret }}
{{- end -}}
{{- end }}

{{- define "tocsin.brokerKey" -}}
{{- ternary "broker-url" .Values.broker.key .Values.trial.rabbitmq.enabled -}}
{{- end }}

{{/* A value in TOML. JSON's strings, arrays and truth values are TOML's too; whole numbers lose Helm's exponent. */}}
{{- define "tocsin.toml" -}}
{{- if and (kindIs "float64" .) (eq . (floor .)) }}{{ int64 . }}{{ else }}{{ toJson . }}{{ end -}}
{{- end }}
