//! Checks that the calls on which a case depends worked: a call succeeded, a stream sent chunks, or a call was pending.
//!
//! A plugin that replies to every call with an error violates few clauses of the contract. Without these checks, it
//! would pass cases that could not check anything.

use mlflow_deploy_plugin_api::Operation;
use mlflow_deploy_plugin_api::ffi::Slot;
use mlflow_deploy_plugin_api::testing::raw::{Driver, Request};

use crate::harness::{Answer, Harness};
use crate::marker::Marker;

impl Harness {
    /// Returns a call that ends without being cancelled and that succeeds. Makes the call once, and returns
    /// `Marker::Unproven` if it fails.
    pub(crate) fn working_call(&self, driver: &Driver, client: u64) -> Result<(Slot, Request), Marker> {
        let (slot, request) = self.require_simple_call(driver)?;
        self.call(driver, slot, client, &request)?.expect_proof()?;
        Ok((slot, request))
    }

    /// Checks that the sample call of each operation with inputs succeeds, and that a sample stream sends a chunk. If
    /// the plugin has no such operation, checks that another call succeeds. Returns `Marker::Unproven` if a check
    /// fails.
    pub(crate) fn prove_samples(&self, driver: &Driver, client: u64) -> Result<(), Marker> {
        let operations: Vec<_> = self.safe_operations(driver).into_iter().filter(takes_inputs).collect();
        if operations.is_empty() {
            return self.working_call(driver, client).map(drop);
        }
        operations.into_iter().try_for_each(|operation| match operation {
            Operation::PredictStream => self.prove_stream(driver, client, 1),
            _ => self.call(driver, Slot::Operation(operation), client, &self.sample(operation))?.expect_proof(),
        })
    }

    /// Checks that the sample stream sends at least `chunks` chunks. Returns `Marker::Unproven` if it sends fewer.
    pub(crate) fn prove_stream(&self, driver: &Driver, client: u64, chunks: usize) -> Result<(), Marker> {
        let slot = Slot::Operation(Operation::PredictStream);
        self.call(driver, slot, client, &self.sample(Operation::PredictStream))?.expect_chunks(chunks)
    }

    /// Returns a call that has no reply until it is cancelled. Returns `Marker::Skip` if the plugin and the config have
    /// no such call.
    pub(crate) fn pending(&self, driver: &Driver, client: u64) -> Result<(Slot, Request), Marker> {
        if let Some(slow) = self.config().slow.as_ref().filter(|_| driver.has(Slot::Operation(Operation::Predict))) {
            let (slot, request) = (Slot::Operation(Operation::Predict), slow.request());
            self.prove_pending(driver, client, slot, &request)?;
            return Ok((slot, request));
        }
        let stream = Operation::PredictStream;
        if driver.has(Slot::Operation(stream)) {
            // A stream that has chunks to send waits if it has no credit.
            self.prove_stream(driver, client, 1)?;
            return Ok((Slot::Operation(stream), self.sample(stream).with_credit(0)));
        }
        Err(Marker::skip("no call stays pending: the plugin does not stream, and the config has no `slow`"))
    }

    /// Returns a call that has no reply until it is cancelled. If there is none, returns a call that succeeds.
    pub(crate) fn pending_or_working(&self, driver: &Driver, client: u64) -> Result<(Slot, Request), Marker> {
        match self.pending(driver, client) {
            Err(Marker::Skip(_)) => self.working_call(driver, client),
            found => found,
        }
    }

    /// Makes a call and cancels it. Returns `Marker::Unproven` if the call ends before it is cancelled.
    fn prove_pending(&self, driver: &Driver, client: u64, slot: Slot, request: &Request) -> Result<(), Marker> {
        let call = driver.fresh_id();
        self.start(driver, slot, (client, call), request);
        // A plugin replies to a rejected call before or soon after it replies to a later call.
        if let Some((simple, request)) = self.simple_call(driver) {
            self.call(driver, simple, client, &request)?;
        }
        let has_ended = !driver.call(call).replies.is_empty();
        driver.cancel(call);
        let answer = self.answer(driver, slot, call)?;
        match (has_ended, answer.code().as_deref()) {
            (true, _) => Err(ended_early(&answer)),
            (false, Some("CANCELLED")) => Ok(()),
            (false, _) => self.prove_cancel(driver, client, slot, request),
        }
    }

    /// Makes a call and cancels it after a quarter of the reply timeout. Returns `Marker::Unproven` if the call ends
    /// before it is cancelled, because the reply would then not show that the cancellation ended the call.
    pub(crate) fn prove_cancel(
        &self,
        driver: &Driver,
        client: u64,
        slot: Slot,
        request: &Request,
    ) -> Result<(), Marker> {
        let call = driver.fresh_id();
        self.start(driver, slot, (client, call), request);
        let has_ended = driver.wait(call, self.reply_timeout() / 4, |call| !call.replies.is_empty());
        driver.cancel(call);
        let answer = self.answer(driver, slot, call)?;
        if has_ended { Err(ended_early(&answer)) } else { Ok(()) }
    }
}

fn ended_early(answer: &Answer) -> Marker {
    Marker::unproven(format!(
        "the call ended without a cancel; describe an endless prediction in `[slow]` of the config; {}",
        answer.describe()
    ))
}

impl Answer {
    /// Returns `Marker::Unproven` if the call failed.
    pub(crate) fn expect_proof(&self) -> Result<(), Marker> {
        if self.is_ok() { Ok(()) } else { Err(self.unproven("the call failed")) }
    }

    /// Returns `Marker::Unproven` if the stream sent fewer than `needed` chunks.
    pub(crate) fn expect_chunks(&self, needed: usize) -> Result<(), Marker> {
        match self.call.chunks.len() {
            sent if sent >= needed => Ok(()),
            sent => Err(self.unproven(&format!("the stream sent too few chunks: {sent}, expected at least {needed}"))),
        }
    }

    /// Returns `Marker::Unproven` with a message that describes the reply. `what` is the event to report, such as "the
    /// call failed". The message also names the part of the config that would help.
    pub(crate) fn unproven(&self, what: &str) -> Marker {
        let advice = match self.slot {
            Slot::Operation(operation) => match operation {
                Operation::Predict => "describe a prediction that succeeds in `[predict]`",
                Operation::PredictStream => "describe a prediction that streams in `[predict]`",
                Operation::Explain => "describe an explanation that succeeds in `[explain]`",
                Operation::Invoke => "describe a custom operation that succeeds in `[invoke]`",
                Operation::GetEndpoint | Operation::ListEndpoints => {
                    "name an endpoint in `[endpoint]`, or describe one to create in `[endpoint.config]`"
                }
                Operation::CreateEndpoint | Operation::DeleteEndpoint | Operation::UpdateEndpoint => {
                    "describe an endpoint to create in `[endpoint.config]`"
                }
                _ => "describe a model to deploy in `[deployment]`",
            },
            Slot::RunLocal => "describe a model to serve in `[run_local]`",
            _ => "check `target_uris`, `[options]` and `[environment]`",
        };
        Marker::unproven(format!("{what}; {advice} of the config; {}", self.describe()))
    }
}

/// Returns true if the body of a request for the operation contains inputs for a model.
pub(crate) fn takes_inputs(operation: &Operation) -> bool {
    [Operation::Predict, Operation::PredictStream, Operation::Explain, Operation::Invoke].contains(operation)
}
