"""Adds `build_artifact` to the tree in the working directory: a row, a fold, the client's fold, a word in the documentation."""


def insert(path, anchor, text, before=False):
    lines = open(path).read().split("\n")
    at = next(i for i, line in enumerate(lines) if line.strip().startswith(anchor))
    lines[at if before else at + 1:at if before else at + 1] = text.split("\n")
    open(path, "w").write("\n".join(lines))


insert(
    "shared/domain/src/event/catalog.rs",
    'DeploymentLog "deployment_log"',
    '    BuildArtifact "build_artifact" Deployments DEPLOYMENT, OF_DEPLOYMENTS,\n'
    '        asks(&[required("name", Shape::FilledText)]);',
)
insert(
    "shared/domain/src/event/deployment.rs",
    "let mut state = state.unwrap_or_else",
    "    if event.kind == EventKind::BuildArtifact {\n"
    '        let artifacts = state.entry("artifacts").or_insert_with(|| json!([]));\n'
    "        if let Value::Array(artifacts) = artifacts {\n"
    "            artifacts.push(Value::Object(event.body().clone()));\n"
    "        }\n"
    "        return state;\n"
    "    }",
)
insert(
    "gateway/sdk/typescript/src/fold.ts",
    "const state: Json = before ?? { id, projectId: id",
    '  if (event.event === "build_artifact") return { ...state, artifacts: [...((state.artifacts as Json[]) ?? []), data] };',
)
insert("gateway/sdk/typescript/src/fold.ts", 'deployment_log: "deployment"', '  build_artifact: "deployment",')
page = open("docs/publish.md").read()
page = page.replace("`deployment_update`, `deployment_log` |", "`deployment_update`, `deployment_log`, `build_artifact` |", 1)
open("docs/publish.md", "w").write(page)
