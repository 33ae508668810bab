# What a user of this repository needs. CI calls `make check` and `make test`.

PREFIX ?= $(HOME)/.local
BUILT = target/release
PLUGINS = mlflow-deploy-databricks mlflow-deploy-gateway mlflow-deploy-local mlflow-deploy-openai mlflow-deploy-ray mlflow-deploy-sagemaker mlflow-deploy-v2
LIBRARIES = $(subst -,_,$(PLUGINS))
BRIDGE = $(PREFIX)/lib/mlflow-deploy/plugins/python
SUFFIX = $(if $(filter Darwin,$(shell uname)),dylib,so)

# The commit with whose public items those of the interface are compared. A release moves it to its own commit.
INTERFACE_BASELINE = c3417e3a3c505affe8a050c281ced3da625ea26e

.PHONY: demo demo-gateway test test-llm test-ray test-stores test-v2 test-python test-sagemaker test-torchserve check interface budgets bench bench-explain install install-built install-files dist dist-built

# Deploys a model on this machine, predicts with it, and deletes it.
demo:
	@echo "Building, and fetching ONNX Runtime to target/: some minutes the first time."
	cargo build -p mlflow-deploy -p mlflow-deploy-cli -p mlflow-deploy-local
	@sh plugins/local/runtime/install.sh target/lib/mlflow-deploy
	@sh examples/demo.sh

# Starts the real MLflow AI Gateway, finds the plugins, and predicts through one.
demo-gateway:
	@echo "Building, and installing the real servers below target/: some minutes the first time."
	cargo build -p mlflow-deploy -p mlflow-deploy-cli $(PLUGINS:%=-p %) -p mlflow-deploy-test-support
	@target/debug/with-peers gateway -- sh examples/demo-gateway.sh

# Every test: units, documentation, the boundary, and end to end against real servers.
test:
	sh tests/peers/install.sh
	cargo test --workspace --no-fail-fast --quiet

# The openai target against a real llama.cpp server and a small real model. Optional: its server is compiled first.
test-llm:
	cargo build -p mlflow-deploy -p mlflow-deploy-cli -p mlflow-deploy-openai
	sh tests/peers/llama.sh sh tests/peers/llm.sh

# The ray target against real Ray clusters on this machine. Optional: it takes twenty minutes and 6 GB of memory.
test-ray:
	cargo build -p mlflow-deploy -p mlflow-deploy-cli -p mlflow-deploy-ray -p mlflow-deploy-conformance
	@sh tests/peers/ray/run.sh

# Models in object stores: moto (S3), Azurite, fake-gcs-server, and MLflow with its artifacts in S3. Optional: they take some
# minutes to install, and 1.6 GB.
test-stores:
	cargo build -p mlflow-deploy -p mlflow-deploy-cli -p mlflow-deploy-local
	@sh tests/peers/stores/run.sh

# The target v2 against real servers: MLServer, Triton and KServe's. Optional: they take some minutes to install, and 1.6 GB.
test-v2:
	cargo build -p mlflow-deploy -p mlflow-deploy-cli -p mlflow-deploy-v2
	sh tests/peers/v2/run.sh

# MLflow's target sagemaker through the bridge, beside Python's client, on a fake AWS. Optional: its packages take a minute.
test-python:
	cargo build -p mlflow-deploy -p mlflow-deploy-cli
	@sh tests/peers/sagemaker/run.sh

# The target sagemaker beside MLflow's Python client, on a fake AWS whose endpoints run the models. Optional: its packages take a
# minute.
test-sagemaker:
	cargo build -p mlflow-deploy -p mlflow-deploy-cli -p mlflow-deploy-sagemaker
	@sh tests/peers/sagemaker/run.sh target/debug/libmlflow_deploy_sagemaker.$(SUFFIX)

# The published plugin mlflow-torchserve through the bridge, beside Python's client, on a real TorchServe. Optional: its packages
# take 5.5 GB.
test-torchserve:
	cargo build -p mlflow-deploy -p mlflow-deploy-cli
	@sh tests/peers/torchserve/run.sh

# What must be clean before a commit.
check:
	cargo fmt --check
	cargo clippy --workspace --all-targets --quiet -- -D warnings
	@# One after the other: the command and the library have pages of the same name.
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items --quiet --bins
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items --quiet --lib

# The public items of the plugin interface. A change that breaks plugins in Rust fails, unless the version of the crate says so.
# Needs the history of the repository, and cargo-semver-checks.
interface:
	@rm -rf target/interface && mkdir -p target/interface
	@# A fixture has a package of the same name.
	git archive $(INTERFACE_BASELINE) | tar -x -C target/interface --exclude='tests/fixtures/contract-1.*'
	cargo semver-checks --manifest-path plugin-api/Cargo.toml --all-features --baseline-root target/interface

# The instructions and allocations of a call and of a chunk, which must not exceed their budgets. Needs valgrind.
budgets:
	cargo build --release -p mlflow-deploy-gateway -p mlflow-deploy-example-echo -p mlflow-deploy-bench
	@target/release/mlflow-deploy-bench budgets target/release tests/bench/budgets.json

