//! The only room with unsafe code: the boundary between a host and a plugin.
//!
//! | file | side | what it does |
//! |---|---|---|
//! | `abi` | both | the layouts: table, host callbacks, request, slice |
//! | `export`, `macros` | plugin | one function per slot, and `export_plugin!` |
//! | `instance`, `task`, `contain`, `runtime`, `host` | plugin | clients and calls by id; panics, cancellation, threads; callbacks |
//! | `place` | plugin | the file that it was loaded from |
//! | `process` | both | whose rights the process has, and its end |
//! | `accept` | host | reads a library's table, and checks it |
//! | `seam` | host | what the two sides say to each other, whatever carries it |
//! | `table` | host | carries it through the functions of a library in this process |
//! | `relay` | both | an instance of a plugin in another process, which the host lends to that plugin |
//! | `import`, `stream`, `pending` | host | makes calls, and waits for replies by id; safe code |
//! | `raw` | host | calls slots as no host would, for whoever proves a plugin right |
//!
//! Nothing that crosses changes its owner: a slice is lent for one function, and whoever receives it copies what it
//! keeps. So there is nothing to free on the other side, and no allocator to agree on.
#![expect(unsafe_code, reason = "the boundary is made of raw pointers; each block says who promised what")]

pub mod abi;
mod contain;
#[doc(hidden)]
pub mod export;
mod host;
mod instance;
mod macros;
mod place;
mod process;
mod runtime;
mod task;

#[cfg(feature = "host")]
mod accept;
#[cfg(feature = "host")]
mod import;
#[cfg(feature = "host")]
mod pending;
#[cfg(feature = "testing")]
pub(crate) mod raw;
#[cfg(feature = "host")]
mod relay;
#[cfg(feature = "host")]
mod seam;
#[cfg(feature = "host")]
mod stream;
#[cfg(feature = "host")]
mod table;

#[cfg(feature = "host")]
pub use accept::{TableError, table_of};
pub(crate) use host::Host;
#[cfg(feature = "host")]
pub use import::{RemoteClient, RemotePlugin};
pub use macros::Plugin;
pub use place::library_path;
pub(crate) use process::effective_user;
pub use process::{at_exit, is_privileged};
#[cfg(feature = "host")]
pub(crate) use relay::isolated_self;
pub use runtime::blocking;
#[cfg(feature = "host")]
pub use seam::{Lent, MOST_AT_ONCE, Request, Slot, ToHost, ToPlugin, check_size};
#[cfg(feature = "host")]
pub use stream::RemoteStream;
#[cfg(feature = "host")]
pub use table::Table;

#[cfg(all(test, feature = "testing"))]
mod tests;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// The head of a reply or a chunk; empty where the body is JSON.
#[derive(Default, Serialize, Deserialize)]
struct ReplyHead<'a> {
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    content_type: Option<Cow<'a, str>>,
}
