//! What a case works with: the plugin at any stage of its life, calls with their answers, and how long to wait for them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mlflow_deploy_plugin_api::Operation;
use mlflow_deploy_plugin_api::ffi::Slot;
use mlflow_deploy_plugin_api::ffi::abi::PluginTable;
use mlflow_deploy_plugin_api::manifest::{self, Manifest};
use mlflow_deploy_plugin_api::testing::raw::{Driver, HostShape, Library, RecordedCall, Reply, Request};
use serde_json::{Value, json};

use crate::child::{Job, Line, Teller};
use crate::config::Config;
use crate::isolated;
use crate::mark::Mark;
use crate::untrusted;

/// What a case works with.
#[derive(Debug)]
pub(crate) struct Bench {
    job: Job,
    teller: Arc<Teller>,
}

/// What came of a call.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) slot: Slot,
    pub(crate) reply: Reply,
    /// All that came for the call so far.
    pub(crate) call: RecordedCall,
}

/// The secrets that a plugin is given, and that it must not say.
#[derive(Debug)]
pub(crate) struct Secrets {
    /// The variables to set.
    pub(crate) variables: Vec<(String, String)>,
    /// What must not be said.
    pub(crate) values: Vec<String>,
}

impl Bench {
    pub(crate) fn new(job: Job, teller: Arc<Teller>) -> Self {
        Self { job, teller }
    }

    pub(crate) fn plugin(&self) -> &Path {
        &self.job.plugin
    }

    pub(crate) fn config(&self) -> &Config {
        &self.job.config
    }

    /// Random numbers that are the same for the same seed and case.
    pub(crate) fn random(&self) -> fastrand::Rng {
        let case = self.job.case.bytes().fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        fastrand::Rng::with_seed(self.job.seed ^ case)
    }

    /// A name that nobody else uses.
    pub(crate) fn name(&self, what: &str) -> String {
        format!("conformance-{what}-{:x}-{:x}", self.job.seed, std::process::id())
    }

    /// How long a reply may take.
    pub(crate) fn patience(&self) -> Duration {
        Duration::from_millis(self.job.patience_ms)
    }

    /// Notes what is done next, for whoever reads what went wrong.
    pub(crate) fn say(&self, what: impl Into<String>) {
        self.teller.tell(&Line::Log(what.into()));
    }

    pub(crate) fn manifest(&self) -> Result<Manifest, Mark> {
        manifest::read(self.plugin()).map_err(|_none| Mark::skip("there is no manifest that can be read"))
    }

    pub(crate) fn library(&self) -> Result<Library, Mark> {
        self.library_at(self.plugin())
    }

    fn library_at(&self, file: &Path) -> Result<Library, Mark> {
        if self.job.plugin_host.is_some() {
            return Err(Mark::fault("a case that looks at the library itself was run isolated"));
        }
        self.say("loads the library");
        untrusted::open(file).map_err(|said| Mark::fail(format!("the system's loader says: {said}")))
    }

    pub(crate) fn table(&self) -> Result<PluginTable, Mark> {
        self.library()?.table().map_err(|error| Mark::fail(error.to_string()))
    }

    pub(crate) fn instance(&self) -> Result<Driver, Mark> {
        self.instance_for(HostShape::Current)
    }

    pub(crate) fn instance_for(&self, shape: HostShape) -> Result<Driver, Mark> {
        self.instance_of(self.plugin(), shape)
    }

    /// An instance of the plugin, or of a copy of it.
    pub(crate) fn instance_of(&self, file: &Path, shape: HostShape) -> Result<Driver, Mark> {
        if let Some(program) = &self.job.plugin_host {
            let manifest = self.manifest()?;
            self.say("starts the plugin in a process of its own");
            return isolated::start((program, file), &manifest, shape, &self.teller);
        }
        let table = self.library_at(file)?.table().map_err(|error| Mark::fail(error.to_string()))?;
        self.say("calls `init`");
        untrusted::start(table, shape).ok_or_else(|| Mark::fail("`init` returned NULL"))
    }

    /// An instance with a client.
    pub(crate) fn client(&self) -> Result<(Driver, u64), Mark> {
        let driver = self.instance()?;
        let client = self.open(&driver)?;
        Ok((driver, client))
    }

