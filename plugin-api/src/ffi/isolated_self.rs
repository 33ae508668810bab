//! Asks the host for an isolated instance of this plugin, which runs in another process.

use super::abi::{HostApi, PluginTable};
use super::host::Host;
use super::import::RemotePlugin;
use super::table::{self, Table};
use crate::event::{Event, Level};

/// Asks the host for an instance of this plugin in another process; `None` if the host does not support it.
pub(crate) fn isolated_self(
    host: &Host,
    listener: impl Fn(u64, Level, Event) + Send + Sync + 'static,
) -> Option<RemotePlugin> {
    RemotePlugin::through(listener, |to_host| isolate(host, table::api(to_host)).ok_or(())).ok()
}

/// Calls the host's `isolate`. `api` becomes the host of the new instance. Returns `None` if the host does not support
/// `isolate`.
fn isolate(host: &Host, api: &'static HostApi) -> Option<Table> {
    let isolate = host.0.isolate?;
    let mut functions = PluginTable::EMPTY;
    let table = std::ptr::from_mut(&mut functions).cast();
    // SAFETY: the host passed this function with its `ctx`; `api` is never freed, and `functions` starts with its size.
    let handle = unsafe { isolate(host.0.ctx, std::ptr::from_ref(api).cast(), table) };
    // SAFETY: the host has filled the table with functions that take the pointer that it returned.
    (!handle.is_null()).then(|| unsafe { Table::made(functions, handle) })
}
