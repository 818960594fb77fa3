{{- define "gatewright.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "gatewright.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "gatewright.labels" -}}
{{ include "gatewright.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "gatewright.secret" -}}
{{- if .Values.secret.existing }}{{ .Values.secret.existing }}{{ else if .Values.secret.create }}{{ include "gatewright.name" . }}{{ end }}
{{- end }}

{{- define "gatewright.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}{{ .Values.serviceAccount.name | default (include "gatewright.name" .) }}
{{- else }}{{ .Values.serviceAccount.name | default "default" }}{{ end }}
{{- end }}

{{- define "gatewright.image" -}}
{{- if .Values.image.digest }}{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else }}{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- define "gatewright.check" -}}
{{- if and .Values.persistence.enabled (or .Values.autoscaling.enabled (gt (int .Values.replicas) 1)) }}
{{- fail "persistence.enabled: one gateway at a time can use a SQLite database: set replicas to 1 and autoscaling.enabled to false, or keep resources in PostgreSQL" }}
{{- end }}
{{- if and (not .Values.secret.create) (not .Values.secret.existing) .Values.serviceMonitor.enabled }}
{{- fail "serviceMonitor.enabled: Prometheus needs the admin token: set secret.create or secret.existing" }}
{{- end }}
{{- if not (hasKey .Values.ports .Values.probes.port) }}
{{- fail (printf "probes.port: %q is not one of ports" .Values.probes.port) }}
{{- end }}
{{- range $name, $port := .Values.ports }}
{{- if eq (int $port.container) (int $.Values.admin.port) }}
{{- fail (printf "admin.port: %d is also ports.%s.container: a listener and the admin API cannot share a port" (int $.Values.admin.port) $name) }}
{{- end }}
{{- end }}
{{- if not .Values.secret.existing }}
{{- range $file, $content := .Values.config }}
{{- range regexFindAll "/var/run/secrets/gatewright/[-._a-zA-Z0-9]+" (regexReplaceAll "(?m)^\\s*#.*$" $content "") -1 }}
{{- $key := base . }}
{{- if not $.Values.secret.create }}
{{- fail (printf "secret: %s reads /var/run/secrets/gatewright/%s, which nothing provides: name your Secret in secret.existing, or set secret.create" $file $key) }}
{{- else if not (or (eq $key "admin-token") (hasKey $.Values.secret.values $key)) }}
{{- fail (printf "secret.values: %s reads /var/run/secrets/gatewright/%s: add %q, or name a Secret that has it in secret.existing" $file $key $key) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
