//! The plugin's side of the boundary: one function per slot, and the macro that exports them.
//!
//! A slot translates and nothing more: it reads the request, finds the instance, and starts the call.

use std::ffi::c_void;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use abi_stable;

use super::abi::{AbiRequest, Growing, PluginTable};
use super::contain::{contain, keep_panics_off_stderr};
use super::host::Host;
use super::instance::{Instance, Order, panicked};
use crate::args::{self, Arguments, RunLocal};
use crate::{ClientOptions, DeploymentClient, Error, Payload, Result, TargetUri};

/// What `open` takes.
#[derive(Serialize, Deserialize)]
pub(super) struct Open {
    pub(super) target_uri: TargetUri,
    #[serde(default)]
    pub(super) options: ClientOptions,
}

/// A table with what every plugin has; the slots of its operations are still to be filled.
pub const fn table<C: DeploymentClient>() -> PluginTable {
    PluginTable {
        init: Some(init::<C>),
        shutdown: Some(shutdown::<C>),
        open: Some(open::<C>),
        close: Some(close::<C>),
        cancel: Some(cancel::<C>),
        credit: Some(credit::<C>),
        ..PluginTable::EMPTY
    }
}

/// What a loaded library does before it hands out its table.
pub fn loaded() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    // Where a panic ends the process, nobody but stderr will ever hear of it.
    if cfg!(panic = "unwind") {
        ONCE.call_once(keep_panics_off_stderr);
    }
}

unsafe extern "C" fn init<C: DeploymentClient>(host: *const c_void) -> *mut c_void {
    let made = contain(|| {
        // SAFETY: the host passes its own `HostApi`, see `PluginTable::init`.
        let host = unsafe { Host::new(host.cast()) }?;
        Some(std::ptr::from_mut(Box::leak(Box::new(Instance::<C>::new(host)))).cast::<c_void>())
    });
    made.ok().flatten().unwrap_or(std::ptr::null_mut())
}

/// The instance that `init` made.
///
/// # Safety
/// The host passes NULL or what `init` of the same table returned.
unsafe fn instance<C>(plugin: *mut c_void) -> Option<&'static Instance<C>> {
    // SAFETY: `init` leaked an instance of this very type, so it lives for ever and is only ever borrowed shared.
    unsafe { plugin.cast::<Instance<C>>().cast_const().as_ref() }
}

/// A slot without a request: finds the instance, and keeps panics in.
///
/// # Safety
/// As for [`instance`].
unsafe fn enter<C: DeploymentClient>(plugin: *mut c_void, doing: &str, work: impl FnOnce(&'static Instance<C>)) {
    // SAFETY: the host's promise is passed on as it is.
    let Some(instance) = (unsafe { instance::<C>(plugin) }) else { return };
    if let Err(message) = contain(|| work(instance)) {
        instance.report_panic(doing, &message);
    }
}

unsafe extern "C" fn shutdown<C: DeploymentClient>(plugin: *mut c_void, call: u64) {
    // SAFETY: the host passes what `init` returned, see `PluginTable`.
    unsafe { enter::<C>(plugin, "shutting down", |instance| instance.shut_down(call)) };
}

unsafe extern "C" fn close<C: DeploymentClient>(plugin: *mut c_void, client: u64) {
    // SAFETY: the host passes what `init` returned, see `PluginTable`.
    unsafe { enter::<C>(plugin, "closing a client", |instance| instance.close(client)) };
}

unsafe extern "C" fn cancel<C: DeploymentClient>(plugin: *mut c_void, call: u64) {
    // SAFETY: the host passes what `init` returned, see `PluginTable`.
    unsafe { enter::<C>(plugin, "cancelling a call", |instance| instance.cancel(call)) };
}

unsafe extern "C" fn credit<C: DeploymentClient>(plugin: *mut c_void, call: u64, chunks: u32) {
    // SAFETY: the host passes what `init` returned, see `PluginTable`.
    unsafe { enter::<C>(plugin, "granting credit", |instance| instance.credit(call, chunks)) };
}

/// A slot with a request: reads the head, then starts the call. What goes wrong before that is the call's reply.
///
/// # Safety
/// As for [`instance`]; `request` is NULL or as [`PluginTable`] says, until this returns.
unsafe fn begin<C: DeploymentClient, H: DeserializeOwned>(
    plugin: *mut c_void,
    (client, call): (u64, u64),
    request: *const AbiRequest,
    start: impl FnOnce(&'static Instance<C>, Order, H, Vec<u8>) -> Result<()>,
) {
    // SAFETY: the host's promise is passed on as it is.
    let Some(instance) = (unsafe { instance::<C>(plugin) }) else { return };
    let started = contain(|| {
        // SAFETY: the host's promise is passed on as it is.
        let request = unsafe { AbiRequest::copy_known(request) }
            .ok_or_else(|| Error::invalid_parameter("the request is NULL or smaller than a request"))?;
        // SAFETY: the host lends the head until the slot returns.
        let head = unsafe { request.head.copy() }.ok_or_else(null_slice)?;
        // SAFETY: the host lends the body until the slot returns.
        let body = unsafe { request.body.copy() }.ok_or_else(null_slice)?;
        let head = arguments(&head)?;
        let timeout = (request.timeout_ms > 0).then(|| Duration::from_millis(request.timeout_ms));
        start(instance, Order { call, client, credit: request.credit, timeout }, head, body)
    });
    match started {
        Ok(Ok(())) => {}
        Ok(Err(refusal)) => instance.host.reply(call, Err(refusal)),
        Err(message) => instance.host.reply(call, Err(panicked(&message))),
    }
}

/// Reads a head, which is a JSON object, or nothing.
///
/// serde would take a list for a struct as well, its elements in the order of the fields, and would not look at the
/// bytes of a text that nobody asks for.
fn arguments<H: DeserializeOwned>(head: &[u8]) -> Result<H> {
    let unreadable =
        |why: &dyn std::fmt::Display| Error::invalid_parameter(format!("failed to read the arguments: {why}"));
    let text = std::str::from_utf8(head).map_err(|error| unreadable(&error))?;
    let text = if text.is_empty() { "{}" } else { text };
    let arguments = serde_json::from_str(text).map_err(|error| unreadable(&error))?;
    if !text.trim_ascii_start().starts_with('{') {
        return Err(unreadable(&"expected a JSON object"));
    }
    Ok(arguments)
}

fn null_slice() -> Error {
    Error::invalid_parameter("the request has a slice that is NULL but not empty")
}

unsafe extern "C" fn open<C: DeploymentClient>(
    plugin: *mut c_void,
    client: u64,
    call: u64,
    request: *const AbiRequest,
) {
    let start = |instance: &'static Instance<C>, order: Order, open: Open, _: Vec<u8>| {
        instance.start(order, move |_| async move {
            let client = C::connect(open.target_uri, open.options).await?;
            instance.keep(order, client)?;
            Ok(Payload::empty())
        });
        Ok(())
    };
    // SAFETY: the host passes what `init` returned and a request, see `PluginTable`.
    unsafe { begin::<C, Open>(plugin, (client, call), request, start) };
}

/// Answers an operation of a client.
///
/// # Safety
/// As for [`begin`].
unsafe fn operation<C: DeploymentClient, A: Arguments>(
    plugin: *mut c_void,
    ids: (u64, u64),
    request: *const AbiRequest,
) {
    let start = |instance: &'static Instance<C>, order: Order, mut arguments: A, body: Vec<u8>| {
        if let Some(inputs) = arguments.inputs() {
            inputs.bytes = body;
        }
        let client = instance.client(order.client)?;
        instance.start(order, move |mut chunks| async move { arguments.answer(&client.value, &mut chunks).await });
        Ok(())
    };
    // SAFETY: the caller has the host's promise.
    unsafe { begin::<C, A>(plugin, ids, request, start) };
}

