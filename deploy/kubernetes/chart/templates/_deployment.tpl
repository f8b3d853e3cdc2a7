{{/*
The Deployment of a role. Takes `root`, `role` (the argument of the executable), its `values`, whether
something else `scales` it, and its `ports`.
*/}}
{{- define "fanfare.deployment" -}}
{{- $name := include "fanfare.name" .root -}}
{{- $secret := include "fanfare.secret" .root -}}
{{- $labels := dict "root" .root "component" .role -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $name }}-{{ .role }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "fanfare.labels" $labels | nindent 4 }}
spec:
  {{- if not .values.autoscaling.enabled }}
  replicas: {{ .values.replicas }}
  {{- end }}
  revisionHistoryLimit: 5
  # One at a time, and only when its successor serves: the others get its clients bit by bit.
  strategy:
    type: RollingUpdate
    rollingUpdate:
      maxSurge: 1
      maxUnavailable: 0
  minReadySeconds: 5
  selector:
    matchLabels:
      {{- include "fanfare.selector" $labels | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "fanfare.labels" $labels | nindent 8 }}
      annotations:
        # Settings are read once, at the start.
        checksum/settings: {{ include "fanfare.settings" .root | sha256sum }}
        {{- with .values.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ $name }}
      automountServiceAccountToken: false
      enableServiceLinks: false
      {{- with .root.Values.imagePullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .values.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
      # preStop, DRAIN_MS, ten seconds for what is left to write, and a margin.
      terminationGracePeriodSeconds: {{ add .root.Values.drainSeconds 30 }}
      securityContext:
        runAsNonRoot: true
        runAsUser: 65532
        runAsGroup: 65532
        seccompProfile:
          type: RuntimeDefault
      topologySpreadConstraints:
        {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
        - topologyKey: {{ . }}
          maxSkew: 1
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              {{- include "fanfare.selector" $labels | nindent 14 }}
          matchLabelKeys: [pod-template-hash]
        {{- end }}
      {{- with .values.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .values.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .values.affinity }}
      affinity:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .root.Values.extraVolumes }}
      volumes:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      containers:
        - name: {{ .role }}
          image: {{ include "fanfare.image" .root | quote }}
          imagePullPolicy: {{ .root.Values.image.pullPolicy }}
          args: [{{ .role }}]
          envFrom:
            - configMapRef:
                name: {{ $name }}
          env:
            {{- range list "REDIS_URL" "DATABASE_URL" }}
            - name: {{ . }}
              valueFrom:
                secretKeyRef: {name: {{ $secret }}, key: {{ . }}}
            {{- end }}
            {{- range .secretKeys }}
            - name: {{ . }}
              valueFrom:
                secretKeyRef: {name: {{ $secret }}, key: {{ . }}, optional: true}
            {{- end }}
            {{- with .root.Values.extraEnv }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          {{- with .root.Values.extraVolumeMounts }}
          volumeMounts:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          ports:
            {{- range $port := .ports }}
            - name: {{ $port.name }}
              containerPort: {{ $port.number }}
            {{- end }}
          # The process itself gives up after STARTUP_TIMEOUT_MS, 30 s, and says what it waits for.
          startupProbe:
            httpGet: {path: /livez, port: admin}
            periodSeconds: 1
            timeoutSeconds: 2
            failureThreshold: 60
          # Touches neither Redis nor SQL.
          livenessProbe:
            httpGet: {path: /livez, port: admin}
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 3
          # Stays ready without Redis or SQL: all nodes unready at once would turn every client away.
          readinessProbe:
            httpGet: {path: /readyz, port: admin}
            periodSeconds: 3
            timeoutSeconds: 5
            failureThreshold: 2
          lifecycle:
            preStop:
              # Until every proxy has heard that this pod is leaving.
              sleep: {seconds: 5}
          resources:
            {{- toYaml .values.resources | nindent 12 }}
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities:
              drop: [ALL]
{{- end }}
