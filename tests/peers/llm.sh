# Sends requests to the server at OPENAI_API_BASE with the built command and the plugin `openai`. Reports wrong replies.
set -eu
mlflow_deploy=${MLFLOW_DEPLOY:-target/debug/mlflow-deploy}

ask() {
    printf '\n$ mlflow-deploy %s\n' "$*"
    "$mlflow_deploy" "$@" -t openai --json | tee target/llama/answer
}
has() { grep -q "$1" target/llama/answer || { echo "expected \`$1\`"; exit 1; }; }

ask list-endpoints && has '"name":"smollm2"'
ask get-endpoint --endpoint smollm2 && has '"name":"smollm2"'
chat='{"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 16}'
echo "$chat" | ask predict --endpoint smollm2 -I - && has '"content":'
echo "$chat" | ask predict --endpoint smollm2 -I - --stream && has '"delta":'
echo '{"prompt": "The sky is", "max_tokens": 8}' | ask predict --endpoint smollm2 -I - && has '"text":'
echo '{"input": ["embed me"]}' | ask predict --endpoint smollm2 -I - && has '"embedding":'
echo '{"input": "Say hello.", "instructions": "Be brief.", "max_output_tokens": 16}' |
    ask predict --endpoint smollm2 -I - && has '"output":'
if OPENAI_API_KEY=wrong "$mlflow_deploy" list-endpoints -t openai --json 2>target/llama/answer; then exit 1; fi
has '"code":"UNAUTHENTICATED"'
printf '\nA real model replied to all requests.\n'