/// Declares the slots that [`export_plugin!`](crate::export_plugin) fills by the operation's name.
macro_rules! slots {
    ($($slot:ident = $arguments:ident),* $(,)?) => {
        /// One function per slot, named as the slot.
        #[expect(missing_docs, reason = "each is documented at its slot in `PluginTable`")]
        pub mod slots {
            use super::*;

            $(
                pub unsafe extern "C" fn $slot<C: DeploymentClient>(
                    plugin: *mut c_void,
                    client: u64,
                    call: u64,
                    request: *const AbiRequest,
                ) {
                    // SAFETY: the host passes what `init` returned and a request, see `PluginTable`.
                    unsafe { operation::<C, args::$arguments>(plugin, (client, call), request) };
                }
            )*

            pub unsafe extern "C" fn target_help<C: DeploymentClient>(
                plugin: *mut c_void,
                call: u64,
                request: *const AbiRequest,
            ) {
                let start = |instance: &'static Instance<C>, order: Order, _: serde::de::IgnoredAny, _: Vec<u8>| {
                    instance.start(order, |_| async { Ok(Payload::new("text/markdown", C::target_help())) });
                    Ok(())
                };
                // SAFETY: the host passes what `init` returned and a request, see `PluginTable`.
                unsafe { begin::<C, serde::de::IgnoredAny>(plugin, (0, call), request, start) };
            }

            pub unsafe extern "C" fn run_local<C: DeploymentClient>(
                plugin: *mut c_void,
                call: u64,
                request: *const AbiRequest,
            ) {
                let start = |instance: &'static Instance<C>, order: Order, arguments: RunLocal, _: Vec<u8>| {
                    instance.start(order, |mut chunks| async move {
                        C::run_local(arguments, &mut chunks).await?;
                        Ok(Payload::empty())
                    });
                    Ok(())
                };
                // SAFETY: the host passes what `init` returned and a request, see `PluginTable`.
                unsafe { begin::<C, RunLocal>(plugin, (0, call), request, start) };
            }
        }
    };
}

slots! {
    create_deployment = CreateDeployment,
    update_deployment = UpdateDeployment,
    delete_deployment = DeleteDeployment,
    get_deployment = GetDeployment,
    list_deployments = ListDeployments,
    create_endpoint = CreateEndpoint,
    update_endpoint = UpdateEndpoint,
    delete_endpoint = DeleteEndpoint,
    get_endpoint = GetEndpoint,
    list_endpoints = ListEndpoints,
    predict = Predict,
    predict_stream = PredictStream,
    explain = Explain,
    invoke = Invoke,
}
