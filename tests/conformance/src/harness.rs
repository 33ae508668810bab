//! The harness with which a case tests a plugin. It loads and starts the plugin, makes calls, and waits for replies.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mlflow_deploy_plugin_api::Operation;
use mlflow_deploy_plugin_api::ffi::Slot;
use mlflow_deploy_plugin_api::ffi::abi::PluginTable;
use mlflow_deploy_plugin_api::manifest::{self, Manifest};
use mlflow_deploy_plugin_api::testing::raw::{Driver, HostShape, Library, RecordedCall, Reply, Request};
use serde_json::{Map, Value, json};

use crate::config::Config;
use crate::isolated::{self, Connection};
use crate::marker::Marker;
use crate::message::{Job, Line, Reporter};
use crate::needs_config;
use crate::secrets::Secrets;
use crate::untrusted;

/// The harness of one case: the settings of the run, and functions that load the plugin and call it.
#[derive(Debug)]
pub(crate) struct Harness {
    job: Job,
    teller: Arc<Reporter>,
}

/// The first reply to a call of one of the plugin's functions.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) slot: Slot,
    pub(crate) reply: Reply,
    /// All replies and chunks that the call had received when its first reply was returned.
    pub(crate) call: RecordedCall,
}

impl Harness {
    pub(crate) fn new(job: Job, teller: Arc<Reporter>) -> Self {
        Self { job, teller }
    }

    pub(crate) fn plugin(&self) -> &Path {
        &self.job.plugin
    }

    pub(crate) fn config(&self) -> &Config {
        &self.job.config
    }

    /// Returns a random number generator. Its seed is computed from the seed of the run and the name of the case.
    pub(crate) fn random(&self) -> fastrand::Rng {
        let case = self.job.case.bytes().fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        fastrand::Rng::with_seed(self.job.seed ^ case)
    }

    /// Returns a name for a new resource of the given kind on the target. Another case or run does not use the same
    /// name.
    pub(crate) fn name(&self, kind: &str) -> String {
        format!("conformance-{kind}-{:x}-{:x}", self.job.seed, std::process::id())
    }

    /// Returns the time within which the plugin has to reply to a call.
    pub(crate) fn reply_timeout(&self) -> Duration {
        Duration::from_millis(self.job.reply_timeout_ms)
    }

    /// Logs the next step of the case. If the case fails, the report shows the log.
    pub(crate) fn log(&self, step: impl Into<String>) {
        self.teller.send(&Line::Log(step.into()));
    }

    pub(crate) fn manifest(&self) -> Result<Manifest, Marker> {
        manifest::read(self.plugin()).map_err(|_unreadable| Marker::skip("the manifest cannot be read"))
    }

    pub(crate) fn library(&self) -> Result<Library, Marker> {
        self.library_at(self.plugin())
    }

    fn library_at(&self, file: &Path) -> Result<Library, Marker> {
        if self.job.plugin_host.is_some() {
            return Err(Marker::fault("a case that inspects the library was run with `--isolated`"));
        }
        self.log("loads the library");
        untrusted::open(file).map_err(|error| Marker::fail(format!("failed to load the library: {error}")))
    }

    pub(crate) fn table(&self) -> Result<PluginTable, Marker> {
        self.library()?.table().map_err(|error| Marker::fail(error.to_string()))
    }

    pub(crate) fn instance(&self) -> Result<Driver, Marker> {
        self.instance_for(HostShape::Current)
    }

    pub(crate) fn instance_for(&self, shape: HostShape) -> Result<Driver, Marker> {
        self.instance_of(self.plugin(), shape)
    }

    /// Loads the plugin in `file` and starts an instance of it. `shape` is the layout of the host table that is passed
    /// to the plugin.
    pub(crate) fn instance_of(&self, file: &Path, shape: HostShape) -> Result<Driver, Marker> {
        if let Some(program) = &self.job.plugin_host {
            return self.isolated_instance(program, file, shape).map(|(driver, _)| driver);
        }
        let table = self.library_at(file)?.table().map_err(|error| Marker::fail(error.to_string()))?;
        self.log("calls `init`");
        untrusted::start(table, shape).ok_or_else(|| Marker::fail("`init` returned NULL"))
    }

    /// Starts a process plugin. Returns its driver, and the connection, which the case can end.
    pub(crate) fn connected_instance(&self) -> Result<(Driver, Connection), Marker> {
        match &self.job.plugin_host {
            Some(program) => self.isolated_instance(program, self.plugin(), HostShape::Current),
            None => Err(Marker::fault("a case for process plugins was run without a separate process")),
        }
    }

