# The demo: which plugins there are, and what a gateway answers through one. Needs MLFLOW_DEPLOYMENTS_TARGET to be set.
set -eu
mlflow_deploy=${MLFLOW_DEPLOY:-target/debug/mlflow-deploy}

run() {
    printf '\n$ mlflow-deploy %s\n' "$*"
    "$mlflow_deploy" "$@"
}

echo "A real MLflow AI Gateway answers at $MLFLOW_DEPLOYMENTS_TARGET."
run plugins list
run list-endpoints
printf '\n{"messages": [{"role": "user", "content": "hello"}]} goes in'
echo '{"messages": [{"role": "user", "content": "hello"}]}' | run predict --endpoint chat -I -
printf '\n{"messages": [{"role": "user", "content": "count to ten"}]} goes in'
echo '{"messages": [{"role": "user", "content": "count to ten"}]}' | run predict --endpoint chat -I - --stream
