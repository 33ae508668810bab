//! Proof that what a case needs has happened: a call succeeded, a stream sent chunks, a call was pending.
//!
//! A plugin that answers every call with an error violates few clauses. Without proof it would pass cases that check
//! nothing.

use mlflow_deploy_plugin_api::Operation;
use mlflow_deploy_plugin_api::ffi::Slot;
use mlflow_deploy_plugin_api::testing::raw::{Driver, Request};

use crate::harness::{Answer, Harness};
use crate::marker::Marker;

impl Harness {
    /// Returns a call that succeeds and ends without a cancel. Makes it once.
    pub(crate) fn working_call(&self, driver: &Driver, client: u64) -> Result<(Slot, Request), Marker> {
        let (slot, request) = self.require_simple_call(driver)?;
        self.call(driver, slot, client, &request)?.expect_proof()?;
        Ok((slot, request))
    }

    /// Fails unless the sample call of each operation with inputs succeeds, and a stream sends a chunk. For a plugin
    /// without such an operation, another call has to succeed.
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

    /// Fails unless the sample stream sends at least this many chunks.
    pub(crate) fn prove_stream(&self, driver: &Driver, client: u64, chunks: usize) -> Result<(), Marker> {
        let slot = Slot::Operation(Operation::PredictStream);
        self.call(driver, slot, client, &self.sample(Operation::PredictStream))?.expect_chunks(chunks)
    }

    /// Returns a call that stays pending until it is cancelled.
    pub(crate) fn pending(&self, driver: &Driver, client: u64) -> Result<(Slot, Request), Marker> {
        if let Some(slow) = self.config().slow.as_ref().filter(|_| driver.has(Slot::Operation(Operation::Predict))) {
            let (slot, request) = (Slot::Operation(Operation::Predict), slow.request());
            self.prove_pending(driver, client, slot, &request)?;
            return Ok((slot, request));
        }
        let stream = Operation::PredictStream;
        if driver.has(Slot::Operation(stream)) {
            // Without credit, a stream with chunks waits.
            self.prove_stream(driver, client, 1)?;
            return Ok((Slot::Operation(stream), self.sample(stream).with_credit(0)));
        }
        Err(Marker::skip("no call stays pending: the plugin does not stream, and the config has no `slow`"))
    }

    /// Returns a call that stays pending, or else one that succeeds.
    pub(crate) fn pending_or_working(&self, driver: &Driver, client: u64) -> Result<(Slot, Request), Marker> {
        match self.pending(driver, client) {
            Err(Marker::Skip(_)) => self.working_call(driver, client),
            found => found,
        }
    }

    /// Fails if the call ends without a cancel.
    fn prove_pending(&self, driver: &Driver, client: u64, slot: Slot, request: &Request) -> Result<(), Marker> {
        let call = driver.fresh_id();
        self.start(driver, slot, (client, call), request);
        // A call that is refused has its reply before that of a later one, or soon after.
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

    /// Fails if a call ends without a cancel, because a cancel may not be the reason of the reply that it got.
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
        "the call ended without a cancel; describe a prediction that does not in `[slow]` of the config; {}",
        answer.describe()
    ))
}

impl Answer {
    /// Fails unless the call succeeded, which the case needs.
    pub(crate) fn expect_proof(&self) -> Result<(), Marker> {
        if self.is_ok() { Ok(()) } else { Err(self.unproven("the call failed")) }
    }

    /// Fails unless the stream sent this many chunks, which the case needs.
    pub(crate) fn expect_chunks(&self, needed: usize) -> Result<(), Marker> {
        match self.call.chunks.len() {
            sent if sent >= needed => Ok(()),
            sent => Err(self.unproven(&format!("the stream sent {sent} of at least {needed} chunks"))),
        }
    }

    /// Returns the marker of a case that this reply does not prove. `what` happened instead of what the case needs.
    pub(crate) fn unproven(&self, what: &str) -> Marker {
        let advice = match self.slot {
            Slot::Operation(operation) => match operation {
                Operation::Predict => "describe a prediction that works in `[predict]`",
                Operation::PredictStream => "describe a prediction that streams in `[predict]`",
                Operation::Explain => "describe an explanation that works in `[explain]`",
                Operation::Invoke => "describe an operation that works in `[invoke]`",
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

/// Returns true if the body of an operation is its inputs.
pub(crate) fn takes_inputs(operation: &Operation) -> bool {
    [Operation::Predict, Operation::PredictStream, Operation::Explain, Operation::Invoke].contains(operation)
}