    fn isolated_instance(&self, program: &Path, file: &Path, shape: HostShape) -> Result<(Driver, Connection), Marker> {
        let manifest = self.manifest()?;
        self.log("starts the plugin in a separate process");
        isolated::start((program, file), &manifest, shape, &self.teller)
    }

    /// Starts an instance of the plugin and opens a client on it. Returns the driver that calls the instance, and the
    /// id of the client.
    pub(crate) fn client(&self) -> Result<(Driver, u64), Marker> {
        let driver = self.instance()?;
        let client = self.open(&driver)?;
        Ok((driver, client))
    }

    /// Returns the first target URI in the config, or else the first scheme in the plugin's manifest. Returns
    /// `Marker::Skip` if there is neither.
    pub(crate) fn target(&self) -> Result<String, Marker> {
        match self.config().target_uris.first() {
            Some(target) => Ok(target.clone()),
            None => self.manifest()?.schemes.into_iter().next().ok_or_else(|| {
                Marker::skip("no target URI: the config has no `target_uris` and the manifest no schemes")
            }),
        }
    }

    pub(crate) fn open_request(&self, target: &str) -> Request {
        self.open_request_with(target, &self.config().options)
    }

    pub(crate) fn open_request_with(&self, target: &str, options: &Map<String, Value>) -> Request {
        request(&json!({"target_uri": target, "options": options}), "")
    }

    pub(crate) fn open(&self, driver: &Driver) -> Result<u64, Marker> {
        let target = self.target()?;
        self.open_as(driver, driver.fresh_id(), &target)
    }

    pub(crate) fn open_as(&self, driver: &Driver, client: u64, target: &str) -> Result<u64, Marker> {
        let answer = self.call(driver, Slot::Open, client, &self.open_request(target))?;
        if let (None, false, Some(code)) = (self.config().target_uris.first(), answer.is_ok(), answer.code())
            && needs_config::is_possible(&code)
        {
            let error = answer.json().and_then(|error| error["message"].as_str().map(str::to_owned));
            let error = error.unwrap_or_else(|| answer.describe());
            return Err(Marker::fault(needs_config::message(&self.manifest()?, target, &error)));
        }
        answer.expect_ok().map(|()| client)
    }

    /// Calls the function `slot` of the plugin, and waits for the reply.
    pub(crate) fn call(&self, driver: &Driver, slot: Slot, client: u64, request: &Request) -> Result<Answer, Marker> {
        let call = driver.fresh_id();
        self.start(driver, slot, (client, call), request);
        self.answer(driver, slot, call)
    }

    /// Calls the function `slot` of the plugin, without waiting for the reply.
    pub(crate) fn start(&self, driver: &Driver, slot: Slot, (client, call): (u64, u64), request: &Request) {
        self.log(format!("calls `{}` (client {client}, call {call})", slot.name()));
        driver.enter(slot, client, call, request);
    }

    /// Waits for the reply to a call, and returns it. Fails if there is no reply within the reply timeout.
    pub(crate) fn answer(&self, driver: &Driver, slot: Slot, call: u64) -> Result<Answer, Marker> {
        if !driver.wait(call, self.reply_timeout(), |call| !call.replies.is_empty()) {
            return Err(Marker::fail(format!(
                "no reply to `{}` within {} s (call {call})",
                slot.name(),
                self.reply_timeout().as_secs_f64()
            )));
        }
        let call = driver.call(call);
        let reply = call.replies.first().cloned().ok_or_else(|| Marker::fault("a reply was lost"))?;
        Ok(Answer { slot, reply, call })
    }

    /// Makes one more call and then shuts down the plugin. After that, all late replies have arrived.
    pub(crate) fn drain(&self, driver: &Driver, client: u64) -> Result<(), Marker> {
        if let Some((slot, request)) = self.simple_call(driver) {
            self.call(driver, slot, client, &request)?;
        }
        if driver.has(Slot::Shutdown) {
            self.call(driver, Slot::Shutdown, 0, &request(&Value::Null, ""))?;
        }
        Ok(())
    }

    /// Returns the operations of the plugin. Also returns `target_help` if the plugin has it.
    pub(crate) fn slots(&self, driver: &Driver) -> Vec<Slot> {
        let operations = driver.operations().map(Slot::Operation);
        operations.chain([Slot::TargetHelp].into_iter().filter(|slot| driver.has(*slot))).collect()
    }