    /// The target URI to open.
    pub(crate) fn target(&self) -> Result<String, Mark> {
        match self.config().target_uris.first() {
            Some(target) => Ok(target.clone()),
            None => self.manifest()?.schemes.into_iter().next().ok_or_else(|| Mark::skip("there is no target to open")),
        }
    }

    pub(crate) fn open_request(&self, target: &str) -> Request {
        request(&json!({"target_uri": target, "options": self.config().options}), "")
    }

    pub(crate) fn open(&self, driver: &Driver) -> Result<u64, Mark> {
        let target = self.target()?;
        self.open_as(driver, driver.fresh_id(), &target)
    }

    pub(crate) fn open_as(&self, driver: &Driver, client: u64, target: &str) -> Result<u64, Mark> {
        let answer = self.ask(driver, Slot::Open, client, &self.open_request(target))?;
        answer.must_be_ok().map(|()| client)
    }

    /// Makes a call and waits for its reply.
    pub(crate) fn ask(&self, driver: &Driver, slot: Slot, client: u64, request: &Request) -> Result<Answer, Mark> {
        let call = driver.fresh_id();
        self.start(driver, slot, (client, call), request);
        self.answer(driver, slot, call)
    }

    /// Makes a call.
    pub(crate) fn start(&self, driver: &Driver, slot: Slot, (client, call): (u64, u64), request: &Request) {
        self.say(format!("calls `{}` (client {client}, call {call})", slot.name()));
        driver.enter(slot, client, call, request);
    }

    /// Waits for a call's reply.
    pub(crate) fn answer(&self, driver: &Driver, slot: Slot, call: u64) -> Result<Answer, Mark> {
        if !driver.wait(call, self.patience(), |call| !call.replies.is_empty()) {
            return Err(Mark::fail(format!(
                "no reply to `{}` within {} s (call {call})",
                slot.name(),
                self.patience().as_secs_f64()
            )));
        }
        let call = driver.call(call);
        let reply = call.replies.first().cloned().ok_or_else(|| Mark::fault("a reply that came has gone"))?;
        Ok(Answer { slot, reply, call })
    }

    /// Waits until the plugin has nothing left to say: one more call, and then its end.
    pub(crate) fn settle(&self, driver: &Driver, client: u64) -> Result<(), Mark> {
        if let Some((slot, request)) = self.easy(driver) {
            self.ask(driver, slot, client, &request)?;
        }
        if driver.has(Slot::Shutdown) {
            self.ask(driver, Slot::Shutdown, 0, &request(&Value::Null, ""))?;
        }
        Ok(())
    }

    /// The slots that the plugin has, but for those that begin and end it.
    pub(crate) fn slots(&self, driver: &Driver) -> Vec<Slot> {
        let operations = driver.operations().map(Slot::Operation);
        operations.chain([Slot::TargetHelp].into_iter().filter(|slot| driver.has(*slot))).collect()
    }

    /// The operations that may be asked for anything: those that leave nothing behind, and others where the config says
    /// that things may be made.
    pub(crate) fn harmless(&self, driver: &Driver) -> Vec<Operation> {
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

    /// A call that the plugin answers by itself.
    pub(crate) fn easy(&self, driver: &Driver) -> Option<(Slot, Request)> {
        let preferred = if self.config().predict.is_some() { Some(Operation::Predict) } else { None };
        let order = [
            Operation::ListEndpoints,
            Operation::ListDeployments,
            Operation::Predict,
            Operation::GetEndpoint,
            Operation::GetDeployment,
            Operation::Explain,
        ];
        let operation = preferred.into_iter().chain(order).find(|operation| driver.has(Slot::Operation(*operation)));
        match operation {
            Some(operation) => Some((Slot::Operation(operation), self.sample(operation))),
            None => driver.has(Slot::TargetHelp).then(|| (Slot::TargetHelp, request(&json!({}), ""))),
        }
    }

    pub(crate) fn need_easy(&self, driver: &Driver) -> Result<(Slot, Request), Mark> {
        self.easy(driver).ok_or_else(|| Mark::skip("there is no operation that can be asked"))
    }

    /// A call that does not end before it is cancelled, or that may not.
    pub(crate) fn pending(&self, driver: &Driver) -> Result<(Slot, Request), Mark> {
        if let Some(slow) = self.config().slow.as_ref().filter(|_| driver.has(Slot::Operation(Operation::Predict))) {
            return Ok((Slot::Operation(Operation::Predict), slow.request()));
        }
        let stream = Operation::PredictStream;
        if driver.has(Slot::Operation(stream)) {
            return Ok((Slot::Operation(stream), self.sample(stream).with_credit(0)));
        }
        Err(Mark::skip("no call of the plugin waits: it does not stream, and there is no `slow` in the config"))
    }

    /// What the plugin must not say.
    pub(crate) fn secrets(&self) -> Result<Secrets, Mark> {
        Ok(Secrets::of(&self.manifest()?, self.config()))
    }
}

impl Answer {
    /// Whether the status says that the call succeeded.
    pub(crate) fn is_ok(&self) -> bool {
        self.reply.status == 0
    }

