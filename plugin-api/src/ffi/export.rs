//! The functions of a plugin's table, which a host calls.
//!
//! Each function reads the request, looks up the instance of the plugin, and starts the call. It contains no other
//! logic.

use std::ffi::c_void;

use serde::de::DeserializeOwned;

use super::abi::{AbiRequest, PluginTable, SizedStruct};
use super::catch_unwind::{catch_panic, keep_panics_off_stderr};
use super::head::OpenHead;
use super::host::Host;
use super::instance::{CallParams, Instance, panicked};
use super::outside_call;
use crate::args::{self, Arguments, RunLocal};
use crate::call::{self, Level};
use crate::{Deadline, DeploymentClient, Error, Payload, Result};

/// Returns a table with the functions that every plugin has. The functions of the operations are NULL in it.
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

/// Prepares a plugin's library, which calls this before it returns its table: panics, log records and events outside of
/// calls are passed to the host. `module` is the path of the module that exports the plugin.
pub fn loaded(module: &'static str) {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        // If a panic ends the process, stderr is the only place to report it.
        if cfg!(panic = "unwind") {
            keep_panics_off_stderr(|backtrace| {
                call::log(Level::Debug, format!("backtrace of the panic:\n{backtrace}"));
            });
        }
        outside_call::enable();
        #[cfg(feature = "log")]
        crate::log_records::install(module);
        #[cfg(not(feature = "log"))]
        let _crate_of_records = module;
    });
}

unsafe extern "C" fn init<C: DeploymentClient>(host: *const c_void) -> *mut c_void {
    let made = catch_panic(|| {
        // SAFETY: the host passes its `HostApi`, see `PluginTable::init`.
        let host = unsafe { Host::new(host.cast()) }?;
        Some(std::ptr::from_mut(Box::leak(Box::new(Instance::<C>::new(host)))).cast::<c_void>())
    });
    made.ok().flatten().unwrap_or(std::ptr::null_mut())
}

/// Returns the instance that `plugin` points to; `None` if `plugin` is NULL.
///
/// # Safety
/// `plugin` is NULL, or a pointer that `init` of the same table returned.
unsafe fn instance<C>(plugin: *mut c_void) -> Option<&'static Instance<C>> {
    // SAFETY: `init` leaked an instance of this type: it is never freed, and only borrowed shared.
    unsafe { plugin.cast::<Instance<C>>().cast_const().as_ref() }
}

