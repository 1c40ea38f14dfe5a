{{/*
A deployment of one role:
(dict "root" $ "role" "worker-sms" "args" (list …) "replicas" 2 "resources" {…} "config" "tocsin.toml" "ports" {name: port}).
Without replicas an autoscaler decides. The probes are the role's own address for everybody who looks after it.
*/}}
{{- define "tocsin.deployment" -}}
{{- $root := .root -}}
{{- $name := printf "%s-%s" (include "tocsin.fullname" $root) .role -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $name }}
  labels:
    {{- include "tocsin.labels" . | nindent 4 }}
spec:
  {{- if hasKey . "replicas" }}
  replicas: {{ .replicas }}
  {{- end }}
  revisionHistoryLimit: 3
  strategy:
    type: RollingUpdate
    rollingUpdate: { maxUnavailable: 0, maxSurge: 1 }
  selector:
    matchLabels:
      {{- include "tocsin.selector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "tocsin.labels" . | nindent 8 }}
      annotations:
        # A changed configuration is a new rollout.
        checksum/config: {{ include (print $root.Template.BasePath "/configmap.yaml") $root | sha256sum }}
        {{- with $root.Values.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ $name }}
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: {{ include "tocsin.gracePeriod" $root }}
      {{- include "tocsin.podSettings" $root | nindent 6 }}
      topologySpreadConstraints:
        {{- if $root.Values.topologySpreadConstraints }}
        {{- toYaml $root.Values.topologySpreadConstraints | nindent 8 }}
        {{- else }}
        {{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
        - maxSkew: 1
          topologyKey: {{ $key }}
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              {{- include "tocsin.selector" $ | nindent 14 }}
        {{- end }}
        {{- end }}
      {{- if and (eq .role "planner") $root.Values.trial.postgresql.enabled }}
      # The trial server is no older than this pod: no hook could have prepared it.
      initContainers:
        - name: migrate
          {{- include "tocsin.container" $root | nindent 10 }}
          args: [migrate]
          env:
            {{- include "tocsin.databaseEnv" $root | nindent 12 }}
          resources:
            {{- toYaml $root.Values.migration.resources | nindent 12 }}
      {{- end }}
      containers:
        - name: tocsin
          {{- include "tocsin.container" $root | nindent 10 }}
          args: {{ toJson .args }}
          env:
            - name: TOCSIN_CONFIG
              value: /etc/tocsin/{{ .config }}
            {{- include "tocsin.databaseEnv" $root | nindent 12 }}
            - name: AMQP_URL
              valueFrom:
                secretKeyRef:
                  name: {{ include "tocsin.brokerSecret" $root }}
                  key: {{ include "tocsin.brokerKey" $root }}
            {{- with $root.Values.extraEnv }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          ports:
            - { name: health, containerPort: 9090 }
            {{- range $port, $number := .ports }}
            - { name: {{ $port }}, containerPort: {{ $number }} }
            {{- end }}
          # Slow to start is not dead: it may wait for the database.
          startupProbe:
            httpGet: { path: /livez, port: health }
            periodSeconds: 2
            failureThreshold: 60
          livenessProbe:
            httpGet: { path: /livez, port: health }
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 6
          readinessProbe:
            httpGet: { path: /readyz, port: health }
            periodSeconds: 5
            timeoutSeconds: 5
            failureThreshold: 2
          resources:
            {{- toYaml .resources | nindent 12 }}
          volumeMounts:
            - { name: config, mountPath: /etc/tocsin, readOnly: true }
            - { name: secrets, mountPath: /run/secrets/tocsin, readOnly: true }
      volumes:
        - name: config
          configMap:
            name: {{ include "tocsin.fullname" $root }}
        - name: secrets
          projected:
            defaultMode: 0440
            sources:
              {{- $webhooks := include "tocsin.webhookSecrets" $root }}
              {{- $accounts := ternary (include "tocsin.accountSecrets" $root) "" (eq .config "tocsin.toml") }}
              {{- if or (trim $webhooks) (trim $accounts) }}
              {{- with trim $webhooks }}
              {{- . | nindent 14 }}
              {{- end }}
              {{- with trim $accounts }}
              {{- . | nindent 14 }}
              {{- end }}
              {{- else }}
              []
              {{- end }}
{{- end }}

{{/* Whoever is killed while it drains leaves attempts of which nobody knows. */}}
{{- define "tocsin.gracePeriod" -}}
{{- with .Values.shutdown -}}
{{- $leaves := add (int (toString .delaySeconds)) (int (toString .deadlineSeconds)) -}}
{{- if le (int .gracePeriodSeconds) (int $leaves) -}}
{{- fail (printf "shutdown.gracePeriodSeconds: %d is not more than delaySeconds and deadlineSeconds together (%d)" (int .gracePeriodSeconds) $leaves) -}}
{{- end -}}
{{- .gracePeriodSeconds -}}
{{- end -}}
{{- end }}

{{/* What every pod of the chart is held to. */}}
{{- define "tocsin.podSettings" -}}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile: { type: RuntimeDefault }
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{- define "tocsin.container" -}}
image: {{ include "tocsin.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
{{- end }}

{{- define "tocsin.databaseEnv" -}}
- name: DATABASE_URL
  valueFrom:
    secretKeyRef:
      name: {{ include "tocsin.databaseSecret" . }}
      key: {{ include "tocsin.databaseKey" . }}
{{- end }}
