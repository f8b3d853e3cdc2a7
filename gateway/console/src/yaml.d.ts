/** YAML files are parsed while building; see `vite.config.ts`. */
declare module "*.yaml" {
  const value: unknown;
  export default value;
}