/// Runs `work` for a table function that takes no request. Does nothing if `plugin` is NULL. Reports a panic as an
/// event.
///
/// # Safety
/// As for [`instance`].
unsafe fn enter<C: DeploymentClient>(plugin: *mut c_void, action: &str, work: impl FnOnce(&'static Instance<C>)) {
    // SAFETY: the caller makes the same promise.
    let Some(instance) = (unsafe { instance::<C>(plugin) }) else { return };
    if let Err(message) = catch_panic(|| work(instance)) {
        instance.report_panic(action, &message);
    }
}

unsafe extern "C" fn shutdown<C: DeploymentClient>(plugin: *mut c_void, call: u64) {
    // SAFETY: the host passes the pointer that `init` returned, see `PluginTable`.
    unsafe { enter::<C>(plugin, "shutting down", |instance| instance.shut_down(call)) };
}

unsafe extern "C" fn close<C: DeploymentClient>(plugin: *mut c_void, client: u64) {
    // SAFETY: the host passes the pointer that `init` returned, see `PluginTable`.
    unsafe { enter::<C>(plugin, "closing a client", |instance| instance.close(client)) };
}

unsafe extern "C" fn cancel<C: DeploymentClient>(plugin: *mut c_void, call: u64) {
    // SAFETY: the host passes the pointer that `init` returned, see `PluginTable`.
    unsafe { enter::<C>(plugin, "cancelling a call", |instance| instance.cancel(call)) };
}

unsafe extern "C" fn credit<C: DeploymentClient>(plugin: *mut c_void, call: u64, chunks: u32) {
    // SAFETY: the host passes the pointer that `init` returned, see `PluginTable`.
    unsafe { enter::<C>(plugin, "granting credit", |instance| instance.credit(call, chunks)) };
}

/// Starts a call for a table function that takes a request. Parses the head of the request, then runs `start`. Replies
/// with an error if one of the two steps fails.
///
/// # Safety
/// As for [`instance`]. `request` must be NULL, or point to an [`AbiRequest`] that is valid until this function
/// returns.
unsafe fn begin<C: DeploymentClient, H: DeserializeOwned>(
    plugin: *mut c_void,
    (client, call): (u64, u64),
    request: *const AbiRequest,
    start: impl FnOnce(&'static Instance<C>, CallParams, H, Vec<u8>) -> Result<()>,
) {
    // SAFETY: the caller makes the same promise.
    let Some(instance) = (unsafe { instance::<C>(plugin) }) else { return };
    let started = catch_panic(|| {
        // SAFETY: the caller makes the same promise.
        let request = unsafe { AbiRequest::copy_known(request) }
            .ok_or_else(|| Error::invalid_parameter("invalid request: it is NULL or too small"))?;
        // SAFETY: the head is readable until the slot returns.
        let head = unsafe { request.head.bytes() }.ok_or_else(null_slice)?;
        // SAFETY: the body is readable until the slot returns.
        let body = unsafe { request.body.copy() }.ok_or_else(null_slice)?;
        let head = arguments(head)?;
        let deadline = Deadline::from_timeout_ms(request.timeout_ms);
        start(instance, CallParams { call, client, credit: request.credit, deadline, is_inline: false }, head, body)
    });
    match started {
        Ok(Ok(())) => {}
        Ok(Err(error)) => instance.host.reply(call, Err(error)),
        Err(message) => instance.host.reply(call, Err(panicked(&message))),
    }
}

/// Parses the head of a request. An empty head is parsed as an empty object.
///
/// Rejects two faults that serde accepts: a list in place of an object, and invalid UTF-8 in a string that serde skips.
fn arguments<H: DeserializeOwned>(head: &[u8]) -> Result<H> {
    let invalid =
        |fault: &dyn std::fmt::Display| Error::invalid_parameter(format!("failed to read the arguments: {fault}"));
    let text = std::str::from_utf8(head).map_err(|error| invalid(&error))?;
    let text = if text.is_empty() { "{}" } else { text };
    let arguments = serde_json::from_str(text).map_err(|error| invalid(&error))?;
    if !text.trim_ascii_start().starts_with('{') {
        return Err(invalid(&"expected a JSON object"));
    }
    Ok(arguments)
}

fn null_slice() -> Error {
    Error::invalid_parameter("invalid request: a slice is NULL but not empty")
}

unsafe extern "C" fn open<C: DeploymentClient>(
    plugin: *mut c_void,
    client: u64,
    call: u64,
    request: *const AbiRequest,
) {
    let start = |instance: &'static Instance<C>, order: CallParams, open: OpenHead, _: Vec<u8>| {
        instance.start(order, move |_| async move {
            let client = C::connect(open.target_uri, open.options).await?;
            instance.keep(order, client)?;
            Ok(Payload::empty())
        });
        Ok(())
    };
    // SAFETY: the host passes the pointer that `init` returned and a request, see `PluginTable`.
    unsafe { begin::<C, OpenHead>(plugin, (client, call), request, start) };
}

/// Starts an operation of a client, with the arguments in the request.
///
/// # Safety
/// As for [`begin`].
unsafe fn operation<C: DeploymentClient, A: Arguments>(
    plugin: *mut c_void,
    ids: (u64, u64),
    request: *const AbiRequest,
) {
    let start = |instance: &'static Instance<C>, order: CallParams, mut arguments: A, body: Vec<u8>| {
        if let Some(inputs) = arguments.inputs() {
            inputs.bytes = body;
        }
        let client = instance.client(order.client)?;
        let order = CallParams { is_inline: C::INLINE.contains(&A::OPERATION), ..order };
        instance.start(order, move |mut chunks| async move { arguments.answer(&client.value, &mut chunks).await });
        Ok(())
    };
    // SAFETY: the caller makes the same promise.
    unsafe { begin::<C, A>(plugin, ids, request, start) };
}

/// Declares the functions that [`export_plugin!`](crate::export_plugin) puts into the table. Each function has the name
/// of its operation.
macro_rules! slots {
    ($($slot:ident = $arguments:ident),* $(,)?) => {
        /// The table functions of the operations, of `target_help` and of `run_local`. Each has the name of its table
        /// member.
        #[expect(missing_docs, reason = "documented at the slot in `PluginTable`")]
        pub mod slots {
            use super::*;

            $(
                pub unsafe extern "C" fn $slot<C: DeploymentClient>(
                    plugin: *mut c_void,
                    client: u64,
                    call: u64,
                    request: *const AbiRequest,
                ) {
                    // SAFETY: the host passes the pointer that `init` returned and a request, see `PluginTable`.
                    unsafe { operation::<C, args::$arguments>(plugin, (client, call), request) };
                }
            )*

            pub unsafe extern "C" fn target_help<C: DeploymentClient>(
                plugin: *mut c_void,
                call: u64,
                request: *const AbiRequest,
            ) {
                let start = |instance: &'static Instance<C>, order: CallParams, _: serde::de::IgnoredAny, _: Vec<u8>| {
                    instance.start(order, |_| async { Ok(Payload::new("text/markdown", C::target_help())) });
                    Ok(())
                };
                // SAFETY: the host passes the pointer that `init` returned and a request, see `PluginTable`.
                unsafe { begin::<C, serde::de::IgnoredAny>(plugin, (0, call), request, start) };
            }

            pub unsafe extern "C" fn run_local<C: DeploymentClient>(
                plugin: *mut c_void,
                call: u64,
                request: *const AbiRequest,
            ) {
                let start = |instance: &'static Instance<C>, order: CallParams, arguments: RunLocal, _: Vec<u8>| {
                    instance.start(order, |mut chunks| async move {
                        C::run_local(arguments, &mut chunks).await?;
                        Ok(Payload::empty())
                    });
                    Ok(())
                };
                // SAFETY: the host passes the pointer that `init` returned and a request, see `PluginTable`.
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