    /// The error's code, where the reply is an error that has one.
    pub(crate) fn code(&self) -> Option<String> {
        let error: Value = serde_json::from_slice(self.body()).ok().filter(|_| !self.is_ok())?;
        error["code"].as_str().map(str::to_owned)
    }

    pub(crate) fn body(&self) -> &[u8] {
        self.reply.body.as_deref().unwrap_or_default()
    }

    /// The body as JSON, where it is that.
    pub(crate) fn json(&self) -> Option<Value> {
        serde_json::from_slice(self.body()).ok()
    }

    /// What came, in one line.
    pub(crate) fn said(&self) -> String {
        const LONGEST: usize = 300;
        let text = String::from_utf8_lossy(self.body());
        let visible = |each: char| if each.is_control() { each.escape_default().to_string() } else { each.to_string() };
        let cut: String = text.chars().take(LONGEST).map(visible).collect();
        let more = if text.chars().nth(LONGEST).is_some() { "…" } else { "" };
        format!("`{}` answered with status {}: {cut}{more}", self.slot.name(), self.reply.status)
    }

    pub(crate) fn must_be_ok(&self) -> Result<(), Mark> {
        if self.is_ok() { Ok(()) } else { Err(Mark::fail(self.said())) }
    }

    /// A panic is contained, and still no answer to an input.
    pub(crate) fn must_not_be_a_panic(&self) -> Result<(), Mark> {
        match self.code().as_deref() {
            Some("PLUGIN_PANICKED") => Err(Mark::fail(format!("the plugin panicked: {}", self.said()))),
            _ => Ok(()),
        }
    }

    pub(crate) fn must_be_an_error(&self) -> Result<(), Mark> {
        self.must_not_be_a_panic()?;
        if self.is_ok() { Err(Mark::fail(format!("expected an error, but {}", self.said()))) } else { Ok(()) }
    }
}

impl Secrets {
    /// What the config gives as secrets. Where it gives none, there are some for every variable that is to be one.
    pub(crate) fn of(manifest: &Manifest, config: &Config) -> Self {
        let secret = manifest.environment.iter().filter(|variable| variable.secret).map(|variable| &variable.name);
        let given = secret.clone().filter_map(|name| config.environment.get(name).cloned());
        let is_secret = |name: &str| manifest.options["properties"][name]["writeOnly"] == true;
        let has_options = manifest.options.contains_key("properties");
        let options = config.options.iter().filter(|(name, _)| has_options && is_secret(name));
        let options = options.filter_map(|(_, value)| value.as_str().map(str::to_owned));
        let mut values: Vec<_> = given.chain(options).filter(|value| value.len() > 3).collect();
        let mut variables = Vec::new();
        if values.is_empty() {
            variables = secret
                .enumerate()
                .map(|(number, name)| (name.clone(), format!("conformance-secret-{number:04}")))
                .collect();
            values = variables.iter().map(|(_, value)| value.clone()).collect();
        }
        Self { variables, values }
    }
}

/// A request with a head in JSON.
pub(crate) fn request(head: &Value, body: impl Into<Vec<u8>>) -> Request {
    Request::new(head.to_string(), body.into())
}
