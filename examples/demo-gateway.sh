# Lists the plugins, and sends inputs to a gateway. Set MLFLOW_DEPLOYMENTS_TARGET to the URL of the gateway.
set -eu
mlflow_deploy=${MLFLOW_DEPLOY:-target/debug/mlflow-deploy}

run() {
    printf '\n$ mlflow-deploy %s\n' "$*"
    "$mlflow_deploy" "$@"
}

echo "A real MLflow AI Gateway runs at $MLFLOW_DEPLOYMENTS_TARGET."
run plugins list
run list-endpoints
printf '\nInputs: {"messages": [{"role": "user", "content": "hello"}]}'
echo '{"messages": [{"role": "user", "content": "hello"}]}' | run predict --endpoint chat -I -
printf '\nInputs: {"messages": [{"role": "user", "content": "count to ten"}]}'
echo '{"messages": [{"role": "user", "content": "count to ten"}]}' | run predict --endpoint chat -I - --stream
