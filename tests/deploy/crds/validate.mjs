// Validates the custom resources among some manifests: node validate.mjs FILE
import { readFileSync } from 'node:fs'
import { HTTPRoute } from '@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1'
import { ScaledObject } from '@kubernetes-models/keda/keda.sh/v1alpha1'
import { PodMonitor, PrometheusRule } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1'
import { parseAllDocuments } from 'yaml'

const kinds = { HTTPRoute, ScaledObject, PodMonitor, PrometheusRule }
const missing = new Set(Object.keys(kinds))
for (const document of parseAllDocuments(readFileSync(process.argv[2], 'utf8'))) {
  const object = document.toJS()
  const Kind = kinds[object?.kind]
  if (!Kind) continue
  new Kind(object).validate()
  missing.delete(object.kind)
}
if (missing.size) throw new Error(`not rendered: ${[...missing]}`)
