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

{{- /* What the configuration listens on, as JSON. `known` is false if files that are not in `config`, or variables, can change it. */}}
{{- define "gatewright.listening" -}}
{{- $files := pick .Values.config "gateway.yaml" }}
{{- if hasKey (get .Values.config "gateway.yaml" | fromYaml) "include" }}{{ $files = .Values.config }}{{ end }}
{{- $known := true }}
{{- range .Values.env }}{{ if regexMatch "^GATEWRIGHT__(LISTENERS|ADMIN|HEALTH)__" .name }}{{ $known = false }}{{ end }}{{ end }}
{{- $sockets := list }}
{{- $admin := dict }}
{{- $health := dict "live" "/health/live" "ready" "/health/ready" }}
{{- range $file, $content := $files }}
{{- $read := ternary (fromYaml $content) dict (regexMatch "\\.ya?ml$" $file) }}
{{- $include := get $read "include" }}
{{- range ternary $include (list $include) (kindIs "slice" $include) }}
{{- if or (contains "/" (toString .)) (not (or (not .) (hasKey $.Values.config (toString .)) (regexMatch "[*?\\[{]" (toString .)))) }}{{ $known = false }}{{ end }}
{{- end }}
{{- $listeners := get $read "listeners" }}
{{- range $name, $listener := ternary $listeners dict (kindIs "map" $listeners) }}
{{- $listener = ternary $listener dict (kindIs "map" $listener) }}
{{- $tls := get $listener "tls" }}
{{- $tls = ternary $tls dict (kindIs "map" $tls) }}
{{- $auth := get $tls "client_auth" }}
{{- $required := eq "required" (toString (get (ternary $auth dict (kindIs "map" $auth)) "mode")) }}
{{- $sockets = append $sockets (dict "name" $name "address" (toString (get $listener "address")) "scheme" (ternary "HTTPS" "HTTP" (hasKey $listener "tls")) "required" $required) }}
{{- with get $tls "redirect_from" }}{{ $sockets = append $sockets (dict "name" $name "address" (toString .) "redirects" true) }}{{ end }}
{{- end }}
{{- if hasKey $read "admin" }}
{{- $admin = dict "address" (toString (get (ternary $read.admin dict (kindIs "map" $read.admin)) "address" | default "127.0.0.1:9901")) }}
{{- end }}
{{- range $key, $path := ternary (get $read "health") dict (kindIs "map" (get $read "health")) }}{{ $_ := set $health $key (toString $path) }}{{ end }}
{{- end }}
{{- range prepend $sockets $admin }}
{{- $_ := set . "port" (regexFind ":[0-9]+$" (toString .address) | trimPrefix ":") }}
{{- $_ := set . "inner" (regexMatch "^(127\\.|localhost:|\\[::1\\]|unix:|$)" (toString (get . "address"))) }}
{{- if and (not .port) (contains "${" (toString .address)) }}{{ $known = false }}{{ end }}
{{- end }}
{{- dict "known" $known "sockets" $sockets "admin" $admin "health" $health | toJson }}
{{- end }}

{{- /* Not empty if others than the pod can reach the admin API, as far as the values tell. */}}
{{- define "gatewright.admin" -}}
{{- $listening := include "gatewright.listening" . | fromJson }}
{{- if or (not $listening.known) (not $listening.admin.inner) }}yes{{ end }}
{{- end }}

{{- /* Ports, probes and the admin API, compared with the configuration. */}}
{{- define "gatewright.check.ports" -}}
{{- $listening := include "gatewright.listening" . | fromJson }}
{{- if $listening.known }}
{{- if not $listening.sockets }}
{{- fail "config: there is no listener: gateway.yaml needs `listeners`" }}
{{- end }}
{{- $numbers := list }}
{{- range $listening.sockets }}{{ with .port }}{{ $numbers = append $numbers . }}{{ end }}{{ end }}
{{- range $name, $port := .Values.ports }}
{{- $here := list }}
{{- range $listening.sockets }}{{ if eq .port (toString (int $port.container)) }}{{ $here = append $here . }}{{ end }}{{ end }}
{{- if not $here }}
{{- fail (printf "ports.%s.container: no listener of the configuration has the port %d, only %s" $name (int $port.container) ($numbers | uniq | join ", " | default "Unix sockets")) }}
{{- end }}
{{- $of := first $here }}
{{- if $of.inner }}
{{- fail (printf "ports.%s.container: nothing outside of the pod reaches %s of the listener %q: use 0.0.0.0:%s" $name $of.address $of.name $of.port) }}
{{- end }}
{{- if eq $name $.Values.probes.port }}
{{- if $of.redirects }}
{{- fail (printf "probes.port: %q only redirects to https: name the port of the listener itself" $name) }}
{{- else if ne $of.scheme $.Values.probes.scheme }}
{{- fail (printf "probes.scheme: the listener %q, which the probes ask, speaks %s" $of.name $of.scheme) }}
{{- else if $of.required }}
{{- fail (printf "probes.port: the listener %q requires certificates of clients, and probes have none: name the port of another listener" $of.name) }}
{{- end }}
{{- end }}
{{- end }}
{{- range $probe := list "live" "ready" }}
{{- $path := get $listening.health $probe }}
{{- if and (ne $path (get $.Values.probes $probe)) (not (contains "${" $path)) }}
{{- fail (printf "probes.%s: the configuration has the path %s for it, not %s" $probe $path (get $.Values.probes $probe)) }}
{{- end }}
{{- end }}
{{- if include "gatewright.admin" . }}
{{- if ne $listening.admin.port (toString (int .Values.admin.port)) }}
{{- fail (printf "admin.port: %d is not the port of admin.address in the configuration, %s" (int .Values.admin.port) $listening.admin.address) }}
{{- end }}
{{- else if .Values.serviceMonitor.enabled }}
{{- fail (printf "serviceMonitor.enabled: the metrics are on the admin API, which the configuration does not open to the cluster: it needs `admin: { address: \"0.0.0.0:%d\", plain_http: true }`" (int .Values.admin.port)) }}
{{- end }}
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
{{- if and .Values.secret.values .Values.secret.existing }}
{{- fail (printf "secret.values: secret.existing names the Secret %q, so the chart makes none of these values: add them to that Secret" .Values.secret.existing) }}
{{- else if and .Values.secret.values (not .Values.secret.create) }}
{{- fail "secret.values: secret.create is false, so no Secret is made of them" }}
{{- end }}
{{- if and .Values.persistence.existingClaim (not .Values.persistence.enabled) }}
{{- fail (printf "persistence.existingClaim: %q is not mounted, because persistence.enabled is false" .Values.persistence.existingClaim) }}
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
{{- include "gatewright.check.ports" . }}
{{- end }}
