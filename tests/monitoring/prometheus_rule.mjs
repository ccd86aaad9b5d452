// Reads {"rule": …} from standard input and holds it to the Prometheus operator's own schema; argument: node_modules.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const model = join(process.argv[2], "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PrometheusRule.js");
const { PrometheusRule } = await import(pathToFileURL(model));
const { rule } = JSON.parse(readFileSync(0, "utf8"));
try {
  if (!PrometheusRule.is(rule)) throw new Error("this is no PrometheusRule");
  new PrometheusRule(rule).validate();
  console.log("valid");
} catch (error) {
  console.log(`refused: ${error.message}`);
}