# Everything beside its peers, in one run: bare reqwest, curl, the Python clients, and MLflow's model server. Needs a quiet
# machine, curl and strip.
bench:
	cargo build --release -p mlflow-deploy -p mlflow-deploy-cli $(PLUGINS:%=-p %) -p mlflow-deploy-example-echo -p mlflow-deploy-bench
	@sh tests/peers/install.sh
	@sh plugins/local/runtime/install.sh target/lib/mlflow-deploy
	@target/release/mlflow-deploy-bench target/release target/peers/venv/bin/python target/bench.json target/bench.svg

# Explanations beside those of the Python package shap: how far apart they are, and how long both take.
bench-explain:
	cargo build --release -p mlflow-deploy -p mlflow-deploy-cli -p mlflow-deploy-local
	@sh plugins/local/runtime/install.sh target/lib/mlflow-deploy
	@python3.11 -m venv target/shap
	@target/shap/bin/pip install --quiet --disable-pip-version-check -r tests/peers/explain/requirements.txt
	@target/shap/bin/python -B tests/peers/explain/bench.py target/release/mlflow-deploy

# The command with its pages and completions, the bundled plugins, and the harness for plugins of others. For the user, or with
# PREFIX=/usr/local for the machine.
install:
	cargo build --release -p mlflow-deploy -p mlflow-deploy-cli -p mlflow-deploy-conformance $(PLUGINS:%=-p %)
	@$(MAKE) --no-print-directory install-built

# As `install`, but builds nothing: copies the files in BUILT.
install-built: install-files
	"$(PREFIX)/bin/mlflow-deploy" plugins list
	sh plugins/local/runtime/install.sh "$(PREFIX)/lib/mlflow-deploy"
	@case "$(PREFIX:/=)" in "$(HOME)/.local" | /usr/local | /usr) ;; \
	*) echo "Programs that embed the library need MLFLOW_DEPLOY_PLUGIN_PATH=$(PREFIX:/=)/lib/mlflow-deploy/plugins" ;; esac

# The files of an installation, without ONNX Runtime.
install-files:
	install -d "$(PREFIX)/bin" "$(PREFIX)/libexec/mlflow-deploy" "$(PREFIX)/lib/mlflow-deploy/plugins" "$(PREFIX)/share/bash-completion/completions"
	install -s -m 755 "$(BUILT)/mlflow-deploy" "$(BUILT)/mlflow-deploy-conformance" "$(PREFIX)/bin"
	install -s -m 755 "$(BUILT)/mlflow-deploy-plugin-host" "$(PREFIX)/libexec/mlflow-deploy"
	install -s -m 755 $(LIBRARIES:%="$(BUILT)/lib%.$(SUFFIX)") "$(PREFIX)/lib/mlflow-deploy/plugins"
	install -d "$(BRIDGE)/mlflow_deploy_bridge" "$(BRIDGE)/mlflow_deploy_plugin"
	install -m 644 plugins/python/__main__.py "$(BRIDGE)"
	install -m 644 plugins/python/mlflow_deploy_bridge/*.py "$(BRIDGE)/mlflow_deploy_bridge"
	install -m 644 plugin-api/python/mlflow_deploy_plugin/*.py "$(BRIDGE)/mlflow_deploy_plugin"
	"$(BUILT)/mlflow-deploy" man --output-dir "$(PREFIX)/share/man/man1"
	"$(BUILT)/mlflow-deploy" completions bash >"$(PREFIX)/share/bash-completion/completions/mlflow-deploy"

# An archive that runs from any folder, for Linux on x86_64 with glibc 2.28 or newer, such as Debian 10 and RHEL 8.
dist:
	@python3 -m venv target/zig
	@target/zig/bin/pip install --quiet --disable-pip-version-check cargo-zigbuild==0.24.1 ziglang==0.17.1
	PATH="$(CURDIR)/target/zig/bin:$$PATH" cargo zigbuild --release --target x86_64-unknown-linux-gnu.2.28 -p mlflow-deploy -p mlflow-deploy-cli -p mlflow-deploy-conformance $(PLUGINS:%=-p %)
	@$(MAKE) --no-print-directory dist-built BUILT=target/x86_64-unknown-linux-gnu/release DIST=target/dist/mlflow-deploy-x86_64-linux-gnu.2.28

# As `dist`, but builds nothing: packs the files in BUILT to the archive DIST.tar.gz.
dist-built:
	rm -rf "$(DIST)"
	@$(MAKE) --no-print-directory install-files PREFIX="$(DIST)"
	install -D -m 755 plugins/local/runtime/install.sh "$(DIST)/share/mlflow-deploy/onnxruntime/install.sh"
	install -m 644 plugins/local/runtime/requirements.txt "$(DIST)/share/mlflow-deploy/onnxruntime"
	install -m 644 LICENSE "$(DIST)"
	tar -C "$(dir $(DIST))" -czf "$(DIST).tar.gz" "$(notdir $(DIST))"
	@cd "$(dir $(DIST))" && sha256sum "$(notdir $(DIST)).tar.gz" | tee "$(notdir $(DIST)).tar.gz.sha256"
	@wc -c "$(DIST).tar.gz" "$(DIST)/bin/mlflow-deploy"* "$(DIST)/libexec/mlflow-deploy/mlflow-deploy-plugin-host" "$(DIST)/lib/mlflow-deploy/plugins/"*.$(SUFFIX)
