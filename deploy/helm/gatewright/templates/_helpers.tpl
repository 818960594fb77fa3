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

{{- /* Which SQLite stores the configuration has, as far as the values tell. A variable of `env` can name another store. */}}
{{- define "gatewright.sqlite" -}}
{{- $found := list }}
{{- range $file, $content := .Values.config }}
{{- $stores := get (ternary (fromYaml $content) dict (regexMatch "\\.ya?ml$" $file)) "stores" }}
{{- range $name, $store := ternary $stores dict (kindIs "map" $stores) }}
{{- $url := toString (get (ternary $store dict (kindIs "map" $store)) "url") }}
{{- /* The image sets this variable. */}}
{{- if hasPrefix "${env.DATABASE_URL" $url }}{{ $url = "sqlite:" }}{{ end }}
{{- $variables := list (regexFind "^\\$\\{env\\.\\w+" (toString (get (ternary $store dict (kindIs "map" $store)) "url")) | trimPrefix "${env.") (printf "GATEWRIGHT__STORES__%s__URL" ($name | upper | replace "-" "_")) }}
{{- range $.Values.env }}{{ if has .name $variables }}{{ $url = toString (get . "value") }}{{ end }}{{ end }}
{{- if regexMatch "^(\\$\\{env\\.\\w+:-)?sqlite:" $url }}{{ $found = append $found (printf "stores.%s of %s" $name $file) }}{{ end }}
{{- end }}
{{- end }}
{{- join ", " $found }}
{{- end }}

{{- /* The milliseconds of a duration such as `1m 30s`; nothing if it is none, such as a variable. */}}
{{- define "gatewright.milliseconds" -}}
{{- if regexMatch "^([0-9]+(ms|s|m|h)\\s*)+$" . }}
{{- $sum := 0 }}
{{- range regexFindAll "[0-9]+(ms|s|m|h)" . -1 }}
{{- $unit := regexFind "[a-z]+" . }}
{{- $sum = add $sum (mul (trimSuffix $unit .) (get (dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000) $unit)) }}
{{- end }}
{{- $sum }}
{{- end }}
{{- end }}

{{- define "gatewright.check" -}}
{{- $main := get .Values.config "gateway.yaml" | fromYaml }}
{{- if hasKey $main "Error" }}
{{- fail (printf "config: gateway.yaml is not a YAML map: %s" $main.Error) }}
{{- else if not $main }}
{{- fail "config: gateway.yaml is empty" }}
{{- end }}
{{- $several := or .Values.autoscaling.enabled (gt (int .Values.replicas) 1) }}
{{- if and .Values.persistence.enabled $several }}
{{- fail "persistence.enabled: one gateway at a time can use a SQLite database: set replicas to 1 and autoscaling.enabled to false, or keep resources in PostgreSQL" }}
{{- end }}
{{- $sqlite := include "gatewright.sqlite" . }}
{{- if and $sqlite $several }}
{{- fail (printf "config: %s is SQLite, so each gateway would have data of its own, which is gone with its pod: set replicas to 1, autoscaling.enabled to false and persistence.enabled to true, or keep resources in PostgreSQL" $sqlite) }}
{{- end }}
{{- if and .Values.autoscaling.enabled (gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas)) }}
{{- fail (printf "autoscaling.minReplicas: %d is more than autoscaling.maxReplicas, %d" (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas)) }}
{{- end }}
{{- $times := dict "grace" "0s" "drain" "30s" }}
{{- range $file, $content := .Values.config }}
{{- $shutdown := get (ternary (fromYaml $content) dict (regexMatch "\\.ya?ml$" $file)) "shutdown" }}
{{- range $key, $time := ternary $shutdown dict (kindIs "map" $shutdown) }}{{ $_ := set $times $key (toString $time) }}{{ end }}
{{- end }}
{{- range .Values.env }}{{ if hasPrefix "GATEWRIGHT__SHUTDOWN__" .name }}{{ $_ := set $times "grace" "" }}{{ end }}{{ end }}
{{- $grace := include "gatewright.milliseconds" $times.grace }}
{{- $drain := include "gatewright.milliseconds" $times.drain }}
{{- if and $grace $drain (le (mul 1000 (int .Values.terminationGracePeriodSeconds)) (add $grace $drain)) }}
{{- fail (printf "terminationGracePeriodSeconds: %d s must be more than shutdown.grace (%s) and shutdown.drain (%s) together, otherwise Kubernetes cuts off open requests" (int .Values.terminationGracePeriodSeconds) $times.grace $times.drain) }}
{{- end }}
{{- if and (not .Values.secret.create) (not .Values.secret.existing) .Values.serviceMonitor.enabled }}
{{- fail "serviceMonitor.enabled: Prometheus needs the admin token: set secret.create or secret.existing" }}
{{- end }}
{{- if and .Values.serviceMonitor.enabled .Values.networkPolicy.enabled (not .Values.networkPolicy.adminFrom) }}
{{- fail "networkPolicy.adminFrom: it is empty, so Prometheus could not reach the metrics that serviceMonitor asks for: add the namespace of Prometheus" }}
{{- end }}
{{- if and .Values.secret.create (not .Values.secret.existing) (hasKey .Values.secret.values "admin-token") }}
{{- if lt (len (trim (get .Values.secret.values "admin-token"))) 32 }}
{{- fail "secret.values.admin-token: it has fewer than 32 bytes: make one with `openssl rand -hex 32`" }}
{{- end }}
{{- end }}
{{- if and .Values.service.externalTrafficPolicy (eq .Values.service.type "ClusterIP") }}
{{- fail "service.externalTrafficPolicy: a service of the type ClusterIP has none: set service.type to LoadBalancer or NodePort" }}
{{- end }}
{{- $own := dict "podLabels" (include "gatewright.labels" . | fromYaml) "podAnnotations" (dict "checksum/secret" "") "serviceMonitor.labels" (include "gatewright.labels" . | fromYaml) }}
{{- range $of, $given := dict "podLabels" .Values.podLabels "podAnnotations" .Values.podAnnotations "serviceMonitor.labels" .Values.serviceMonitor.labels }}
{{- range $key, $_ := $given }}
{{- if hasKey (get $own $of) $key }}{{ fail (printf "%s: the chart sets %q itself" $of $key) }}{{ end }}
{{- end }}
{{- end }}
{{- if not (hasKey .Values.ports .Values.probes.port) }}
{{- fail (printf "probes.port: %q is not one of ports" .Values.probes.port) }}
{{- end }}
{{- $offered := dict }}
{{- range $name, $port := .Values.ports }}
{{- if not (regexMatch "[a-z]" $name) }}
{{- fail (printf "ports: the name %q needs a letter, such as p%s" $name $name) }}
{{- else if contains "--" $name }}
{{- fail (printf "ports: the name %q has two hyphens in a row" $name) }}
{{- end }}
{{- if eq (int $port.container) (int $.Values.admin.port) }}
{{- fail (printf "admin.port: %d is also ports.%s.container: a listener and the admin API cannot share a port" (int $.Values.admin.port) $name) }}
{{- end }}
{{- with $port.service }}
{{- if hasKey $offered (toString .) }}
{{- fail (printf "ports.%s.service: %d is also ports.%s.service" $name (int .) (get $offered (toString .))) }}
{{- end }}
{{- $_ := set $offered (toString .) $name }}
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
