//! Drives a plugin through its table in one process, without loading a library.
//!
//! [`raw`] is for those who prove a library right: it loads one, and makes calls that no host would make.
//!
//! The same calls can so be made natively and through the boundary, and their answers compared. Nothing is loaded, so
//! tools that cannot follow `dlopen`, such as Miri, see all of it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

/// Loads a library and calls its table with anything at all, to see what it does.
///
/// The functions are safe to write and run code that nobody vouches for: what they load may do anything to the process.
/// Call them in one that may be lost.
pub mod raw {
    pub use crate::ffi::raw::{
        Bytes, Call, Chunk, Driver, Entered, Event, HostShape, Library, Reply, Request, TableFacts, in_fork,
    };
}

use crate::args::Arguments;
use crate::call::{Event, Level};
use crate::ffi::{Plugin, RemotePlugin};
use crate::{Chunks, DeploymentClient, Payload, Result};

/// What a plugin said beside its replies: the call, or 0, how much it matters, and the message.
#[derive(Clone, Default)]
pub struct Events(Arc<Mutex<Vec<(u64, Level, Event)>>>);

impl Events {
    /// All events so far, in the order in which they came.
    pub fn all(&self) -> Vec<(u64, Level, Event)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A listener that notes events here.
    pub fn listener(&self) -> impl Fn(u64, Level, Event) + Send + Sync + 'static {
        let events = Arc::clone(&self.0);
        move |call, level, event| {
            events.lock().unwrap_or_else(PoisonError::into_inner).push((call, level, event));
        }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.all()).finish()
    }
}

/// Makes an instance of a plugin of this process, and a list of what it will say.
///
/// # Errors
/// `PLUGIN_LOAD_FAILED` where the plugin's `init` fails.
pub fn start(plugin: &Plugin) -> Result<(RemotePlugin, Events)> {
    let events = Events::default();
    Ok((plugin.start(events.listener())?, events))
}

/// Runs an operation natively; gives the answer, and the chunks that it sent on the way.
pub async fn natively<C: DeploymentClient, A: Arguments>(client: &C, arguments: A) -> (Result<Payload>, Vec<Payload>) {
    let sent = Arc::<Mutex<Vec<Payload>>>::default();
    let sink = Arc::clone(&sent);
    let emit = move |chunk| sink.lock().unwrap_or_else(PoisonError::into_inner).push(chunk);
    let mut chunks = Chunks::new(emit, Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)));
    let answer = arguments.answer(client, &mut chunks).await;
    drop(chunks);
    let sent = std::mem::take(&mut *sent.lock().unwrap_or_else(PoisonError::into_inner));
    (answer, sent)
}
