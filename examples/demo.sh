# Deploys a model on this machine, sends it inputs, lists it, and deletes it, without Python and without a server.
set -eu
mlflow_deploy=${MLFLOW_DEPLOY:-target/debug/mlflow-deploy}
# Uses the plugin that was built, even if another plugin for `local` is installed or in the search path.
for plugin in "$(dirname "$mlflow_deploy")"/libmlflow_deploy_local.so "$(dirname "$mlflow_deploy")"/libmlflow_deploy_local.dylib; do
    if [ -e "$plugin" ]; then
        break
    fi
done
MLFLOW_DEPLOY_LOCAL_STATE=$(mktemp -d)
export MLFLOW_DEPLOY_LOCAL_STATE
trap 'rm -rf "$MLFLOW_DEPLOY_LOCAL_STATE"' EXIT

run() {
    printf '\n$ mlflow-deploy %s\n' "$*"
    if [ -e "$plugin" ]; then
        set -- "$@" --plugin "$plugin"
    fi
    "$mlflow_deploy" "$@"
}

echo "mlflow.onnx.save_model wrote examples/iris/model, a classifier of three species of iris."
run create -t local --name iris -m examples/iris/model
run predict -t local --name iris -I examples/iris/flowers.csv
run list -t local
run delete -t local --name iris