    /// Returns the operations of the plugin that a case may call with any arguments. An operation that creates or
    /// updates a resource is included only if the config describes such a resource. `invoke` is included only if the
    /// config describes a custom operation.
    pub(crate) fn safe_operations(&self, driver: &Driver) -> Vec<Operation> {
        let may_change = |operation: &Operation| match operation {
            Operation::CreateDeployment | Operation::UpdateDeployment => self.config().deployment.is_some(),
            Operation::CreateEndpoint | Operation::UpdateEndpoint => {
                self.config().endpoint.as_ref().is_some_and(|endpoint| endpoint.config.is_some())
            }
            Operation::Invoke => self.config().invoke.is_some(),
            _ => true,
        };
        driver.operations().filter(may_change).collect()
    }

    /// Returns a call that ends without being cancelled, or `None` if the plugin has no operation for it. It is a
    /// prediction if the plugin has `predict`. The plugin may reply with an error.
    pub(crate) fn simple_call(&self, driver: &Driver) -> Option<(Slot, Request)> {
        let order = [
            Operation::Predict,
            Operation::ListEndpoints,
            Operation::ListDeployments,
            Operation::GetEndpoint,
            Operation::GetDeployment,
            Operation::Explain,
        ];
        let operation = order.into_iter().find(|operation| driver.has(Slot::Operation(*operation)));
        match operation {
            Some(operation) => Some((Slot::Operation(operation), self.sample(operation))),
            None => driver.has(Slot::TargetHelp).then(|| (Slot::TargetHelp, request(&json!({}), ""))),
        }
    }

    pub(crate) fn require_simple_call(&self, driver: &Driver) -> Result<(Slot, Request), Marker> {
        self.simple_call(driver).ok_or_else(|| Marker::skip("the plugin has no operation that can be called"))
    }

    /// Returns the secrets that the plugin receives and must not reveal.
    pub(crate) fn secrets(&self) -> Result<Secrets, Marker> {
        Ok(Secrets::of(&self.manifest()?, self.config()))
    }
}

impl Answer {
    /// Returns true if the status of the reply is 0, which means success.
    pub(crate) fn is_ok(&self) -> bool {
        self.reply.status == 0
    }

    /// Returns the error code in the reply, or `None` if the reply is a success or has no error code.
    pub(crate) fn code(&self) -> Option<String> {
        let error: Value = serde_json::from_slice(self.body()).ok().filter(|_| !self.is_ok())?;
        error["code"].as_str().map(str::to_owned)
    }

    pub(crate) fn body(&self) -> &[u8] {
        self.reply.body.as_deref().unwrap_or_default()
    }

    /// Returns the body of the reply as JSON, or `None` if it is not JSON.
    pub(crate) fn json(&self) -> Option<Value> {
        serde_json::from_slice(self.body()).ok()
    }

    /// Describes the reply in one line: the function that was called, the status, and the start of the body.
    pub(crate) fn describe(&self) -> String {
        const MAX_LEN: usize = 300;
        let text = String::from_utf8_lossy(self.body());
        let visible = |each: char| if each.is_control() { each.escape_default().to_string() } else { each.to_string() };
        let cut: String = text.chars().take(MAX_LEN).map(visible).collect();
        let more = if text.chars().nth(MAX_LEN).is_some() { "…" } else { "" };
        format!("`{}` replied with status {}: {cut}{more}", self.slot.name(), self.reply.status)
    }

    pub(crate) fn expect_ok(&self) -> Result<(), Marker> {
        if self.is_ok() { Ok(()) } else { Err(Marker::fail(self.describe())) }
    }

    /// Fails if the reply reports that the plugin panicked. A plugin must not panic on any input, even if the panic is
    /// caught.
    pub(crate) fn expect_no_panic(&self) -> Result<(), Marker> {
        match self.code().as_deref() {
            Some("PLUGIN_PANICKED") => Err(Marker::fail(format!("the plugin panicked: {}", self.describe()))),
            _ => Ok(()),
        }
    }

    pub(crate) fn expect_error(&self) -> Result<(), Marker> {
        self.expect_no_panic()?;
        if self.is_ok() { Err(Marker::fail(format!("expected an error, but {}", self.describe()))) } else { Ok(()) }
    }
}

/// Returns a request with `head` as its JSON head and with the given body.
pub(crate) fn request(head: &Value, body: impl Into<Vec<u8>>) -> Request {
    Request::new(head.to_string(), body.into())
}
