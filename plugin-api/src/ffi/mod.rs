//! The interface between a host and a plugin. It is the only module of this crate with unsafe code.
//!
//! | file | side | responsibility |
//! |---|---|---|
//! | `abi`, `layout` | both | the layouts: table, host callbacks, request, slice |
//! | `head` | both | the JSON heads of `open` requests and of replies |
//! | `export`, `macros` | plugin | the functions of a plugin's table, and `export_plugin!` |
//! | `root_module` | plugin | abi_stable's description of the table, which the library exports |
//! | `instance`, `task`, `catch_unwind`, `runtime`, `host` | plugin | clients and calls by id; panics, cancellation, threads; callbacks |
//! | `library_load` | plugin | loads a library that the plugin uses |
//! | `library_path` | plugin | the path of the loaded library |
//! | `process` | both | the privileges of the process, and functions to call at its end |
//! | `validate` | host | reads and checks a library's table |
//! | `transport` | host | the messages between host and plugin as two traits, independent of their transport |
//! | `table` | host | transports the messages through the functions of a library in this process |
//! | `relay` | host | gives a plugin an instance of its own library in another process |
//! | `isolated_self` | plugin | asks the host for that instance |
//! | `import`, `in_flight`, `stream`, `pending` | host | makes calls, and waits for replies by id; safe code |
//! | `raw` | host | calls a plugin's functions with valid and invalid arguments, for conformance tests |
//!
//! Host and plugin never take ownership of each other's data: a slice is borrowed for one function call, and the
//! receiver copies it. Each side frees only its own memory, so they need no common allocator.
//!
//! Authors of plugins use [`export_plugin!`](crate::export_plugin); the [front page](crate) has an example.
#![expect(
    unsafe_code,
    reason = "the boundary consists of raw pointers; each block names the promise that it relies on"
)]

mod catch_unwind;
#[doc(hidden)]
pub mod export;
mod head;
mod host;
mod instance;
mod layout;
mod library_load;
mod library_path;
#[doc(hidden)]
pub mod listed;
mod macros;
pub(crate) mod not_implemented;
pub(crate) mod outside_call;
mod process;
#[doc(hidden)]
pub mod root_module;
mod runtime;
mod task;

/// The memory layouts that hosts and plugins share.
pub mod abi {
    pub(crate) use super::layout::SizedStruct;
    pub use super::layout::{
        ABI, AbiRequest, AbiSlice, ENTRY_SYMBOL, HostApi, OperationSlot, PluginTable, STATUS_ERROR, STATUS_OK,
    };
}

#[cfg(feature = "host")]
mod import;
#[cfg(feature = "host")]
mod in_flight;
#[cfg(feature = "host")]
mod isolated_self;
#[cfg(feature = "host")]
mod pending;
#[cfg(feature = "testing")]
pub(crate) mod raw;
#[cfg(feature = "host")]
mod records;
#[cfg(feature = "host")]
mod relay;
#[cfg(feature = "host")]
mod stream;
#[cfg(feature = "host")]
mod table;
#[cfg(feature = "host")]
mod transport;
#[cfg(feature = "host")]
mod validate;

pub(crate) use host::Host;
#[cfg(feature = "host")]
pub use import::{RemoteClient, RemotePlugin};
#[cfg(feature = "host")]
pub(crate) use isolated_self::isolated_self;
pub use library_load::load_and_resolve;
pub use library_path::library_path;
pub use macros::Plugin;
pub(crate) use process::effective_user;
pub use process::{at_exit, is_privileged};
pub use runtime::blocking;
#[cfg(feature = "host")]
pub use stream::RemoteStream;
#[cfg(feature = "host")]
pub use table::Table;
#[cfg(feature = "host")]
pub use transport::{BorrowedReply, HostCallbacks, MAX_MESSAGE_BYTES, PluginTransport, Request, Slot, check_size};
#[cfg(feature = "host")]
pub use validate::{TableError, table_of};

#[cfg(all(test, feature = "testing"))]
mod tests;
