// The dashboard as Grafana's own types know it. A test appends `export const board: Plain<Board> = {…};` and has the
// TypeScript compiler judge it: a missing key, one that Grafana does not know, or a value of another type is an error.
import type {
  AnnotationQuery,
  Dashboard,
  DataQuery,
  FieldConfig,
  FieldConfigSource,
  Panel,
  RowPanel,
} from "@grafana/schema";
import type { Options as FigureOptions } from "@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen";
import type {
  FieldConfig as GraphField,
  Options as GraphOptions,
} from "@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen";

// JSON has the values of an enum, not the enum.
type Plain<T> = T extends string ? `${T}` : T extends object ? { [Key in keyof T]: Plain<T[Key]> } : T;

// Prometheus's queries are not part of the package: the keys are those of the data source's documentation.
interface Marks extends DataQuery {
  expr: string;
}
interface Query extends Marks {
  legendFormat: string;
  instant: boolean;
  range: boolean;
  editorMode: "code";
}

interface Fields<Custom> extends Omit<FieldConfigSource, "defaults"> {
  defaults: Omit<FieldConfig, "custom"> & { custom: Custom };
}
interface Drawn<Type, Options, Custom> extends Omit<Panel, "type" | "options" | "fieldConfig" | "targets"> {
  type: Type;
  options: Options;
  fieldConfig: Fields<Custom>;
  targets: Query[];
}
type Shown = Drawn<"timeseries", GraphOptions, GraphField> | Drawn<"stat", FigureOptions, Record<string, never>>;
interface Row extends Omit<RowPanel, "panels"> {
  panels: Shown[];
}
interface Board extends Omit<Dashboard, "panels" | "annotations"> {
  panels: (Shown | Row)[];
  annotations: { list: AnnotationQuery<Marks>[] };
}

